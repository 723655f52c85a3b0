"""A user never seen, of whom some liked and disliked items are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from motet.bundle import Bundle
from motet.data import Dataset, History, Ragged

__all__ = ["Pasts", "held_shares"]

_ENOUGH = 0.5


class Pasts:
    """Gives new users a past: the events that sequence features hold, from items they like and dislike.

    Which sequences hold likes and which dislikes is read off the users of the bundle: a sequence
    takes a kind of event if it holds at least half of theirs.

    Args:
        bundle: Whose users are looked at.
    """

    def __init__(self, bundle: Bundle) -> None:
        task, shares = bundle.schema.liking_task or "", held_shares(bundle)
        self._takes: dict[str, tuple[bool, bool]] = {}
        for name in bundle.data.histories:
            likes, dislikes = shares.get((name, task), (0.0, 0.0))
            self._takes[name] = (likes >= _ENOUGH, dislikes >= _ENOUGH)

    def with_user(self, data: Dataset, liked: Sequence[int], disliked: Sequence[int] = ()) -> Dataset:
        """The data set whose last user has a past of some items, oldest first.

        Args:
            data: Its last user is new and has no events.
            liked: Rows of items.
            disliked: Rows of items.
        """
        histories = {}
        for name, history in data.histories.items():
            takes_likes, takes_dislikes = self._takes[name]
            past = np.array(
                [*(disliked if takes_dislikes else ()), *(liked if takes_likes else ())], np.int32
            )
            histories[name] = _with_past(history, past)
        return replace(data, histories=histories)


def held_shares(bundle: Bundle) -> dict[tuple[str, str], tuple[float, float]]:
    """Per sequence and task, the share of its users' positive and of their negative events that it holds.

    Where the schema has no task that says what users like, the task is "" and every event positive.
    """
    behaviour, items = bundle.behaviour, len(bundle.data.items)
    pairs = _pairs(behaviour.items, items)
    shares = {}
    for name, history in bundle.data.histories.items():
        held = np.isin(pairs, _pairs(history.items, items))
        for task in behaviour.tasks:
            label = behaviour.label(task)
            shares[name, task] = (_share(held[label > 0]), _share(held[label == 0]))
        if bundle.schema.liking_task is None:
            shares[name, ""] = (_share(held), 0.0)
    return shares


def _with_past(history: History, past: NDArray[np.int32]) -> History:
    offsets = history.items.offsets.copy()
    offsets[-1] += len(past)
    known, train = history.known.copy(), history.train.copy()
    known[-1] = train[-1] = len(past)
    return History(
        Ragged(np.concatenate([history.items.values, past]), offsets), history.before, known, train
    )


def _pairs(lists: Ragged, items: int) -> NDArray[np.int64]:
    users = np.repeat(np.arange(len(lists), dtype=np.int64), lists.lengths())
    return users * items + lists.values


def _share(held: NDArray[np.bool_]) -> float:
    return float(held.mean()) if len(held) else 0.0
