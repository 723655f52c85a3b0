"""The items whose vectors have the largest product with a query, among those that may come.

Legend of shapes: I items, D width.
"""

from __future__ import annotations

import threading
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.recommend.live import Eligible
from motet.recommend.retrieve._retrieve import CandidateQuery, best_of

__all__ = ["FEW", "LiveIndex", "VectorIndex", "search_few"]

Floats = NDArray[np.float32]

FEW: Final = 20_000  # so many products take NumPy as long as a search takes
APPROXIMATE_FROM: Final = 100_000  # there an exact search took 2.4 ms, an approximate one under 1 ms
_PROBES: Final = 64
_POINTS_PER_CENTROID: Final = 64
_ROUNDS: Final = 8


class VectorIndex:
    """Maximum inner product search: arg max of v·q + b.

    The bias is one more column of the vectors, against a 1 of the query. Few items are searched by one
    product in NumPy; more by FAISS (Douze et al. 2024), exactly, or beyond ``approximate_from`` by an
    inverted file (Jégou et al. 2011, §IV), which looks at the cells nearest to the query only. A filter is
    applied within the search; where it leaves few items, their products are computed one by one. Without
    FAISS the search is exact at any size.

    Args:
        vectors: [I, D].
        bias: [I]; zeros when left out.
        approximate_from: Items from which on the search is approximate.
        probes: Cells that an approximate search looks at, ≥ 1.
        few: Up to so many items are searched by one product.

    Example:
        >>> index = VectorIndex(np.eye(3, dtype=np.float32))
        >>> index.search(np.array([0.0, 2.0, 1.0], np.float32), 2, Eligible(np.ones(3, bool)))[0].tolist()
        [1, 2]
    """

    def __init__(
        self,
        vectors: Floats,
        bias: Floats | None = None,
        *,
        approximate_from: int = APPROXIMATE_FROM,
        probes: int = _PROBES,
        few: int = FEW,
    ) -> None:
        self._vectors, self._bias, self._probes, self._few = vectors, bias, probes, few
        self._cells = 0
        self._index: Any = None
        if len(vectors) > few and find_spec("faiss") is not None:
            self._index = self._built(approximate_from)

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def kind(self) -> str:
        """``numpy``, ``exact`` or ``approximate``."""
        return "numpy" if self._index is None else "approximate" if self._cells else "exact"

    def search(self, query: Floats, n: int, eligible: Eligible) -> tuple[NDArray[np.int64], Floats]:
        """The best n, best first.

        Args:
            query: [D].
            n: ≥ 1.
            eligible: Items that may come.
        """
        query = np.ascontiguousarray(query, np.float32)
        if self._index is None or eligible.count <= self._few:
            return search_few(self._vectors, self._bias, query, n, eligible)
        faiss = _faiss()

        asked = query if self._bias is None else np.append(query, np.float32(1.0))
        limits: dict[str, Any] = {}
        if eligible.count < len(self):
            limits["sel"] = faiss.IDSelectorBitmap(eligible.bits)
        if self._cells:
            parameters = faiss.SearchParametersIVF(nprobe=min(self._probes, self._cells), **limits)
        else:
            parameters = faiss.SearchParameters(**limits)
        scores, rows = self._index.search(asked[None], min(n, len(self)), params=parameters)
        found = (rows[0] >= 0) & (rows[0] < len(eligible.mask))
        return rows[0][found], scores[0][found]

    def _built(self, approximate_from: int) -> Any:
        faiss = _faiss()

        matrix = self._vectors if self._bias is None else np.column_stack([self._vectors, self._bias])
        matrix = np.ascontiguousarray(matrix, np.float32)
        width = matrix.shape[1]
        if len(matrix) < approximate_from:
            index = faiss.IndexFlatIP(width)
        else:
            self._cells = int(2 * len(matrix) ** 0.5)
            quantiser = faiss.IndexFlatIP(width)
            index = faiss.IndexIVFFlat(quantiser, width, self._cells, faiss.METRIC_INNER_PRODUCT)
            index.cp.max_points_per_centroid, index.cp.niter = _POINTS_PER_CENTROID, _ROUNDS
            index.train(matrix)
        index.add(matrix)
        return index


def search_few(
    vectors: Floats, bias: Floats | None, query: Floats, n: int, eligible: Eligible, start: int = 0
) -> tuple[NDArray[np.int64], Floats]:
    """The same, by one product in NumPy.

    Args:
        vectors: [I, D].
        bias: [I].
        query: [D].
        n: ≥ 1.
        eligible: Items that may come.
        start: Only items from this row on.
    """
    rows = eligible.rows
    if start or (len(rows) and rows[-1] >= len(vectors)):
        first, last = np.searchsorted(rows, (start, len(vectors)))
        rows = rows[first:last]
    scores = vectors @ query if len(rows) == len(vectors) else vectors[rows] @ query
    if bias is not None:
        scores = scores + bias[rows]
    return best_of(rows, scores, n)


def _faiss() -> Any:
    return import_module("faiss")  # an optional dependency


# A vector index over a catalogue that grows: new rows are searched beside it until it is rebuilt.

_FRESH: Final = 0.1  # of the rows may be searched one by one before the index is rebuilt
_FEW_LATE: Final = 2048


class LiveIndex:
    """Searches vectors whose rows only grow.

    Args:
        vectors: [I, D].
        bias: [I].
        few: As for :class:`VectorIndex`.
        few_late: New rows that may be searched beside the index before it is built again.
        options: Further ones of :class:`VectorIndex`.
    """

    def __init__(
        self,
        vectors: Floats,
        bias: Floats | None = None,
        *,
        few: int = FEW,
        few_late: int = _FEW_LATE,
        **options: Any,
    ) -> None:
        self._few, self._few_late = few, few_late
        self._options = {"few": few, **options}
        self._index = VectorIndex(vectors, bias, **self._options)
        self._building = threading.Lock()

    @property
    def kind(self) -> str:
        """``numpy``, ``exact`` or ``approximate``."""
        return self._index.kind

    def search(
        self, query: Floats, n: int, ask: CandidateQuery, vectors: Floats, bias: Floats | None = None
    ) -> tuple[NDArray[np.int64], Floats]:
        """The best n that may come, best first.

        Args:
            query: [D].
            n: ≥ 1.
            ask: What may come.
            vectors: Of all rows of the request's snapshot, [I, D].
            bias: [I].
        """
        if len(vectors) <= self._few:  # nothing to build
            rows, scores = search_few(vectors, bias, query, n + len(ask.excluded), ask.eligible)
        else:
            index, wanted = self._index, n + len(ask.excluded)
            rows, scores = index.search(query, wanted, ask.eligible)
            if len(vectors) > len(index):
                late = search_few(vectors, bias, query, wanted, ask.eligible, len(index))
                rows, scores = np.concatenate([rows, late[0]]), np.concatenate([scores, late[1]])
            if len(vectors) - len(index) > max(self._few_late, _FRESH * len(index)):
                self._rebuild(vectors, bias)
        allowed = ask.may_come(rows)
        return best_of(rows[allowed], scores[allowed], n)

    def _rebuild(self, vectors: Floats, bias: Floats | None) -> None:
        """Rebuild in the background; searches meanwhile use the old index."""
        if not self._building.acquire(blocking=False):
            return

        def build() -> None:
            try:
                self._index = VectorIndex(vectors, bias, **self._options)
            finally:
                self._building.release()

        threading.Thread(target=build, name="motet-index", daemon=True).start()
