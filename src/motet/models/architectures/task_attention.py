"""Task attention: the multi-task attention network (MTAN).

Liu, Johns & Davison 2019, "End-to-end multi-task learning with attention", CVPR, eq. 1–2, with perceptrons in the place
of convolutions, and without batch normalisation. One shared network of blocks; each task looks at every block through a mask of its own:

    u^j   = relu(U^j·p^{j−1}),  p^j = relu(P^j·u^j)                    shared block j, p⁰ = x
    a_k^1 = h_k^1(g_k^1(u^1))                                          attention of task k, between 0 and 1
    a_k^j = h_k^j(g_k^j([u^j; f^j(â_k^{j−1})])),  j ≥ 2                (eq. 2)
    â_k^j = a_k^j ⊙ p^j                                                (eq. 1)
    yₖ    = towerᵏ(â_k^J)

g is a layer with ReLU, h one with σ, both of a task; f^j is a layer with ReLU that tasks share.

Legend of shapes: B rows, T tasks, H width of a block.
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

__all__ = ["TaskAttention", "TaskAttentionOptions"]


class TaskAttentionOptions(Part):
    """Options of the multi-task attention network.

    Attributes:
        hidden: Width of each shared block, of two layers; one attention a task follows each.
        bottleneck: Width of the layer g of an attention.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    bottleneck: int = Field(32, ge=1)
    tower: int = Field(32, ge=0)


class TaskAttention(Architecture):
    """â_k = a_k ⊙ p: each task masks the features of every shared block by an attention of its own."""

    about = About(
        "sharing",
        "one shared network whose blocks each task sees through an attention mask of its own",
        "Liu, Johns & Davison 2019, End-to-end multi-task learning with attention",
    )

    def __init__(self, *, shape: Shape, options: TaskAttentionOptions) -> None:
        super().__init__()
        self.tasks = len(shape.outputs)
        hidden, dropout = options.hidden, shape.dropout
        self.first = FirstExperts(widths=shape.widths, count=1, hidden=hidden[:1], dropout=dropout)
        befores = (0, *hidden[:-1])
        self.enter = nn.ModuleList(
            ParallelLayers(count=1, inputs=before, hidden=[width], dropout=dropout)
            for before, width in pairwise(hidden)
        )  # U^j, j ≥ 2
        self.leave = nn.ModuleList(
            ParallelLayers(count=1, inputs=width, hidden=[width], dropout=dropout) for width in hidden
        )  # P^j
        self.pass_on = nn.ModuleList(nn.Linear(before, before) for before in hidden[:-1])  # f^j, j ≥ 2
        self.look = nn.ModuleList(
            ParallelLayers(count=self.tasks, inputs=width + before, hidden=[options.bottleneck])
            for before, width in zip(befores, hidden, strict=True)
        )  # g_k^j
        bound = (6.0 / (options.bottleneck + 1)) ** 0.5
        self.weight = nn.ParameterList(
            nn.Parameter(torch.empty(self.tasks, options.bottleneck, width).uniform_(-bound, bound))
            for width in hidden
        )  # h_k^j
        self.bias = nn.ParameterList(nn.Parameter(torch.zeros(self.tasks, 1, width)) for width in hidden)
        self.towers = Towers(
            width=hidden[-1],
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        u, _ = self.first(inputs)  # [1, B, H]
        p = self.leave[0](u)
        seen = self._attention(0, u.expand(self.tasks, -1, -1)) * p  # [T, B, H]
        for j in range(1, len(self.leave)):
            u = self.enter[j - 1](p)
            p = self.leave[j](u)
            passed = self.pass_on[j - 1](seen).relu()
            seen = self._attention(j, torch.cat([u.expand(self.tasks, -1, -1), passed], 2)) * p
        logits: Tensor = self.towers(seen, inputs.scenario)
        return logits

    def _attention(self, j: int, x: Tensor) -> Tensor:
        """h(g(x)) of every task, [T, B, D] → [T, B, H] between 0 and 1."""
        return torch.baddbmm(self.bias[j], self.look[j](x), self.weight[j]).sigmoid()
