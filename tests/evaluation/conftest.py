"""A small real data set: two tastes, two kinds of items, two scenarios, cold rows in the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from motet.data import Dataset, build_dataset
from motet.schema import Schema

USERS, ITEMS = 60, 40
SCHEMA = {
    "name": "tastes",
    "tables": {"interactions": "ratings.csv", "users": "users.csv", "items": "items.csv"},
    "keys": {"user": "user", "item": "item", "time": "time", "scenario": "place"},
    "split": {"by": "column", "column": "part"},
    "features": {
        "user": {"user": "id", "age": "numeric"},
        "item": {"item": "id", "genre": "tags"},
        "interaction": {"note": "text"},
    },
    "tasks": {
        "like": {"kind": "binary", "label": "stars >= 4"},
        "stars": {"kind": "regression", "label": "stars", "range": [1, 5]},
        "mood": {"kind": "multiclass", "label": "mood"},
        "words": {"kind": "multilabel", "label": "words"},
        "cheap": {"kind": "binary", "on": "item", "label": "cheap"},
        "next": {"kind": "retrieval", "positive": "stars >= 4"},
    },
}


def _write(directory: Path) -> None:
    rng = np.random.default_rng(0)
    # Users like items of their own parity; the last user and the last item come in the test only.
    user, item = (grid.ravel() for grid in np.meshgrid(np.arange(USERS), np.arange(ITEMS), indexing="ij"))
    kept = rng.random(len(user)) < 0.7
    user, item = user[kept], item[kept]
    taste = (user % 2) == (item % 2)
    stars = np.clip(np.where(taste, 4, 2) + rng.integers(-1, 2, len(user)), 1, 5)
    part = rng.choice(["train", "validation", "test"], len(user), p=[0.7, 0.1, 0.2])
    part[(user == USERS - 1) | (item == ITEMS - 1)] = "test"
    liked = stars >= 4
    pl.DataFrame(
        {
            "user": [f"u{u}" for u in user],
            "item": [f"i{i}" for i in item],
            "time": rng.integers(1_600_000_000, 1_700_000_000, len(user)),
            "place": rng.choice(["home", "search"], len(user)),
            "stars": stars,
            "mood": np.where(liked, "glad", np.where(stars == 3, "calm", "cross")),
            "words": np.where(liked, "good|again", "bad"),
            "note": np.where(liked, "lovely thing, would buy again", "dull thing, never again"),
            "part": part,
        }
    ).write_csv(directory / "ratings.csv")
    pl.DataFrame({"user": [f"u{u}" for u in range(USERS)], "age": rng.integers(18, 80, USERS)}).write_csv(
        directory / "users.csv"
    )
    pl.DataFrame(
        {
            "item": [f"i{i}" for i in range(ITEMS)],
            "genre": ["odd|any" if i % 2 else "even" for i in range(ITEMS)],
            "cheap": rng.integers(0, 2, ITEMS),
        }
    ).write_csv(directory / "items.csv")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    directory = tmp_path_factory.mktemp("tastes")
    _write(directory)
    return build_dataset(
        Schema.parse(SCHEMA), directory, encode_text=lambda texts: np.ones((len(texts), 2), np.float32)
    )
