"""One perceptron a task; tasks share the embeddings and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, PositiveInt
from torch import Tensor

from motet.models import FirstExperts, Inputs, Towers
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part

__all__ = ["SingleTask", "SingleTaskOptions"]


class SingleTaskOptions(Part):
    """Options of the separate perceptrons.

    Attributes:
        hidden: Layer widths of each.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    tower: int = Field(32, ge=0)


class SingleTask(Architecture):
    """yₖ = hᵏ(fᵏ(x)): a trunk fᵏ for every task."""

    about = About("sharing", "one perceptron a task; tasks share the embeddings and nothing else")

    def __init__(self, *, shape: Shape, options: SingleTaskOptions) -> None:
        super().__init__()
        self.trunks = FirstExperts(
            widths=shape.widths, count=len(shape.outputs), hidden=options.hidden, dropout=shape.dropout
        )
        self.towers = Towers(
            width=self.trunks.width,
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        h, _ = self.trunks(inputs)
        logits: Tensor = self.towers(h, inputs.scenario)
        return logits
