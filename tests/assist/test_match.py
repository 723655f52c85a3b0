"""The soft parts of a request."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from motet.assist._match import likeness, match, standardised
from motet.data import Catalogue
from motet.requests import Request, Tag


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
