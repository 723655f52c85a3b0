"""A vector index over a catalogue that grows: new rows are searched beside it until it is built anew."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.recommend._sources._source import Ask, best_of
from motet.recommend._sources._vector_index import FEW, VectorIndex, search_few

__all__ = ["LiveIndex"]

_FRESH: Final = 0.1  # of the rows may be searched one by one before the index is built anew
_FEW_LATE: Final = 2048

Floats = NDArray[np.float32]


class LiveIndex:
    """Searches vectors whose rows only grow.

    Args:
        vectors: [I, D].
        bias: [I].
        options: For :class:`VectorIndex`.
    """

    def __init__(self, vectors: Floats, bias: Floats | None = None, **options: Any) -> None:
        self._options = options
        self._index = VectorIndex(vectors, bias, **options)
        self._building = threading.Lock()

    @property
    def kind(self) -> str:
        """``numpy``, ``exact`` or ``approximate``."""
        return self._index.kind

    def search(
        self, query: Floats, n: int, ask: Ask, vectors: Floats, bias: Floats | None = None
    ) -> tuple[NDArray[np.int64], Floats]:
        """The best n that may come, best first.

        Args:
            query: [D].
            n: ≥ 1.
            ask: What may come.
            vectors: Of all rows as of the moment of the request, [I, D].
            bias: [I].
        """
        if len(vectors) <= FEW:  # nothing to build
            rows, scores = search_few(vectors, bias, query, n + len(ask.excluded), ask.eligible)
        else:
            index, wanted = self._index, n + len(ask.excluded)
            rows, scores = index.search(query, wanted, ask.eligible)
            if len(vectors) > len(index):
                late = search_few(vectors, bias, query, wanted, ask.eligible, len(index))
                rows, scores = np.concatenate([rows, late[0]]), np.concatenate([scores, late[1]])
            if len(vectors) - len(index) > max(_FEW_LATE, _FRESH * len(index)):
                self._rebuild(vectors, bias)
        allowed = ask.may_come(rows)
        return best_of(rows[allowed], scores[allowed], n)

    def _rebuild(self, vectors: Floats, bias: Floats | None) -> None:
        """Build anew, aside; whoever comes meanwhile searches the old one."""
        if not self._building.acquire(blocking=False):
            return

        def build() -> None:
            try:
                self._index = VectorIndex(vectors, bias, **self._options)
            finally:
                self._building.release()

        threading.Thread(target=build, name="motet-index", daemon=True).start()
