"""A toy data set with every kind of feature and task, and a text encoder that needs no weights."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import CleaningReport, Dataset, build_dataset
from motet.schema import Schema

__all__ = [
    "TOY_SEQUENCES",
    "HashedWordsForTests",
    "hashed_words_for_tests",
    "toy_dataset",
    "toy_schema",
    "toy_tables",
]


def hashed_words_for_tests(texts: Sequence[str], width: int = 12) -> NDArray[np.float32]:
    """Turn texts into the mean of one random direction a word: for tests only, it understands nothing.

    Args:
        texts: n texts.
        width: D, length of a vector, > 0.

    Returns:
        Shape [n, D]; an empty text is zeros. The same text gives the same vector everywhere.

    Example:
        >>> one, two = hashed_words_for_tests(["red wine", "wine red"])
        >>> bool(np.allclose(one, two))
        True
    """
    vectors = np.zeros((len(texts), width), np.float32)
    for row, text in enumerate(texts):
        words = text.lower().split()
        for word in words:
            direction = np.random.default_rng(zlib.crc32(word.encode())).standard_normal(width)
            vectors[row] += direction.astype(np.float32) / len(words)
    return vectors


class HashedWordsForTests:
    """:func:`hashed_words_for_tests` as a text encoder, for tests of whatever takes one.

    Args:
        width: Length of a vector.
    """

    def __init__(self, *, width: int = 12) -> None:
        self._width = width

    @property
    def name(self) -> str:
        """What a person calls it."""
        return "hashed words, for tests"

    @property
    def settings_key(self) -> str:
        """Hash of everything that changes the output."""
        return f"{zlib.crc32(self.name.encode()):08x}-{self._width}"

    @property
    def width(self) -> int:
        """Length of a vector."""
        return self._width

    def encode(self, texts: Sequence[str], progress: object = None) -> NDArray[np.float32]:
        """Encode n texts, shape [n, D]."""
        return hashed_words_for_tests(texts, self._width)


# A tiny world in files: every kind of feature and task, gaps, rare ids and scenarios.

TOY_SEQUENCES = ("mean", "gru", "lstm", "cnn", "attention", "target")

_USERS, _ITEMS = 24, 30
_GENRES = ("drama", "comedy", "crime", "nature")
_WORDS = ("night", "river", "city", "love", "storm", "garden", "train", "secret")
_PLACES = ("home", "search", "checkout")
_START_S = 1_700_000_000


def toy_tables(*, rows: int = 400, seed: int = 0) -> dict[str, pl.DataFrame]:
    """Draw the tables of the toy world.

    Clicks follow a hidden taste for genres, so that there is something to learn; a purchase needs a
    click, a repeat purchase needs a purchase. Every kind of column has gaps.

    Args:
        rows: Interactions, ≥ 100.
        seed: Of all draws.

    Returns:
        ``users``, ``items`` and ``interactions``. Two users and two items are in the interactions only.
    """
    rng = np.random.default_rng(seed)

    def gaps(values: Sequence[Any], share: float = 0.15) -> list[Any]:
        lost = rng.random(len(values)) < share
        return [None if gone else value for gone, value in zip(lost, values, strict=True)]

    def words(n: int) -> list[str]:
        return [" ".join(rng.choice(_WORDS, 3, replace=False)) for _ in range(n)]

    genre_sets = [
        sorted(rng.choice(_GENRES, int(rng.integers(1, 3)), replace=False).tolist()) for _ in range(_ITEMS)
    ]
    users = pl.DataFrame(
        {
            "user": [f"u{k}" for k in range(_USERS - 2)],
            "age": gaps(rng.integers(16, 80, _USERS - 2).tolist()),
            "job": gaps(rng.choice(["nurse", "cook", "clerk"], _USERS - 2).tolist()),
            "joined": gaps((_START_S - rng.integers(0, 10**7, _USERS - 2)).tolist()),
            "about": gaps(words(_USERS - 2)),
            "plan": gaps(rng.choice(["free", "paid", "family"], _USERS - 2).tolist(), 0.1),
            "worth": gaps(rng.normal(50, 20, _USERS - 2).round(2).tolist(), 0.1),
            "churned": gaps((np.arange(_USERS - 2) % 2).tolist(), 0.1),
            "hobbies": gaps(["|".join(rng.choice(["chess", "ski", "tea"], 2, replace=False)) for _ in range(_USERS - 2)], 0.1),
        }
    )  # fmt: skip
    items = pl.DataFrame(
        {
            "item": np.arange(1, _ITEMS - 1) * 10,
            "title": gaps(words(_ITEMS - 2)),
            "blurb": gaps(words(_ITEMS - 2), 0.4),
            "price": gaps(rng.gamma(2.0, 20.0, _ITEMS - 2).round(2).tolist()),
            "brand": gaps(rng.choice(["ace", "bolt", "crow"], _ITEMS - 2).tolist()),
            "genres": ["|".join(genres) for genres in genre_sets[: _ITEMS - 2]],
            "released": gaps((_START_S - rng.integers(0, 10**8, _ITEMS - 2)).tolist()),
            "picture": gaps(rng.normal(size=(_ITEMS - 2, 5)).round(3).tolist()),
            "stock": rng.integers(0, 9, _ITEMS - 2),
        }
    )
    user, item = rng.integers(0, _USERS, rows), rng.integers(0, _ITEMS, rows)
    taste = rng.normal(size=(_USERS, len(_GENRES)))
    has = np.array([[genre in genres for genre in _GENRES] for genres in genre_sets], float)
    affinity = (taste[user] * has[item]).sum(1)
    place = rng.integers(0, len(_PLACES), rows)
    click = (affinity + 0.3 * place + rng.logistic(size=rows) * 0.5 > 0).astype(int)
    buy = click * (rng.random(rows) < 0.5)
    stars = np.clip(np.round(3 + affinity + rng.normal(size=rows) * 0.3), 1, 5)
    interactions = pl.DataFrame(
        {
            "user": [f"u{k}" for k in user],
            "item": (item + 1) * 10,
            "at": _START_S + np.sort(rng.integers(0, rows // 2, rows)) * 3600,
            "place": [_PLACES[k] for k in place],
            "device": gaps(rng.choice(["phone", "web"], rows).tolist()),
            "wait": gaps(rng.exponential(3.0, rows).round(3).tolist()),
            "query": gaps(words(rows), 0.3),
            "notes": gaps(["|".join(rng.choice(["gift", "rush", "sale"], 2, replace=False)) for _ in range(rows)]),
            "click": gaps(click.tolist(), 0.05),
            "buy": buy.astype(int),
            "again": (buy * (rng.random(rows) < 0.5)).astype(int),
            "stars": gaps(stars.tolist(), 0.3),
            "mood": gaps(np.where(affinity > 0.5, "glad", np.where(affinity < -0.5, "sad", "calm")).tolist(), 0.2),
            "marks": gaps(["|".join(rng.choice(["long", "dark", "warm"], int(rng.integers(0, 3)), replace=False)) or "long" for _ in range(rows)], 0.2),
        }
    )  # fmt: skip
    return {"users": users, "items": items, "interactions": interactions}


def toy_schema(
    *,
    users: bool = True,
    items: bool = True,
    time: bool = True,
    scenario: bool = True,
    suffix: str = "parquet",
    sequences: Sequence[str] = TOY_SEQUENCES,
    overrides: Sequence[str] = (),
) -> Schema:
    """The schema of the toy world, or of a part of it.

    Args:
        users: With a user key, features and tasks on users.
        items: With an item key, features and tasks on items.
        time: With times, and so with histories if there are users and items too.
        scenario: With three placements.
        suffix: ``parquet`` or ``csv``; CSV has no vectors.
        sequences: Encoders that get a history feature each.
        overrides: ``a.b=c`` changes, as on the command line.
    """
    features: dict[str, Any] = {
        "interaction": {
            "device": "categorical",
            "wait": {"kind": "numeric", "scale": "log"},
            "notes": "tags",
            "request": {
                "kind": "text",
                "template": "{query}"
                + (" [SEP] {user.about}" if users else "")
                + (" [SEP] {item.title}" if items else ""),
            },
        }
    }
    tasks: dict[str, Any] = {
        "click": {"kind": "binary", "label": "click"},
        "buy": {"kind": "binary", "label": "buy", "after": "click"},
        "again": {"kind": "binary", "label": "again", "after": "buy"},
        "stars": {"kind": "regression", "label": "stars", "range": [1, 5]},
        "mood": {"kind": "multiclass", "label": "mood"},
        "marks": {"kind": "multilabel", "label": "marks"},
    }
    if users:
        features["user"] = {"user": {"kind": "id"}, "age": "numeric", "job": "categorical"}
        features["user"] |= {"joined": "time", "about": "text", "hobbies": "tags"}
        tasks |= {
            "churn": {"kind": "binary", "label": "churned", "on": "user"},
            "plan": {"kind": "multiclass", "label": "plan", "on": "user"},
            "worth": {"kind": "regression", "label": "worth", "on": "user"},
            "tastes": {"kind": "multilabel", "label": "hobbies", "on": "user", "hide": ["hobbies"]},
        }
    if items:
        features["item"] = {"item": {"kind": "id"}, "price": {"kind": "numeric", "scale": "quantile"}}
        features["item"] |= {"brand": "categorical", "genres": "tags", "released": "time"}
        features["item"]["story"] = {
            "kind": "text",
            "template": "{title} [SEP] {blurb}",
            "adapter": "mixture",
        }
        if suffix == "parquet":
            features["item"]["picture"] = {"kind": "vector", "whiten": 3}
        tasks |= {
            "dear": {"kind": "binary", "label": "price > 35", "on": "item", "hide": ["price"]},
            "maker": {"kind": "multiclass", "label": "brand", "on": "item", "hide": ["brand"]},
            "stock": {"kind": "regression", "label": "stock", "on": "item"},
            "topics": {"kind": "multilabel", "label": "genres", "on": "item", "hide": ["genres"]},
        }
    if users and items:
        tasks["next"] = {"kind": "retrieval", "positive": "click = 1"}
    if users and items and time:
        for name in sequences:
            history = {"kind": "sequence", "of": "item", "last": 6, "encoder": name}
            features["user"][f"past_{name}"] = history | ({"where": "click = 1"} if name == "gru" else {})
    keys = {"user": "user"} if users else {}
    keys |= {"item": "item"} if items else {}
    keys |= {"time": "at"} if time else {}
    keys |= {"scenario": "place"} if scenario else {}
    content = {
        "name": "toy",
        "tables": {
            name: f"{name}.{suffix}"
            for name, wanted in (("users", users), ("items", items), ("interactions", True))
            if wanted
        },
        "keys": keys,
        "features": features,
        "tasks": tasks,
        "split": {"by": ("user_time" if users else "time") if time else "random", "train": 0.6, "validation": 0.2},
        "model": {"width": 4, "vector_width": 5, "retrieval_width": 6, "dropout": 0.0, "id_dropout": 0.0},
        "training": {"batch_size": 64, "epochs": 2, "learning_rate": 0.01},
    }  # fmt: skip
    return Schema.parse(content, overrides)


def toy_dataset(
    *,
    users: bool = True,
    items: bool = True,
    time: bool = True,
    scenario: bool = True,
    rows: int = 400,
    seed: int = 0,
    suffix: str = "parquet",
    sequences: Sequence[str] = TOY_SEQUENCES,
    overrides: Sequence[str] = (),
    directory: Path | None = None,
    cleaning_report: CleaningReport | None = None,
) -> Dataset:
    """Write the toy world to files and build its data set from them.

    Texts are encoded by :func:`hashed_words_for_tests`.

    Args:
        users: See :func:`toy_schema`.
        items: Likewise.
        time: Likewise.
        scenario: Likewise.
        rows: Interactions, ≥ 100.
        seed: Of all draws.
        suffix: ``parquet`` or ``csv``.
        sequences: Encoders that get a history feature each.
        overrides: ``a.b=c`` changes of the schema.
        directory: Where the files go; a temporary directory, removed afterwards, when left out.
        cleaning_report: Takes note of what cleaning did.

    Example:
        >>> len(toy_dataset(rows=120, users=False))
        120
    """
    schema = toy_schema(
        users=users,
        items=items,
        time=time,
        scenario=scenario,
        suffix=suffix,
        sequences=sequences,
        overrides=overrides,
    )
    with tempfile.TemporaryDirectory() as temporary:
        place = directory or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        for name, table in toy_tables(rows=rows, seed=seed).items():
            if suffix == "csv":
                table.drop("picture", strict=False).write_csv(place / f"{name}.csv")
            else:
                table.write_parquet(place / f"{name}.parquet")
        return build_dataset(
            schema, place, encode_text=hashed_words_for_tests, cleaning_report=cleaning_report
        )
