"""Asks the model: the score of an item for a user, as it is and with something taken away.

Legend of shapes: n variants, m items, B = n · m rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.bundle import Bundle
from motet.data import Batcher, Dataset
from motet.errors import DataError
from motet.explain._variants import history_of, items_without, users_with
from motet.models import Inputs, Outputs
from motet.recommend import Moments
from motet.schema import Schema

__all__ = ["Probe", "ranking_task"]


def ranking_task(schema: Schema) -> str:
    """The task that items are ranked by where nobody says otherwise.

    Raises:
        DataError: If there is none.
    """
    if schema.ranking_task is None:
        raise DataError(
            f"the schema '{schema.name}' has no task to rank by",
            "add a binary, regression or retrieval task on interactions",
        )
    return schema.ranking_task


class Probe:
    """Scores of one task, before the link function.

    Args:
        bundle: The trained model and what it knows.
        moment: The moment in which items are looked at.
        items: Gives the items, where they are others than the bundle's, when they are first looked at.
    """

    def __init__(
        self, bundle: Bundle, moment: Callable[[], Moments], items: Callable[[], Dataset] | None = None
    ) -> None:
        self.bundle, self.task = bundle, ranking_task(bundle.schema)
        self._moment, self._items = moment, items

    def past(self, user: int) -> dict[str, NDArray[np.int32]]:
        """What the model sees of a user's past, per sequence feature."""
        return history_of(self.bundle.data, user)

    def with_pasts(
        self, user: int, items: Sequence[int], pasts: Sequence[Mapping[str, NDArray[np.int32]]]
    ) -> NDArray[np.float32]:
        """Scores of items for a user with each of several pasts, [n, m]."""
        if not len(pasts) or not len(items):
            return np.zeros((len(pasts), len(items)), np.float32)
        data = users_with(self.moment.data, user, pasts)
        users = np.repeat(np.arange(len(pasts), dtype=np.int32), len(items))
        rows = np.tile(np.asarray(items, np.int32), len(pasts))
        return self.score(data, users, rows).reshape(len(pasts), len(items))

    def without_tags(
        self, user: int, item: int, tags: Sequence[Sequence[tuple[str, str]]]
    ) -> NDArray[np.float32]:
        """Scores of an item for a user without each of several sets of its tags, [n]."""
        if not len(tags):
            return np.zeros(0, np.float32)
        data = items_without(self.moment.data, item, tags)
        rows = np.arange(len(data.items) - len(tags), len(data.items), dtype=np.int32)
        return self.score(data, np.full(len(tags), user, np.int32), rows)

    @cached_property
    def moment(self) -> Moments:
        """The moment in which items are looked at."""
        moment = self._moment()
        if self._items is None:
            return moment
        data = self._items()
        vectors = {name: data.vectors[name] for name in data.encoder.layout("item").vectors}
        vectors = {**moment.data.vectors, **vectors}
        return replace(moment, data=replace(moment.data, items=data.items, vectors=vectors))

    def inputs(
        self, data: Dataset, users: NDArray[np.int32], items: NDArray[np.int32], *, past: bool = True
    ) -> Inputs:
        """Input vectors of pairs of users and items, with their pasts or as if they had none."""
        moment = self.moment
        before = {
            name: history.known[users] if past else np.zeros(len(users), np.int32)
            for name, history in data.histories.items()
        }
        batch = Batcher(data).assemble(
            users, items, before, np.zeros(len(users), np.int64), context=(moment.table, moment.scenario)
        )
        with torch.inference_mode():
            inputs: Inputs = self.bundle.model.features(batch)
        return inputs

    def score(self, data: Dataset, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of pairs, [B]."""
        with torch.inference_mode():
            return self.read(self.bundle.model.outputs_of(self.inputs(data, users, items))).numpy()

    def read(self, outputs: Outputs) -> Tensor:
        """The score of each row of a model's outputs, [B]."""
        if self.bundle.schema.tasks[self.task].kind != "retrieval":
            return outputs.logits[self.task]
        of_user, of_item = outputs.inputs.user_of_row, outputs.inputs.item_of_row
        products: Tensor = (outputs.user_vectors[of_user] * outputs.item_vectors[of_item]).sum(1)
        return products + outputs.item_bias[of_item]
