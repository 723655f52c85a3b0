"""Which items to put together, as numbers: values, bonuses and limits.

Legend of shapes: n candidates, T tag values, R rows of limits, k chosen items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

__all__ = ["ListProblem", "Solution", "SumLimit", "exact_sum", "sub_problem"]


def exact_sum(numbers: Sequence[float]) -> Fraction:
    """The sum of numbers as they are written, so that 0.1 + 0.2 is 0.3.

    Example:
        >>> exact_sum([0.1, 0.2]) == exact_sum([0.3]), 0.1 + 0.2 == 0.3
        (True, False)
    """
    return sum((Fraction(repr(float(number))) for number in numbers), Fraction(0))


@dataclass(frozen=True, slots=True)
class SumLimit:
    """low ≤ Σ weights over the chosen items ≤ high; either may be open.

    Attributes:
        name: Of the limit it is part of.
        weights: [n].
        low: Lowest sum.
        high: Highest sum.
    """

    name: str
    weights: NDArray[np.float64]
    low: float | None = None
    high: float | None = None

    def holds(self, chosen: Sequence[int]) -> bool:
        """Whether some items keep the limit, by exact arithmetic."""
        total = exact_sum([self.weights[item] for item in chosen])
        return (self.low is None or total >= Fraction(repr(float(self.low)))) and (
            self.high is None or total <= Fraction(repr(float(self.high)))
        )


@dataclass(frozen=True, slots=True)
class ListProblem:
    """A choice among items.

    Sought are the x ∈ {0, 1}ⁿ with the greatest

        Σ_i v_i x_i + Σ_{i<j} w_ij x_i x_j + δ · (tag values that some chosen item has)

    such that every sum keeps its limits and no two chosen items are apart.

    Attributes:
        value: v, [n].
        together: w ≥ 0, symmetric, zero diagonal, [n, n].
        covers: Which tag values each item has, zeros and ones, [n, T].
        variety: δ ≥ 0.
        sums: Limits of sums; the count is one of them.
        apart: Pairs that must not both be chosen, symmetric, bool [n, n].
        most: Most items of a list, ≥ 1.
    """

    value: NDArray[np.float64]
    together: sp.csr_array
    covers: sp.csr_array
    variety: float
    sums: tuple[SumLimit, ...]
    apart: sp.csr_array
    most: int

    def __len__(self) -> int:
        return len(self.value)

    def objective(self, chosen: Sequence[int]) -> float:
        """What some items are worth together."""
        rows = np.asarray(chosen, np.intp)
        pairs = float(self.together[rows][:, rows].sum()) / 2 if len(rows) else 0.0
        covered = int((np.asarray(self.covers[rows].sum(axis=0)) > 0).sum()) if len(rows) else 0
        return float(self.value[rows].sum()) + pairs + self.variety * covered

    def clashes(self, chosen: Sequence[int]) -> list[tuple[int, int]]:
        """Pairs of chosen items that must not both be chosen."""
        rows = np.asarray(chosen, np.intp)
        if not len(rows) or not self.apart.nnz:
            return []
        a, b = self.apart[rows][:, rows].nonzero()
        return [(int(rows[i]), int(rows[j])) for i, j in zip(a, b, strict=True) if i < j]

    def holds(self, chosen: Sequence[int]) -> bool:
        """Whether some items keep every limit, by exact arithmetic."""
        return all(limit.holds(chosen) for limit in self.sums) and not self.clashes(chosen)


@dataclass(frozen=True, slots=True)
class Solution:
    """What a method found.

    Attributes:
        chosen: Places of the chosen items, ascending; None if none was found.
        objective: What they are worth; −∞ without them.
        bound: No list is worth more; ∞ where nothing is known.
        proven: Whether the method ran to its end: the list is the best there is, or there is none.
        method: How it was found.
    """

    chosen: tuple[int, ...] | None
    objective: float
    bound: float
    proven: bool
    method: str

    @property
    def gap(self) -> float:
        """At most so much of what is possible is missing, as a share of it."""
        if self.proven and self.chosen is not None:
            return 0.0
        if not math.isfinite(self.bound):
            return math.inf
        return max(0.0, self.bound - self.objective) / max(abs(self.bound), 1e-9)


def sub_problem(problem: ListProblem, kept: NDArray[np.intp]) -> ListProblem:
    """The problem with only some of the candidates."""
    return ListProblem(
        problem.value[kept],
        problem.together[kept][:, kept],
        problem.covers[kept],
        problem.variety,
        tuple(SumLimit(s.name, s.weights[kept], s.low, s.high) for s in problem.sums),
        problem.apart[kept][:, kept],
        problem.most,
    )
