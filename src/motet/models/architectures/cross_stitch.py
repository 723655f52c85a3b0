"""Cross-stitch networks.

Misra, Shrivastava, Gupta & Hebert 2016, "Cross-stitch networks for multi-task learning", eq. 1. One network a task;
after every layer each task goes on with a learnt linear combination of what all tasks have there:

    x̃_k = Σ_j α_kj·x_j        (eq. 1, for two tasks in the paper)

α_kk starts at ``own`` and the rest of 1 is divided among the other tasks. The paper stitches convolutional networks,
after pooling and fully connected layers, with one α for each channel. Here it is after every layer, with an α for each
hidden unit (``per_unit``) or one for the layer.

Legend of shapes: B rows, T tasks, H width of a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.models import FirstExperts, Inputs, ParallelLayers, Towers
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part

__all__ = ["CrossStitch", "CrossStitchOptions"]


class CrossStitchOptions(Part):
    """Options of cross-stitch networks.

    Attributes:
        hidden: Layer widths of each task's network; a stitch follows each layer.
        own: α of a task for itself at the start; the rest of 1 is divided among the others.
        per_unit: Whether each hidden unit has an α of its own, as channels have in the paper; else one for the layer.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    own: float = Field(0.9, gt=0, le=1)
    per_unit: bool = True
    tower: int = Field(32, ge=0)


class CrossStitch(Architecture):
    """x̃_k = Σ_j α_kj·x_j after every layer of one network a task, then yₖ = hᵏ(x̃_k)."""

    about = About(
        "sharing",
        "one network a task, mixed linearly after every layer",
        "Misra et al. 2016, Cross-stitch networks for multi-task learning",
    )

    def __init__(self, *, shape: Shape, options: CrossStitchOptions) -> None:
        super().__init__()
        tasks, hidden = len(shape.outputs), options.hidden
        self.first = FirstExperts(widths=shape.widths, count=tasks, hidden=hidden[:1], dropout=shape.dropout)
        self.rest = nn.ModuleList(
            ParallelLayers(count=tasks, inputs=inputs, hidden=[out], dropout=shape.dropout)
            for inputs, out in pairwise(hidden)
        )
        others = (1 - options.own) / max(1, tasks - 1)
        start = torch.full((tasks, tasks), others).fill_diagonal_(options.own if tasks > 1 else 1.0)
        self.stitches = nn.ParameterList(
            nn.Parameter(start.expand(width if options.per_unit else 1, -1, -1).clone()) for width in hidden
        )  # α [H or 1, T, T]
        self.towers = Towers(
            width=hidden[-1],
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        x, _ = self.first(inputs)  # [T, B, H]
        x = stitch(self.stitches[0], x)
        for layer, alpha in zip(self.rest, self.stitches[1:], strict=True):
            x = stitch(alpha, layer(x))
        logits: Tensor = self.towers(x, inputs.scenario)
        return logits


def stitch(alpha: Tensor, x: Tensor) -> Tensor:
    """x̃_k = Σ_j α_kj·x_j, α [H or 1, T, T], x [T, B, H] → [T, B, H]."""
    if len(alpha) == 1:
        mixed: Tensor = (alpha[0] @ x.flatten(1)).view_as(x)
        return mixed
    return torch.einsum("htj,jbh->tbh", alpha, x)
