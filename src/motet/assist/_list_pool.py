"""From limits over the catalogue to the numbers of a problem over the items that may come.

Legend of shapes: I items, n candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.assist._list_limits import Limit, ListLimits
from motet.assist._list_problem import ListProblem, SumLimit
from motet.assist._relations import ItemRelations

__all__ = ["ListPool"]

_HALF = 100  # the rank of the candidate that is worth half of the best
_COMPARED = 4000  # candidates of which every pair is compared, where likeness is limited


@dataclass(frozen=True)
class ListPool:
    """All that a list can be made of.

    Attributes:
        scores: What the recommender ranks by, [I]; −∞ for what may never come.
        relations: Of the items.
        wishes: Weights of going together and of variety, and what is there already.
        tags: Tag values of each item, zeros and ones, [I, T].
        beside: Rows of items that are there already.
    """

    scores: NDArray[np.float64]
    relations: ItemRelations
    wishes: ListLimits
    tags: sp.csr_array
    beside: tuple[int, ...]

    def candidates(self, limits: Sequence[Limit]) -> NDArray[np.intp]:
        """Rows of the items that break no limit on single items, [n]."""
        kept = np.isfinite(self.scores)
        for limit in limits:
            if limit.keeps is not None:
                kept = kept & limit.keeps
        return np.flatnonzero(kept)

    def compared(self, rows: NDArray[np.intp], limits: Sequence[Limit]) -> NDArray[np.intp]:
        """The candidates, or where likeness is limited and they are too many to compare all, the best."""
        if len(rows) <= _COMPARED or not any(limit.kind == "alike" for limit in limits):
            return rows
        best = [rows[np.argsort(-self.scores[rows], kind="stable")[: _COMPARED - 500]]]
        for row in (row for limit in limits for row in limit.sums):
            order = np.argsort(row.weights[rows], kind="stable")
            best += [rows[order[:50]], rows[order[-50:]]]
        return np.unique(np.concatenate(best))

    def values(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Scores as values: 1 for the best candidate, ½ for the 100th, and so on; [n].

            v_i = 2^((s_i − s₍₁₎) / (s₍₁₎ − s₍ₕ₎))   with h = min(100, ⌈n / 2⌉)

        so that the first items differ enough for the recommender to decide, and none is worth
        nothing: a list that may be shorter is filled.
        """
        if not len(rows):
            return np.zeros(0)
        scores = self.scores[rows]
        best, half = np.sort(scores)[::-1][[0, min(_HALF, (len(rows) + 1) // 2) - 1]]
        if best > half:
            return np.asarray(np.exp2(np.maximum((scores - best) / (best - half), -50)))
        return np.where(scores < best, 0.5, 1.0)

    def problem(
        self, limits: Sequence[Limit], rows: NDArray[np.intp], value: NDArray[np.float64] | None = None
    ) -> ListProblem:
        """The problem over some candidates.

        Args:
            limits: All that hold.
            rows: The candidates.
            value: What items are worth instead, without bonuses, [I].
        """
        most = max(1, int(min(len(rows), *(_most(limit) for limit in limits), 100)))
        n = len(rows)
        sums = tuple(
            SumLimit(row.name, row.weights[rows], row.low, row.high) for limit in limits for row in limit.sums
        )
        if value is not None:
            none = sp.csr_array((n, n))
            return ListProblem(value[rows], none, sp.csr_array((n, 0)), 0.0, sums, self._apart(limits, rows), most)  # fmt: skip
        worth, together = self.values(rows), sp.csr_array((n, n))
        if self.wishes.together:
            complements = self.relations.complements[rows]
            together = complements[:, rows] * (2 * self.wishes.together / max(most - 1, 1))
            if self.beside:
                beside = np.asarray(complements[:, list(self.beside)].sum(axis=1)).ravel()
                worth = worth + self.wishes.together * beside / len(self.beside)
        covers = self.tags[rows] if self.wishes.variety else sp.csr_array((n, 0))
        covers = covers[:, np.flatnonzero(np.asarray(covers.sum(axis=0)).ravel())]
        apart = self._apart(limits, rows)
        return ListProblem(worth, sp.csr_array(together), covers, self.wishes.variety, sums, apart, most)

    def _apart(self, limits: Sequence[Limit], rows: NDArray[np.intp]) -> sp.csr_array:
        """Pairs of candidates that must not both come."""
        apart = sp.csr_array((len(rows), len(rows)), dtype=bool)
        for limit in limits:
            if limit.kind == "duplicates":
                apart = apart + self.relations.duplicates[rows][:, rows]
            if limit.kind == "alike" and limit.high is not None:
                parts = list(self.relations.likeness.pairs_above(np.nextafter(limit.high, 2), rows))
                a, b = (np.concatenate([part[i] for part in parts]) for i in (0, 1)) if parts else ([], [])
                place = (np.concatenate([a, b]).astype(np.intp), np.concatenate([b, a]).astype(np.intp))
                apart = apart + sp.csr_array((np.ones(len(place[0]), bool), place), shape=apart.shape)
        return sp.csr_array(apart)


def _most(limit: Limit) -> float:
    return limit.high if limit.kind == "count" and limit.high is not None else 100
