"""MMoE.

Ma et al. 2018, "Modeling task relationships in multi-task learning with multi-gate
mixture-of-experts", eq. 6–8.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from motet.models import FirstExperts, Inputs, Towers, mixture_weights
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part

__all__ = ["Mmoe", "MmoeOptions"]


class MmoeOptions(Part):
    """Options of MMoE.

    Attributes:
        experts: Number of experts n.
        hidden: Layer widths of each expert.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    experts: int = Field(8, ge=1)
    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    tower: int = Field(32, ge=0)


class Mmoe(Architecture):
    """yₖ = hᵏ(Σᵢ gᵏ(x)ᵢ·fᵢ(x)), gᵏ(x) = softmax(W_gᵏ·x): experts fᵢ, one gate gᵏ a task."""

    about = About(
        "sharing",
        "shared experts, mixed by one gate a task",
        "Ma et al. 2018, Modeling task relationships in multi-task learning with multi-gate mixture-of-experts",
    )

    def __init__(self, *, shape: Shape, options: MmoeOptions) -> None:
        super().__init__()
        self.tasks = len(shape.outputs)
        self.experts = FirstExperts(
            widths=shape.widths,
            count=options.experts,
            hidden=options.hidden,
            gates=self.tasks * options.experts,
            dropout=shape.dropout,
        )
        self.towers = Towers(
            width=self.experts.width,
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        experts, gates = self.experts(inputs)  # [E, B, H], [B, T·E]
        g = mixture_weights(gates.unflatten(1, (self.tasks, -1)))  # [B, T, E]
        mixed = torch.bmm(g, experts.transpose(0, 1)).transpose(0, 1)  # eq. 6, [T, B, H]
        logits: Tensor = self.towers(mixed, inputs.scenario)
        return logits
