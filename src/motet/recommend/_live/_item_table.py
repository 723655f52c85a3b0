"""Encoded items that only grow: the part of a data set that is about items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import Dataset, EntityTable
from motet.recommend._live._grown import Grown, GrownRagged

__all__ = ["ItemTable", "ItemView"]

_CHUNKS = 64  # a frame of so many pieces is put into one


@dataclass(frozen=True, slots=True)
class ItemView:
    """Items as of one moment.

    Attributes:
        table: Encoded.
        vectors: Per text or vector feature of items.
        frame: As people read them, a row each.
        sides: Their words for templates of the interaction; None where no template names them.
        same: Equal for items that read exactly alike, [I].
    """

    table: EntityTable
    vectors: Mapping[str, NDArray[np.float32]]
    frame: pl.DataFrame
    sides: pl.DataFrame | None
    same: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.table)


class ItemTable:
    """Items of a bundle, and those added since.

    Args:
        data: The bundle's data set.
    """

    def __init__(self, data: Dataset) -> None:
        items = data.items
        self._names = data.encoder.layout("item").vectors
        self._codes = Grown(items.codes)
        self._numbers = Grown(items.numbers)
        self._vector_rows = Grown(items.vector_rows)
        self._tags = {name: GrownRagged(lists) for name, lists in items.tags.items()}
        self._vectors = {name: Grown(data.vectors[name]) for name in self._names}
        self._frame = data.catalogue.frame if data.catalogue is not None else pl.DataFrame()
        self._title = None if data.catalogue is None else data.catalogue.title
        self._same = Grown(_read_alike(self._frame, self._title))
        self._sides = data.sides.get("item")
        self.view = self._seen()

    def append(self, new: Dataset) -> ItemView:
        """Add the items of a data set that holds nothing else."""
        rows = new.items.vector_rows.copy()
        for column, name in enumerate(self._names):
            present = rows[:, column] > 0
            rows[present, column] += len(self._vectors[name]) - 1
            self._vectors[name].append(new.vectors[name][1:])
        self._codes.append(new.items.codes)
        self._numbers.append(new.items.numbers)
        self._vector_rows.append(rows)
        for name, lists in self._tags.items():
            lists.append(new.items.tags[name])
        if new.catalogue is not None:
            self._frame = self._frame.vstack(new.catalogue.frame)
            self._same.append(_read_alike(new.catalogue.frame, self._title))
            if self._frame.n_chunks() > _CHUNKS:
                self._frame = self._frame.rechunk()
        if self._sides is not None:
            self._sides = self._sides.vstack(new.sides["item"].select(self._sides.columns))
        self.view = self._seen()
        return self.view

    def _seen(self) -> ItemView:
        table = EntityTable(
            self._codes.view,
            self._numbers.view,
            {name: lists.view for name, lists in self._tags.items()},
            self._vector_rows.view,
        )
        vectors = {name: matrix.view for name, matrix in self._vectors.items()}
        return ItemView(table, vectors, self._frame, self._sides, self._same.view)


def _read_alike(frame: pl.DataFrame, title: str | None) -> NDArray[np.uint64]:
    """One number for all that people can read of an item; of the id where it has no title."""
    if title is None:
        return frame["id"].hash(seed=0).to_numpy() if frame.width else np.zeros(0, np.uint64)
    cells = []
    for column in frame.columns:
        cell = pl.col(column)
        if frame[column].dtype == pl.List:
            cell = cell.list.join("\x1e", ignore_nulls=True)
        if column != "id":
            cells.append(cell.cast(pl.String).str.to_lowercase().str.strip_chars().fill_null(""))
    named = pl.col(title).is_not_null() & (pl.col(title) != "")
    words = (
        pl.when(named).then(pl.concat_str(cells, separator="\x1f")).otherwise(pl.lit("\x00") + pl.col("id"))
    )
    return frame.select(words.alias("words"))["words"].hash(seed=0).to_numpy()
