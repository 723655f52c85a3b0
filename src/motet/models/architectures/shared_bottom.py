"""Shared bottom (Caruana 1997): one trunk for all tasks, one tower each."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, PositiveInt
from torch import Tensor

from motet.models import FirstExperts, Inputs, Towers
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part

__all__ = ["SharedBottom", "SharedBottomOptions"]


class SharedBottomOptions(Part):
    """Options of the shared bottom.

    Attributes:
        hidden: Layer widths of the trunk.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    hidden: tuple[PositiveInt, ...] = Field((256, 128), min_length=1)
    tower: int = Field(32, ge=0)


class SharedBottom(Architecture):
    """yₖ = hᵏ(f(x)): one trunk f, towers hᵏ."""

    about = About("sharing", "one shared perceptron, one tower a task", "Caruana 1997, Multitask learning")

    def __init__(self, *, shape: Shape, options: SharedBottomOptions) -> None:
        super().__init__()
        self.trunk = FirstExperts(widths=shape.widths, count=1, hidden=options.hidden, dropout=shape.dropout)
        self.towers = Towers(
            width=self.trunk.width,
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )
        self.tasks = len(shape.outputs)

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        h, _ = self.trunk(inputs)  # [1, B, H]
        logits: Tensor = self.towers(h.expand(self.tasks, -1, -1), inputs.scenario)
        return logits
