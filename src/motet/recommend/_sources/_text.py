"""Candidates whose texts mean what the user said, or what the items mean that it liked lately."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.recommend._live._grown import Grown
from motet.recommend._live._items_now import ItemsNow
from motet.recommend._meaning import MeaningIndex
from motet.recommend._sources._live_index import LiveIndex
from motet.recommend._sources._source import Ask

__all__ = ["TextMeaning"]

_HISTORY: Final = 10

Floats = NDArray[np.float32]


class TextMeaning:
    """Items by the meaning of a text feature of theirs.

    What is asked for is the meaning of the words of the request; without words, the mean of the meanings of
    the items liked last. New items are found by the vectors that the model gets too: nothing is encoded twice.

    Args:
        meaning: Of the feature, over the bundle's items.
        data: The bundle's data set.
        feature: The feature.
        now: The catalogue at the start.
        options: For :class:`VectorIndex`.
    """

    inline = False  # words must be encoded
    name = "text"

    def __init__(
        self, meaning: MeaningIndex, data: Dataset, feature: str, now: ItemsNow, **options: Any
    ) -> None:
        self._meaning, self._feature = meaning, feature
        self._column = data.encoder.layout("item").vectors.index(feature)
        self._vectors = Grown(meaning.vectors_of_items(np.arange(len(meaning))))
        self._lock = threading.Lock()
        self.grow(now)
        self._index = LiveIndex(self._vectors.view, **options)

    def grow(self, now: ItemsNow) -> None:
        """Take in the rows that are new."""
        with self._lock:
            start = len(self._vectors)
            if start < len(now):
                rows = now.view.table.vector_rows[start:, self._column]
                self._vectors.append(self._meaning.placed(now.view.vectors[self._feature][rows]))

    def vectors(self, now: ItemsNow) -> Floats:
        """Unit vectors of the items, zeros for one without text, [I, W]."""
        if len(self._vectors) < len(now):
            self.grow(now)
        return self._vectors.view[: len(now)]

    def candidates(self, ask: Ask, n: int) -> tuple[NDArray[np.int64], Floats]:
        """See :class:`CandidateSource`."""
        vectors = self.vectors(ask.now)
        if ask.text is not None and ask.text.strip():
            query = self._meaning.vectors_of([ask.text])[0]
        elif len(ask.liked):
            query = vectors[ask.liked[-_HISTORY:]].mean(0)
        else:
            query = np.zeros(vectors.shape[1], np.float32)
        if not query.any():
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        rows, scores = self._index.search(query, n, ask, vectors)
        said = vectors[rows].any(axis=1)
        return rows[said], scores[said]
