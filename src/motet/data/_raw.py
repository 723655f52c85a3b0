"""Columns before encoding: those of each entity, and those that text templates name, such as ``{item.title}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._containers import IdIndex, Ragged, Spill, as_strings
from motet.errors import DataError
from motet.schema import Entity, Schema, nearest, template_fields

__all__ = ["RawReader", "RawTable", "render", "side_columns", "side_fields"]


def side_fields(schema: Schema, entity: Entity) -> list[str]:
    """Fields such as ``user.about`` that templates of the interaction take from another entity."""
    return sorted(
        {
            field
            for feature in schema.features.interaction.values()
            for field in feature.side_fields
            if field.startswith(f"{entity}.")
        }
    )


def side_columns(schema: Schema, entity: Entity, frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of :func:`side_fields` of an entity's prepared rows, as text."""
    columns = []
    for field in side_fields(schema, entity):
        name = field.partition(".")[2]
        cells = frame[name] if name in frame.columns else pl.Series(name, [None] * len(frame), pl.String)
        cells = cells.list.join(" ") if cells.dtype == pl.List(pl.String) else as_strings(cells)
        columns.append(cells.alias(field))
    return pl.DataFrame(columns)


@dataclass(frozen=True, slots=True)
class RawTable:
    """Columns of n rows, read but not encoded.

    Attributes:
        rows: n.
        words: Per id, category and scenario: its distinct words, and each row's word or −1, int32 [n].
        numbers: Per number, float32 [n] with NaN where missing; a time gives several.
        tags: Per tag feature its distinct words, and the words of each row.
        texts: Per text feature its distinct texts (row 0 is no text), and each row's text, int32 [n].
        vectors: Per vector feature, float32 [n, D]; all zeros where missing.
    """

    rows: int
    words: Mapping[str, tuple[IdIndex, NDArray[np.int32]]]
    numbers: Mapping[str, NDArray[np.float32]]
    tags: Mapping[str, tuple[IdIndex, Ragged]]
    texts: Mapping[str, tuple[IdIndex, NDArray[np.int32]]]
    vectors: Mapping[str, NDArray[np.float32]]

    def take(self, rows: NDArray[np.int64]) -> RawTable:
        """Some of the rows, in their order."""
        return RawTable(
            rows=len(rows),
            words={name: (index, at[rows]) for name, (index, at) in self.words.items()},
            numbers={name: values[rows] for name, values in self.numbers.items()},
            tags={name: (index, lists.take(rows)) for name, (index, lists) in self.tags.items()},
            texts={name: (index, at[rows]) for name, (index, at) in self.texts.items()},
            vectors={name: values[rows] for name, values in self.vectors.items()},
        )


