"""The spaces in which items lie near each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from motet.assistant import item_spaces, rare_tags, text_vectors
from motet.data import Catalogue
from motet.models import build_model
from motet.recommend import Recommender
from motet.testing import hashed_words_for_tests, toy_dataset
from motet.training import load_bundle, save_bundle


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    data, place = toy_dataset(rows=200), tmp_path_factory.mktemp("b") / "bundle"
    save_bundle(place, model=build_model(data.schema, data.encoder), data=data, metrics={})
    return Recommender(load_bundle(place), hashed_words_for_tests)


def test_every_space_has_a_row_an_item(recommender: Recommender) -> None:
    spaces = item_spaces(recommender)
    assert len(spaces) >= 3  # texts, tags, retrieval
    assert {len(space) for space in spaces} == {len(recommender.bundle.data.items)}


def test_the_text_of_an_item_is_its_vector(recommender: Recommender) -> None:
    data = recommender.bundle.data
    for name, vectors in text_vectors(recommender.bundle.data).items():
        at = list(data.encoder.layout("item").vectors).index(name)
        assert np.array_equal(vectors[3], data.vectors[name][data.items.vector_rows[3, at]])


def test_rare_tags_weigh_more_and_columns_are_told_apart(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"id": list("abcd"), "tags": [["x", "y"], ["x"], ["x"], None], "brand": ["x", None, None, None]}
    )
    catalogue = Catalogue(frame, None, ("tags",), ("brand",), (), (), {}, {})
    matrix = rare_tags(catalogue)
    assert matrix.shape == (4, 3)
    assert sorted(matrix[0]) == pytest.approx(sorted([np.log(4 / 3), np.log(4), np.log(4)]))
    assert not matrix[3].any()
