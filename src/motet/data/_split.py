"""Splits: which rows are for training, validation and test."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.errors import DataError
from motet.schema import SplitSettings

__all__ = ["SPLIT_CODES", "draw_split", "split_rows"]

SPLIT_CODES = {"train": 0, "validation": 1, "test": 2, "unused": 3}


def split_rows(
    settings: SplitSettings,
    user_row: NDArray[np.int32],
    item_row: NDArray[np.int32],
    time: NDArray[np.int64],
    item_order: NDArray[np.int64],
    column: pl.Series | None,
) -> NDArray[np.uint8]:
    """Assign every interaction to a split.

    A row of rank r (from 0) among n falls in training if (r + 1) / n ≤ train, and in validation if
    (r + 1) / n ≤ train + validation. Ties in time are ordered by item.

    Args:
        settings: How to split.
        user_row: int32 [N].
        item_row: int32 [N].
        time: Microseconds, int64 [N].
        item_order: Rank of each item's id in natural order, [I], which breaks ties.
        column: The named column, for ``by: column``.

    Returns:
        Codes of :data:`SPLIT_CODES`, uint8 [N].

    Raises:
        DataError: If the column holds another word than train, validation, test or unused.
    """
    n = len(user_row)
    if settings.by == "column":
        assert column is not None  # noqa: S101 (the schema demands it)
        split = _from_words(column, str(settings.column))
    elif settings.by == "random":
        split = draw_split(n, settings)
    else:
        by_item = item_order[item_row] if len(item_order) else item_row
        if settings.by == "time":
            order = np.lexsort((by_item, time))
            rank, size = np.empty(n, np.int64), np.array([n])
            rank[order] = np.arange(n)
        else:
            order = np.lexsort((by_item, time, user_row))
            counts = np.bincount(user_row, minlength=int(user_row.max(initial=-1)) + 1)
            starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
            rank = np.empty(n, np.int64)
            rank[order] = np.arange(n) - np.repeat(starts, counts)
            size = counts[user_row]
        split = _cut(rank, size, settings)
    if settings.hold_out_items:
        items = np.unique(item_row)
        chosen = np.random.default_rng([settings.seed, 1]).permutation(items)
        held = np.isin(item_row, chosen[: round(settings.hold_out_items * len(items))])
        split[held & (split != SPLIT_CODES["test"])] = SPLIT_CODES["unused"]
    return split


def draw_split(n: int, settings: SplitSettings, stream: int = 0) -> NDArray[np.uint8]:
    """Split n rows at random with the settings' seed; ``stream`` tells draws apart."""
    rank = np.empty(n, np.int64)
    rank[np.random.default_rng([settings.seed, 0, stream]).permutation(n)] = np.arange(n)
    return _cut(rank, np.full(n, n), settings)


def _cut(rank: NDArray[np.int64], size: NDArray[np.int64], settings: SplitSettings) -> NDArray[np.uint8]:
    share = (rank + 1) / np.maximum(size, 1)
    tolerance = 1e-9  # 0.8 + 0.1 is a little more than 0.9
    split = np.full(len(rank), SPLIT_CODES["test"], np.uint8)
    split[share <= settings.train + settings.validation + tolerance] = SPLIT_CODES["validation"]
    split[share <= settings.train + tolerance] = SPLIT_CODES["train"]
    return split


def _from_words(column: pl.Series, name: str) -> NDArray[np.uint8]:
    words = column.cast(pl.String).str.to_lowercase().str.replace("^valid$|^val$|^dev$", "validation")
    unknown = words.filter(~words.is_in(list(SPLIT_CODES)) | words.is_null())
    if len(unknown):
        raise DataError(
            f"split.column '{name}' holds {unknown[0]!r}", "use only train, validation, test and unused"
        )
    codes: NDArray[np.uint8] = words.replace_strict(SPLIT_CODES, return_dtype=pl.UInt8).to_numpy()
    return codes.copy()
