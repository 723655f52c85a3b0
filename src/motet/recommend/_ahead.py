"""The item side of the model, computed once for the whole catalogue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motet.data import Batch, Batcher, Dataset
from motet.models import FactorisedLinear, Inputs, Model
from motet.recommend._raw_rows import Moments

__all__ = ["ItemsAhead"]


class ItemsAhead:
    """Scores many items for one user: the user's part is computed once, the items' part ahead.

    The numbers equal those of the plain path up to rounding.

    Args:
        model: In evaluation mode.
        moment: One context row, in which everything is shown.
        data: The data set whose items are meant.
    """

    def __init__(self, model: Model, data: Dataset, moment: Moments) -> None:
        self.model, self.moment = model, moment
        self.items = len(data.items)
        users = data.schema.features.user.values()
        self._attends = any(f.kind == "sequence" and f.encoder == "target" for f in users)
        with torch.inference_mode():
            inputs = model.features(self._batch(moment.data, 0, np.arange(self.items, dtype=np.int32)))
            self._item = inputs.item
            self._parts: dict[nn.Module, Tensor] = {
                layer: layer.item_part(inputs.item)
                for layer in model.modules()
                if isinstance(layer, FactorisedLinear) and layer.widths.item
            }
            self._item_logits = {
                task: model.entity_heads[task](inputs.visible[task]) for task in model.item_tasks
            }
            self._retrieval = model.retrieval.item(inputs.item) if model.retrieval is not None else None

    def score(self, data: Dataset, user: int, items: NDArray[np.int64] | None = None) -> dict[str, Tensor]:
        """Logits of every task with a tower, for one user.

        Args:
            data: The data set, perhaps with users added at the end.
            user: Row of the user.
            items: Rows of the items, [n]; all when left out.

        Returns:
            [n] or [n, K] each.
        """
        rows = np.arange(self.items) if items is None else items
        with torch.inference_mode():
            # only target attention needs to know the items before the first layer
            inputs = self._user_inputs(data, user, rows if self._attends else rows[:1])
            at = torch.from_numpy(rows)
            everything = replace(
                inputs,
                item=self._item,
                item_of_row=at,
                user_of_row=torch.zeros(len(rows), dtype=torch.int64),
                scenario=inputs.scenario[:1].expand(len(rows)),
                item_parts=self._parts,
            )
            return self.model.logits_of(everything, self._item_logits)

    @property
    def vectors(self) -> NDArray[np.float32] | None:
        """Vectors of the items that retrieval compares users with, [I, Dr]; None without such a task."""
        if self._retrieval is None:
            return None
        vectors: NDArray[np.float32] = self._retrieval[0].numpy()
        return vectors

    def retrieve(self, data: Dataset, user: int) -> Tensor:
        """Retrieval score of every item for one user, [I]."""
        assert self.model.retrieval is not None  # noqa: S101 (asked for retrieval tasks only)
        assert self._retrieval is not None  # noqa: S101
        vectors, bias = self._retrieval
        with torch.inference_mode():
            inputs = self._user_inputs(data, user, np.zeros(1, np.int64))
            return torch.addmv(bias, vectors, self.model.retrieval.user(inputs.user)[0])

    def _user_inputs(self, data: Dataset, user: int, items: NDArray[np.int64]) -> Inputs:
        inputs: Inputs = self.model.features(self._batch(data, user, items.astype(np.int32)))
        return inputs

    def _batch(self, data: Dataset, user: int, items: NDArray[np.int32]) -> Batch:
        users = np.full(len(items), user, np.int32)
        before = {name: history.known[users] for name, history in data.histories.items()}
        context = (self.moment.table, self.moment.scenario)
        data = replace(data, vectors=self.moment.data.vectors)
        return Batcher(data).assemble(users, items, before, np.zeros(len(items), np.int64), context=context)
