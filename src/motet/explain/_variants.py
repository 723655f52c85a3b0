"""Users and items as they would be with something taken away: what the model is asked "and without this?" with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset, EntityTable, History, Ragged

__all__ = ["history_of", "items_without", "users_with"]


def history_of(data: Dataset, user: int) -> dict[str, NDArray[np.int32]]:
    """What the model sees of a user's past: per sequence feature, rows of items, oldest first."""
    found = {}
    for name, history in data.histories.items():
        start = int(history.items.offsets[user])
        found[name] = history.items.values[start : start + int(history.known[user])]
    return found


def users_with(data: Dataset, user: int, pasts: Sequence[Mapping[str, NDArray[np.int32]]]) -> Dataset:
    """A data set whose users are one user, once for each of several pasts.

    Args:
        data: The data set.
        user: Row of the user.
        pasts: Per variant and sequence feature, rows of items, oldest first.
    """
    n = len(pasts)
    at = np.full(n, user, np.int64)
    table = data.users
    users = EntityTable(
        table.codes[at],
        table.numbers[at],
        {name: lists.take(at) for name, lists in table.tags.items()},
        table.vector_rows[at],
    )
    histories = {}
    for name, history in data.histories.items():
        lengths = np.array([len(past[name]) for past in pasts], np.int64)
        values = np.concatenate([past[name] for past in pasts]).astype(np.int32)
        known = lengths.astype(np.int32)
        histories[name] = History(Ragged.from_lengths(values, lengths), history.before[:0], known, known)
    return replace(data, users=users, histories=histories)


def items_without(data: Dataset, item: int, tags: Sequence[Sequence[tuple[str, str]]]) -> Dataset:
    """A data set with one item once more at its end for each of several sets of tags taken from it.

    Args:
        data: The data set.
        item: Row of the item.
        tags: Per variant (feature, value) of tags and categories.
    """
    table = data.items
    at = np.full(len(tags), item, np.int64)
    codes = table.codes[at]
    layout = data.encoder.layout("item").codes
    lists: dict[str, list[NDArray[np.int32]]] = {name: [] for name in table.tags}
    for variant, gone in enumerate(tags):
        for name in table.tags:
            values = table.tags[name].take(at[:1]).values
            lists[name].append(values[~np.isin(values, _rows(data, name, gone))])
        for feature, value in gone:
            if feature in layout:
                column = layout.index(feature)
                if codes[variant, column] in _rows(data, feature, [(feature, value)]):
                    codes[variant, column] = data.encoder.vocabularies[feature].offset
    longer = {}
    for name, parts in lists.items():
        old = table.tags[name]
        lengths = np.concatenate([old.lengths(), [len(part) for part in parts]]).astype(np.int64)
        longer[name] = Ragged.from_lengths(np.concatenate([old.values, *parts]).astype(np.int32), lengths)
    items = EntityTable(
        np.concatenate([table.codes, codes]),
        np.concatenate([table.numbers, table.numbers[at]]),
        longer,
        np.concatenate([table.vector_rows, table.vector_rows[at]]),
    )
    return replace(data, items=items)


def _rows(data: Dataset, feature: str, tags: Sequence[tuple[str, str]]) -> list[int]:
    """Rows of the embedding table of some values of a feature."""
    words = data.encoder.vocabularies[feature].words.words.to_list()
    offset = data.encoder.vocabularies[feature].offset + 1
    return [offset + words.index(value) for name, value in tags if name == feature and value in words]
