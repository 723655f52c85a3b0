"""Raw rows of items, encoded alone by the code of training; what a patch leaves out stays as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import Dataset, EntityTable, Ragged
from motet.errors import DataError
from motet.recommend._live._item_table import ItemView
from motet.recommend._raw_rows import NOT_OF_KIND, RawRows
from motet.schema import Entity, Schema, expression_columns, table_of

__all__ = ["ItemRows", "frame_of", "without_entities"]


def without_entities(data: Dataset, entity: Entity) -> Dataset:
    """The data set with none of its users or items, and only the missing vector of each feature."""
    table = data.table(entity)
    none = EntityTable(
        table.codes[:0],
        table.numbers[:0],
        {name: Ragged.empty(0) for name in table.tags},
        table.vector_rows[:0],
    )
    vectors = dict(data.vectors)
    vectors |= {name: data.vectors[name][:1] for name in data.encoder.layout(entity).vectors}
    sides = {name: frame[:0] if name == entity else frame for name, frame in data.sides.items()}
    if entity == "user":
        histories = {
            name: replace(h, items=Ragged.empty(0), known=h.known[:0], train=h.train[:0])
            for name, h in data.histories.items()
        }
        return replace(
            data, users=none, vectors=vectors, sides=sides, histories=histories, user_ids=data.user_ids[:0]
        )
    catalogue = data.catalogue
    if catalogue is not None:
        catalogue = replace(catalogue, frame=catalogue.frame[:0])
    return replace(
        data, items=none, vectors=vectors, sides=sides, item_ids=data.item_ids[:0], catalogue=catalogue
    )


def frame_of(rows: Sequence[Mapping[str, Any]], what: str) -> pl.DataFrame:
    """Plain values as a table.

    Raises:
        DataError: If one column holds values of several kinds, or one that no column can hold.
    """
    try:
        return pl.DataFrame([dict(row) for row in rows], infer_schema_length=None)
    except NOT_OF_KIND as error:
        reason = (str(error).splitlines() or [""])[0][:200]
    for column in dict.fromkeys(name for row in rows for name in row):
        try:
            pl.DataFrame([{column: row.get(column)} for row in rows], infer_schema_length=None)
        except NOT_OF_KIND as error:
            reason = f"'{str(column)[:80]}': {(str(error).splitlines() or [''])[0][:200]}"
            break
    raise DataError(
        f"{what} hold values of several kinds in one column ({reason})", "give each column one kind of value"
    )


class ItemRows:
    """Encodes raw rows of items.

    Args:
        data: The bundle's data set.
        raw: Encodes rows as in training.
    """

    def __init__(self, data: Dataset, raw: RawRows) -> None:
        self.schema = data.schema
        self.key = str(data.schema.keys.item)
        self._raw, self._none = raw, without_entities(data, "item")
        self._layout = data.encoder.layout("item")
        self._sources = {name: _sources(self.schema, name) for name in self.schema.features.item}

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> Dataset:
        """A data set of these items alone.

        Raises:
            DataError: If a value is not of its column's kind.
        """
        return self._raw.extended(self._none, "item", frame_of(rows, "the items"))[0]

    def readable(self, frame: pl.DataFrame, row: int) -> dict[str, Any]:
        """What the catalogue says of an item, as a raw row."""
        said = frame.row(row, named=True)
        said[self.key] = said.pop("id")
        return said

    def keep(
        self,
        new: Dataset,
        at: Sequence[int],
        old: ItemView,
        rows: Sequence[int],
        given: Sequence[frozenset[str]],
    ) -> Dataset:
        """Take over from older rows of the same items what no given column decides.

        Args:
            new: Encoded rows.
            at: Which of them, [n].
            old: Where the older rows are.
            rows: The older rows, [n].
            given: Columns that are told anew, of each, [n].
        """
        items, place, before = new.items, np.asarray(at, np.int64), np.asarray(rows, np.int64)
        codes, numbers, vector_rows = items.codes.copy(), items.numbers.copy(), items.vector_rows.copy()
        tags, vectors = dict(items.tags), dict(new.vectors)
        for name, sources in self._sources.items():
            kept = np.array([not sources & columns for columns in given], bool)
            if not kept.any():
                continue
            here, there = place[kept], before[kept]
            if name in self._layout.codes:
                column = self._layout.codes.index(name)
                codes[here, column] = old.table.codes[there, column]
            for column, feature in enumerate(self._layout.number_features):
                if feature == name:
                    numbers[here, column] = old.table.numbers[there, column]
            if name in tags:
                tags[name] = _with_lists(tags[name], here, old.table.tags[name].take(there))
            if name in self._layout.vectors:
                column = self._layout.vectors.index(name)
                found = old.vectors[name][old.table.vector_rows[there, column]]
                vector_rows[here, column] = len(vectors[name]) + np.arange(len(here))
                vectors[name] = np.concatenate([vectors[name], found])
        return replace(new, items=EntityTable(codes, numbers, tags, vector_rows), vectors=vectors)


def _with_lists(lists: Ragged, at: NDArray[np.int64], others: Ragged) -> Ragged:
    """The lists with some of them replaced."""
    both = Ragged(
        np.concatenate([lists.values, others.values]),
        np.concatenate([lists.offsets, lists.offsets[-1] + others.offsets[1:]]),
    )
    order = np.arange(len(lists))
    order[at] = len(lists) + np.arange(len(at))
    return both.take(order)


def _sources(schema: Schema, feature: str) -> set[str]:
    """Columns of the file that a feature of the items rests on, and the derived ones in between."""
    wanted = set(schema.feature_columns("item", feature))
    for name, expression in reversed(schema.derive.get(table_of("item"), {}).items()):
        if name in wanted:
            wanted |= set(expression_columns(expression))
    return wanted
