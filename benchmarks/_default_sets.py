"""The data sets of ``benchmarks.defaults``: where the tables come from and which schema goes with them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import yaml

from motet.data import inspect_directory
from motet.datasets import SyntheticWorld, fetch, generate
from motet.schema import Schema

__all__ = ["QUICK", "SETS", "SYNTHETIC", "content_of", "prepared", "seeds_of"]

SETS: Final = (
    "movielens-100k",
    "movielens-timeless",
    "movielens-implicit",
    "movielens-1m",
    "movielens-1m-loo",
    "movielens-1m-few",
    "clothing-reviews",
    "adult",
    "open-bandit",
    "worlds",
    "worlds-sparse",
    "worlds-scenarios",
    "amazon-ids",
    "amazon-office",
)
QUICK: Final = ("movielens-timeless", "movielens-implicit", "adult", "open-bandit", "worlds", "amazon-ids")
"""Sets of ``--quick``."""

SYNTHETIC: Final = {
    "worlds": SyntheticWorld(),
    "worlds-sparse": SyntheticWorld(users=10_000, items=100_000, interactions=500_000),
    # a user's taste in one scenario says next to nothing about that in another
    "worlds-scenarios": SyntheticWorld(
        users=3_000,
        items=1_000,
        interactions=300_000,
        shared=0.2,
        scenarios={"feed": 0.4, "search": 0.35, "checkout": 0.25},
    ),
}
"""Sets that are drawn from known truth; ``worlds`` is the packaged one."""

_FEW_USERS: Final = 1_500
_FEW_RATINGS: Final = 16
_FEW_SEEDS: Final = ("movielens-1m", "movielens-1m-loo")
_SEEDS: Final = (0, 1, 2, 3, 4)


def seeds_of(name: str) -> tuple[int, ...]:
    """Seeds of a set: five, three of a million rows."""
    return _SEEDS[:3] if name in _FEW_SEEDS else _SEEDS


def prepared(
    name: str, data: Path | None, place: Path, *, shipped: bool = False
) -> tuple[Path, Schema] | None:
    """Directory and schema of a set; None where its files are absent.

    Args:
        name: In :data:`SETS`.
        data: Directory of data that no package holds.
        place: An empty directory that may be written.
        shipped: Keep the settings of model and training that a packaged schema brings, which were chosen for that data;
            they are left out otherwise, so that the defaults are measured.
    """
    if name.startswith("amazon"):
        return _amazon(data, place, texts=name == "amazon-office")
    if name in SYNTHETIC and name != "worlds":
        source = generate(SYNTHETIC[name], place / "world")
    else:
        packaged = name if not name.startswith("movielens") else "movielens-100k"
        source = fetch("movielens-1m" if name.startswith("movielens-1m") else packaged)
    if name == "movielens-1m-few":
        place = _first_ratings(source, place / "few")
        return place, inspect_directory(place).schema
    content = content_of((source / "schema.yaml").read_text(encoding="utf-8"))
    if not shipped:
        content.pop("model", None)
        content.pop("training", None)
    if name == "movielens-timeless":
        _without_times(content)
    elif name == "movielens-implicit":
        _events_alone(content)
    elif name == "movielens-1m-loo":
        _events_alone(content)
        source = _leave_one_out(source, content, place)
    elif name in SYNTHETIC and name != "worlds":
        content["tasks"]["next"] = {"kind": "retrieval", "positive": "click = 1"}
    return source, Schema.parse(content)


def content_of(text: str) -> dict[str, Any]:
    """A schema as plain values; the key ``on``, which YAML 1.1 reads as true, is put back."""
    content: dict[str, Any] = _with_on(yaml.safe_load(text))
    return content


def _with_on(content: Any) -> Any:
    if isinstance(content, dict):
        return {"on" if key is True else key: _with_on(value) for key, value in content.items()}
    return content


def _kind(feature: Any) -> str:
    return feature if isinstance(feature, str) else str(feature["kind"])


def _without_times(content: dict[str, Any]) -> None:
    content["split"] = {"by": "random"}
    content["keys"] = {name: content["keys"][name] for name in ("user", "item")}
    del content["derive"], content["features"]["interaction"]
    of_user = content["features"]["user"]
    content["features"]["user"] = {n: f for n, f in of_user.items() if _kind(f) != "sequence"}


def _events_alone(content: dict[str, Any]) -> None:
    """That there was an event is all that is known, so there is one history."""
    content["tasks"] = {"next": {"kind": "retrieval", "positive": "true"}}
    content.get("knowledge", {}).pop("hide", None)
    features = content["features"]["user"]
    first, *others = [name for name, feature in features.items() if _kind(feature) == "sequence"]
    features[first].pop("where", None)
    for name in others:
        del features[name]


def _first_ratings(source: Path, place: Path) -> Path:
    """Likes alone of some users, each with their first ratings, as files that no schema came with."""
    place.mkdir()
    ratings = pl.read_parquet(source / "ratings.parquet").sort("user_id", "timestamp", "item_id")
    known = ratings["user_id"].unique().sort().to_numpy()
    users = np.random.default_rng(0).choice(known, _FEW_USERS, replace=False)
    of_users = ratings.filter(
        pl.col("user_id").is_in(users.tolist()), pl.int_range(pl.len()).over("user_id") < _FEW_RATINGS
    )
    liked = (pl.col("rating") >= 4).cast(pl.Int8).alias("liked")
    of_users.select("user_id", "item_id", liked, "timestamp").write_csv(place / "likes.csv")
    pl.read_parquet(source / "items.parquet").select("item_id", "title", "year").write_csv(
        place / "films.csv"
    )
    return place


def _leave_one_out(source: Path, content: dict[str, Any], place: Path) -> Path:
    """The last event of each user is the test and the one before it the validation.

    Events of one second stand in the order of the file, as in the published runs of SASRec: times are moved on by the
    fewest seconds that make those of a user rise.
    """
    ratings = pl.read_parquet(source / "ratings.parquet").with_row_index("row")
    number = pl.int_range(pl.len(), dtype=pl.Int64).over("user_id")
    left = pl.len().over("user_id").cast(pl.Int64) - 1 - number
    ratings.sort("user_id", "timestamp", "row").with_columns(
        timestamp=(pl.col("timestamp") - number).cum_max().over("user_id") + number,
        part=pl.when(left == 0).then(pl.lit("test")).when(left == 1).then(pl.lit("validation")).otherwise(pl.lit("train")),
    ).select("user_id", "item_id", "timestamp", "part").write_parquet(place / "events.parquet")  # fmt: skip
    for table in ("users", "items"):
        shutil.copy(source / f"{table}.parquet", place)
    content["tables"]["interactions"] = "events.parquet"
    content["split"] = {"by": "column", "column": "part"}
    return place


def _amazon(data: Path | None, place: Path, *, texts: bool) -> tuple[Path, Schema] | None:
    """Events in their order in place of times; a user's own events before each one, whatever their split."""
    source = None if data is None else data / "amazon-office"
    if source is None or not (source / "events.csv.gz").is_file():
        return None
    events = pl.read_csv(source / "events.csv.gz")
    order = {"train": 0, "valid": 1, "test": 2}
    events = events.with_columns(part=pl.col("split").replace_strict(order)).sort(
        "part", "position", "user_id"
    )
    # there are no times: the split is by time and a user's events have an order, which is all that is used
    events = events.with_columns(at=1_500_000_000 + 60 * pl.int_range(pl.len()))
    counts = events["part"].value_counts().sort("part")["count"].to_list()
    events.select("user_id", "item_id", "at").write_csv(place / "events.csv")
    pl.read_csv(source / "items.csv.gz").write_csv(place / "items.csv")
    item: dict[str, Any] = {"item_id": "id"}
    if texts:
        item |= {"brand": {"kind": "categorical", "min_count": 2}, "about": {"kind": "text", "template": "{title}. {description}"}}  # fmt: skip
    content = {
        "name": "amazon-office",
        "tables": {"interactions": "events.csv", "items": "items.csv"},
        "keys": {"user": "user_id", "item": "item_id", "time": "at"},
        "split": {
            "by": "time",
            "train": (counts[0] + 0.4) / sum(counts),
            "validation": counts[1] / sum(counts),
        },
        "features": {
            "user": {"user_id": "id", "past": {"kind": "sequence", "of": "item_id", "last": 10}},
            "item": item,
        },
        "tasks": {"next": {"kind": "retrieval", "positive": "true", "repeats": True}},
    }
    return place, Schema.parse(content)
