"""What an architecture is: from inputs to one logit a task and class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from motet.models import Inputs, Widths
from motet.schema import Entity

__all__ = ["Architecture", "Shape"]


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
    """

    widths: Widths
    tasks: tuple[str, ...]
    outputs: tuple[int, ...]
    entity_outputs: Mapping[str, int]
    scenarios: int = 0
    dropout: float = 0.0
    fields: Mapping[Entity, tuple[int, ...]] = field(default_factory=dict)


class Architecture(nn.Module, ABC):
    """A trunk with its towers."""

    @abstractmethod
    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        """Compute logits.

        Args:
            inputs: Input vectors of the batch.
            item_logits: Logits of the tasks on items, [I, K] each.

        Returns:
            [B, W], task after task.
        """
