"""Candidates whose vectors are nearest to the user's: the retrieval task of the model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motet.recommend._live._items_now import ItemsNow
from motet.recommend._sources._live_index import LiveIndex
from motet.recommend._sources._source import Ask

__all__ = ["ModelVectors"]


class ModelVectors:
    """The best items by the model's own retrieval score, u·v + b.

    Args:
        now: The catalogue at the start; its model must have a retrieval task.
        options: For :class:`VectorIndex`.
    """

    inline = True
    name = "model"

    def __init__(self, now: ItemsNow, **options: Any) -> None:
        self.index = LiveIndex(*_arrays(now), **options)

    def candidates(self, ask: Ask, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        if ask.user_vector is None:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        return self.index.search(ask.user_vector, n, ask, *_arrays(ask.now))

    def nearest(self, row: int, ask: Ask, n: int) -> NDArray[np.int64]:
        """Items whose vectors point where one item's points, by cosine among the best products."""
        vectors, bias = _arrays(ask.now)
        rows, _ = self.index.search(vectors[row], 4 * n, ask, vectors, bias)
        norms = np.linalg.norm(vectors[rows], axis=1)
        cosine = (vectors[rows] @ vectors[row]) / np.maximum(norms, 1e-12)
        return rows[np.argsort(-cosine, kind="stable")][:n]


def _arrays(now: ItemsNow) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    assert now.side.retrieval is not None  # noqa: S101 (made for models with a retrieval task only)
    vectors, bias = now.side.retrieval
    return vectors.numpy(), bias.numpy()
