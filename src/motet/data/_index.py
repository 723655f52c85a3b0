"""A growing list of distinct words, and where each stands in it."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.errors import DataError

__all__ = ["WordIndex", "as_words"]


def as_words(column: pl.Series) -> pl.Series:
    """Write any column as text, the same way for CSV and Parquet: 3, 3.0 and "3" are one word.

    Example:
        >>> as_words(pl.Series([3.0, 2.5, None])).to_list()
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
            f"column '{column.name}': {column.dtype} is not a word",
            "give text or numbers; a list is read as 'tags' or, of numbers, as 'vector'",
        ) from None


class WordIndex:
    """Distinct words in order of arrival.

    Example:
        >>> index = WordIndex(pl.Series(["a", "b"]))
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
        """All words, in order."""
        return self._frame["word"]

    def rows(self, words: pl.Series) -> NDArray[np.int32]:
        """Where each word stands, −1 for unknown or missing ones; shape [n]."""
        asked = words.cast(pl.String).alias("word").to_frame()
        found = asked.join(self._frame, on="word", how="left", maintain_order="left")
        rows: NDArray[np.int32] = found["row"].fill_null(-1).to_numpy().astype(np.int32, copy=False)
        return rows

    def grow(self, words: pl.Series) -> NDArray[np.int32]:
        """As :meth:`rows`, but unknown words are added at the end first."""
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
