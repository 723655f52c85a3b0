"""The best list within a time limit: exactly where candidates are few, by a stated method beyond."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from motet.assist._list_exact import relaxation, solve_exactly
from motet.assist._list_problem import ListProblem, Solution, sub_problem
from motet.assist._list_search import search

__all__ = ["EXACT_UP_TO", "solve"]

EXACT_UP_TO = 300
"""Candidates up to which the whole problem goes to the exact solver."""

_SEARCHED = 2000  # candidates that local search looks at
_LINKED = 6000  # pairs with a bonus up to which the tighter relaxation is worth its time
_SMALL = 1e-9


def solve(problem: ListProblem, *, time_limit_s: float = 3.0, exact_up_to: int = EXACT_UP_TO) -> Solution:
    """Choose a list.

    1. Local search gives a list (``search``).
    2. The linear relaxation gives an upper bound for every list and, by its reduced costs, for every
       list with a given item. Items with which no list beats the one found are left out: the best
       list is still among the rest (reduced-cost fixing).
    3. If at most ``exact_up_to`` are left, mixed-integer programming finds the best of all (``exact``).
    4. Otherwise the ``exact_up_to`` most promising go to the same solver, and the gap to the
       relaxation is stated (``kernel``; Angelelli, Mansini & Speranza 2010, Kernel search).

    Where none of them holds a list, all candidates are solved for any list, so that "there is none"
    is proven. What the time limit cuts short is answered by the best list found until then.

    Args:
        problem: What to choose from.
        time_limit_s: Seconds in all, > 0.
        exact_up_to: Most candidates that go to the exact solver at once.
    """
    ends = time.monotonic() + time_limit_s

    def left_s(share: float = 1.0) -> float:
        return max((ends - time.monotonic()) * share, 0.02)

    could = np.arange(len(problem), dtype=np.intp)
    first = Solution(None, -math.inf, math.inf, False, "search")
    if len(problem) > 40:  # fewer are solved at once in less time than the steps before take
        pool = _pool(problem)
        first = _mapped(search(sub_problem(problem, pool), time_limit_s=left_s(0.2)), pool)
        bound, could = _fixed(problem, first.objective, left_s(0.4))
        if bound == -math.inf:
            return replace(first, bound=bound, proven=True, method="exact")
        first = replace(first, bound=max(bound, first.objective))
    kernel = could
    if len(could) > exact_up_to:
        kernel = _pool(sub_problem(problem, could), exact_up_to // 2, exact_up_to // 20)
        kernel = np.union1d(could[kernel], np.asarray(first.chosen or (), np.intp)).astype(np.intp)
    found = _mapped(solve_exactly(sub_problem(problem, kernel), time_limit_s=left_s(0.8)), kernel)
    whole = len(kernel) == len(could)
    if found.proven and whole:  # nothing outside beats what local search had found
        best = found if found.objective >= first.objective else first
        return replace(best, bound=best.objective, proven=True, method="exact")
    bound = max(min(first.bound, found.bound), first.objective) if whole else first.bound
    best = found if found.objective >= first.objective else first
    if best.chosen is None:
        if not whole and len(problem) == len(could):
            found = solve_exactly(problem, time_limit_s=left_s(), any_list=True)
        if found.chosen is None:
            return Solution(None, -math.inf, bound, found.proven, "exact")
        best = replace(found, objective=problem.objective(found.chosen))
    method = "search" if best is first and not whole else "exact" if whole else "kernel"
    bound = max(bound, best.objective)
    return replace(best, bound=bound, proven=best.objective >= bound - _SMALL, method=method)


def _fixed(problem: ListProblem, worth: float, time_limit_s: float) -> tuple[float, NDArray[np.intp]]:
    """An upper bound, and the candidates with which a list could be worth more than ``worth``."""
    could, bound = np.arange(len(problem), dtype=np.intp), math.inf
    for linked in (False, True):
        part = sub_problem(problem, could)
        if linked and not 0 < part.together.nnz / 2 <= _LINKED:
            continue
        found = relaxation(part, linked=linked, time_limit_s=time_limit_s / 2)
        if found is not None:
            bound = min(bound, max(found.bound, worth))
            could = could[found.if_chosen > worth + _SMALL] if math.isfinite(worth) else could
    return bound, could


def _pool(problem: ListProblem, most: int = _SEARCHED, ends: int = 100) -> NDArray[np.intp]:
    """The most valuable candidates, bonuses counted, and those at either end of each limited sum."""
    promise = problem.value + np.asarray(problem.together.sum(axis=1)).ravel() / 2
    best = [np.argsort(-promise, kind="stable")[:most]]
    for limit in problem.sums:
        order = np.lexsort((-promise, limit.weights))
        last = np.lexsort((promise, limit.weights))
        best += [order[:ends], last[::-1][:ends]]
    return np.unique(np.concatenate(best)).astype(np.intp)


def _mapped(found: Solution, rows: NDArray[np.intp]) -> Solution:
    """A solution of some of the candidates, in places of all."""
    if found.chosen is None:
        return found
    return replace(found, chosen=tuple(int(rows[place]) for place in found.chosen))
