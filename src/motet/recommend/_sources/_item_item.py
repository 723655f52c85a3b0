"""Candidates that the same people like as the items the user liked lately.

Legend of shapes: U users, I items of the bundle, M neighbours an item.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.bundle import Bundle
from motet.data import Ragged
from motet.recommend._sources._source import Ask, best_of

__all__ = ["ItemItem", "together"]

_LATEST: Final = 100  # likes of each user that count: the work grows with their square
_NEIGHBOURS: Final = 50
_BLOCK: Final = 2048
_HISTORY: Final = 20


def together(likes: sp.csc_array, neighbours: int = _NEIGHBOURS) -> tuple[Ragged, NDArray[np.float32]]:
    """The items most liked together with each item, by cosine of their columns, nearest first.

    sim(i, j) = |U_i ∩ U_j| / √(|U_i| |U_j|) (Deshpande & Karypis 2004, eq. 2, cosine).

    Args:
        likes: Zeros and ones, [U, I].
        neighbours: M, ≥ 1.

    Returns:
        Rows of the neighbours of each item, [I], and their cosines beside them.
    """
    norms = np.sqrt(np.maximum(likes.sum(axis=0), 1)).astype(np.float32)
    scaled = sp.csc_array(likes.astype(np.float32) @ sp.diags_array(1 / norms)).astype(np.float32)
    rows: list[NDArray[np.int32]] = []
    cosines: list[NDArray[np.float32]] = []
    lengths: list[int] = []
    for start in range(0, scaled.shape[1], _BLOCK):
        block = sp.csr_array(scaled[:, start : start + _BLOCK].T @ scaled)
        for at in range(block.shape[0]):
            found = slice(block.indptr[at], block.indptr[at + 1])
            other, cosine = block.indices[found], block.data[found]
            kept = other != start + at
            best, score = best_of(other[kept].astype(np.int64), cosine[kept], neighbours)
            rows.append(best.astype(np.int32))
            cosines.append(score)
            lengths.append(len(best))
    if not lengths:
        return Ragged.empty(0), np.zeros(0, np.float32)
    lists = Ragged.from_lengths(np.concatenate(rows), np.array(lengths, np.int64))
    return lists, np.concatenate(cosines)


class ItemItem:
    """Neighbours of what the user liked lately, with the sum of their cosines.

    Args:
        bundle: With behaviour.
    """

    inline = True
    name = "together"

    def __init__(self, bundle: Bundle) -> None:
        behaviour, task = bundle.behaviour, bundle.schema.liking_task
        lists = behaviour.items
        users = np.repeat(np.arange(len(lists)), lists.lengths())
        from_end = np.repeat(lists.offsets[1:], lists.lengths()) - np.arange(len(lists.values))
        kept = from_end <= _LATEST
        if task is not None:
            kept &= behaviour.label(task) > 0
        shape = (len(lists), len(bundle.data.items))
        likes = sp.csc_array(
            (np.ones(int(kept.sum()), np.float32), (users[kept], lists.values[kept])), shape=shape
        )
        likes.data[:] = 1.0
        self.lists, self._cosines = together(likes)

    def neighbours(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Neighbours of one item by its first row, nearest first, with their cosines."""
        if row >= len(self.lists):
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        at = slice(self.lists.offsets[row], self.lists.offsets[row + 1])
        return self.lists.values[at], self._cosines[at]

    def candidates(self, ask: Ask, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        first = ask.now.origin[ask.liked[-_HISTORY:]]
        return summed([self.neighbours(int(row)) for row in np.unique(first)], ask, n)


def summed(
    found: list[tuple[NDArray[np.int32], NDArray[np.float32]]], ask: Ask, n: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best n that may come, by the sum of their scores; rows are first rows of items."""
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    rows, at = np.unique(np.concatenate([rows for rows, _ in found]), return_inverse=True)
    scores = np.bincount(at, np.concatenate([s for _, s in found]), minlength=len(rows)).astype(np.float32)
    current = ask.now.now(rows)
    allowed = ask.may_come(current)
    return best_of(current[allowed], scores[allowed], n)
