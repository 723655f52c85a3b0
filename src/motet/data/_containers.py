"""Containers: an index of ids, distinct rows, lists of different lengths, columns in memory or in files."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import DTypeLike, NDArray

from motet.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "ColumnWriter",
    "EmbeddingRows",
    "IdIndex",
    "Ragged",
    "Spill",
    "as_strings",
    "distinct_rows",
    "distinct_users",
    "release",
    "split_words",
]


def as_strings(column: pl.Series) -> pl.Series:
    """Write any column as text, the same way for CSV and Parquet: 3, 3.0 and "3" are one string.

    Example:
        >>> as_strings(pl.Series([3.0, 2.5, None])).to_list()
        ['3', '2.5', None]
    """
    if column.dtype == pl.String:
        return column
    if column.dtype.is_float():
        frame = column.to_frame("x")
        whole = pl.col("x").is_finite() & (pl.col("x") == pl.col("x").round()) & (pl.col("x").abs() < 2**53)
        return (
            frame.select(
                pl.when(whole)
                .then(pl.col("x").cast(pl.Int64, strict=False).cast(pl.String))
                .when(pl.col("x").is_finite())
                .then(pl.col("x").cast(pl.String))
            )
            .to_series()
            .alias(column.name)
        )
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:
        raise DataError(
            f"column '{column.name}': {column.dtype} cannot be read as text",
            "give text or numbers; a list is read as 'tags' or, of numbers, as 'vector'",
        ) from None


class IdIndex:
    """Distinct strings (ids, categories, classes) in order of arrival.

    Example:
        >>> index = IdIndex(pl.Series(["a", "b"]))
        >>> index.rows(pl.Series(["b", "z", None])).tolist()
        [1, -1, -1]
        >>> index.grow(pl.Series(["z", "b"])).tolist(), len(index)
        ([2, 1], 3)
    """

    def __init__(self, words: pl.Series | None = None) -> None:
        start = pl.Series([], dtype=pl.String) if words is None else words.cast(pl.String)
        self._frame = pl.DataFrame({"word": start, "row": np.arange(len(start), dtype=np.int32)})

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def words(self) -> pl.Series:
        """All strings, in order."""
        return self._frame["word"]

    def rows(self, words: pl.Series) -> NDArray[np.int32]:
        """The position of each string, −1 for unknown or missing ones; shape [n]."""
        asked = words.cast(pl.String).alias("word").to_frame()
        found = asked.join(self._frame, on="word", how="left", maintain_order="left")
        rows: NDArray[np.int32] = found["row"].fill_null(-1).to_numpy().astype(np.int32, copy=False)
        return rows

    def grow(self, words: pl.Series) -> NDArray[np.int32]:
        """As :meth:`rows`, but unknown strings are added at the end first."""
        rows = self.rows(words)
        if (rows < 0).any():
            new = words.cast(pl.String).filter(pl.Series(rows < 0)).drop_nulls().unique(maintain_order=True)
            if len(new):
                more = pl.DataFrame(
                    {"word": new, "row": np.arange(len(self), len(self) + len(new), dtype=np.int32)}
                )
                self._frame = pl.concat([self._frame, more])
                rows = self.rows(words)
        return rows


@dataclass(frozen=True, slots=True)
class Ragged:
    """Lists of different lengths: list i is ``values[offsets[i]:offsets[i + 1]]``.

    Attributes:
        values: int32, shape [total].
        offsets: int64, shape [n + 1].
    """

    values: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def from_lengths(cls, values: NDArray[np.int32], lengths: NDArray[np.int64]) -> Ragged:
        """Lists from all values in order and the length of each list."""
        return cls(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    @classmethod
    def empty(cls, n: int) -> Ragged:
        """N empty lists."""
        return cls(np.empty(0, np.int32), np.zeros(n + 1, np.int64))

    def lengths(self) -> NDArray[np.int64]:
        """Length of every list, shape [n]."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.int64]) -> Ragged:
        """The lists of some rows, in their order.

        Example:
            >>> lists = Ragged.from_lengths(np.array([7, 8, 9], np.int32), np.array([1, 2]))
            >>> lists.take(np.array([1, 0])).values.tolist()
            [8, 9, 7]
        """
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        return Ragged(self.values[np.repeat(starts, lengths) + within], offsets)

    def multi_hot(self, width: int) -> NDArray[np.float32]:
        """The lists as rows of zeros and ones, shape [n, width]."""
        dense = np.zeros((len(self), width), np.float32)
        dense[np.repeat(np.arange(len(self)), self.lengths()), self.values] = 1.0
        return dense


def split_words(column: pl.Series, separator: str, *, words: int = 0) -> pl.Series:
    """Turn a text or list column into a list column of distinct words; missing ones stay missing.

    Where ``words`` is not 0, words are runs of letters, digits and apostrophes in lower case, and
    the separator is not looked at; for 2, pairs of neighbours follow.

    Example:
        >>> split_words(pl.Series(["a| b", None]), "|").to_list()
        [['a', 'b'], None]
        >>> split_words(pl.Series(["Runs small!"]), "|", words=2).to_list()
        [['runs', 'small', 'runs small']]
    """
    if words and column.dtype != pl.List:
        found = column.cast(pl.String).str.to_lowercase().str.extract_all(r"[\p{L}\p{N}']+")
        if words > 1:
            neighbours = found.list.eval(pl.element() + " " + pl.element().shift(-1)).list.drop_nulls()
            found = pl.select(pl.concat_list(found, neighbours)).to_series()
        return found.list.unique(maintain_order=True)
    lists = (
        column.cast(pl.List(pl.String))
        if column.dtype == pl.List
        else column.cast(pl.String).str.split(separator)
    )
    trimmed = lists.list.eval(pl.element().str.strip_chars())
    return trimmed.list.eval(
        pl.element().filter((pl.element() != "") & pl.element().is_not_null())
    ).list.unique(maintain_order=True)


