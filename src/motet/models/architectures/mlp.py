"""A plain perceptron with one output layer for all tasks: shared bottom without towers."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.models import FirstExperts, Inputs
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part

__all__ = ["Mlp", "MlpOptions"]


class MlpOptions(Part):
    """Options of the perceptron.

    Attributes:
        hidden: Layer widths.
    """

    hidden: tuple[PositiveInt, ...] = Field((256, 128), min_length=1)


class Mlp(Architecture):
    """y = W·f(x) + b with one perceptron f."""

    about = About("network", "one perceptron, one output layer")

    def __init__(self, *, shape: Shape, options: MlpOptions) -> None:
        super().__init__()
        self.trunk = FirstExperts(widths=shape.widths, count=1, hidden=options.hidden, dropout=shape.dropout)
        self.out = nn.Linear(self.trunk.width, sum(shape.outputs))

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        h, _ = self.trunk(inputs)
        logits: Tensor = self.out(h[0])
        return logits
