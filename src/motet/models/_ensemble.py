"""Several networks as one: the mean of their logits and of their retrieval scores (Lakshminarayanan et al. 2017, §2.4).

Input vectors of the members stand beside each other, so that what is computed once for a user or an item, ahead of a
request or to explain one, is computed so for an ensemble too.

Legend of shapes: N members; for the others see :mod:`motet.models`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from motet.data import Batch
from motet.models._features import FeatureLayer, Inputs, NamedModules, Widths
from motet.models._model import MultiTaskModel, Outputs, TwoTowers
from motet.schema import Entity, Schema

__all__ = ["RANKING", "EnsembleModel"]

RANKING = "\0ranking"  # no name of a task holds such a sign


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(tensors)).mean(0)


def _parts(x: Tensor, n: int) -> tuple[Tensor, ...]:
    """Columns of each member, [R, N·D] → N times [R, D]."""
    return torch.split(x, x.shape[1] // n, 1) if x.shape[1] else (x,) * n


class _Reference(nn.Module):
    """A module that refers to others without owning their weights, which stand in a state once."""

    def _refer(self, **names: Any) -> None:
        for name, value in names.items():
            object.__setattr__(self, name, value)


class EnsembleFeatures(_Reference, FeatureLayer):
    """The feature layers of all members: their inputs side by side."""

    layers: tuple[FeatureLayer, ...]

    def __init__(self, layers: Sequence[FeatureLayer]) -> None:
        nn.Module.__init__(self)
        first, n = layers[0], len(layers)
        w = first.widths
        self._refer(layers=tuple(layers), table=first.table, own=first.own, sequences=first.sequences)
        self.widths = Widths(n * w.user, n * w.item, n * w.context)
        self.copies = n

    def blocks(self, entity: Entity) -> dict[str, int]:
        """Those of one member; they stand ``copies`` times behind each other."""
        return self.layers[0].blocks(entity)

    def forward(self, batch: Batch) -> Inputs:
        """[u₁; …; u_N], and so on."""
        each = [layer(batch) for layer in self.layers]
        first = each[0]
        return Inputs(
            user=torch.cat([one.user for one in each], 1),
            item=torch.cat([one.item for one in each], 1),
            context=torch.cat([one.context for one in each], 1),
            user_of_row=first.user_of_row,
            item_of_row=first.item_of_row,
            scenario=first.scenario,
            visible={task: torch.cat([one.visible[task] for one in each], 1) for task in first.visible},
            as_event=torch.cat([one.as_event for one in each], 1),
        )


class EnsembleHead(_Reference):
    """Mean of linear heads of the first members, each on its own columns, [n, N·D] → [n, K]."""

    heads: tuple[nn.Module, ...]

    def __init__(self, heads: Sequence[nn.Module], members: int) -> None:
        super().__init__()
        self._refer(heads=tuple(heads))
        self._members = members

    def forward(self, x: Tensor) -> Tensor:
        """The mean."""
        parts = _parts(x, self._members)
        return _mean([head(part) for head, part in zip(self.heads, parts, strict=False)])


class EnsembleTowers(_Reference, TwoTowers):
    """Retrieval whose score is the mean of the first members': [u₁; …; u_N]/N · [v₁; …; v_N] + Σ bₙ/N."""

    towers: tuple[TwoTowers, ...]

    def __init__(self, towers: Sequence[TwoTowers], members: int) -> None:
        nn.Module.__init__(self)
        self._refer(towers=tuple(towers), scenario=None, together=None)
        self._members = members

    def user(self, x: Tensor) -> Tensor:
        """User vectors, [U, N·Du] → [U, N·Dr]."""
        parts = zip(self.towers, _parts(x, self._members), strict=False)
        return torch.cat([tower.user(part) for tower, part in parts], 1) / len(self.towers)

    def shift(self, scenario: Tensor) -> Tensor:
        """What scenarios add to them, [n] → [n, N·Dr]; [n, 0] where there are none."""
        return torch.cat([tower.shift(scenario) for tower in self.towers], 1) / len(self.towers)

    def item(self, x: Tensor, as_event: Tensor) -> tuple[Tensor, Tensor]:
        """Item vectors and biases, [I, N·Di], [I, N·d] → [I, N·Dr], [I]."""
        n = self._members
        parts = zip(self.towers, _parts(x, n), _parts(as_event, n), strict=False)
        vectors, bias = zip(*(tower.item(part, event) for tower, part, event in parts), strict=True)
        return torch.cat(vectors, 1), _mean(bias)