# Deduplication of rows: the distinct rows, and the index of each original row among them.


class EmbeddingRows:
    """Embedding rows from all over the batch, made distinct together: one gather a batch."""

    def __init__(self) -> None:
        self._codes: dict[str, NDArray[np.int32]] = {}
        self._starts: dict[str, NDArray[np.int64]] = {}

    def add(self, name: str, codes: NDArray[np.int32] | Ragged) -> None:
        if isinstance(codes, Ragged):
            self._starts[name] = codes.offsets[:-1]
            codes = codes.values
        self._codes[name] = codes

    def starts(self, name: str) -> Tensor:
        import torch  # noqa: PLC0415 (commands that need no model load no torch)

        return torch.from_numpy(self._starts[name])

    def positions(self, place: NDArray[np.int32]) -> tuple[Tensor, dict[str, Tensor]]:
        """Distinct rows in order of last mention, and the positions of all parts in them.

        ``place`` is scratch as long as the table: writing to it and reading it back finds distinct
        rows in time proportional to the batch, without a sort.
        """
        import torch  # noqa: PLC0415

        flat = np.concatenate([codes.ravel() for codes in self._codes.values()])
        place[flat] = np.arange(len(flat), dtype=np.int32)
        distinct = flat[place[flat] == np.arange(len(flat), dtype=np.int32)]
        place[distinct] = np.arange(len(distinct), dtype=np.int32)
        found = place[flat].astype(np.int64)
        positions, start = {}, 0
        for name, codes in self._codes.items():
            positions[name] = torch.from_numpy(found[start : start + codes.size].reshape(codes.shape))
            start += codes.size
        return torch.from_numpy(distinct.astype(np.int64)), positions


def distinct_rows(rows: NDArray[np.int32], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if n == 1:
        return np.zeros(1, np.int64), np.zeros(len(rows), np.int64)
    distinct, inverse = np.unique(rows, return_inverse=True)
    return distinct.astype(np.int64), inverse.astype(np.int64)


def distinct_users(
    user_row: NDArray[np.int32], before: Mapping[str, NDArray[np.int32]], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, NDArray[np.int32]]]:
    if not before:
        users, inverse = distinct_rows(user_row, n)
        return users, inverse, {}
    columns = np.stack([user_row, *before.values()])
    order = np.lexsort(columns[::-1])
    ordered = columns[:, order]
    new = np.ones(len(order), bool)
    new[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(0)
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.cumsum(new) - 1
    distinct = ordered[:, new]
    return distinct[0].astype(np.int64), inverse, dict(zip(before, distinct[1:], strict=True))


# Columns that grow chunk by chunk, in memory or, where they would not fit, in a memory-mapped file.


class Spill:
    """Where columns go that should not stay in memory.

    Args:
        directory: A directory for their files, or None to keep everything in memory.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)

    def writer(self, dtype: DTypeLike, width: int | None = None) -> ColumnWriter:
        """A new column of numbers, or of rows of ``width`` numbers."""
        return ColumnWriter(dtype, width, self.directory)


def release(*arrays: NDArray[Any] | None) -> None:
    """Let go of the pages of memory-mapped columns; what they hold stays in their files."""
    for array in arrays:
        if isinstance(array, np.memmap):
            array._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


class ColumnWriter:
    """Appends arrays, then gives them back as one, memory-mapped if they went to a file.

    Example:
        >>> column = Spill().writer(np.int32)
        >>> column.append(np.array([1, 2])); column.append(np.array([3]))
        >>> column.finish()
        array([1, 2, 3], dtype=int32)
    """

    def __init__(self, dtype: DTypeLike, width: int | None, directory: Path | None) -> None:
        self._dtype = np.dtype(dtype)
        self._width = width
        self._parts: list[NDArray[Any]] = []
        self._rows = 0
        self._file = (
            tempfile.NamedTemporaryFile(dir=directory, suffix=".column", delete=False)  # noqa: SIM115
            if directory is not None
            else None
        )

    def append(self, values: NDArray[Any]) -> None:
        """Add rows at the end."""
        part = np.ascontiguousarray(values, self._dtype)
        self._rows += len(part)
        if self._file is None:
            self._parts.append(part)
        else:
            part.tofile(self._file)

    def finish(self) -> NDArray[Any]:
        """All rows, shape [n] or [n, width]."""
        shape = (self._rows,) if self._width is None else (self._rows, self._width)
        if self._file is None:
            parts = self._parts or [np.empty((0, *shape[1:]), self._dtype)]
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._file.close()
        if not self._rows or self._width == 0:
            return np.empty(shape, self._dtype)
        return np.memmap(self._file.name, self._dtype, "r+", shape=shape)
