"""What users did, with its outcomes: what profiles, reasons and lists rest on.

Legend of shapes: U users, n events in all, T tasks on interactions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motet.data._dataset import Dataset
from motet.data._ragged import Ragged
from motet.data._split import SPLIT_CODES
from motet.schema import Schema

__all__ = ["Behaviour", "behaviour_of", "liking"]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The latest events of each user, oldest first.

    Attributes:
        items: Item rows, a list a user, [U].
        time: Microseconds since 1970, int64 [n]; zeros where the schema has no time.
        labels: float32 with NaN where missing, [n, T], in the order of ``tasks``.
        tasks: Names of the tasks on interactions.
        scenario: Code of the scenario of each event, 0 for unknown, int16 [n]; None where nobody kept it.
    """

    items: Ragged
    time: NDArray[np.int64]
    labels: NDArray[np.float32]
    tasks: tuple[str, ...]
    scenario: NDArray[np.int16] | None = None

    def events(self, user: int) -> slice:
        """Where the events of a user lie; empty for a user beyond those known."""
        if user >= len(self.items):
            return slice(0, 0)
        return slice(int(self.items.offsets[user]), int(self.items.offsets[user + 1]))

    def label(self, task: str) -> NDArray[np.float32]:
        """Labels of one task, [n]."""
        column: NDArray[np.float32] = self.labels[:, self.tasks.index(task)]
        return column


def behaviour_of(data: Dataset, *, last: int = 500, splits: tuple[str, ...] | None = None) -> Behaviour:
    """Collect what users did.

    Args:
        data: With interactions.
        last: Events a user that are kept, the latest ones, ≥ 1.
        splits: Only events of these splits; all when left out, as serving needs. What is measured
            must leave ``test`` out.
    """
    rows = np.arange(len(data))
    if splits is not None:
        rows = np.flatnonzero(np.isin(data.split, [SPLIT_CODES[split] for split in splits]))
    rows = rows[np.lexsort((data.item_row[rows], data.time[rows], data.user_row[rows]))]
    users = len(data.users)
    counts = np.bincount(data.user_row[rows], minlength=users)
    # place of each event counted from its user's end
    from_end = np.repeat(np.cumsum(counts), counts) - np.arange(len(rows))
    rows = rows[from_end <= last]
    lengths = np.minimum(counts, last).astype(np.int64)
    return Behaviour(
        Ragged.from_lengths(data.item_row[rows], lengths),
        data.time[rows],
        data.labels[rows],
        tuple(data.encoder.interaction_tasks),
        data.scenario[rows] if data.schema.keys.scenario is not None else None,
    )


def liking(schema: Schema) -> str | None:
    """The task whose positive label says that a user liked an item: :attr:`motet.schema.Schema.liking_task`."""
    return schema.liking_task
