"""The spaces in which items lie near each other."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from motet.assistant import spaces_of
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
    data = recommender.bundle.data
    spaces = spaces_of(data, recommender.precomputed_items().vectors)
    assert len(spaces) == len(spaces_of(data, None)) + 1 >= 3  # texts, tags, retrieval
    assert {len(space) for space in spaces} == {len(data.items)}


def test_the_text_of_an_item_is_its_vector(recommender: Recommender) -> None:
    data = recommender.bundle.data
    name = next(n for n in data.encoder.layout("item").vectors if data.schema.features.item[n].is_text)
    at = list(data.encoder.layout("item").vectors).index(name)
    assert np.array_equal(spaces_of(data, None)[0][3], data.vectors[name][data.items.vector_rows[3, at]])


def test_rare_tags_weigh_more_and_columns_stay_distinct(recommender: Recommender) -> None:
    data = recommender.bundle.data
    catalogue, items = data.catalogue, len(data.items)
    assert catalogue is not None
    columns = (*catalogue.tags, *catalogue.categories)
    tags = [[(c, v) for c in columns for v in catalogue.values(row, c)] for row in range(items)]
    counts = Counter(tag for of_item in tags for tag in dict.fromkeys(of_item))
    assert len(set(counts.values())) > 1
    space = spaces_of(data, None)[-1]
    assert space.shape == (items, len(counts))
    for row, of_item in zip(space, tags, strict=True):
        weights = sorted(np.log(items / counts[tag]) for tag in dict.fromkeys(of_item))
        assert sorted(row[row > 0]) == pytest.approx([weight for weight in weights if weight > 0])
