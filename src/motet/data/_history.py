"""What each user did strictly before each moment, without copying it for every interaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motet.data._ragged import Ragged

__all__ = ["History", "build_history"]


@dataclass(frozen=True, slots=True)
class History:
    """Events of each user, oldest first, and how many of them lie strictly before an interaction.

    Attributes:
        items: Item rows of each user's events, one list a user.
        before: For each interaction, the number of its user's events strictly before it, int32 [N].
        known: For each user, the number of its events in training and validation, int32 [U]: what
            a ranking for the test may look at.
        train: For each user, the number of its events in training, int32 [U]: what a ranking for
            validation may look at.
    """

    items: Ragged
    before: NDArray[np.int32]
    known: NDArray[np.int32]
    train: NDArray[np.int32]


def build_history(
    event: NDArray[np.bool_],
    user_row: NDArray[np.int32],
    item_row: NDArray[np.int32],
    time: NDArray[np.int64],
    split: NDArray[np.uint8],
    order: NDArray[np.int64],
    users: int,
) -> History:
    """Build the history of one sequence feature.

    Args:
        event: Which interactions count as events, [N].
        user_row: int32 [N].
        item_row: int32 [N].
        time: Microseconds, int64 [N].
        split: Codes of the splits, uint8 [N].
        order: Interactions sorted by (user, time), int64 [N].
        users: Number of users U.

    Example:
        Two events at the same moment do not see each other.

        >>> history = build_history(
        ...     np.array([True, True, True]), np.zeros(3, np.int32), np.array([4, 5, 6], np.int32),
        ...     np.array([10, 20, 20]), np.zeros(3, np.uint8), np.arange(3), users=1)
        >>> history.before.tolist()
        [0, 1, 1]
    """
    sorted_event = event[order]
    sorted_user = user_row[order]
    lengths = np.bincount(sorted_user[sorted_event], minlength=users).astype(np.int64)
    items = Ragged.from_lengths(item_row[order][sorted_event], lengths)

    n = len(order)
    index = np.int32 if n < 2**31 else np.int64  # half the memory for all but the largest logs
    # events of anyone before this place
    earlier: NDArray[Any] = np.cumsum(sorted_event, dtype=index) - sorted_event
    sorted_time = time[order]
    moment_starts = np.ones(n, bool)
    moment_starts[1:] = (sorted_user[1:] != sorted_user[:-1]) | (sorted_time[1:] != sorted_time[:-1])
    del sorted_time
    start_of_moment = np.maximum.accumulate(np.where(moment_starts, np.arange(n, dtype=index), index(0)))
    before = np.empty(n, np.int32)
    before[order] = earlier[start_of_moment] - items.offsets[sorted_user]

    known = np.bincount(user_row[event & (split <= 1)], minlength=users).astype(np.int32)
    train = np.bincount(user_row[event & (split == 0)], minlength=users).astype(np.int32)
    return History(items, before, known, train)
