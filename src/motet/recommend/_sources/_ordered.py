"""An order of the catalogue by one number an item, of which the head is kept sorted.

Legend of shapes: I items, by their first rows.
"""

from __future__ import annotations

import threading
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.recommend._live._grown import Grown
from motet.recommend._sources._source import Ask, best_of

__all__ = ["Ordered"]

_HEAD: Final = 20_000
_STEP: Final = 512
_SORT_EVERY_S: Final = 0.05
_SMALL: Final = 1000  # so few are sorted at once


class Ordered:
    """Items by falling score; nothing is sorted for a request but what it takes.

    Scores only rise, so the head is kept exact by looking at the rows that changed; a long one at most every
    twentieth of a second. A request walks down the head; where too few of it may come, the items that may are
    looked at one by one.

    Args:
        scores: float64 [I]; −∞ for an item that has no place in the order.

    Example:
        >>> order = Ordered(np.array([1.0, 3.0, 2.0]))
        >>> order.head.tolist()
        [1, 2, 0]
        >>> order.add(np.array([0]), np.array([9.0]))
        >>> order.head.tolist()
        [0, 1, 2]
    """

    def __init__(self, scores: NDArray[np.float64]) -> None:
        self._scores = Grown(scores.copy())
        self._head = _sorted(self._scores.view, np.flatnonzero(scores > -np.inf))
        self._changed: list[NDArray[np.int64]] = []
        self._sorted_s = time.monotonic()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._scores)

    @property
    def scores(self) -> NDArray[np.float64]:
        """Of all items, [I]."""
        return self._scores.view

    @property
    def head(self) -> NDArray[np.int64]:
        """The first rows, in order."""
        if self._changed and self._is_due() and self._lock.acquire(blocking=False):
            try:
                self._sort()
            finally:
                self._lock.release()
        return self._head

    def add(self, rows: NDArray[np.int64], gains: NDArray[np.float64]) -> None:
        """Let scores rise; rows beyond the end are new items, which start from nothing.

        Args:
            rows: Distinct rows, [n].
            gains: ≥ 0, [n]; where an item has no place yet, its score.
        """
        with self._lock:
            if len(rows) and rows.max() >= len(self._scores):
                self._scores.append(np.full(int(rows.max()) + 1 - len(self._scores), -np.inf))
            scores = self._scores.view
            scores[rows] = np.where(scores[rows] > -np.inf, scores[rows] + gains, gains)
            self._changed.append(rows)
            if self._is_due():
                self._sort()

    def scale(self, factor: float) -> None:
        """Multiply all scores by a positive number, which changes no order."""
        with self._lock:
            view = self._scores.view
            np.multiply(view, factor, out=view)

    def best(self, ask: Ask, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The first n that may come, best first."""
        head, now, missing = self.head, ask.now, n
        found: list[NDArray[np.int64]] = []
        complete = len(head) < _HEAD
        if complete or ask.eligible.count > _HEAD:
            for start in range(0, len(head), _STEP):
                rows = now.now(head[start : start + _STEP])
                rows = rows[ask.may_come(rows)][:missing]
                found.append(rows)
                missing -= len(rows)
                if not missing:
                    break
        scores = self._scores.view
        if missing and not complete:
            rows = ask.eligible.rows
            rows = rows[ask.may_come(rows)]
            first = now.origin[rows]
            rows, first = rows[first < len(scores)], first[first < len(scores)]
            placed = scores[first] > -np.inf
            return best_of(rows[placed], scores[first[placed]].astype(np.float32), n)
        rows = np.concatenate(found) if found else np.zeros(0, np.int64)
        return rows, scores[now.origin[rows]].astype(np.float32)

    def _is_due(self) -> bool:
        return len(self._head) < _SMALL or time.monotonic() - self._sorted_s > _SORT_EVERY_S

    def _sort(self) -> None:
        changed, self._changed = self._changed, []
        self._head = _sorted(self._scores.view, np.unique(np.concatenate([self._head, *changed])))
        self._sorted_s = time.monotonic()


def _sorted(scores: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(rows) > _HEAD:
        edge = np.partition(scores[rows], len(rows) - _HEAD)[len(rows) - _HEAD]
        rows = rows[scores[rows] >= edge]
    head: NDArray[np.int64] = rows[np.lexsort((rows, -scores[rows]))][:_HEAD].astype(np.int64)
    return head
