from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motet.recommend.rerank import (
    Explore,
    ItemStep,
    Trace,
    ValueCap,
    determinantal,
    fill,
    marginal_relevance,
    place_probabilities,
)

values_of = st.lists(st.floats(-5, 5), min_size=1, max_size=6).map(
    lambda v: np.array(sorted(v, reverse=True))
)
explores = st.one_of(
    st.builds(Explore, method=st.just("plackett_luce"), temperature=st.floats(0.05, 5)),
    st.builds(Explore, method=st.just("epsilon"), epsilon=st.floats(0, 1)),
)


@settings(max_examples=150, deadline=None)
@given(values_of, explores, st.data())
def test_probabilities_of_a_place_sum_to_one(
    values: NDArray[np.float64], explore: Explore, data: st.DataObject
) -> None:
    left = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    left[data.draw(st.integers(0, len(values) - 1))] = True
    chances = place_probabilities(explore, values, left)
    assert chances.sum() == pytest.approx(1)
    assert (chances >= 0).all()
    assert not chances[~left].any()


@pytest.mark.parametrize(
    "explore", [Explore(temperature=0.7), Explore(method="epsilon", epsilon=0.4)], ids=lambda e: str(e.method)
)
@pytest.mark.parametrize("limited", [False, True])
def test_propensities_are_the_shares_of_lists_that_are_drawn(explore: Explore, limited: bool) -> None:
    """Simulation: how often each list comes is the product of its propensities, and those products sum to 1."""
    values = np.array([1.2, 0.9, 0.3, -0.5])
    limits = [ValueCap([["a"], ["a"], ["b"], ["b"]], 1, "kind")] if limited else []
    drawn: Counter[tuple[int, ...]] = Counter()
    probability: dict[tuple[int, ...], float] = {}
    draws = 20_000
    rng = np.random.default_rng(7)
    for _ in range(draws):
        filled = fill(values, 2, limits=limits, explore=explore, rng=rng)
        drawn[tuple(filled.places)] += 1
        probability[tuple(filled.places)] = float(np.prod(filled.propensities))
    possible = [
        pair for pair in itertools.permutations(range(4), 2) if not limited or (pair[0] < 2) != (pair[1] < 2)
    ]
    assert set(drawn) == set(possible)
    assert sum(probability.values()) == pytest.approx(1)
    for pair, chance in probability.items():
        # five standard deviations
        assert abs(drawn[pair] / draws - chance) < 5 * (chance * (1 - chance) / draws) ** 0.5


def test_the_same_seed_draws_the_same_list() -> None:
    values = np.linspace(1, 0, 30)
    lists = [fill(values, 10, explore=Explore(), rng=np.random.default_rng(3)).places for _ in range(2)]
    assert lists[0] == lists[1]
    assert lists[0] != fill(values, 10, explore=Explore(), rng=np.random.default_rng(4)).places


def test_no_chance_is_left_at_temperature_nought_and_epsilon_nought() -> None:
    values = np.linspace(1, 0, 10)
    for explore in (Explore(temperature=1e-4), Explore(method="epsilon", epsilon=0)):
        filled = fill(values, 5, explore=explore, rng=np.random.default_rng(0))
        assert filled.places == [0, 1, 2, 3, 4]
        assert filled.propensities == pytest.approx([1] * 5)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_caps_and_pins_hold(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    kinds = data.draw(
        st.lists(st.lists(st.sampled_from("abc"), max_size=2, unique=True), min_size=n, max_size=n)
    )
    at_most, k = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 8))
    pins = data.draw(st.dictionaries(st.integers(0, 4), st.integers(0, n - 1), max_size=2))
    if len(set(pins.values())) < len(pins):
        return
    explore = data.draw(st.one_of(st.none(), explores))
    filled = fill(np.linspace(1, 0, n), k, limits=[ValueCap(kinds, at_most, "kind")], pins=pins, explore=explore, rng=np.random.default_rng(0))  # fmt: skip
    assert len(set(filled.places)) == len(filled.places) <= k
    pins = {place: one for place, one in pins.items() if place < k}
    pinned = set(pins.values())
    counts = Counter(kind for at in filled.places if at not in pinned for kind in kinds[at])
    assert all(count <= at_most for count in counts.values())
    for place, one in pins.items():
        assert one in filled.places
        if filled.places.index(one) != place:  # only where the list is too short for its place
            assert len(filled.places) <= place or set(filled.places) <= pinned | set(filled.places[:place])
    if len(filled.places) < min(k, n):  # nothing was left that might have come
        for at in set(range(n)) - set(filled.places) - pinned:
            assert at in filled.forbidden


