"""The best list within a time limit: exactly where candidates are few, by a stated method beyond.

Legend of shapes: n candidates, E pairs with a bonus, T tag values, R rows of limits, k chosen items.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from motet.assistant._list_problem import ListProblem, Solution, SumLimit, sub_problem

__all__ = ["EXACT_UP_TO", "Relaxed", "relax_list", "search_list", "solve_list", "solve_list_exactly"]

_ROUNDS = 200  # of cuts
_LARGEST_GROUP = 500
_SMALL = 1e-9


class _Columns:
    """The linear form: x [n] chosen, y [E] both of a pair chosen, z [T] tag value covered."""

    def __init__(self, problem: ListProblem) -> None:
        upper = sp.coo_array(sp.triu(problem.together, 1))
        self.n, self.edges, self.tags = len(problem), upper.nnz, problem.covers.shape[1]
        self.width = self.n + self.edges + self.tags
        self.cost = np.concatenate([problem.value, upper.data, np.full(self.tags, problem.variety)])
        self.rows, self.low, self.high = self._linking(problem, upper)

    def _linking(
        self, problem: ListProblem, upper: sp.coo_array
    ) -> tuple[sp.csr_array, NDArray[np.float64], NDArray[np.float64]]:
        parts = []
        if self.edges:
            edge = np.arange(self.edges)
            ones, place = np.ones(self.edges), self.n + edge
            for end in (upper.row, upper.col):  # y ≤ x at both ends
                values = np.concatenate([ones, -ones])
                at = (np.concatenate([edge, edge]), np.concatenate([place, end]))
                parts.append(sp.csr_array((values, at), shape=(self.edges, self.width)))
            # Σ_j y_ij ≤ (most − 1) x_i: no more partners than the list has places (tightens the relaxation)
            at = (np.concatenate([upper.row, upper.col]), np.concatenate([place, place]))
            partners = sp.csr_array((np.concatenate([ones, ones]), at), shape=(self.n, self.width))
            own = sp.csr_array(
                (np.full(self.n, 1.0 - problem.most), (np.arange(self.n), np.arange(self.n))),
                shape=(self.n, self.width),
            )
            parts.append(sp.csr_array(partners + own))
        if self.tags:  # z_t ≤ Σ x of the items that have t
            have = sp.csr_array(-problem.covers.T)
            none = sp.csr_array((self.tags, self.edges))
            parts.append(sp.csr_array(sp.hstack([have, none, sp.eye_array(self.tags)])))
        rows = sp.csr_array(sp.vstack(parts)) if parts else sp.csr_array((0, self.width))
        return rows, np.full(rows.shape[0], -np.inf), np.zeros(rows.shape[0])


def _decimals(weights: NDArray[np.float64]) -> int | None:
    """After how many decimals all weights end, at most 4; None if they go on."""
    for places in range(5):
        scaled = weights * 10.0**places
        if np.abs(scaled).max(initial=0) > 1e7:
            return None
        if (np.abs(scaled - np.round(scaled)) < 1e-9 * np.maximum(np.abs(scaled), 1)).all():
            return places
    return None


def _scaled(limit: SumLimit) -> tuple[NDArray[np.float64], float, float]:
    """A row with limits that rounding in the solver cannot cross, where its numbers end after 4 decimals.

    In whole cents, a sum of at most 10.00 is one below 1000.5.
    """
    places = _decimals(limit.weights)
    if places is None:
        scale = max(float(np.abs(limit.weights).max(initial=0)), _SMALL)
        low = -math.inf if limit.low is None else limit.low / scale - _SMALL
        high = math.inf if limit.high is None else limit.high / scale + _SMALL
        return limit.weights / scale, low, high
    unit = 10**places
    low = -math.inf if limit.low is None else math.ceil(Fraction(repr(float(limit.low))) * unit) - 0.5
    high = math.inf if limit.high is None else math.floor(Fraction(repr(float(limit.high))) * unit) + 0.5
    return np.round(limit.weights * unit), low, high


def _cliques(apart: sp.csr_array) -> list[list[int]]:
    """Groups of candidates of which one at most may be chosen, that cover every pair; greedy."""
    left, dense = apart.toarray().astype(bool), apart.toarray().astype(bool)
    groups = []
    while left.any():
        first = int(left.sum(axis=1).argmax())
        group, open_ = [first], dense[first].copy()
        while open_.any():
            gain = left[group].sum(axis=0) * open_
            best = int(gain.argmax())
            if not gain[best]:
                break
            group.append(best)
            open_ &= dense[best]
        left[np.ix_(group, group)] = False
        groups.append(group)
    return groups


def _group_of(pair: tuple[int, int], problem: ListProblem) -> list[int]:
    """A pair that clashes, with further candidates that clash with each of the group."""
    group = list(pair)
    shared = np.asarray(problem.apart[group].sum(axis=0) == 2).ravel()
    order = np.flatnonzero(shared)[np.argsort(-problem.value[shared], kind="stable")]
    while len(order) and len(group) < _LARGEST_GROUP:
        group.append(int(order[0]))
        row = problem.apart.indices[problem.apart.indptr[order[0]] : problem.apart.indptr[order[0] + 1]]
        order = order[np.isin(order, row)]
    return group


def _one_of(groups: list[list[int]], width: int) -> LinearConstraint:
    at = (
        np.repeat(np.arange(len(groups)), [len(g) for g in groups]),
        np.concatenate([np.asarray(g) for g in groups]),
    )
    return LinearConstraint(sp.csr_array((np.ones(len(at[0])), at), shape=(len(groups), width)), -np.inf, 1.0)


def solve_list_exactly(problem: ListProblem, *, time_limit_s: float, any_list: bool = False) -> Solution:
    """The best list, or the proof that there is none.

    Products x_i x_j become y_ij ≤ x_i, y_ij ≤ x_j with Σ_j y_ij ≤ (most − 1) x_i; a covered tag value
    is z_t ≤ Σ x, z_t ≤ 1. Pairs that must stay apart are cliques, found ahead for a few hundred
    candidates and added as they are broken beyond. An answer that breaks a limit by exact
    arithmetic, because the solver rounds, is cut off and the solver asked again.

    Args:
        problem: What to choose from.
        time_limit_s: Seconds, > 0.
        any_list: Stop at the first list that keeps the limits, whatever it is worth.
    """
    ends = time.monotonic() + time_limit_s
    nothing = Solution(None, -math.inf, math.inf, False, "exact")
    if not len(problem):
        empty = problem.holds(())
        return Solution(() if empty else None, 0.0 if empty else -math.inf, 0.0, True, "exact")
    if any_list:  # the fewer items, the fewer pairs that clash
        problem = ListProblem(
            np.full(len(problem), -1.0),
            sp.csr_array(problem.together.shape),
            sp.csr_array((len(problem), 0)),
            0.0,
            problem.sums,
            problem.apart,
            problem.most,
        )
    columns = _Columns(problem)
    limits = [LinearConstraint(columns.rows, columns.low, columns.high)] if columns.rows.shape[0] else []
    for limit in problem.sums:
        weights, low, high = _scaled(limit)
        row = np.zeros(columns.width)
        row[: columns.n] = weights
        limits.append(LinearConstraint(sp.csr_array(row[None, :]), low, high))
    groups = _cliques(problem.apart) if problem.apart.nnz and len(problem) <= 600 else []
    whole = np.zeros(columns.width)
    whole[: columns.n] = 1
    cut_off: list[LinearConstraint] = []
    for _ in range(_ROUNDS):
        left_s = ends - time.monotonic()
        if left_s <= 0.001:
            return nothing
        found = milp(
            -columns.cost,
            integrality=whole,
            bounds=Bounds(0, 1),
            constraints=[*limits, *cut_off, *([_one_of(groups, columns.width)] if groups else [])],
            options={"time_limit": left_s, "mip_rel_gap": 0.9 if any_list else 1e-9},
        )
        if found.x is None:
            return Solution(None, -math.inf, _bound(found, math.inf), found.status == 2, "exact")
        chosen = tuple(int(item) for item in np.flatnonzero(found.x[: columns.n] > 0.5))
        if problem.holds(chosen):
            worth = problem.objective(chosen)
            proven = found.status == 0
            bound = worth if proven else max(_bound(found, math.inf), worth)
            return Solution(chosen, worth, bound, proven, "exact")
        clashes = problem.clashes(chosen)
        groups += [_group_of(pair, problem) for pair in clashes]
        if not clashes:
            mark = np.zeros(columns.width)
            mark[: columns.n] = -1
            mark[list(chosen)] = 1
            cut_off.append(LinearConstraint(sp.csr_array(mark[None, :]), -np.inf, len(chosen) - 1))
    return nothing


def _bound(found: object, default: float) -> float:
    bound = getattr(found, "mip_dual_bound", None)
    return default if bound is None or not math.isfinite(bound) else -float(bound)


class Relaxed:
    """The linear relaxation: what no list can be worth more than, and what each item could add.

    Attributes:
        bound: Upper bound of every list; −∞ where even fractions of items cannot keep the limits.
        if_chosen: Upper bound of every list with the item, [n].
    """

    def __init__(self, bound: float, if_chosen: NDArray[np.float64]) -> None:
        self.bound, self.if_chosen = bound, if_chosen


def relax_list(problem: ListProblem, *, linked: bool, time_limit_s: float) -> Relaxed | None:
    """Bounds from the linear relaxation without the pairs that must stay apart.

    Args:
        problem: What to choose from.
        linked: Whether each pair with a bonus has its column y, as in :func:`solve_list_exactly`: a tighter
            bound for more work. Otherwise the bonus is bounded item by item, by half of the item's
            most − 1 largest bonuses.
        time_limit_s: Seconds, > 0.

    Returns:
        None where the solver gives no answer.
    """
    n = len(problem)
    if not linked:
        none = sp.csr_array((n, n))
        value = problem.value + _most_bonus(problem)
        problem = ListProblem(value, none, problem.covers, problem.variety, problem.sums, problem.apart, problem.most)  # fmt: skip
    columns = _Columns(problem)
    rows, high = [columns.rows], [columns.high]
    for limit in problem.sums:
        weights, least, most = _scaled(limit)
        row = np.zeros(columns.width)
        row[:n] = weights
        for sign, end in ((1, most), (-1, -least)):
            if math.isfinite(end):
                rows.append(sp.csr_array(sign * row[None, :]))
                high.append(np.array([end]))
    found = linprog(
        -columns.cost,
        A_ub=sp.csr_array(sp.vstack(rows)),
        b_ub=np.concatenate(high),
        bounds=(0, 1),
        method="highs",
        options={"time_limit": time_limit_s},
    )
    if found.status == 2:
        return Relaxed(-math.inf, np.full(n, -math.inf))
    if found.status != 0:
        return None
    bound = -float(found.fun)
    return Relaxed(bound, bound - np.maximum(found.lower.marginals[:n], 0))


def _most_bonus(problem: ListProblem) -> NDArray[np.float64]:
    """Half of the sum of each item's most − 1 largest bonuses, [n]."""
    matrix = problem.together
    line = np.repeat(np.arange(len(problem)), np.diff(matrix.indptr))
    order = np.lexsort((-matrix.data, line))
    rank = np.arange(matrix.nnz) - matrix.indptr[line]
    kept = order[rank < problem.most - 1]
    bonus: NDArray[np.float64] = np.bincount(line[kept], matrix.data[kept], minlength=len(problem)) / 2
    return bonus


