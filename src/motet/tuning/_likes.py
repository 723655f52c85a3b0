"""What people liked in the training rows, and the texts of the items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset
from motet.errors import SchemaError
from motet.schema import require_known

__all__ = ["ItemTexts", "item_texts", "liked_in_training", "liking_task"]


@dataclass(frozen=True, slots=True)
class ItemTexts:
    """A text feature of the items.

    Attributes:
        feature: Its name.
        texts: Distinct texts; the first is empty and stands for a missing one.
        of_item: Which of them each item has, int32 [I].
    """

    feature: str
    texts: list[str]
    of_item: NDArray[np.int32]


def item_texts(data: Dataset, feature: str | None = None) -> ItemTexts:
    """The texts of a text feature of the items.

    Args:
        data: The data set.
        feature: Its name; the first when left out.

    Raises:
        SchemaError: If the items have no text feature, or none of that name.
    """
    names = [name for name, f in data.schema.features.item.items() if f.is_text]
    if not names:
        raise SchemaError(
            f"the schema '{data.schema.name}' has no text feature of items, so there is no text to tune on",
            'add one to features.item: about: {kind: text, template: "{title}"}',
        )
    if feature is not None:
        require_known(feature, names, "the text feature of items")
    name = feature or names[0]
    column = data.encoder.layout("item").vectors.index(name)
    return ItemTexts(name, ["", *data.texts[name][1:]], data.items.vector_rows[:, column])


def liking_task(data: Dataset, task: str | None = None) -> str:
    """The task whose positive label means "liked": the one named, or the schema's own.

    Raises:
        SchemaError: If the schema has no users or no items, or no task says what is liked.
    """
    schema = data.schema
    for key in ("user", "item"):
        if getattr(schema.keys, key) is None:
            raise SchemaError(
                f"the schema '{schema.name}' has no {key}s, so nobody's likes can be told",
                f"name the column in keys.{key}",
            )
    if task is not None:
        able = [n for n, t in schema.tasks.items() if t.on == "interaction" and t.is_yes_no]
        require_known(task, able, "the task that says what is liked")
        return task
    if schema.liking_task is None:
        raise SchemaError(
            f"the schema '{schema.name}' has no task that says what is liked",
            'add one: next: {kind: retrieval, positive: "rating >= 4"}',
        )
    return schema.liking_task


def liked_in_training(data: Dataset, task: str, most: int | None = None) -> sp.csr_array:
    """Who liked what in the training rows, zeros and ones [U, I]; of each person the latest ``most``."""
    rows = data.rows("train")
    rows = rows[data.label(task, rows) > 0]
    order = rows[np.lexsort((data.time[rows], data.user_row[rows]))][::-1]  # a user's latest first
    if most is not None and len(order):
        users = data.user_row[order]
        starts = np.flatnonzero(np.concatenate([[True], users[1:] != users[:-1]]))
        place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
        order = order[place < most]
    shape = (len(data.users), len(data.items))
    pairs = (data.user_row[order], data.item_row[order])
    liked = sp.csr_array((np.ones(len(order), np.float32), pairs), shape=shape)
    liked.sum_duplicates()
    liked.data[:] = 1.0
    return liked
