"""Parts of an answer that are counted, each with items of its own."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from motet.assistant import choice_notes, choose, fill_parts, part_limits
from motet.assistant.understand import Range, Request, Tag, TagQuota
from motet.data import Catalogue

GENRES = ("fun", "space", "war")
LANGUAGES = ("en", "zh")


def films(kinds: list[list[str]]) -> Catalogue:
    frame = pl.DataFrame(
        {"id": [str(k) for k in range(len(kinds))], "genres": kinds, "year": [1950.0 + k for k in range(len(kinds))]},
        schema={"id": pl.String, "genres": pl.List(pl.String), "year": pl.Float64},
    )  # fmt: skip
    return Catalogue(frame, None, ("genres",), (), ("year",), (), {}, {})


def part(*values: str, low: int | None = None, high: int | None = None) -> TagQuota:
    return TagQuota(tags=tuple(Tag(column="genres", value=value) for value in values), low=low, high=high)


def masks_of(kinds: list[list[str]], parts: int) -> list[NDArray[np.bool_]]:
    return [np.array([genre in of_item for of_item in kinds]) for genre in GENRES[:parts]]


def can_be_given_out(chosen: tuple[int, ...], masks: list[NDArray[np.bool_]], lows: list[int]) -> bool:
    slots = [place for place, low in enumerate(lows) for _ in range(low)]
    return any(
        all(masks[slot][item] for slot, item in zip(slots, order, strict=False))
        for order in itertools.permutations(chosen, len(slots))
    )


kinds_of = st.lists(st.lists(st.sampled_from(GENRES), unique=True), min_size=4, max_size=7)
lows_of = st.lists(st.integers(1, 2), min_size=2, max_size=3)


@given(kinds_of, lows_of)
def test_the_limits_of_a_list_hold_just_where_each_part_has_items_of_its_own(
    kinds: list[list[str]], lows: list[int]
) -> None:
    catalogue = films(kinds)
    parts = [part(genre, low=low) for genre, low in zip(GENRES, lows, strict=False)]
    masks = masks_of(kinds, len(parts))
    limits, unmet = part_limits(parts, catalogue, "en")
    assert not unmet
    for chosen in itertools.combinations(range(len(kinds)), 4):
        kept = all(row.holds(chosen) for limit in limits for row in limit.sums)
        assert kept == can_be_given_out(chosen, masks, lows)


@given(kinds_of, lows_of)
def test_an_answer_fills_every_part_where_that_can_be(kinds: list[list[str]], lows: list[int]) -> None:
    parts = [part(genre, low=low) for genre, low in zip(GENRES, lows, strict=False)]
    masks, k = masks_of(kinds, len(parts)), sum(lows)
    found = fill_parts(np.arange(len(kinds)), masks, parts, k)
    assert list(found) == sorted(set(found.tolist()))
    assert len(found) <= k
    if any(can_be_given_out(some, masks, lows) for some in itertools.combinations(range(len(kinds)), k)):
        assert can_be_given_out(tuple(found.tolist()), masks, lows)


def test_what_is_limited_comes_no_more_often_than_that() -> None:
    catalogue = films([["war"], ["war"], ["war"], ["fun"], ["fun"], []])
    request = Request(quotas=(part("war", high=1),), count=4)
    chosen = choose(request, catalogue, np.arange(6, 0, -1).astype(np.float32), k=4)
    assert chosen.rows.tolist() == [0, 3, 4, 5]


def test_the_best_of_each_part_come_and_what_is_excluded_never() -> None:
    catalogue = films([["fun"], ["fun"], ["fun", "war"], ["war"], ["space"]])
    scores = np.array([5, 4, 3, 2, 1], np.float32)
    wish = Request(quotas=(part("fun", low=1), part("war", low=1), part("space", low=1)), count=3)
    assert choose(wish, catalogue, scores, k=3).rows.tolist() == [0, 2, 4]
    against = wish.model_copy(update={"must_not": (Tag(column="genres", value="space"),)})
    assert 4 not in choose(against, catalogue, scores, k=3).rows


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_cannot_be_filled_is_said(language: str) -> None:
    catalogue = films([["fun"], ["fun"], ["war"]])
    request = Request(quotas=(part("war", low=2), part("fun", low=1)), count=3, language=language)
    chosen = choose(request, catalogue, np.zeros(3, np.float32), k=3)
    notes = choice_notes(request, chosen, 3, catalogue)
    words = {
        "en": "Asked for was at least 2 × war; 1 could be found that may be shown.",
        "zh": "要求war：至少2项，可推荐的只有1项。",
    }
    assert notes == [words[language]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_limits_that_contradict_each_other_are_both_named(language: str) -> None:
    catalogue = films([["fun"]] * 4)
    ranges = (Range(column="year", high=1950), Range(column="year", low=1953))
    request = Request(ranges=ranges, language=language)
    chosen = choose(request, catalogue, np.zeros(4, np.float32), k=4)
    assert all(chosen.missed)
    (said,) = [line for line in choice_notes(request, chosen, 4, catalogue) if "1950" in line]
    assert "1953" in said
    assert {"en": "contradict", "zh": "矛盾"}[language] in said


def test_a_column_that_is_not_there_is_reported() -> None:
    limits, unmet = part_limits(
        [TagQuota(tags=(Tag(column="mood", value="sad"),), low=1)], films([["fun"]] * 2), "en"
    )
    assert not limits
    assert unmet == ["the limit on 'mood', which is no column of it"]