_STEPS = 300


class _State:
    """Arrays of a problem in the form that moves are judged by."""

    def __init__(self, problem: ListProblem) -> None:
        self.problem = problem
        self.weights = np.array([limit.weights for limit in problem.sums]).reshape(-1, len(problem))  # [R, n]
        self.low = np.array([-math.inf if s.low is None else s.low for s in problem.sums])
        self.high = np.array([math.inf if s.high is None else s.high for s in problem.sums])
        self.scale = np.maximum(np.abs(self.weights).max(axis=1, initial=0), _SMALL)
        self.covers = problem.covers.toarray()  # [n, T]

    def excess(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far sums [R, …] are from their limits, in largest weights, summed over the rows."""
        shape = (-1,) + (1,) * (sums.ndim - 1)
        low, high, scale = (part.reshape(shape) for part in (self.low, self.high, self.scale))
        over = np.maximum(sums - high, 0) + np.maximum(low - sums, 0)
        total: NDArray[np.float64] = np.where(over / scale > _SMALL, over / scale, 0).sum(axis=0)
        return total

    def judge(self, chosen: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Violation and worth of every swap (a chosen item or none, out; any or none, in), [k + 1, n + 1]."""
        p, n, k = self.problem, len(self.problem), len(chosen)
        out_w = np.concatenate([self.weights[:, chosen], np.zeros((len(self.weights), 1))], axis=1)
        in_w = np.concatenate([self.weights, np.zeros((len(self.weights), 1))], axis=1)
        total = self.weights[:, chosen].sum(axis=1)
        sums = total[:, None, None] - out_w[:, :, None] + in_w[:, None, :]
        apart = p.apart[chosen].toarray().astype(np.float64).reshape(k, n)
        bonus = p.together[chosen].toarray().reshape(k, n)

        def pairs(of: NDArray[np.float64]) -> NDArray[np.float64]:
            """Sum over the pairs of the set after each swap, [k + 1, n + 1]."""
            to_set, own = of.sum(axis=0), of[:, chosen].sum(axis=1)
            after = np.zeros((k + 1, n + 1))
            after += own.sum() / 2
            after[:k] -= own[:, None]
            after[:, :n] += to_set[None, :]
            after[:k, :n] -= of
            return after

        counts = self.covers[chosen].sum(axis=0)  # [T]
        alone = (self.covers[chosen] > 0) & (counts == 1)
        fresh = self.covers * (counts == 0)
        covered = np.zeros((k + 1, n + 1)) + float((counts > 0).sum())
        covered[:k] -= alone.sum(axis=1)[:, None]
        covered[:, :n] += fresh.sum(axis=1)[None, :]
        covered[:k, :n] += alone.astype(float) @ self.covers.T
        value = np.zeros((k + 1, n + 1)) + float(p.value[chosen].sum())
        value[:k] -= p.value[chosen][:, None]
        value[:, :n] += p.value[None, :]
        worth = value + pairs(bonus) + p.variety * covered
        violation = self.excess(sums) + pairs(apart)
        violation[:, chosen] = math.inf  # what is chosen cannot come in
        if k >= p.most:
            violation[k, :n] = math.inf
        return violation, worth


def _climb(state: _State, chosen: list[int], ends: float) -> list[int]:
    """Take the best move until none betters the list: less violation first, more worth second."""
    for _ in range(_STEPS):
        violation, worth = state.judge(chosen)
        now = (violation[-1, -1], worth[-1, -1])
        least = violation.min()
        at = np.flatnonzero(violation.ravel() <= least + _SMALL)
        best = int(at[worth.ravel()[at].argmax()])
        out, new = divmod(best, worth.shape[1])
        better = least < now[0] - _SMALL or (least <= now[0] + _SMALL and worth[out, new] > now[1] + _SMALL)
        if not better or time.monotonic() > ends:
            return chosen
        kept = [item for place, item in enumerate(chosen) if place != out]
        chosen = kept + ([new] if new < len(state.problem) else [])
    return chosen


def search_list(problem: ListProblem, *, time_limit_s: float, starts: int = 4, seed: int = 0) -> Solution:
    """Local search by the best swap, addition or removal.

    From the empty list and from random ones, the best move is taken over and over: the one that
    brings the limits nearest to being kept, then the one that is worth most. Every list found is
    checked by exact arithmetic. Work a step is O(k n (R + T)).

    Args:
        problem: What to choose from.
        time_limit_s: Seconds, > 0, after which no further start is made.
        starts: Lists to start from, ≥ 1.
        seed: Of the random ones.
    """
    ends = time.monotonic() + time_limit_s
    rng = np.random.default_rng(seed)
    best = Solution(None, -math.inf, math.inf, False, "search")
    if not len(problem):
        return best
    state = _State(problem)
    size = min(problem.most, len(problem))
    for start in range(starts):
        first: list[int] = []
        if start:
            order = np.argsort(-(problem.value + rng.gumbel(size=len(problem)) * problem.value.std()))
            first = [int(item) for item in order[:size]]
        # the first list is finished whatever the time: without it there may be none
        chosen = tuple(sorted(_climb(state, first, ends if start else math.inf)))
        if problem.holds(chosen) and problem.objective(chosen) > best.objective + _SMALL:
            best = Solution(chosen, problem.objective(chosen), math.inf, False, "search")
        if time.monotonic() > ends:
            break
    return best


EXACT_UP_TO = 300
"""Candidates up to which the whole problem goes to the exact solver."""

_SEARCHED = 2000  # candidates that local search looks at
_LINKED = 6000  # pairs with a bonus up to which the tighter relaxation is worth its time


def solve_list(
    problem: ListProblem, *, time_limit_s: float = 3.0, exact_up_to: int = EXACT_UP_TO
) -> Solution:
    """Choose a list.

    1. Local search gives a list (:func:`search_list`).
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
        first = _mapped(search_list(sub_problem(problem, pool), time_limit_s=left_s(0.2)), pool)
        bound, could = _fixed(problem, first.objective, left_s(0.4))
        if bound == -math.inf:
            return replace(first, bound=bound, proven=True, method="exact")
        first = replace(first, bound=max(bound, first.objective))
    kernel = could
    if len(could) > exact_up_to:
        kernel = _pool(sub_problem(problem, could), exact_up_to // 2, exact_up_to // 20)
        kernel = np.union1d(could[kernel], np.asarray(first.chosen or (), np.intp)).astype(np.intp)
    found = _mapped(solve_list_exactly(sub_problem(problem, kernel), time_limit_s=left_s(0.8)), kernel)
    whole = len(kernel) == len(could)
    if found.proven and whole:  # nothing outside beats what local search had found
        best = found if found.objective >= first.objective else first
        return replace(best, bound=best.objective, proven=True, method="exact")
    bound = max(min(first.bound, found.bound), first.objective) if whole else first.bound
    best = found if found.objective >= first.objective else first
    if best.chosen is None:
        if not whole and len(problem) == len(could):
            found = solve_list_exactly(problem, time_limit_s=left_s(), any_list=True)
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
        found = relax_list(part, linked=linked, time_limit_s=time_limit_s / 2)
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
