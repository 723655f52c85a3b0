"""Which items answer a request."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.assistant import allowed, choose
from motet.assistant.understand import Range, Request, Tag
from motet.data import Catalogue

GENRES = ("fun", "space", "fear", "war")


def films(seed: int = 0, items: int = 40) -> Catalogue:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "id": [str(k) for k in range(items)],
            "genres": [[g for g in GENRES if rng.random() < 0.4] for _ in range(items)],
            "year": rng.integers(1930, 2000, items).astype(float),
        },
        schema={"id": pl.String, "genres": pl.List(pl.String), "year": pl.Float64},
    )
    return Catalogue(frame, None, ("genres",), (), ("year",), (), {}, {})


def tag(value: str) -> Tag:
    return Tag(column="genres", value=value)


def test_the_model_ranks_what_is_left() -> None:
    catalogue = films()
    scores = np.arange(40, dtype=np.float32)
    request = Request(must=(tag("fun"),), must_not=(tag("fear"),))
    chosen = choose(request, catalogue, scores, k=5)
    mask = allowed(request, catalogue)
    assert chosen.rows.tolist() == sorted(np.flatnonzero(mask), reverse=True)[:5]
    assert chosen.fitting == mask.sum()
    assert not any(chosen.missed)


def test_soft_parts_move_items() -> None:
    catalogue = films()
    scores, like = np.zeros(40, np.float32), np.zeros(40, np.float32)
    like[7] = 1.0
    assert choose(Request(like=("3",)), catalogue, scores, k=1, like=like).rows.tolist() == [7]


def test_what_an_item_misses_is_said_and_those_that_meet_all_come_first() -> None:
    catalogue = films()
    scores = np.arange(40, dtype=np.float32)
    request = Request(must=(tag("fun"), tag("war")), must_not=(tag("fear"),))
    meets = np.flatnonzero(allowed(request, catalogue))
    chosen = choose(request, catalogue, scores, k=40)
    assert sorted(chosen.rows[: len(meets)]) == meets.tolist()
    assert chosen.missed[: len(meets)] == ((),) * len(meets)
    assert all(len(missed) == 1 for missed in chosen.missed[len(meets) :])
    assert chosen.fitting == len(meets)
    rest = chosen.rows[len(meets) :]
    assert list(rest) == sorted(rest, reverse=True)  # by the model, within those that miss one part


def test_near_misses_stay_out_where_enough_items_fit() -> None:
    catalogue = films()
    request = Request(must=(tag("fun"),))
    chosen = choose(request, catalogue, np.zeros(40, np.float32), k=3)
    assert chosen.missed == ((), (), ())


def test_a_part_that_nothing_meets_is_missed_by_all() -> None:
    catalogue = films()
    request = Request(must=(tag("fun"),), ranges=(Range(column="year", low=3000),), must_not=(tag("fear"),))
    chosen = choose(request, catalogue, np.zeros(40, np.float32), k=3)
    assert chosen.missed == (("year at least 3000",),) * 3
    assert allowed(Request(must=(tag("fun"),), must_not=(tag("fear"),)), catalogue)[chosen.rows].all()


def test_seen_items_come_only_where_nothing_else_may() -> None:
    catalogue = films()
    scores = np.arange(40, dtype=np.float32)
    fun = np.flatnonzero(allowed(Request(must=(tag("fun"),)), catalogue)).astype(np.int32)
    some = choose(Request(must=(tag("fun"),)), catalogue, scores, k=len(fun) - 3, seen=fun[:3])
    assert sorted(some.rows) == sorted(fun[3:])
    every = choose(Request(must=(tag("fun"),)), catalogue, scores, k=2, seen=fun)
    assert every.missed == (("fun",), ("fun",))
    assert every.seen_better == len(fun)
    assert not every.seen_again
    again = choose(Request(), catalogue, scores, k=2, seen=np.arange(40, dtype=np.int32))
    assert again.rows.tolist() == [39, 38]
    assert again.seen_again


@given(
    must=st.sets(st.sampled_from(GENRES), max_size=2),
    must_not=st.sets(st.sampled_from(GENRES), max_size=2),
    low=st.one_of(st.none(), st.integers(1900, 2100)),
    without=st.sets(st.integers(0, 39).map(str), max_size=4),
    seed=st.integers(0, 5),
)
def test_no_answer_breaks_an_exclusion_and_none_is_empty_without_need(
    must: set[str], must_not: set[str], low: int | None, without: set[str], seed: int
) -> None:
    catalogue = films(seed)
    request = Request(
        must=tuple(tag(g) for g in sorted(must - must_not)),
        must_not=tuple(tag(g) for g in sorted(must_not)),
        ranges=() if low is None else (Range(column="year", low=low),),
        without=tuple(sorted(without)),
    )
    scores = np.random.default_rng(seed).normal(size=40).astype(np.float32)
    chosen = choose(request, catalogue, scores, k=10)
    exclusions = Request(must_not=request.must_not, without=request.without)
    may = allowed(exclusions, catalogue)
    assert may[chosen.rows].all()
    assert len(chosen.rows) > 0 or not may.any()
    if allowed(request, catalogue).any():
        assert allowed(request, catalogue)[chosen.rows[0]]
        assert not chosen.missed[0]


def test_nothing_that_may_be_shown_gives_nothing() -> None:
    catalogue = films()
    chosen = choose(Request(without=tuple(catalogue.frame["id"])), catalogue, np.zeros(40, np.float32), k=3)
    assert not len(chosen.rows)
    assert chosen.values == pytest.approx([])


def test_where_no_item_is_within_a_range_the_nearest_come_first() -> None:
    catalogue = films()
    scores = -np.asarray(catalogue.frame["year"].to_numpy(), np.float32)  # the model would have the oldest
    late = Range(column="year", low=2020, high=2020)
    chosen = choose(Request(ranges=(late,)), catalogue, scores, k=5)
    years = catalogue.frame["year"].to_numpy()
    assert years[chosen.rows].tolist() == sorted(years, reverse=True)[:5]
    assert chosen.out_of_reach == (late,)
    within = choose(Request(ranges=(Range(column="year", low=1950),)), catalogue, scores, k=5)
    assert years[within.rows].tolist() == sorted(y for y in years if y >= 1950)[:5]
    assert not within.out_of_reach


def test_an_item_without_the_number_is_the_farthest() -> None:
    frame = films().frame.with_columns(year=pl.when(pl.col("id") == "7").then(np.nan).otherwise("year"))
    catalogue = Catalogue(frame, None, ("genres",), (), ("year",), (), {}, {})
    chosen = choose(
        Request(ranges=(Range(column="year", high=1900),)), catalogue, np.zeros(40, np.float32), k=40
    )
    assert chosen.rows[-1] == 7


def test_what_misses_something_and_is_liked_far_less_gives_way() -> None:
    catalogue = films()
    request = Request(must=(tag("fun"), tag("war")), must_not=(tag("fear"),))
    wanted = [np.asarray(allowed(Request(must=(t,)), catalogue)) for t in request.must]
    may = allowed(Request(must_not=request.must_not), catalogue)
    misses = sum((~w).astype(int) for w in wanted)
    one = np.flatnonzero(may & (misses == 1))
    full = np.flatnonzero(may & (misses == 0))
    assert len(one) > 3
    scores, liked = np.zeros(40, np.float32), np.full(40, 0.8, np.float32)
    scores[one[0]], liked[one[0]] = 9.0, 0.1  # what comes next, and is not liked
    scores[full[0]], liked[full[0]] = -9.0, 0.1
    chosen = choose(request, catalogue, scores, k=len(full) + len(one) - 1, liked=liked)
    assert one[0] not in chosen.rows
    assert full[0] in chosen.rows  # what meets everything is never left out for being liked less
    without = choose(request, catalogue, scores, k=len(full) + len(one) - 1)
    assert one[0] in without.rows


def test_with_something_to_be_like_only_the_nearest_come() -> None:
    catalogue = films()
    like = np.linspace(0, 1, 40).astype(np.float32)
    scores = -like * 100  # the model would have those that are least alike
    chosen = choose(Request(like=("39",)), catalogue, scores, k=3, like=like)
    assert chosen.rows.min() >= 39 - 9
    fun = choose(Request(like=("39",), must=(tag("fun"),)), catalogue, scores, k=3, like=like)
    assert allowed(Request(must=(tag("fun"),)), catalogue)[fun.rows].all()
