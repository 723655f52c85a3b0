"""The network beside a plain method: one number for every output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from motet.models import Inputs
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part

__all__ = ["PLAIN", "Constant", "ConstantOptions"]

PLAIN: Final = ("ease", "item_knn", "als", "lightgbm", "hybrid_mf")
"""Architectures that are a plain method: a bundle serves it, with base rates for what it does not predict."""


class ConstantOptions(Part):
    """No options."""


class Constant(Architecture):
    """yₖ = bₖ, the base rate of each task; what else is predicted comes from a plain method."""

    about = About("plain", "a plain method alone; base rates for what it does not predict")

    def __init__(self, *, shape: Shape, options: ConstantOptions) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(sum(shape.outputs)))

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        return self.bias.repeat(len(inputs.item_of_row), 1)
