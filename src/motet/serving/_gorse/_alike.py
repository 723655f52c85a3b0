"""Users who liked the same items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from motet.bundle import Bundle

__all__ = ["AlikeUsers"]


class AlikeUsers:
    r"""Users of a bundle by how much of what they like is the same.

    cos(u, v) of w_u and w_v, where w_ui = log(U / n_i) for an item that u likes and n_i of U users like: what few
    like says more. The items of the user who is asked for may be told a second ago; the others are those
    that the bundle was trained with.

    Args:
        bundle: With behaviour.
    """

    def __init__(self, bundle: Bundle) -> None:
        behaviour, task = bundle.behaviour, bundle.schema.liking_task
        liked = np.ones(len(behaviour.time), bool) if task is None else behaviour.label(task) > 0
        users, items = len(bundle.data.user_ids), len(bundle.data.items)
        rows = np.repeat(np.arange(users), np.diff(behaviour.items.offsets))[liked]
        columns = behaviour.items.values[liked].astype(np.int64)
        known = (columns >= 0) & (columns < items)
        pairs = np.unique(np.stack([rows[known], columns[known]]), axis=1)
        counts = np.bincount(pairs[1], minlength=items)
        self._idf = np.log(max(users, 1) / np.maximum(counts, 1))
        self._matrix = sparse.csr_matrix((self._idf[pairs[1]], (pairs[0], pairs[1])), shape=(users, items))
        self._norms = np.sqrt(np.asarray(self._matrix.multiply(self._matrix).sum(axis=1)).ravel())

    def liked(self, row: int) -> NDArray[np.int64]:
        """Rows of the items that a user of the bundle likes; none for −1."""
        if row < 0:
            return np.zeros(0, np.int64)
        start, stop = self._matrix.indptr[row : row + 2]
        found: NDArray[np.int64] = self._matrix.indices[start:stop].astype(np.int64)
        return found

    def scores(self, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """How much every user of the bundle likes the same as somebody who likes some items, [U].

        Args:
            items: Rows of the bundle's items, distinct; others are left out.
        """
        items = items[(items >= 0) & (items < len(self._idf))]
        own = np.zeros(len(self._idf))
        own[items] = self._idf[items]
        norm = float(np.linalg.norm(own))
        if norm == 0.0:
            return np.zeros(len(self._norms))
        found: NDArray[np.float64] = self._matrix @ own
        scores: NDArray[np.float64] = found / np.maximum(self._norms * norm, 1e-12)
        return scores
