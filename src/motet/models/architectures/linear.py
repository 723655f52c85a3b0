"""Linear and logistic regression over embeddings: no hidden layer, nothing shared but the inputs."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from motet.models import FactorisedLinear, Inputs
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part

__all__ = ["Linear", "LinearOptions"]


class LinearOptions(Part):
    """No options."""


class Linear(Architecture):
    """y = W·[u; i; c] + b, one row of W an output."""

    about = About("network", "one linear layer a task")

    def __init__(self, *, shape: Shape, options: LinearOptions) -> None:
        super().__init__()
        self.layer = FactorisedLinear(widths=shape.widths, out=sum(shape.outputs))

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = self.layer(inputs)
        return logits
