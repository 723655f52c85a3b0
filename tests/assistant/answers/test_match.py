"""The soft parts of a request."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from motet.assistant import akin, likeness, match, nearest_alike, standardised
from motet.assistant.understand import Request, Tag
from motet.data import Catalogue


@pytest.fixture
def catalogue() -> Catalogue:
    frame = pl.DataFrame({"id": ["a", "b", "c"], "kind": ["x", "y", None]})
    return Catalogue(frame, None, (), ("kind",), (), (), {}, {})


def test_likeness_is_highest_for_the_item_itself_and_ignores_what_all_share() -> None:
    vectors = np.array([[9, 1, 0], [9, 0.9, 0.1], [9, 0, 1], [0, 0, 0]], np.float32)
    found = likeness([vectors], np.array([0]))
    assert found.argmax() == 0
    assert found[1] > 0 > found[2]  # the large first column says nothing
    assert found[3] == 0


def test_likeness_averages_spaces() -> None:
    a, b = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)[[1, 0, 2]]
    rows = np.array([0, 2])
    both = likeness([a, b], rows)
    assert both == pytest.approx((likeness([a], rows) + likeness([b], rows)) / 2)


def test_no_soft_part_matches_nothing(catalogue: Catalogue) -> None:
    found = match(Request(), catalogue, np.ones(3, bool), meaning=None, like=None)
    assert found.tolist() == [0, 0, 0]


def test_soft_parts_add_up(catalogue: Catalogue) -> None:
    everything = np.ones(3, bool)
    meaning = np.array([0.1, 0.2, 0.9], np.float32)
    request = Request(prefer=(Tag(column="kind", value="y"),), wants="calm")
    found = match(request, catalogue, everything, meaning=meaning, like=None)
    preferred = standardised(np.array([0, 1, 0], np.float32), everything)
    assert found == pytest.approx(standardised(meaning, everything) + preferred)


def test_a_part_that_all_items_meet_alike_moves_nothing(catalogue: Catalogue) -> None:
    same = np.full(3, 0.5, np.float32)
    assert not match(Request(wants="calm"), catalogue, np.ones(3, bool), meaning=same, like=None).any()


def test_kin_have_half_of_the_tags_of_one_item() -> None:
    tags = sp.csr_array(np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 1], [1, 0, 0, 0, 1], [0, 0, 0, 0, 0]]))
    assert akin(tags, np.array([0])).tolist() == [True, True, False, False]
    assert akin(tags, np.array([0, 2])).tolist() == [True, True, True, False]
    assert not akin(tags, np.array([3])).any()  # no tags, no kin


def test_the_nearest_are_few_and_those_that_miss_less_stay() -> None:
    like = np.linspace(0, 1, 1000).astype(np.float32)
    among = np.arange(1000) < 900
    near = nearest_alike(like, among, 2)
    assert np.flatnonzero(near).tolist() == list(range(882, 900))  # a fiftieth of 900
    assert nearest_alike(like, among, 10).sum() == 30  # three times as many as asked for
    misses = np.ones(1000, np.int64)
    misses[5] = 0
    assert nearest_alike(like, among, 2, misses)[5]


def test_likeness_counts_twice(catalogue: Catalogue) -> None:
    everything, like = np.ones(3, bool), np.array([0.1, 0.2, 0.9], np.float32)
    found = match(Request(like=("a",)), catalogue, everything, meaning=None, like=like)
    assert found == pytest.approx(2 * standardised(like, everything))
