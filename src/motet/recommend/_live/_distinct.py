"""The live catalogue with every item once, in an order that only grows: what words are said about.

Legend of shapes: I rows of the live catalogue, D distinct items. Place d of an item never changes; the items of the
bundle come first, in its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.bundle import Bundle
from motet.data import Catalogue, Dataset, EntityTable
from motet.errors import DataError
from motet.recommend._live._items_now import ItemsNow

__all__ = ["DistinctItems"]


@dataclass(frozen=True, slots=True)
class DistinctItems:
    """Every item of one moment once, as it is told now.

    Attributes:
        bundle: Whose items come first.
        now: The moment.
        rows: The row that counts of each item, int64 [D].
        place_of: Place of the item of each row, int32 [I].
        catalogue: The items as people read them, a row each.
        shown: Which of them may be shown: neither deleted nor hidden, [D].
        there: Which of them were not deleted, [D].
    """

    bundle: Bundle
    now: ItemsNow
    rows: NDArray[np.int64]
    place_of: NDArray[np.int32]
    catalogue: Catalogue
    shown: NDArray[np.bool_]
    there: NDArray[np.bool_]

    @classmethod
    def of(cls, bundle: Bundle, now: ItemsNow) -> DistinctItems:
        """The items of a moment.

        Args:
            bundle: With items.
            now: The moment.

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
        if len(rows) < size:  # an item was told anew
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
        """Places of items that are new or were told anew since a moment before."""
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
