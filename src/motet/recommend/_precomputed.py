"""The item side of the model, computed once for the whole catalogue."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motet.data import Batch, Batcher, Dataset, EntityTable
from motet.models import Inputs, MultiTaskModel
from motet.models.baselines import PairMember
from motet.recommend._raw_rows import ContextRows
from motet.schema import Entity

__all__ = ["ItemSide", "PrecomputedItems", "attends", "item_side"]


@dataclass(frozen=True, slots=True)
class ItemSide:
    """What the model makes of items alone.

    Attributes:
        item: Input vectors, [I, Di].
        parts: Per first layer, its product with ``item``, [I, out]; empty where it is not kept.
        logits: Per task on items, [I, K].
        retrieval: Vectors and biases of the items, [I, Dr] and [I]; None without such a task.
        members: What plain members of tasks make of items alone, [I, …]; empty where that is nothing.
    """

    item: Tensor
    parts: Mapping[nn.Module, Tensor]
    logits: Mapping[str, Tensor]
    retrieval: tuple[Tensor, Tensor] | None
    members: Mapping[PairMember, NDArray[Any]] = field(default_factory=dict)


def item_side(
    model: MultiTaskModel,
    data: Dataset,
    context_rows: ContextRows,
    rows: NDArray[np.int32],
    *,
    parts: bool = True,
    members: Collection[PairMember] = (),
) -> ItemSide:
    """Compute the item side of some items.

    Args:
        model: In evaluation mode.
        data: With the items.
        context_rows: Any context row.
        rows: Rows of the items, [n].
        parts: Whether products of first layers are kept too, and what ``members`` make of the items.
        members: Plain members of tasks.
    """
    tables: dict[Entity, EntityTable] = {
        "user": data.users,
        "item": data.items,
        "interaction": context_rows.table,
    }
    of_members = {m: m.item_part(tables, rows.astype(np.int64)) for m in (members if parts else ())}
    with torch.no_grad():
        inputs = model.features(_batch(data, context_rows, 0, rows))
        retrieval = (
            model.retrieval.item(inputs.item, inputs.as_event) if model.retrieval is not None else None
        )
        return ItemSide(
            item=inputs.item,
            parts=model.item_parts(inputs.item) if parts else {},
            logits={task: model.entity_heads[task](inputs.visible[task]) for task in model.item_tasks},
            retrieval=retrieval,
            members={member: part for member, part in of_members.items() if part is not None},
        )


def attends(data: Dataset) -> bool:
    """Whether a sequence of the user attends to the scored item, so that little can be precomputed."""
    return any(f.sees_item for f in data.schema.features.user.values())


class PrecomputedItems:
    """Scores many items for one user: the user's part is computed once, the items' part ahead.

    The numbers equal those of the plain path up to rounding.

    Args:
        model: In evaluation mode.
        context_rows: One context row, in which every item is shown.
        data: The data set with the items.
        side: The items' side, where it is known already.
    """

    def __init__(
        self, model: MultiTaskModel, data: Dataset, context_rows: ContextRows, side: ItemSide | None = None
    ) -> None:
        self.model, self.context_rows = model, context_rows
        self._attends = attends(data)
        if side is None:
            side = item_side(
                model, context_rows.data, context_rows, np.arange(len(data.items), dtype=np.int32)
            )
        self._side = side
        self.items = len(self._side.item)
        self.members = self._side.members

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
            return self._towers(self._user_inputs(data, user, rows), rows)

    def inputs_of_user(self, data: Dataset, user: int) -> Inputs | None:
        """What the model makes of a user before it knows the items; None where it must know them."""
        if self._attends:
            return None
        with torch.inference_mode():
            return self._user_inputs(data, user, np.zeros(1, np.int64))

    def every_task(
        self, data: Dataset, user: int, items: NDArray[np.int64], inputs: Inputs | None = None
    ) -> dict[str, Tensor]:
        """Predictions of every task for items and one user, before the link functions.

        Args:
            data: The data set, perhaps with users added at the end.
            user: Row of the user.
            items: Rows of the items, [n].
            inputs: Of the user, where :meth:`inputs_of_user` gave them before.

        Returns:
            [n] or [n, K] each, retrieval's score among them.
        """
        n, side, schema = len(items), self._side, data.schema
        with torch.inference_mode():
            inputs = self._user_inputs(data, user, items) if inputs is None else inputs
            found = self._towers(inputs, items)
            at = torch.from_numpy(items)
            for task, logits in side.logits.items():
                found[task] = _narrow(logits.index_select(0, at))
            for task, head in self.model.entity_heads.items():
                if task not in side.logits:
                    once = _narrow(head(inputs.visible[task][:1]))
                    found[task] = once.expand(n, *once.shape[1:])
            if side.retrieval is not None and self.model.retrieval is not None:
                vectors, bias = side.retrieval
                query = self.model.retrieval.query(inputs.user[:1], inputs.scenario[:1])[0]
                score = torch.addmv(bias.index_select(0, at), vectors.index_select(0, at), query)
                found |= {name: score for name, task in schema.tasks.items() if task.ranks_catalogue}
            return found

    def user_vector(
        self, data: Dataset, user: int, inputs: Inputs | None = None
    ) -> NDArray[np.float32] | None:
        """Vector of a user that retrieval compares items with, [Dr]; None without such a task."""
        if self.model.retrieval is None:
            return None
        with torch.inference_mode():
            if inputs is None:
                inputs = self._user_inputs(data, user, np.zeros(1, np.int64))
            vector: NDArray[np.float32] = self.model.retrieval.query(inputs.user[:1], inputs.scenario[:1])[
                0
            ].numpy()
            return vector

    @property
    def vectors(self) -> NDArray[np.float32] | None:
        """Vectors of the items that retrieval compares users with, [I, Dr]; None without such a task."""
        if self._side.retrieval is None:
            return None
        vectors: NDArray[np.float32] = self._side.retrieval[0].numpy()
        return vectors

    @property
    def retrieval_arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vectors and biases of the items that retrieval compares users with, [I, Dr] and [I]."""
        assert self._side.retrieval is not None  # noqa: S101 (asked for where there is such a task only)
        vectors, bias = self._side.retrieval
        return vectors.numpy(), bias.numpy()

    def retrieve(self, data: Dataset, user: int) -> Tensor:
        """Retrieval score of every item for one user, [I]."""
        assert self.model.retrieval is not None  # noqa: S101 (asked for retrieval tasks only)
        assert self._side.retrieval is not None  # noqa: S101
        vectors, bias = self._side.retrieval
        with torch.inference_mode():
            inputs = self._user_inputs(data, user, np.zeros(1, np.int64))
            query = self.model.retrieval.query(inputs.user[:1], inputs.scenario[:1])[0]
            return torch.addmv(bias, vectors, query)

    def _towers(self, inputs: Inputs, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        side, at = self._side, torch.from_numpy(rows)
        item, logits = side.item, side.logits
        if not side.parts:  # only what is asked for goes through the first layers
            item = item.index_select(0, at)
            logits = {task: y.index_select(0, at) for task, y in logits.items()}
            at = torch.arange(len(rows))
        everything = replace(
            inputs,
            item=item,
            item_of_row=at,
            user_of_row=torch.zeros(len(rows), dtype=torch.int64),
            scenario=inputs.scenario[:1].expand(len(rows)),
            item_parts=dict(side.parts),
            _rows={},  # those of a user may be asked for again, with other items
        )
        return self.model.logits_of(everything, logits)

    def _user_inputs(self, data: Dataset, user: int, items: NDArray[np.int64]) -> Inputs:
        # only target attention needs to know the items before the first layer
        rows = (items if self._attends else items[:1]).astype(np.int32)
        inputs: Inputs = self.model.features(_batch(data, self.context_rows, user, rows))
        return inputs


def _narrow(values: Tensor) -> Tensor:
    return values.squeeze(1) if values.shape[1] == 1 else values


def _batch(data: Dataset, context_rows: ContextRows, user: int, items: NDArray[np.int32]) -> Batch:
    users = np.full(len(items), user, np.int32)
    before = {name: history.known[users] for name, history in data.histories.items()}
    of_context = data.encoder.layout("interaction").vectors
    vectors = {**data.vectors, **{name: context_rows.data.vectors[name] for name in of_context}}
    batcher = Batcher(replace(data, vectors=vectors))
    context = (context_rows.table, context_rows.scenario)
    return batcher.assemble(users, items, before, np.zeros(len(items), np.int64), context=context)