def test_pins_of_a_list_that_is_too_short_move_up() -> None:
    assert fill(np.array([1.0, 0.5]), 3, pins={1: 0, 2: 1}).places == [0, 1]
    assert fill(np.array([1.0, 0.5]), 3, pins={0: 1}).places == [1, 0]


def unit(rng: np.random.Generator, n: int, width: int) -> NDArray[np.float64]:
    vectors = rng.normal(size=(n, width))
    unit_vectors: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit_vectors


def test_greedy_determinants_are_those_of_the_definition() -> None:
    """Algorithm 1 of Chen et al. against the greedy choice with determinants computed from scratch."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        values, vectors, strength = rng.normal(size=9), unit(rng, 9, 5), float(rng.uniform(0.3, 0.9))
        quality = np.exp((1 - strength) / strength * (values - values.max()) / values.std() / 2)
        kernel = quality[:, None] * (1 + vectors @ vectors.T) / 2 * quality
        chosen: list[int] = []
        for _ in range(4):
            rest = [at for at in range(9) if at not in chosen]
            best = max(
                rest, key=lambda at: float(np.linalg.det(kernel[np.ix_([*chosen, at], [*chosen, at])]))
            )
            chosen.append(best)
        assert determinantal(values, vectors, 4, strength) == chosen


@pytest.mark.parametrize("choose", [marginal_relevance, determinantal])
def test_strength_trades_value_for_variety(choose: Callable[..., list[int]]) -> None:
    rng = np.random.default_rng(1)
    values = np.sort(rng.normal(size=40))[::-1]
    vectors = unit(rng, 40, 6)
    assert choose(values, vectors, 8, 0.0) == list(range(8))

    def likeness(chosen: list[int]) -> float:
        found = vectors[chosen] @ vectors[chosen].T
        return float((found.sum() - len(chosen)) / (len(chosen) * (len(chosen) - 1)))

    lists = [choose(values, vectors, 8, strength) for strength in (0.0, 0.3, 0.95)]
    assert likeness(lists[1]) < likeness(lists[0])
    assert likeness(lists[2]) < likeness(lists[0])
    assert values[lists[2]].sum() < values[lists[1]].sum() < values[lists[0]].sum()
    assert all(len(set(some)) == 8 for some in lists)


def test_twins_come_one_at_a_time() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    values = np.array([3.0, 2.9, 1.0, 0.5])
    assert determinantal(values, vectors, 4, 0.6)[-1] == 1
    assert sorted(determinantal(values, vectors, 9, 0.6)) == [0, 1, 2, 3]
    assert marginal_relevance(np.zeros(0), np.zeros((0, 2)), 3, 0.5) == []
    assert determinantal(np.zeros(0), np.zeros((0, 2)), 3, 0.5) == []


def test_a_trace_says_who_moved_and_why() -> None:
    trace = Trace()
    trace.moved("bury", [7, 8, 9], [8, 9, 7], {7: "the rule buries it"}, "others moved")
    trace.moved("caps", [8, 9, 7], [8, 7], {9: "too many"}, "others went")
    assert trace.of(7) == (
        ItemStep("bury", 1, 3, "the rule buries it"),
        ItemStep("caps", 3, 2, "others went"),
    )
    assert trace.of(9)[-1] == ItemStep("caps", 2, None, "too many")
    assert trace.of(4) == ()
