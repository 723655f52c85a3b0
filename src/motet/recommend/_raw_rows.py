"""Raw rows at serving time: read, prepared and encoded by the code that encoded the training data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Literal, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import (
    Catalogue,
    CleaningReport,
    Dataset,
    EntityTable,
    History,
    IdIndex,
    Preparer,
    Ragged,
    RawReader,
    RawTable,
    TextToVectors,
    build_catalogue,
    side_columns,
    used_columns,
)
from motet.errors import DataError
from motet.models.baselines import ContextTexts
from motet.schema import Entity

__all__ = ["NOT_OF_KIND", "ContextRows", "RawRows", "naming_column"]

_Made = TypeVar("_Made")

# raised by a value that is not of its column's kind
NOT_OF_KIND: Final = (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError)


def naming_column(make: Callable[[pl.DataFrame], _Made], frame: pl.DataFrame, what: str) -> _Made:
    """What is made of a frame.

    Args:
        make: Makes it; columns that are not there must be missing to it.
        frame: Raw rows.
        what: Their name in the error.

    Raises:
        DataError: If it fails on a value, naming its column where that column fails alone.
    """
    try:
        return make(frame)
    except NOT_OF_KIND as error:
        for column in frame.columns:
            try:
                make(frame.select(column))
            except (*NOT_OF_KIND, DataError) as alone:
                raise DataError(
                    f"{what}, column '{column[:80]}': a value is not of the column's kind ({_reason(alone)})",
                    "give the kind of value that the column had in training",
                ) from None
        raise DataError(
            f"{what} hold a value that is not of its column's kind ({_reason(error)})",
            "give the kinds of values that the columns had in training",
        ) from None


@dataclass(frozen=True, slots=True)
class ContextRows:
    """The context of some rows.

    Attributes:
        data: The data set, with the vectors of the rows' texts added.
        table: One row each.
        scenario: Code of each row's scenario, int16 [n].
        texts: Per text feature, texts and which of them each row has.
    """

    data: Dataset
    table: EntityTable
    scenario: NDArray[np.int16]
    texts: Mapping[str, ContextTexts] = field(default_factory=dict)


class RawRows:
    """Encodes rows that no table of the bundle holds.

    Args:
        data: The bundle's data set, whose encoder is used.
        encode_text: Turns texts into vectors; without it they count as missing.
        encode_private: The same for texts of users and requests; ``encode_text`` when left out.
    """

    def __init__(
        self,
        data: Dataset,
        encode_text: TextToVectors | None,
        encode_private: TextToVectors | None = None,
    ) -> None:
        self.schema, self.encoder = data.schema, data.encoder
        self.encode_text, self.encode_private = encode_text, encode_private or encode_text

    def extended(
        self, data: Dataset, entity: Literal["user", "item"], frame: pl.DataFrame
    ) -> tuple[Dataset, IdIndex]:
        """The data set with further users or items at the end."""
        raw, side, items = naming_column(partial(self._read_entities, data, entity), frame, "the given rows")
        table, vectors = self._encoded(data, entity, raw)
        old = data.table(entity)
        tags = {name: _append(lists, table.tags[name]) for name, lists in old.tags.items()}
        joined = EntityTable(
            np.concatenate([old.codes, table.codes]),
            np.concatenate([old.numbers, table.numbers]),
            tags,
            np.concatenate([old.vector_rows, table.vector_rows]),
        )
        if side is not None:
            data = replace(data, sides={**data.sides, entity: side})
        key = str(getattr(self.schema.keys, entity))
        ids = pl.concat([data.user_ids if entity == "user" else data.item_ids, frame[key].cast(pl.String)])
        if entity == "user":
            none = np.zeros(len(frame), np.int32)
            histories = {
                name: History(
                    _append(h.items, Ragged.empty(len(frame))),
                    h.before,
                    np.concatenate([h.known, none]),
                    np.concatenate([h.train, none]),
                )
                for name, h in data.histories.items()
            }
            data = replace(data, users=joined, vectors=vectors, histories=histories, user_ids=ids)
        else:
            catalogue = data.catalogue
            if catalogue is not None and items is not None:
                catalogue = replace(catalogue, frame=items)
            data = replace(data, items=joined, vectors=vectors, item_ids=ids, catalogue=catalogue)
        return data, IdIndex(ids)

    def context_rows(
        self, data: Dataset, frame: pl.DataFrame, rows: Mapping[Entity, NDArray[np.int32]] | None = None
    ) -> ContextRows:
        """The context of each given row, with the data set that holds its vectors.

        Args:
            data: The data set.
            frame: The rows; their ``user.`` and ``item.`` columns give way to what is known.
            rows: Row of each one's user and item, for templates that name their columns.
        """
        for entity, at in (rows or {}).items():
            if entity in data.sides:
                frame = frame.with_columns(data.sides[entity][at])
        raw = naming_column(lambda some: self._read("interaction", some)[1], frame, "the given rows")
        table, vectors = self._encoded(data, "interaction", raw)
        scenario = np.zeros(len(frame), np.int16)
        if self.schema.keys.scenario is not None:
            offset = self.encoder.vocabularies["scenario"].offset
            scenario = (table.codes[:, -1] - offset).astype(np.int16)
        texts = {name: (index.words.to_list(), at) for name, (index, at) in raw.texts.items()}
        return ContextRows(replace(data, vectors=vectors), table, scenario, texts)

    def prepared(self, entity: Entity, frame: pl.DataFrame) -> pl.DataFrame:
        """Raw rows as the schema means them; columns that are not there are missing."""
        schema = self.schema
        for column in used_columns(schema, entity):
            if f"{entity}.{column}" in frame.columns:
                frame = frame.with_columns(frame[f"{entity}.{column}"].alias(column))
            elif column not in frame.columns:
                kind = pl.Datetime("us") if column == schema.keys.time else pl.String
                frame = frame.with_columns(pl.lit(None, dtype=kind).alias(column))
        return Preparer(schema, CleaningReport(), lenient=True).prepare(frame, entity, "the given rows")

    def _read_entities(
        self, data: Dataset, entity: Literal["user", "item"], frame: pl.DataFrame
    ) -> tuple[RawTable, pl.DataFrame | None, pl.DataFrame | None]:
        """Raw rows read; the data set's texts for templates and its catalogue, each with these rows at the end."""
        prepared, raw = self._read(entity, frame)
        side = data.sides.get(entity)
        if side is not None:
            side = pl.concat([side, side_columns(self.schema, entity, prepared)])
        if entity == "user" or data.catalogue is None:
            return raw, side, None
        new = build_catalogue(self.schema, _of_kinds(prepared, data.catalogue)).frame
        return raw, side, pl.concat([data.catalogue.frame, new.select(data.catalogue.frame.columns)])

    def _read(self, entity: Entity, frame: pl.DataFrame) -> tuple[pl.DataFrame, RawTable]:
        prepared = self.prepared(entity, frame)
        reader = RawReader(self.schema, entity, "the given rows", optional=True)
        reader.add(prepared)
        return prepared, reader.finish()

    def _encoded(
        self, data: Dataset, entity: Entity, raw: RawTable
    ) -> tuple[EntityTable, dict[str, NDArray[np.float32]]]:
        encoded = self.encoder.encode(raw, entity)
        vectors, columns = dict(data.vectors), []
        for name in self.encoder.layout(entity).vectors:
            matrix = vectors[name]
            encode = self.encode_text if entity == "item" else self.encode_private
            new = self._new_vectors(name, raw, matrix.shape[1], encode)
            positions = (
                raw.texts[name][1] if name in raw.texts else np.arange(1, raw.rows + 1, dtype=np.int32)
            )
            columns.append(np.where(positions > 0, positions + len(matrix) - 1, 0).astype(np.int32))
            vectors[name] = np.concatenate([matrix, new])
        rows = np.stack(columns, 1) if columns else np.empty((raw.rows, 0), np.int32)
        return EntityTable(encoded.codes, encoded.numbers, encoded.tags, rows), vectors

    def _new_vectors(
        self, name: str, raw: RawTable, width: int, encode: TextToVectors | None
    ) -> NDArray[np.float32]:
        """Vectors of the texts of raw rows (row 0, no text, left out), reduced as in training."""
        if name in raw.texts:
            texts = raw.texts[name][0].words.to_list()[1:]
            if not texts or encode is None:
                return np.zeros((len(texts), width), np.float32)
            matrix = encode(texts)
        else:
            matrix = raw.vectors[name]
            if matrix.shape[1] == 1 and width > 1 and not matrix.any():
                return np.zeros((len(matrix), width), np.float32)
        reduction = self.encoder.reductions.get(name)
        taken = width if reduction is None else reduction.inputs
        if matrix.shape[1] != taken:
            raise DataError(
                f"'{name}' has vectors of width {matrix.shape[1]}, the model takes {taken}",
                "give the same kind of vector as in training",
            )
        if not np.isfinite(matrix).all():
            raise DataError(
                f"'{name}' has a vector with a number that is too large", "give numbers as in training"
            )
        return matrix if reduction is None else reduction.apply(matrix)


def _reason(error: Exception) -> str:
    message = error.problem if isinstance(error, DataError) else str(error)
    return (message.splitlines() or [type(error).__name__])[0][:200]


def _of_kinds(prepared: pl.DataFrame, catalogue: Catalogue) -> pl.DataFrame:
    """A few rows, whose empty columns show no kind, with the kinds that the whole catalogue has."""
    numbers = [c for c in catalogue.numbers if c in prepared.columns]
    empty = [c for c in catalogue.tags if c in prepared.columns and prepared[c].null_count() == len(prepared)]
    return prepared.with_columns(
        *[prepared[c].cast(pl.Float64, strict=False) for c in numbers],
        *[pl.lit(None, dtype=pl.List(pl.String)).alias(c) for c in empty],
    )


def _append(first: Ragged, second: Ragged) -> Ragged:
    offsets = np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]])
    return Ragged(np.concatenate([first.values, second.values]), offsets)
