"""The data set: tables, labels, and user histories strictly before each interaction, without a copy for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._catalogue import Catalogue
from motet.data._containers import Ragged
from motet.data._encoder import Encoder
from motet.data._labels import SPLIT_CODES
from motet.schema import Entity, Schema

__all__ = ["Dataset", "EntityLabels", "EntityTable", "History", "build_history"]


@dataclass(frozen=True, slots=True)
class History:
    """Events of each user, oldest first, and how many of them are strictly before an interaction.

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
        Two events with the same timestamp do not see each other.

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


# The data set: columnar, encoded once, entities stored once.
#
# Legend of shapes: N interactions, U users, I items, n rows of any one entity, C codes, M numbers,
# V vector features, K labels of a multi-label task, D width of a vector.


@dataclass(frozen=True, slots=True)
class EntityTable:
    """Encoded inputs of all rows of one entity.

    Attributes:
        codes: Ids and categories as rows of the one embedding table, int32, shape [n, C].
        numbers: Scaled numbers without gaps, float32, shape [n, M].
        tags: Per tag feature, rows of the one embedding table.
        vector_rows: Per vector or text feature, a row of ``Dataset.vectors``, int32, shape [n, V].
    """

    codes: NDArray[np.int32]
    numbers: NDArray[np.float32]
    tags: Mapping[str, Ragged]
    vector_rows: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class EntityLabels:
    """Labels of a task on items or users.

    Attributes:
        values: float32 with NaN where missing, shape [n] or [n, K].
        split: Code of :data:`SPLIT_CODES` for each row, shape [n]; a seeded draw over labelled rows.
    """

    values: NDArray[np.float32]
    split: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set, ready for batches.

    Attributes:
        schema: What it is.
        encoder: Fitted vocabularies and scales, which encode raw rows the same way again.
        users: One row per user; a single empty row where the schema has no users.
        items: One row per item; likewise.
        context: One row per interaction.
        vectors: Per text or vector feature a matrix [rows, D] float32, row 0 all zeros: missing.
        texts: Per text feature the distinct texts, aligned with the rows of its matrix.
        histories: Per sequence feature.
        user_row: Row of ``users`` of each interaction, int32 [N].
        item_row: Row of ``items``, int32 [N].
        scenario: Code of the scenario, 0 for unknown, int16 [N]; names in ``encoder.scenarios``.
        time: Microseconds since 1970, int64 [N]; zeros where the schema has no time.
        labels: float32 with NaN where missing, shape [N, T]: the tasks on interactions, in schema
            order (``encoder.interaction_tasks``). A class is its code, a multi-label task says 1
            where its set is known.
        label_sets: Per multi-label task on interactions, the label codes of each interaction.
        entity_labels: Per task on items or users.
        split: Code of :data:`SPLIT_CODES` of each interaction, uint8 [N].
        user_ids: Id of each row of ``users``.
        item_ids: Id of each row of ``items``.
        sides: Per entity, the text of the columns that templates of the interaction name, such as
            ``user.about``, a row each: such a text is only known with the user it belongs to.
        catalogue: Items as people read them; None where the schema has no items.
        versions: Per text feature that training changes, its matrix with the texts of training rows in each changed
            version, [copies, rows, D]; empty for a data set that an encoder was not fitted on.
    """

    schema: Schema
    encoder: Encoder
    users: EntityTable
    items: EntityTable
    context: EntityTable
    vectors: Mapping[str, NDArray[np.float32]]
    texts: Mapping[str, list[str]]
    histories: Mapping[str, History]
    user_row: NDArray[np.int32]
    item_row: NDArray[np.int32]
    scenario: NDArray[np.int16]
    time: NDArray[np.int64]
    labels: NDArray[np.float32]
    label_sets: Mapping[str, Ragged]
    entity_labels: Mapping[str, EntityLabels]
    split: NDArray[np.uint8]
    user_ids: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))
    item_ids: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))
    sides: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    catalogue: Catalogue | None = None
    versions: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.user_row)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Row numbers of one split, in file order."""
        return np.flatnonzero(self.split == SPLIT_CODES[split])

    def table(self, entity: Entity) -> EntityTable:
        """The encoded table of an entity."""
        return {"user": self.users, "item": self.items, "interaction": self.context}[entity]

    def label(self, task: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Labels of a task on interactions.

        Args:
            task: Name of a task on interactions.
            rows: Row numbers of interactions, shape [N'].

        Returns:
            Shape [N'], or [N', K] for a multi-label task; NaN where the label is missing.
        """
        column: NDArray[np.float32] = self.labels[rows, self.encoder.interaction_tasks.index(task)]
        sets = self.label_sets.get(task)
        if sets is None:
            return column
        dense = sets.take(rows).multi_hot(len(self.encoder.classes[task]))
        dense[np.isnan(column)] = np.nan
        return dense
