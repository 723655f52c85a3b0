"""Pairs of items that the same people like, mined from training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.errors import TrainingError

__all__ = ["CoLiked", "co_liked"]

_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class CoLiked:
    """Items with the items that are liked together with them.

    Attributes:
        anchors: Items that have neighbours, ascending, [A].
        neighbours: Weight of each kept neighbour, CSR [I, I].
    """

    anchors: NDArray[np.int64]
    neighbours: sp.csr_array

    def draw(self, size: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Different anchors, as many as there are up to ``size``, with one neighbour each, drawn by weight."""
        anchors = rng.choice(self.anchors, min(size, len(self.anchors)), replace=False)
        start, stop = self.neighbours.indptr[anchors], self.neighbours.indptr[anchors + 1]
        running = np.concatenate([[0.0], np.cumsum(self.neighbours.data, dtype=np.float64)])
        aim = running[start] + rng.random(len(anchors)) * (running[stop] - running[start])
        at = np.clip(np.searchsorted(running, aim, side="right") - 1, start, stop - 1)
        return anchors, self.neighbours.indices[at].astype(np.int64)

    def related(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of two lists of items are neighbours or the same, [n, m]."""
        near = self.neighbours[first][:, second].toarray() > 0
        back = self.neighbours[second][:, first].toarray().T > 0
        return np.asarray(near | back | (first[:, None] == second[None, :]))


def co_liked(liked: sp.csr_array, *, neighbours: int, shrinkage: float) -> CoLiked:
    """The items most liked together with each item.

    Weight of i and j: n_ij / √(n_i·n_j) · n_ij / (n_ij + λ), where n counts the people who like
    both, or one (item-item cosine with shrinkage, Sarwar et al. 2001; Koren 2008).

    Args:
        liked: Zeros and ones [U, I].
        neighbours: Kept for each item, ≥ 1.
        shrinkage: λ, ≥ 0.

    Raises:
        TrainingError: If nobody likes two items.
    """
    count = np.asarray(liked.sum(axis=0)).ravel()
    by_item = liked.T.tocsr()
    parts = []
    for start in range(0, liked.shape[1], _BLOCK):
        both = (by_item[start : start + _BLOCK] @ liked).tocsr()
        rows = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
        other = rows + start != both.indices
        rows, columns, n = rows[other], both.indices[other], both.data[other].astype(np.float64)
        weight = n / np.sqrt(count[rows + start] * count[columns]) * n / (n + shrinkage)
        order = np.lexsort((columns, -weight, rows))
        rows, columns, weight = rows[order], columns[order], weight[order]
        first = np.searchsorted(rows, rows)  # where the row of each entry begins
        kept = np.arange(len(rows)) - first < neighbours
        shape = (both.shape[0], liked.shape[1])
        parts.append(sp.csr_array((weight[kept], (rows[kept], columns[kept])), shape=shape))
    matrix = sp.csr_array(sp.vstack(parts))
    anchors = np.flatnonzero(np.diff(matrix.indptr)).astype(np.int64)
    if len(anchors) < 2:
        raise TrainingError(
            "nobody likes two items in the training rows, so no pair can be mined",
            "give more rows, or another task that says what is liked",
        )
    return CoLiked(anchors, matrix)
