"""Users and items: their tables, and those that only occur in the interactions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._containers import IdIndex
from motet.data._dataset import EntityLabels
from motet.data._encoder import Encoder
from motet.data._labels import SPLIT_CODES, Fold, LabelReader, draw_split
from motet.data._prepare import CleaningReport, Preparer, text_columns, used_columns
from motet.data._raw import RawReader, RawTable
from motet.data._read import Frames, iterate, open_table, require_columns
from motet.errors import DataError
from motet.schema import ENTITIES, Entity, Schema, table_of

__all__ = ["TABLED", "Entities"]

TABLED: tuple[Entity, ...] = ("user", "item")


class Entities:
    """The users and items of a data set while it is being built.

    Args:
        schema: What the files are.
        directory: Where they are.
        preparer: Prepares their rows.
        cleaning_report: Takes note of what is done.

    Attributes:
        frames: Prepared rows per entity; after :meth:`read` also those that only interactions know.
        indices: Keys per entity, in row order; grows while interactions are read.

    Raises:
        DataError: If a table cannot be read or has a key twice.
    """

    def __init__(
        self, schema: Schema, directory: Path | Frames, preparer: Preparer, cleaning_report: CleaningReport
    ) -> None:
        self.schema, self.directory, self.preparer, self.cleaning_report = (
            schema,
            directory,
            preparer,
            cleaning_report,
        )
        self.frames: dict[Entity, pl.DataFrame] = {}
        self.indices: dict[Entity, IdIndex] = {}
        for entity in TABLED:
            self._open(entity)

    def key(self, entity: Entity) -> str | None:
        """The key column of an entity."""
        key: str | None = getattr(self.schema.keys, entity)
        return key

    def size(self, entity: Entity) -> int:
        """Rows of an entity; a schema without it has one empty row."""
        return len(self.indices[entity]) if entity in self.indices else 1

    def ids(self, entity: Entity) -> pl.Series:
        """Keys of an entity, in row order."""
        return self.indices[entity].words if entity in self.indices else pl.Series([""])

    def _open(self, entity: Entity) -> None:
        key = self.key(entity)
        if key is None:
            return
        name: str | None = getattr(self.schema.tables, table_of(entity))
        self.frames[entity] = pl.DataFrame({key: pl.Series([], dtype=pl.String)})
        if name is not None:
            self.frames[entity] = self._unique_keys(
                read_entity(self.schema, entity, self.directory, name, self.preparer), key, name
            )
        self.indices[entity] = IdIndex(self.frames[entity][key])

    def _unique_keys(self, frame: pl.DataFrame, key: str, source: str) -> pl.DataFrame:
        repeated = frame.filter(pl.col(key).is_duplicated())
        if not len(repeated):
            return frame
        policy = self.schema.clean.duplicate_keys
        if policy == "error":
            raise DataError(
                f"{source}, column '{key}': the key {repeated[key][0]!r} stands in more than one row "
                f"({repeated[key].n_unique():,} such keys)",
                "leave one row a key, or set 'clean: {duplicate_keys: first}' (or last)",
            )
        self.cleaning_report.note(
            source,
            key,
            "a key seen before",
            f"the {policy} row kept",
            len(repeated) - repeated[key].n_unique(),
        )
        return frame.unique(subset=[key], keep=policy, maintain_order=True)

    def read(self, entity: Entity) -> RawTable:
        """Read an entity's features, with an empty row for each one only interactions know."""
        key = self.key(entity)
        if key is None:
            return RawTable(1, {}, {}, {}, {}, {})
        frame, words = self.frames[entity], self.indices[entity].words
        source = getattr(self.schema.tables, table_of(entity)) or self.schema.tables.interactions
        new = len(words) - len(frame)
        if getattr(self.schema.tables, table_of(entity)) is not None:
            self.cleaning_report.note(
                source, key, f"{entity}s seen in interactions only", "features taken as missing", new
            )
        full = pl.concat([frame, pl.DataFrame({key: words[len(frame) :]})], how="diagonal")
        self.frames[entity] = full
        reader = RawReader(self.schema, entity, source)
        reader.add(full)
        return reader.finish()

    def natural_order(self, entity: Entity) -> NDArray[np.int64]:
        """Rank of each id: by number if all ids are whole numbers, else by letters."""
        if entity not in self.indices:
            return np.zeros(1, np.int64)
        words = self.indices[entity].words
        numbers = words.cast(pl.Int64, strict=False)
        return (words if numbers.null_count() else numbers).rank("ordinal").to_numpy().astype(np.int64)

    def labels(
        self, entity: Entity, encoder: Encoder, fit: bool, fold: Fold | None = None
    ) -> dict[str, EntityLabels]:
        tasks = [name for name, task in self.schema.tasks.items() if task.on == entity]
        if not tasks:
            return {}
        source = getattr(self.schema.tables, table_of(entity)) or self.schema.tables.interactions
        reader = LabelReader(self.schema, entity, source, self.cleaning_report)
        reader.add(self.frames[entity])
        raw = reader.finish()
        stream = ENTITIES.index(entity) + 1
        split = draw_split(len(self.frames[entity]), self.schema.split, stream, fold)
        if fit:
            raw.fit(encoder, split == SPLIT_CODES["train"])
        values, sets = raw.encode(encoder, self.cleaning_report, source)
        labels = {}
        for column, name in enumerate(tasks):
            dense = values[:, column]
            if name in sets:
                dense = sets[name].multi_hot(len(encoder.classes[name]))
                dense[np.isnan(values[:, column])] = np.nan
            labels[name] = EntityLabels(dense, split)
        return labels


def read_entity(
    schema: Schema, entity: Entity, directory: Path | Frames, name: str, preparer: Preparer
) -> pl.DataFrame:
    """Read and prepare a whole users or items table.

    Raises:
        DataError: If it is missing, empty, lacks a column, or holds a wrong cell.
    """
    key = str(getattr(schema.keys, entity))
    table = open_table(
        directory,
        name,
        as_text=[key],
        words=text_columns(schema, entity),
        numbers_as_text=schema.clean.unparseable == "null",
        tables=schema.tables,
    )
    columns = used_columns(schema, entity)
    require_columns(table, columns, name, "the schema uses it")
    chunks = list(iterate(table.select(columns), directory, name, schema.tables))
    frame = pl.concat(chunks) if chunks else pl.DataFrame()
    if not len(frame):
        raise DataError(
            f"{name} has no rows",
            f"give a table of {table_of(entity)}, or leave tables.{table_of(entity)} out",
        )
    return preparer.prepare(frame, entity, name)
