"""Every way to solve a list, beside trying every set."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.assistant import (
    ListProblem,
    SumLimit,
    relax_list,
    search_list,
    solve_list,
    solve_list_exactly,
)


def drawn(
    seed: int,
    n: int = 10,
    most: int = 3,
    *,
    exact: bool = True,
    share: float = 0.5,
    apart: float = 0.1,
    pairs: float = 0.2,
) -> ListProblem:
    """A problem with prices in cents, a quota, bonuses and pairs that must stay apart."""
    rng = np.random.default_rng(seed)

    def symmetric(density: float) -> sp.csr_array:
        upper = np.triu(rng.random((n, n)) < density, 1) * rng.random((n, n))
        return sp.csr_array(upper + upper.T)

    price = np.round(rng.gamma(2, 10, n), 2)
    kind = (rng.random(n) < 0.4).astype(float)
    sums = (
        SumLimit("count", np.ones(n), most if exact else 1, most),
        SumLimit("price", price, None, float(np.round(most * price.mean() * share, 2))),
        SumLimit("kind", kind, 1, None),
    )
    together = symmetric(pairs) / max(most - 1, 1)
    covers = sp.csr_array((rng.random((n, 5)) < 0.3).astype(float))
    return ListProblem(rng.random(n), sp.csr_array(together), covers, 0.05, sums, symmetric(apart) > 0, most)


def brute(problem: ListProblem) -> float:
    """The best worth of any set that keeps every limit; −∞ if there is none."""
    n, best = len(problem), -math.inf
    for size in range(problem.most + 1):
        for chosen in itertools.combinations(range(n), size):
            if problem.holds(chosen):
                best = max(best, problem.objective(chosen))
    return best


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 11),
    most=st.integers(1, 4),
    exact=st.booleans(),
    share=st.floats(0.05, 1.5),
    apart=st.sampled_from([0.0, 0.1, 0.6]),
)
def test_exact_is_the_best_of_all_sets(
    seed: int, n: int, most: int, exact: bool, share: float, apart: float
) -> None:
    problem = drawn(seed, n, most, exact=exact, share=share, apart=apart)
    best = brute(problem)
    found = solve_list_exactly(problem, time_limit_s=20)
    assert found.proven
    if best == -math.inf:
        assert found.chosen is None
        assert solve_list_exactly(problem, time_limit_s=20, any_list=True).chosen is None
        return
    assert found.chosen is not None
    assert problem.holds(found.chosen)
    assert found.objective == pytest.approx(best, abs=1e-7)
    some = solve_list_exactly(problem, time_limit_s=20, any_list=True)
    assert some.chosen is not None
    assert problem.holds(some.chosen)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), most=st.integers(1, 3), exact=st.booleans(), share=st.floats(0.1, 1.5))
def test_every_bound_is_above_the_best(seed: int, most: int, exact: bool, share: float) -> None:
    problem = drawn(seed, 10, most, exact=exact, share=share)
    best = brute(problem)
    for linked in (False, True):
        found = relax_list(problem, linked=linked, time_limit_s=20)
        assert found is not None
        assert found.bound >= best - 1e-7
        for item in range(len(problem)):  # and above the best list with each item
            with_it = ListProblem(
                problem.value,
                problem.together,
                problem.covers,
                problem.variety,
                (*problem.sums, SumLimit("item", np.eye(len(problem))[item], 1, None)),
                problem.apart,
                problem.most,
            )
            if item < 3:
                assert found.if_chosen[item] >= brute(with_it) - 1e-7


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), most=st.integers(1, 4), exact=st.booleans(), share=st.floats(0.1, 1.5))
def test_search_keeps_the_limits_and_never_beats_the_best(
    seed: int, most: int, exact: bool, share: float
) -> None:
    problem = drawn(seed, 11, most, exact=exact, share=share)
    found = search_list(problem, time_limit_s=20)
    if found.chosen is not None:
        assert problem.holds(found.chosen)
        assert found.objective <= brute(problem) + 1e-9


def test_search_is_near_the_best() -> None:
    missing = []
    for seed in range(15):
        problem = drawn(seed, 12, 3, share=1.0)
        best, found = brute(problem), search_list(problem, time_limit_s=20)
        if best > -math.inf:
            missing.append(1 - found.objective / best if found.chosen is not None else 1.0)
    assert len(missing) > 9
    assert float(np.mean(missing)) < 0.03


@pytest.mark.parametrize("seed", range(3))
def test_kernel_states_a_gap_that_holds(seed: int) -> None:
    problem = drawn(seed, 60, 4, share=0.8, apart=0.02, pairs=0.05)
    best = solve_list_exactly(problem, time_limit_s=60)
    assert best.proven
    small = solve_list(problem, time_limit_s=10, exact_up_to=10)
    assert small.chosen is not None
    assert problem.holds(small.chosen)
    assert best.objective <= small.bound + 1e-7
    assert small.objective >= (1 - small.gap) * best.objective - 1e-7
    whole = solve_list(problem, time_limit_s=30)
    assert whole.proven
    assert whole.objective == pytest.approx(best.objective, abs=1e-7)


def test_no_time_still_gives_a_list() -> None:
    problem = drawn(1, 400, 5, share=1.0, apart=0.0, pairs=0.05)
    found = solve_list(problem, time_limit_s=0.05)
    assert found.chosen is not None
    assert problem.holds(found.chosen)
    assert found.gap > 0
    assert not found.proven


def test_that_there_is_no_list_is_proven_beyond_the_kernel() -> None:
    problem = drawn(0, 80, 5, share=0.0)
    found = solve_list(problem, time_limit_s=20, exact_up_to=10)
    assert (found.chosen, found.proven) == (None, True)


def test_a_list_outside_the_kernel_is_found() -> None:
    """The only list that keeps the budget is of the least valuable items."""
    n = 200
    price = np.where(np.arange(n) < 3, 1.0, 100.0)
    value = np.where(np.arange(n) < 3, 0.0, np.linspace(0.5, 1, n))
    sums = (SumLimit("count", np.ones(n), 3, 3), SumLimit("price", price, None, 3.0))
    none = sp.csr_array((n, n))
    problem = ListProblem(value, none, sp.csr_array((n, 0)), 0.0, sums, none.astype(bool), 3)
    found = solve_list(problem, time_limit_s=10, exact_up_to=20)
    assert found.chosen == (0, 1, 2)


def test_many_pairs_apart_are_kept_apart_beyond_the_cliques() -> None:
    """700 candidates in 7 groups of which one each may come: pairs are added as they are broken."""
    n = 700
    group = np.arange(n) % 7
    apart = sp.csr_array((group[:, None] == group[None, :]) & ~np.eye(n, dtype=bool))
    value = np.linspace(0, 1, n)
    none = sp.csr_array((n, n))
    for most, there_is in ((7, True), (8, False)):
        sums = (SumLimit("count", np.ones(n), most, most),)
        problem = ListProblem(value, none, sp.csr_array((n, 0)), 0.0, sums, apart, most)
        found = solve_list_exactly(problem, time_limit_s=60)
        assert found.proven
        assert found.chosen == (tuple(range(693, 700)) if there_is else None)


def test_floating_sums_are_exact() -> None:
    tenths = SumLimit("price", np.full(10, 0.1), 1.0, None)
    assert tenths.holds(range(10))  # in floating point they add up to a little less than 1
    limit = SumLimit("price", np.array([0.1, 0.2, 0.3]), None, 0.3)
    assert limit.holds([0, 1])
    assert not limit.holds([0, 2])
    odd = SumLimit("weight", np.array([1 / 3, 1 / 3, 1 / 3 + 1e-15]), None, 2 / 3)
    none = sp.csr_array((3, 3))
    sums = (SumLimit("count", np.ones(3), 2, 2), odd)
    problem = ListProblem(
        np.array([0.1, 0.2, 1.0]), none, sp.csr_array((3, 0)), 0.0, sums, none.astype(bool), 2
    )
    found = solve_list_exactly(problem, time_limit_s=10)
    assert found.chosen is not None
    assert odd.holds(found.chosen)
    assert found.chosen == (0, 1)
