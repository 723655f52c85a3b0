"""A good list without a proof: greedy, then swaps that mend and better it.

Legend of shapes: n candidates, k chosen items, R rows of limits, T tag values.
"""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from motet.assist._list_problem import ListProblem, Solution

__all__ = ["search"]

_STEPS = 300
_SMALL = 1e-9


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


def search(problem: ListProblem, *, time_limit_s: float, starts: int = 4, seed: int = 0) -> Solution:
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
