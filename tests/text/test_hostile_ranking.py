"""Item texts enter the ranking as vectors, and each moves its own item alone, whatever orders it gives."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from numpy.typing import NDArray

import motet
from motet.data import Dataset, build_dataset
from motet.recommend import Recommender
from motet.testing import hashed_words_for_tests, toy_schema, toy_tables
from motet.training import Bundle, load_bundle, save_bundle, train_model

HOSTILE = yaml.safe_load((Path(__file__).parent / "hostile_items.yaml").read_text(encoding="utf-8"))
USERS = [f"u{k}" for k in range(24)]
TASKS = ("next", "click")
VICTIMS = tuple(range(20, 300, 30))
"""Ids of the items whose texts are replaced, each by another text."""


def first_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """Cut as every encoder cuts, here at 128 words."""
    return hashed_words_for_tests([" ".join(text[:2000].split()[:128]) for text in texts])


class World:
    """A trained toy world, and the same world with other texts on one item."""

    def __init__(self, place: Path) -> None:
        self._place = place / "tables"
        self._place.mkdir()
        self._tables = toy_tables()
        self._write(self._tables["items"])
        data = build_dataset(toy_schema(), self._place, encode_text=first_words)
        self._encoder = data.encoder
        self._model = train_model(data).model
        self._bundle = place / "bundle"
        self.bundle = self._served(data)

    def _served(self, data: Dataset) -> Bundle:
        save_bundle(self._bundle, model=self._model, data=data, metrics={}, overwrite=True)
        return load_bundle(self._bundle)

    def _write(self, items: pl.DataFrame) -> None:
        for name, table in (self._tables | {"items": items}).items():
            table.write_parquet(self._place / f"{name}.parquet")

    def with_texts(self, texts: Sequence[str]) -> Bundle:
        """The bundle of a catalogue in which ten items have these titles and blurbs."""
        said = dict(zip(VICTIMS, texts, strict=True))
        mine = pl.col("item").is_in(VICTIMS)
        new = pl.col("item").replace_strict(said, default=None, return_dtype=pl.String)
        changed = {c: pl.when(mine).then(new).otherwise(pl.col(c)) for c in ("title", "blurb")}
        self._write(self._tables["items"].with_columns(**changed))
        return self._served(
            build_dataset(toy_schema(), self._place, encode_text=first_words, encoder=self._encoder)
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("hostile"))


def ranked(bundle: Bundle, by: str) -> pl.DataFrame:
    answers = Recommender(bundle, first_words).recommend(USERS, k=100, by=by, include_seen=True)
    return answers.select("user", "item", "score")


def split(answers: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Answers about the other items, in order, and about the ten."""
    mine = pl.col("item").is_in([str(item) for item in VICTIMS])
    return answers.filter(~mine), answers.filter(mine).sort("user", "item")


def test_hostile_texts_move_no_other_item(world: World) -> None:
    plain = {by: split(ranked(world.bundle, by)) for by in TASKS}
    texts = [item["text"] * item.get("repeat", 1) for item in HOSTILE]
    for start in range(0, len(texts), len(VICTIMS)):
        bundle = world.with_texts(texts[start : start + len(VICTIMS)])
        for by, (others, own) in plain.items():
            others_now, own_now = split(ranked(bundle, by))
            assert len(others_now) == len(USERS) * (30 - len(VICTIMS))
            # User by user the same order, and the same numbers up to the last bits of a product.
            assert others_now.select("user", "item").equals(others.select("user", "item")), start
            np.testing.assert_allclose(others_now["score"], others["score"], rtol=0, atol=1e-5)
            # The texts are read: without that, all of this would show nothing.
            assert not np.allclose(own_now["score"], own["score"], rtol=0, atol=1e-3)


def test_what_ranks_reaches_no_generator() -> None:
    """No order in a text can reach a language model from here, because none is here."""
    ranking = ("schema", "metrics", "data", "models", "kinds", "evaluation", "training", "recommend")
    writers = {"Generator", "Prompt", "GenerationSettings", "build_generator", "EndpointGenerator"}
    files = [
        path
        for room in ranking
        for path in (Path(motet.__file__).parent / room).rglob("*.py")
        if "tuning" not in path.parts  # language models are fine-tuned there, and rank nothing
    ]
    assert len(files) > 80
    found = {
        f"{path.name}: {alias.name}"
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("motet")
        for alias in node.names
        if alias.name in writers or alias.name.endswith("Generator")
    }
    assert found == set()
