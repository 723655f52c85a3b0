"""Predictions as columns of a table, on the labels' own scale."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import Encoder
from motet.schema import Schema

__all__ = ["task_columns"]


def task_columns(
    schema: Schema, encoder: Encoder, values: Mapping[str, NDArray[np.float32]], taken: Collection[str]
) -> list[pl.Series]:
    """A column for each task, in schema order.

    Args:
        schema: The tasks.
        encoder: Knows their classes.
        values: Predictions per task, [n] or [n, K].
        taken: Names of other columns of the table; a task of such a name gives ``NAME_prediction``.

    Returns:
        A probability, a number, the likeliest class with its probability, or a list of labels.
    """
    columns: list[pl.Series] = []
    names = set(taken)
    for task, kind in schema.tasks.items():
        if task not in values:
            continue
        name = ""
        for ending, column in kind.answer_columns(values[task], encoder.classes.get(task, ())):
            name = _free(f"{name}{ending}" if name else f"{task}{ending}", names)
            columns.append(column.alias(name))
    return columns


def _free(name: str, names: set[str]) -> str:
    while name in names:
        name += "_prediction"
    names.add(name)
    return name
