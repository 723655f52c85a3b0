"""The data sets of ``benchmarks.zoo``: rows, scenarios and schema of each, written once into a directory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import yaml

from benchmarks._default_sets import content_of
from motet.datasets import SyntheticWorld, fetch, generate

__all__ = ["ZOO", "ZooSet", "sampled", "write_set"]

SHARING: Final = ("network", "sharing")
_AGES: Final = {"1": "under 25", "18": "under 25", "25": "25 to 34", "35": "35 to 44"}
_GENRES: Final = 5  # scenarios of their own; the rest is one


@dataclass(frozen=True, slots=True)
class ZooSet:
    """A data set of the comparison.

    Attributes:
        source: Packaged data set, or ``world``.
        families: Of the architectures that are compared on it.
        tasks: Those that are kept.
        rows: Rows at most.
        scenario: What the scenario of a row is; empty where there is none.
        shared: Of a world, how alike a user's taste is in all scenarios, 0 to 1.
    """

    source: str
    families: tuple[str, ...]
    tasks: tuple[str, ...]
    rows: int
    scenario: str = ""
    shared: float = 1.0


_FILMS: Final = ("like", "rating")
ZOO: Final[Mapping[str, ZooSet]] = {
    "films": ZooSet("movielens-1m", SHARING, _FILMS, 200_000),
    "films-genres": ZooSet("movielens-1m", ("scenario",), _FILMS, 200_000, "genre"),
    "films-ages": ZooSet("movielens-1m", ("scenario",), _FILMS, 200_000, "age"),
    "films-dayparts": ZooSet("movielens-1m", ("scenario",), _FILMS, 200_000, "daypart"),
    "adult": ZooSet("adult", SHARING, ("income", "never_married"), 50_000),
    "clothing-reviews": ZooSet("clothing-reviews", SHARING, ("recommended", "rating", "department"), 50_000),
    "open-bandit": ZooSet("open-bandit", ("scenario",), ("click",), 50_000, "campaign"),
    "world-strong": ZooSet("world", (*SHARING, "funnel", "scenario"), ("click", "cart", "like"), 60_000, "scenario", 0.2),
    "world-alike": ZooSet("world", (*SHARING, "funnel", "scenario"), ("click", "cart", "like"), 60_000, "scenario", 1.0),
}  # fmt: skip
"""Every set, by name."""


def write_set(name: str, rows: int, place: Path) -> Path:
    """Tables and ``schema.yaml`` of a set in a directory, which is kept if it is there.

    Of users with a key a random few are taken with all their rows, else rows; the same ones every time. Texts are left
    out: they would cost each method the same, and say little about it.

    Args:
        name: Of :data:`ZOO`.
        rows: Rows at most.
        place: Where directories of sets are.
    """
    out = place / f"{name}-{rows}"
    if not out.is_dir():
        new = place / f"{name}-{rows}.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        of = ZOO[name]
        if of.source == "world":
            source = generate(
                SyntheticWorld(
                    users=max(50, rows // 300),
                    items=max(20, rows // 400),
                    interactions=rows,
                    shared=of.shared,
                    scenarios={"feed": 0.4, "search": 0.35, "checkout": 0.25},
                    cold_items=0.0,
                ),
                new / "drawn",
            )
        else:
            source = fetch(of.source)
        content = content_of((source / "schema.yaml").read_text(encoding="utf-8"))
        tables = _tables(source, content)
        content = _trimmed(content, of)
        tables["interactions"] = sampled(tables["interactions"], content["keys"].get("user"), rows)
        if of.source == "movielens-1m":
            tables = _PARTS[of.scenario](tables, content)
        content["tables"] = {}
        for table, frame in tables.items():
            frame.write_parquet(new / f"{table}.parquet")
            content["tables"][table] = f"{table}.parquet"
        shutil.rmtree(new / "drawn", ignore_errors=True)
        (new / "schema.yaml").write_text(
            yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        new.rename(out)
    return out


def _tables(source: Path, content: Mapping[str, Any]) -> dict[str, pl.DataFrame]:
    return {name: pl.read_parquet(source / of) for name, of in content["tables"].items()}


def sampled(events: pl.DataFrame, user: str | None, rows: int) -> pl.DataFrame:
    """About so many rows, in the order of the file."""
    if len(events) <= rows:
        return events
    rng = np.random.default_rng(0)
    if user is None:
        return events[np.sort(rng.choice(len(events), rows, replace=False))]
    counts = events[user].value_counts().sort(user)
    order = rng.permutation(len(counts))
    before = counts["count"].to_numpy()[order].cumsum()
    taken = counts[user].gather(order[: max(2, int((before <= rows).sum()))])
    return events.filter(pl.col(user).is_in(taken.implode()))


def _trimmed(content: dict[str, Any], of: ZooSet) -> dict[str, Any]:
    for part in ("model", "training", "knowledge", "catalogue", "explain", "language"):
        content.pop(part, None)
    content["keys"] = content.get("keys", {})
    content["tasks"] = {name: content["tasks"][name] for name in of.tasks}
    for entity, features in content["features"].items():
        kept = {
            name: one
            for name, one in features.items()
            if not (isinstance(one, Mapping) and one["kind"] == "text")
        }
        content["features"][entity] = kept
    if not of.scenario:
        content["keys"].pop("scenario", None)
    # the scenario is a plain feature to all methods but those that say otherwise
    content["model"] = {"scenario_gate": False}
    return content


# Scenarios of MovieLens-1M.


def _time_split(tables: dict[str, pl.DataFrame], content: dict[str, Any]) -> dict[str, pl.DataFrame]:
    content["keys"].pop("scenario", None)
    content["split"] = {"by": "time", "train": 0.8, "validation": 0.1}
    return tables


def _dayparts(tables: dict[str, pl.DataFrame], content: dict[str, Any]) -> dict[str, pl.DataFrame]:
    return tables


def _genres(tables: dict[str, pl.DataFrame], content: dict[str, Any]) -> dict[str, pl.DataFrame]:
    """The first genre of the film; the most frequent ones, and the others together."""
    item = content["keys"]["item"]
    firsts = tables["items"].select(item, genre=pl.col("genres").str.split("|").list.first())
    events = tables["interactions"].join(firsts, on=item, how="left", maintain_order="left")
    counts = events["genre"].value_counts().sort("count", "genre", descending=True)
    most = counts["genre"].drop_nulls()[:_GENRES]
    events = events.with_columns(
        pl.when(pl.col("genre").is_in(most.implode())).then("genre").otherwise(pl.lit("other"))
    )
    content["keys"]["scenario"] = "genre"
    return tables | {"interactions": events}


def _ages(tables: dict[str, pl.DataFrame], content: dict[str, Any]) -> dict[str, pl.DataFrame]:
    """The age group of the user, in four."""
    user = content["keys"]["user"]
    of_user = tables["users"].select(
        user, age_group=pl.col("age").cast(pl.String).replace_strict(_AGES, default="45 and over")
    )
    content["keys"]["scenario"] = "age_group"
    events = tables["interactions"].join(of_user, on=user, how="left", maintain_order="left")
    return tables | {"interactions": events}


_PARTS: Final[Mapping[str, Callable[..., dict[str, pl.DataFrame]]]] = {
    "": _time_split,
    "daypart": _dayparts,
    "genre": _genres,
    "age": _ages,
}