class RawReader:
    """Reads the features of one entity from prepared chunks.

    Args:
        schema: The schema.
        entity: Whose features to read.
        source: File name, for errors.
        optional: Take a column that is not there as missing, instead of raising.
        spill: Where large columns go.
    """

    def __init__(
        self,
        schema: Schema,
        entity: Entity,
        source: str,
        *,
        optional: bool = False,
        spill: Spill | None = None,
    ) -> None:
        self._features = schema.features.of(entity)
        self._source, self._optional = source, optional
        spill = spill or Spill()
        parts = [feature.parts(name) for name, feature in self._features.items()]
        words = [part for given in parts for part in given.codes]
        texts = [part for given in parts for part in given.texts]
        tags = [part for given in parts for part in given.tags]
        self._scenario = schema.keys.scenario if entity == "interaction" else None
        if self._scenario is not None:
            words.append("scenario")
        self._rows = 0
        self._indices = {name: IdIndex() for name in [*words, *tags]}
        self._indices |= {name: IdIndex(pl.Series([""])) for name in texts}
        self._words = {name: spill.writer(np.int32) for name in words}
        self._texts = {name: spill.writer(np.int32) for name in texts}
        self._numbers = {part: spill.writer(np.float32) for given in parts for part in given.numbers}
        self._tag_values = {name: spill.writer(np.int32) for name in tags}
        self._tag_lengths = {name: spill.writer(np.int64) for name in tags}
        self._vectors: dict[str, list[NDArray[np.float32]]] = {
            part: [] for given in parts for part in given.vectors
        }

    def add(self, frame: pl.DataFrame) -> None:
        """Read one prepared chunk.

        Raises:
            DataError: If a column is missing, or is not of its feature's kind.
        """
        self._rows += len(frame)
        if self._scenario is not None:
            self._words["scenario"].append(
                self._indices["scenario"].grow(self._column(frame, self._scenario))
            )
        for name, feature in self._features.items():
            feature.read(name, frame, self._column, self)

    def words(self, part: str, cells: pl.Series) -> None:
        """Take in one word a row; see :class:`motet.schema.ColumnSink`."""
        self._words[part].append(self._indices[part].grow(as_strings(cells)))

    def numbers(self, part: str, values: NDArray[Any]) -> None:
        """Take in one number a row."""
        self._numbers[part].append(values.astype(np.float32, copy=False))

    def tags(self, part: str, lists: pl.Series) -> None:
        """Take in a list of words a row."""
        exploded = lists.fill_null(pl.Series([[]], dtype=pl.List(pl.String))).explode(empty_as_null=False)
        self._tag_values[part].append(self._indices[part].grow(exploded))
        self._tag_lengths[part].append(lists.list.len().fill_null(0).to_numpy())

    def texts(self, part: str, texts: pl.Series) -> None:
        """Take in one text a row."""
        self._texts[part].append(self._indices[part].grow(texts))

    def vectors(self, part: str, cells: pl.Series | None) -> None:
        """Take in a list of numbers a row; without any, places for vectors that come from elsewhere."""
        rows = self._rows - sum(len(chunk) for chunk in self._vectors[part])
        found = np.zeros((rows, 1), np.float32) if cells is None else self._vector(part, cells)
        self._vectors[part].append(found)

    def finish(self) -> RawTable:
        """All chunks as one table."""
        index = self._indices
        return RawTable(
            rows=self._rows,
            words={name: (index[name], column.finish()) for name, column in self._words.items()},
            numbers={name: column.finish() for name, column in self._numbers.items()},
            tags={
                name: (index[name], Ragged.from_lengths(values.finish(), self._tag_lengths[name].finish()))
                for name, values in self._tag_values.items()
            },
            texts={name: (index[name], column.finish()) for name, column in self._texts.items()},
            vectors={
                name: np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
                for name, parts in self._vectors.items()
            },
        )

    def _column(self, frame: pl.DataFrame, name: str) -> pl.Series:
        if name in frame.columns:
            return frame[name]
        if self._optional:
            return pl.Series(name, [None] * len(frame), dtype=pl.String)
        raise DataError(f"{self._source} has no column '{name}'", nearest(name, frame.columns))

    def _vector(self, name: str, column: pl.Series) -> NDArray[np.float32]:
        if column.null_count() == len(column):
            width = self._vectors[name][0].shape[1] if self._vectors[name] else 1
            return np.zeros((len(column), width), np.float32)
        if column.dtype not in (pl.List, pl.Array):
            raise DataError(
                f"{self._source}, column '{name}': {column.dtype} is not a vector",
                "give a Parquet list of numbers",
            )
        lists = column.cast(pl.List(pl.Float32))
        widths = lists.list.len().drop_nulls().unique()
        if len(widths) > 1:
            raise DataError(
                f"{self._source}, column '{name}': vectors of widths {sorted(widths.to_list())[:5]}",
                "give every row the same number of values, or none",
            )
        width = int(widths[0]) if len(widths) else 1
        filled = lists.fill_null(pl.Series([[0.0] * width], dtype=pl.List(pl.Float32)))
        values = filled.explode().fill_null(0.0).fill_nan(0.0).to_numpy().reshape(len(column), width)
        return values.astype(np.float32)


def render(
    frame: pl.DataFrame,
    template: str,
    column: Callable[[pl.DataFrame, str], pl.Series] = pl.DataFrame.get_column,
) -> pl.Series:
    """Fill a text template from the columns of a table.

    The template falls into segments at ``[SEP]``; a segment whose fields are all empty drops out
    together with its separator, and an empty field in another segment leaves no gap.

    Example:
        >>> frame = pl.DataFrame({"title": ["Heat", "Big"], "about": ["crime", None]})
        >>> render(frame, "{title} [SEP] {about}").to_list()
        ['Heat [SEP] crime', 'Big']
    """
    segments: list[pl.Expr] = []
    columns: dict[str, pl.Series] = {}
    for segment in template.split("[SEP]"):
        names = template_fields(segment)
        for name in names:
            cells = column(frame, name)
            if isinstance(cells.dtype, pl.List):
                cells = cells.cast(pl.List(pl.String)).list.join(" ", ignore_nulls=True)
            cells = as_strings(cells)
            columns[name] = cells.str.replace_all(r"[\p{Cc}\s]+", " ").str.strip_chars().alias(name)
        literal = segment
        for name in names:
            literal = literal.replace(f"{{{name}}}", "{}", 1)
        filled = (
            pl.format(literal, *[pl.col(name).fill_null("") for name in names]) if names else pl.lit(segment)
        )
        filled = filled.str.replace_all(r"\(\s*\)", "").str.replace_all(r"\s+", " ").str.strip_chars()
        empty = (
            pl.all_horizontal([pl.col(name).fill_null("") == "" for name in names])
            if names
            else pl.lit(False)
        )
        segments.append(pl.when(~empty).then(filled))
    table = pl.DataFrame(list(columns.values())) if columns else pl.DataFrame({"": [""] * len(frame)})
    return (
        table.select(pl.concat_str(segments, separator=" [SEP] ", ignore_nulls=True))
        .to_series()
        .alias("text")
    )