class EnsembleModel(_Reference, MultiTaskModel):
    """Several networks of one shape that answer as one: the mean of their logits, before the link function.

    Retrieval vectors of the members stand behind each other, so that their product is the mean of the members' scores.
    Trunks that look at logits of items see the mean of those of all members.

    Args:
        members: The networks, ≥ 1, of the same schema and encoder; in evaluation mode once they are trained.
        first_alone: For each of :meth:`parts_of`, whether the first network answers alone; none does when left out.
    """

    alone: Tensor

    def __init__(self, members: Sequence[MultiTaskModel], first_alone: Sequence[bool] | None = None) -> None:
        nn.Module.__init__(self)
        first, n = members[0], len(members)
        parts = self.parts_of(first)
        alone = [False] * len(parts) if first_alone is None else list(first_alone)
        self._answering = {part: 1 if one else n for part, one in zip(parts, alone, strict=True)}
        self.members = nn.ModuleList(members)
        self.register_buffer("alone", torch.tensor(alone, dtype=torch.bool), persistent=any(alone))
        self.added = NamedModules()  # none: a task is added to one network alone
        heads = NamedModules()
        for name in first.entity_heads:
            answering = members[: self._answering[name]]
            heads[name] = EnsembleHead([one.entity_heads[name] for one in answering], n)
        answering = members[: self._answering[RANKING]]
        towers = [one.retrieval for one in answering if one.retrieval is not None]
        self._refer(
            features=EnsembleFeatures([one.features for one in members]),
            entity_heads=heads,
            retrieval=EnsembleTowers(towers, n) if towers else None,
            architecture=None,  # each member has its own
        )
        self.shape, self.outputs, self.item_tasks = first.shape, first.outputs, first.item_tasks

    @staticmethod
    def parts_of(network: MultiTaskModel) -> list[str]:
        """What one or all networks of an ensemble answer: tasks with a tower, those on users or items, and the ranking."""
        return [*network.outputs, *network.entity_heads, RANKING]

    @property
    def networks(self) -> tuple[MultiTaskModel, ...]:
        """The members."""
        return tuple(one for one in self.members if isinstance(one, MultiTaskModel))

    def tasks_of(self, number: int, schema: Schema) -> set[str]:
        """The tasks of a schema that a network answers, alone or with others."""
        ranked = self._answering[RANKING] > number
        return {
            name
            for name, task in schema.tasks.items()
            if (ranked if task.ranks_catalogue else self._answering[name] > number)
        }

    def item_parts(self, item: Tensor) -> dict[nn.Module, Tensor]:
        """What first layers of all members make of some items, [I, N·Di]."""
        found: dict[nn.Module, Tensor] = {}
        for one, part in zip(self.networks, _parts(item, len(self.members)), strict=True):
            found |= one.item_parts(part)
        return found

    def logits_of(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean logits of the tasks with a tower, [B] or [B, K] each."""
        own = self._inputs(inputs)
        each = [one.logits_of(part, item_logits) for one, part in zip(self.networks, own, strict=True)]
        return {task: _mean([one[task] for one in each[: self._answering[task]]]) for task in each[0]}

    def outputs_of(self, inputs: Inputs) -> Outputs:
        """Compute all outputs from the input vectors."""
        entity = {task: head(inputs.visible[task]) for task, head in self.entity_heads.items()}
        logits = self.logits_of(inputs, {task: entity[task] for task in self.item_tasks})
        return self._with_retrieval(inputs, logits, entity, inputs.context.new_zeros(len(inputs.scenario), 0))

    def _inputs(self, inputs: Inputs) -> list[Inputs]:
        """The inputs of each member."""
        n = len(self.members)
        sides = zip(
            *(_parts(x, n) for x in (inputs.user, inputs.item, inputs.context, inputs.as_event)), strict=True
        )
        visible = {task: _parts(x, n) for task, x in inputs.visible.items()}
        return [
            Inputs(
                user=user,
                item=item,
                context=context,
                user_of_row=inputs.user_of_row,
                item_of_row=inputs.item_of_row,
                scenario=inputs.scenario,
                visible={task: parts[place] for task, parts in visible.items()},
                as_event=as_event,
                item_parts=inputs.item_parts,
            )
            for place, (user, item, context, as_event) in enumerate(sides)
        ]
