"""The catalogue as of one moment.

Legend of shapes: I rows of the live catalogue. A row never changes its meaning: an item that is told
anew gets a new row, and ``latest`` says which one counts.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motet.recommend._ahead import ItemSide
from motet.recommend._live._eligible import Eligible
from motet.recommend._live._item_table import ItemView

__all__ = ["ItemsNow"]


@dataclass(frozen=True, slots=True)
class ItemsNow:
    """Items as of one moment; nothing in it changes.

    Attributes:
        version: Rises with every change.
        view: Encoded, and as people read them.
        side: What the model makes of them.
        ids: Id of each row, at least [I]; a list that later moments share.
        first_rows: First row of each id; later moments share it, so rows from I on are not known yet.
        origin: First row of the item of each row, int32 [I].
        latest: Of a first row, the row that counts, int32 [I].
        gone: Of a first row, whether the item was deleted, [I].
        shown: Rows that may be recommended: not replaced, deleted or hidden, [I].
        appeared_s: When each item appeared, seconds since 1970, [I]; −∞ where nobody knows.
    """

    version: int
    view: ItemView
    side: ItemSide
    ids: Sequence[str]
    first_rows: Mapping[str, int]
    origin: NDArray[np.int32]
    latest: NDArray[np.int32]
    gone: NDArray[np.bool_]
    shown: NDArray[np.bool_]
    appeared_s: NDArray[np.float64]
    masks: dict[bytes, Eligible] = field(default_factory=dict, repr=False, compare=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.origin)

    @property
    def outdated(self) -> int:
        """How many rows no longer count: of items told anew since, or deleted."""
        return len(self) - len(self.first_rows) + int(np.count_nonzero(self.gone))

    def row(self, item: str) -> int:
        """The row of an item that counts now; −1 for one never seen or deleted."""
        first = self.first_rows.get(item, -1)
        if first < 0 or first >= len(self) or self.gone[first]:
            return -1
        return int(self.latest[first])

    def rows(self, items: Sequence[str]) -> NDArray[np.int64]:
        """Rows of items, −1 where there is none, [n]."""
        find = self.first_rows.get
        first = np.array([find(item, -1) for item in items], np.int64)
        known = (first >= 0) & (first < len(self))
        at = np.where(known, first, 0)
        if not len(self):
            return first
        found: NDArray[np.int64] = np.where(known & ~self.gone[at], self.latest[at], -1)
        return found

    def now(self, rows: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.int64]:
        """The rows that count for items of any rows; rows from I on are left out."""
        known = rows[rows < len(self)]
        found: NDArray[np.int64] = self.latest[self.origin[known]].astype(np.int64)
        return found
