"""What an architecture is: from inputs to one logit a task and class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor, nn

from motet.models import Inputs, Widths
from motet.schema import Entity

__all__ = ["About", "Architecture", "Family", "Shape"]

Family = Literal["plain", "network", "sharing", "funnel", "scenario"]
"""Plain methods; networks that treat tasks alike; ways to share among tasks; tasks in steps; ways to serve scenarios."""


@dataclass(frozen=True, slots=True)
class About:
    """What ``motet models`` says of an architecture.

    Attributes:
        family: What it is for.
        summary: One line, without a full stop.
        paper: Authors, year, and short title; empty if there is none.
        needs: What the schema has to have, in a few words each; empty if it works with any.
    """

    family: Family
    summary: str
    paper: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """What surrounds an architecture.

    Attributes:
        widths: Widths of the inputs.
        tasks: Names of the tasks on interactions that have a tower, in schema order.
        outputs: Outputs of each: 1, or its number of classes.
        entity_outputs: Outputs of each task on items, by name.
        scenarios: Number of scenario codes if tasks are gated by scenario, else 0.
        dropout: Share of hidden units dropped.
        fields: Width of each field that the inputs of users, items and rows are made of, in order.
        scenario_codes: Number of scenario codes, 0 for unknown included, whether tasks are gated or not; 0 where the
            schema has no scenario.
        scenario_columns: First column of the inputs of rows that embeds the scenario, and the one behind the last;
            the same where the schema has no scenario.
        histories: Likewise, of the user's inputs, those that sum up the events of each history; all of one width.
        after: The task that must be 1 for the label of another to be defined, by the name of that other; of the
            tasks that have a tower.
        chances: Tasks whose label is 0 or 1 and whose prediction is the sigmoid of their logit.
    """

    widths: Widths
    tasks: tuple[str, ...]
    outputs: tuple[int, ...]
    entity_outputs: Mapping[str, int]
    scenarios: int = 0
    dropout: float = 0.0
    fields: Mapping[Entity, tuple[int, ...]] = field(default_factory=dict)
    scenario_codes: int = 0
    scenario_columns: tuple[int, int] = (0, 0)
    histories: tuple[tuple[int, int], ...] = ()
    after: Mapping[str, str] = field(default_factory=dict)
    chances: frozenset[str] = frozenset()


class Architecture(nn.Module, ABC):
    """A trunk with its towers.

    Attributes:
        about: What ``motet models`` says of it; None for one that says nothing.
    """

    about: ClassVar[About | None] = None

    @abstractmethod
    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        """Compute logits.

        Args:
            inputs: Input vectors of the batch.
            item_logits: Logits of the tasks on items, [I, K] each.

        Returns:
            [B, W], task after task.
        """

    def with_extra(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The logits, and what a loss of its own needs beside them.

        Returns:
            What ``forward`` gives, [B, W], and further outputs for :meth:`losses`, [B, X]; none by default.
        """
        logits: Tensor = self(inputs, item_logits)
        return logits, logits[:, :0]

    def losses(
        self, logits: Mapping[str, Tensor], labels: Mapping[str, Tensor], extra: Tensor
    ) -> dict[str, Tensor]:
        """Losses that stand in the place of those of the task kinds.

        A task of which no label is known where one could be must have the loss 0 and leave no gradient.

        Args:
            logits: Per task with a tower, [B] or [B, K].
            labels: Per task on interactions, [B] or [B, K]; NaN where unknown.
            extra: What :meth:`with_extra` gave, [B, X].

        Returns:
            By task, a scalar each; a task that is left out keeps the loss of its kind. None by default.
        """
        return {}
