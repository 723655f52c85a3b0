"""The newest items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motet.recommend._live._items_now import ItemsNow
from motet.recommend._sources._ordered import Ordered
from motet.recommend._sources._source import Ask

__all__ = ["Newest"]


class Newest:
    """Items by when they appeared, the newest first; those of which nobody knows, last.

    Args:
        now: The catalogue at the start.
    """

    inline = True
    name = "newest"

    def __init__(self, now: ItemsNow) -> None:
        self._order = Ordered(np.maximum(now.appeared_s, -1e300))
        self._known = len(now)

    def grow(self, now: ItemsNow) -> None:
        """Take in the rows that are new."""
        rows = np.arange(self._known, len(now))
        self._known = len(now)
        rows = rows[now.origin[rows] == rows]
        if len(rows):
            self._order.add(rows, np.maximum(now.appeared_s[rows], -1e300))

    def candidates(self, ask: Ask, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        return self._order.best(ask, n)
