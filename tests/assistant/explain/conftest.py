"""A world with one right answer: users of the first kind like films about space, of the second films about love."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from motet.assistant.explain import Explainer
from motet.data import build_dataset
from motet.models import build_model
from motet.schema import Schema
from motet.testing import hashed_words_for_tests
from motet.training import Bundle, load_bundle, save_bundle

GENRES = ("Space", "Love", "War")
USERS, ITEMS = 60, 60
SCHEMA: dict[str, Any] = {
    "name": "planted",
    "tables": {"users": "users.parquet", "items": "items.parquet", "interactions": "events.parquet"},
    "keys": {"user": "user", "item": "item", "time": "at"},
    "features": {
        "user": {
            "user": "id",
            "age": "numeric",
            "job": "categorical",
            "past": {"kind": "sequence", "of": "item", "last": 20, "where": "like = 1"},
        },
        "item": {
            "item": "id",
            "genres": "tags",
            "year": "numeric",
            "price": "numeric",
            "brand": "categorical",
            "about": {"kind": "text", "template": "{title}: {blurb}"},
        },
    },
    "tasks": {
        "like": {"kind": "binary", "label": "like"},
        "next": {"kind": "retrieval", "positive": "like = 1"},
        "topics": {"kind": "multilabel", "on": "item", "label": "genres", "hide": ["genres"]},
    },
    "catalogue": {
        "columns": {"year": {"zh": "年份"}, "blurb": {"en": "story", "zh": "简介"}},
        "words": {"Space": {"zh": ["太空"]}, "Love": {"zh": ["爱情"]}, "War": {"zh": ["战争"]}},
    },
    "explain": {
        "noun": {"en": ["film", "films"], "zh": ["部", "电影"]},
        "had": {"en": "rated", "zh": "评过"},
    },
    "split": {"by": "user_time"},
    "model": {"width": 4, "vector_width": 4, "retrieval_width": 4, "options": {"hidden": [8]}},
}


def tables(seed: int = 0) -> dict[str, pl.DataFrame]:
    """Item k has genre k % 3; user u likes genre u % 2 and every tenth item, and has met two thirds of all."""
    rng = np.random.default_rng(seed)
    items = pl.DataFrame(
        {
            "item": [f"i{k}" for k in range(ITEMS)],
            "title": [f"{GENRES[k % 3]} Tale {k}, The (19{60 + k % 40})" for k in range(ITEMS)],
            "genres": [GENRES[k % 3] + ("|War" if k % 6 == 0 else "") for k in range(ITEMS)],
            "year": [1960 + (k * 7) % 40 for k in range(ITEMS)],
            "price": [round(5 + (k * 13) % 50 + 0.5, 2) for k in range(ITEMS)],
            "brand": [("Acme", "Bolt")[k % 2] for k in range(ITEMS)],
            "blurb": [
                f"A crew meets {'nebula' if k % 9 == 0 else 'people'} number{k} ."
                + (" Asteroid." if k % 9 == 0 else "")
                for k in range(ITEMS)
            ],
        }
    )
    rows = []
    for user in range(USERS):
        for n, item in enumerate(rng.choice(ITEMS, 2 * ITEMS // 3, replace=False)):
            liked = int(item % 3 == user % 2 or item % 10 == 7)
            rows.append((f"u{user}", f"i{item}", 1_700_000_000 + 1000 * n + user, liked))
    events = pl.DataFrame(rows, schema=["user", "item", "at", "like"], orient="row")
    users = pl.DataFrame(
        {
            "user": [f"u{k}" for k in range(USERS)],
            "age": [20 + k for k in range(USERS)],
            "job": [("nurse", "cook")[k % 2] for k in range(USERS)],
        }
    )
    return {"users": users, "items": items, "events": events}


def planted_bundle(place: Path, *, seed: int = 0, **changes: Any) -> Bundle:
    """A bundle of the planted world, with an untrained model: claims rest on data, not on luck."""
    place.mkdir(parents=True, exist_ok=True)
    for name, table in tables(seed).items():
        table.write_parquet(place / f"{name}.parquet")
    schema = Schema.parse({**SCHEMA, **changes})
    data = build_dataset(schema, place, encode_text=hashed_words_for_tests)
    save_bundle(place / "bundle", model=build_model(schema, data.encoder).eval(), data=data, metrics={})
    return load_bundle(place / "bundle")


@pytest.fixture(scope="session")
def world() -> dict[str, pl.DataFrame]:
    return tables()


@pytest.fixture(scope="session")
def words() -> dict[str, Any]:
    """How reasons of the planted world speak."""
    return dict(SCHEMA["explain"])


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return planted_bundle(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def explainer(planted: Bundle) -> Explainer:
    return Explainer(planted)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Explainer]:
    """An explainer of the planted world in which other users met other items; untrained, so it ranks at random."""
    return lambda seed: Explainer(planted_bundle(tmp_path_factory.mktemp("drawn"), seed=seed))


@pytest.fixture
def rebuilt(tmp_path: Path) -> Callable[..., Explainer]:
    """An explainer of the planted world under another schema."""
    return lambda **changes: Explainer(planted_bundle(tmp_path, **changes))


@pytest.fixture(scope="session")
def unmet(planted: Bundle) -> Callable[[str, int], list[str]]:
    """Items of a genre that a user has not met."""

    def find(user: str, genre: int) -> list[str]:
        met = set(tables()["events"].filter(pl.col("user") == user)["item"])
        return [f"i{k}" for k in range(ITEMS) if k % 3 == genre and f"i{k}" not in met]

    return find
