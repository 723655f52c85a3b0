"""Lists of different lengths, as two arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["Ragged", "split_words"]


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
