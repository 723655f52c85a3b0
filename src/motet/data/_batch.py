"""A batch: unique users and items, with indices into them.

Legend of shapes: B rows of the batch, U unique users (with their history), I unique items,
n rows of any one side, R unique rows of the embedding table, C codes, M numbers, L events,
D width of a vector, K labels of a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from motet.schema import Entity

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Batch", "Events", "Side", "Tags"]


@dataclass(frozen=True, slots=True)
class Tags:
    """Sets of embedding rows: positions in ``Batch.ids``, int64 [total], and where each set starts, [n]."""

    positions: Tensor
    starts: Tensor


@dataclass(frozen=True, slots=True)
class Events:
    """The last events of each user, oldest first, padded at the end.

    Attributes:
        positions: Positions in ``Batch.ids``, int64 [n, L]; padding repeats the first id.
        lengths: int64 [n].
        total: All events so far, before the cut to L, float32 [n].
    """

    positions: Tensor
    lengths: Tensor
    total: Tensor


@dataclass(frozen=True, slots=True)
class Side:
    """Inputs of n unique users, n unique items, or the n rows of the batch.

    Attributes:
        codes: Positions in ``Batch.ids``, int64 [n, C].
        numbers: float32 [n, M].
        tags: Per tag feature.
        vectors: Per text or vector feature, float32 [n, D].
        events: Per sequence feature (users only).
    """

    codes: Tensor
    numbers: Tensor
    tags: Mapping[str, Tags]
    vectors: Mapping[str, Tensor]
    events: Mapping[str, Events]

    def __len__(self) -> int:
        return self.codes.shape[0]


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's worth of rows.

    Attributes:
        ids: Distinct rows of the embedding table that the batch needs, int64 [R].
        user: U unique users; a user at two moments with different histories counts twice.
        item: I unique items: those of the rows first, then ``negatives`` drawn for retrieval.
        context: The B rows themselves.
        user_of_row: int64 [B] into ``user``.
        item_of_row: int64 [B] into ``item``.
        scenario: Code of the scenario, int64 [B].
        labels: Per task on interactions, float32 [B] or [B, K], NaN where missing.
        item_labels: Per task on items, float32 [I] or [I, K]; only training labels, in training batches.
        user_labels: Per task on users, likewise [U] or [U, K].
        item_rows: Which items of the data set these are, int64 [I].
        had: Pairs (place in ``user``, place in ``item``) of users and items of their histories,
            int64 [2, P]; only in batches with negatives.
        item_log_q: Log of the chance that each item is in the batch's item list, float32 [I].
        rows: Row numbers in the data set, int64 [B].
    """

    ids: Tensor
    user: Side
    item: Side
    context: Side
    user_of_row: Tensor
    item_of_row: Tensor
    scenario: Tensor
    labels: Mapping[str, Tensor]
    rows: NDArray[np.int64]
    item_rows: Tensor
    item_log_q: Tensor
    had: Tensor
    item_labels: Mapping[str, Tensor] = field(default_factory=dict)
    user_labels: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.context.codes.shape[0]

    def side(self, entity: Entity) -> Side:
        """The side of an entity."""
        return {"user": self.user, "item": self.item, "interaction": self.context}[entity]
