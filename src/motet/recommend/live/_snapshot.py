"""The live catalogue at one point in time: a snapshot, which items may come, and every item once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import Catalogue, Dataset, EntityTable
from motet.errors import DataError
from motet.recommend import ItemSide
from motet.recommend.live._item_table import EncodedItems
from motet.training import Bundle

__all__ = ["CatalogueSnapshot", "DistinctItems", "Eligible"]

# Which items may come: a mask over the live catalogue, in the forms that searches need.


class Eligible:
    """Items that may come; shared between requests and never changed.

    Args:
        mask: Over the rows of the catalogue, [I].

    Example:
        >>> some = Eligible(np.array([True, False, True]))
        >>> some.count, some.rows.tolist(), some.bits.tolist()
        (2, [0, 2], [5])
    """

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        mask.setflags(write=False)
        self.mask = mask
        self.count = int(np.count_nonzero(mask))

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the items, rising."""
        return np.flatnonzero(self.mask)

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """The mask as bits, lowest first, as FAISS takes it."""
        return np.packbits(self.mask, bitorder="little")


# The catalogue at one point in time.
#
# Legend of shapes: I rows of the live catalogue. A row never changes its meaning: an item that changes
# gets a new row, and ``latest`` says which one counts.


@dataclass(frozen=True, slots=True)
class CatalogueSnapshot:
    """Items at one point in time; nothing in it changes.

    Attributes:
        version: Rises with every change.
        view: Encoded, and in readable form.
        side: What the model makes of them.
        ids: Id of each row, at least [I]; a list that later snapshots share.
        first_rows: First row of each id; later snapshots share it, so rows from I on are not known yet.
        origin: First row of the item of each row, int32 [I].
        latest: Of a first row, the row that counts, int32 [I].
        gone: Of a first row, whether the item was deleted, [I].
        shown: Rows that may be recommended: not replaced, deleted or hidden, [I].
        appeared_s: When each item appeared, seconds since 1970, [I]; −∞ where unknown.
    """

    version: int
    view: EncodedItems
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
        """How many rows no longer count: of items changed since, or deleted."""
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


# The live catalogue with every item once, in an order that only grows, for requests and reasons in words.
#
# Legend of shapes: I rows of the live catalogue, D distinct items. Place d of an item never changes; the items of the
# bundle come first, in its order.


@dataclass(frozen=True, slots=True)
class DistinctItems:
    """Every item of a snapshot once, by its current row.

    Attributes:
        bundle: Whose items come first.
        now: The snapshot.
        rows: The row that counts of each item, int64 [D].
        place_of: Place of the item of each row, int32 [I].
        catalogue: The items in readable form, a row each.
        shown: Which of them may be shown: neither deleted nor hidden, [D].
        there: Which of them were not deleted, [D].
    """

    bundle: Bundle
    now: CatalogueSnapshot
    rows: NDArray[np.int64]
    place_of: NDArray[np.int32]
    catalogue: Catalogue
    shown: NDArray[np.bool_]
    there: NDArray[np.bool_]

    @classmethod
    def of(cls, bundle: Bundle, now: CatalogueSnapshot) -> DistinctItems:
        """The items of a snapshot.

        Args:
            bundle: With items.
            now: The snapshot.

        Raises:
            DataError: If the bundle has no catalogue.
        """
        catalogue = bundle.data.catalogue
        if catalogue is None:
            raise DataError(f"the schema '{bundle.schema.name}' has no items", "name keys.item")
        size = len(now)
        is_first = now.origin == np.arange(size, dtype=np.int32)
        places = np.cumsum(is_first, dtype=np.int32) - 1
        rows = now.latest[is_first].astype(np.int64)
        frame = now.view.frame[:size]
        if len(rows) < size:  # an item was changed
            frame = frame[rows]
        return cls(
            bundle,
            now,
            rows,
            places[now.origin],
            replace(catalogue, frame=frame),
            now.shown[rows],
            ~now.gone[is_first],
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, item: object) -> bool:
        return isinstance(item, str) and self.place(item) >= 0

    def place(self, item: str) -> int:
        """Place of an item; −1 for one never seen or deleted."""
        row = self.now.row(item)
        return int(self.place_of[row]) if row >= 0 else -1

    def places(self, rows: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.int64]:
        """Places of the items of any rows; rows that came later are left out."""
        found: NDArray[np.int64] = self.place_of[rows[rows < len(self.place_of)]].astype(np.int64)
        return found

    def changed_since(self, before: DistinctItems) -> NDArray[np.int64]:
        """Places of items that are new or changed since an earlier snapshot."""
        found: NDArray[np.int64] = np.unique(self.place_of[len(before.now) :]).astype(np.int64)
        return found

    def vectors(self, places: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Where the model puts items: vectors of retrieval, or item inputs where there is no such task, [n, W]."""
        side = self.now.side
        vectors = side.item if side.retrieval is None else side.retrieval[0]
        found: NDArray[np.float32] = vectors[self.rows[np.asarray(places, np.int64)]].numpy()
        return found

    def data(self) -> Dataset:
        """The bundle's data set with these items in place of its own."""
        view, data = self.now.view, self.bundle.data
        table, sides, rows = view.table, view.sides, self.rows
        if len(rows) < len(self.place_of):
            tags = {name: lists.take(rows) for name, lists in table.tags.items()}
            table = EntityTable(table.codes[rows], table.numbers[rows], tags, table.vector_rows[rows])
            sides = None if sides is None else sides[rows]
        return replace(
            data,
            items=table,
            vectors={**data.vectors, **view.vectors},
            item_ids=self.catalogue.frame["id"].cast(pl.String),
            sides=data.sides if sides is None else {**data.sides, "item": sides},
            catalogue=self.catalogue,
        )
