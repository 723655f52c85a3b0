"""Baseline: items liked by the same people (Sarwar et al. 2001, cosine)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset
from motet.metrics import top_items
from motet.models.baselines._baseline import Baseline, Known, fit_rows, known_positives, positives

__all__ = ["ItemItem"]

_NEIGHBOURS = 100
_BLOCK_BYTES = 64 << 20


class ItemItem(Baseline):
    """Score of an item: the sum of its cosine to the user's positives, over its 100 nearest items.

    cos(i, j) = |U_i ∩ U_j| / √(|U_i|·|U_j|) over the users with a positive row. Popularity, scaled
    to be smaller than any cosine, orders the items that no neighbour reaches.
    """

    def __init__(
        self, liked: sp.csr_array, similarity: sp.csr_array, popularity: NDArray[np.float32]
    ) -> None:
        self._liked, self._similarity, self._popularity = liked, similarity, popularity

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a retrieval task."""
        return None if dataset.schema.retrieval_task else "no retrieval task"

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        splits: Sequence[str] = ("train",),
        known: Known = "validation",
        seed: int = 0,
    ) -> Self:
        """Compute the nearest items of each item, in blocks of bounded memory."""
        liked = positives(dataset, fit_rows(dataset, splits))
        count = np.asarray(liked.sum(axis=0)).ravel()
        scale = 1 / np.sqrt(np.maximum(count, 1))
        unit = sp.csr_array(liked @ sp.diags_array(scale.astype(np.float32)))
        items = unit.shape[1]
        transposed = sp.csr_array(unit.T)
        blocks = []
        size = max(1, _BLOCK_BYTES // (16 * items))
        for start in range(0, items, size):
            cosine = (transposed[start : start + size] @ unit).toarray()
            own = np.arange(len(cosine))
            cosine[own, start + own] = 0
            near = np.maximum(top_items(cosine, min(_NEIGHBOURS, items)), 0)
            values = np.take_along_axis(cosine, near, axis=1)
            pairs = (np.repeat(own, near.shape[1]), near.ravel())
            block = sp.csr_array((values.ravel(), pairs), shape=cosine.shape)
            block.eliminate_zeros()
            blocks.append(block)
        similarity = sp.csr_array(sp.vstack(blocks).T)
        popularity = (1e-6 * count / max(count.max(initial=0), 1)).astype(np.float32)
        return cls(known_positives(dataset, known), similarity, popularity)

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Nothing: it only ranks."""
        return {}

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Sum of cosines to the user's positives."""
        scores: NDArray[np.float32] = (self._liked[users] @ self._similarity).toarray() + self._popularity
        return scores
