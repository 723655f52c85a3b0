"""AdaTT.

Li, Zhang, Yuan et al. 2023, "AdaTT: Adaptive task-to-task fusion network for multitask learning in recommendations",
KDD. Each level has experts of every task and, where ``shared_experts`` is not 0, shared ones. For the path
of task t at level l, with h_t⁰ = x:

    e_{t,i} = MLP_{t,i}(h_t^{l−1})                                   (1) experts of the path
    g_t     = softmax(W_t·h_t^{l−1})                                 (2) gate over all experts of the level
    F_t     = Σ_{s,i} g_{t,(s,i)}·e_{s,i}                            (3) fusion of all experts
    N_t     = Σ_i v_{t,i}·e_{t,i}                                    (4) linear fusion of the path's own experts
    h_t^l   = F_t + N_t                                              (5) residual

v_t are learnt numbers; where every path has one expert, v = 1. The shared experts have a path too, which goes through
(1) to (5) in all levels but the last. Equations are numbered here.

Legend of shapes: B rows, T tasks, P paths (T, and T + 1 with a shared path that goes on), E experts, H width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.models import FirstExperts, Inputs, ParallelLayers, Towers, mixture_weights
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part

__all__ = ["Adatt", "AdattOptions"]


class AdattOptions(Part):
    """Options of AdaTT.

    Attributes:
        levels: Fusion levels.
        task_experts: Experts of each task and level.
        shared_experts: Shared experts of each level; 0 for the variant of the paper that has none.
        hidden: Layer widths of each expert.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    levels: int = Field(2, ge=1, le=8)
    task_experts: int = Field(1, ge=1)
    shared_experts: int = Field(1, ge=0)
    hidden: tuple[PositiveInt, ...] = Field((64,), min_length=1)
    tower: int = Field(32, ge=0)


class Adatt(Architecture):
    """h_t = Σ gₜ·(all experts) + Σ vₜ·(own experts), level by level, then yₜ = hᵗ(h_t)."""

    about = About(
        "sharing",
        "experts of each task fused with those of all others, with a residual of its own, in levels",
        "Li et al. 2023, AdaTT: Adaptive task-to-task fusion network for multitask learning in recommendations",
    )

    def __init__(self, *, shape: Shape, options: AdattOptions) -> None:
        super().__init__()
        tasks, own, shared = len(shape.outputs), options.task_experts, options.shared_experts
        self.tasks, self.own, self.shared = tasks, own, shared
        count = tasks * own + shared
        goes_on = [bool(shared) and level < options.levels - 1 for level in range(options.levels)]
        self.paths = [tasks + more for more in goes_on]
        self.first = FirstExperts(
            widths=shape.widths,
            count=count,
            hidden=options.hidden,
            gates=self.paths[0] * count,
            dropout=shape.dropout,
        )
        width = self.first.width
        self.experts = nn.ModuleList(
            ParallelLayers(count=count, inputs=width, hidden=options.hidden, dropout=shape.dropout)
            for _ in self.paths[1:]
        )
        self.gates = nn.ParameterList(
            nn.Parameter(torch.randn(paths, width, count) * width**-0.5) for paths in self.paths[1:]
        )
        self.is_identity = own == 1 and shared <= 1
        self.own_weights, self.shared_weights = nn.ParameterList(), nn.ParameterList()
        if not self.is_identity:
            for more in goes_on:
                self.own_weights.append(_uniform(tasks, own))
                if more:
                    self.shared_weights.append(_uniform(1, shared))
        self.towers = Towers(
            width=width,
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        experts, gates = self.first(inputs)  # [E, B, H], [B, P·E]
        h = self._fuse(0, experts, gates.unflatten(1, (self.paths[0], -1)).transpose(0, 1))
        for level, (layer, gate) in enumerate(zip(self.experts, self.gates, strict=True), 1):
            x = h[: self.tasks].repeat_interleave(self.own, 0)
            if self.shared:
                x = torch.cat([x, h[self.tasks :].expand(self.shared, -1, -1)])
            paths = self.paths[level]
            h = self._fuse(level, layer(x), torch.bmm(h[:paths], gate))
        logits: Tensor = self.towers(h, inputs.scenario)
        return logits

    def _fuse(self, level: int, experts: Tensor, gates: Tensor) -> Tensor:
        """Eq. 2–5: experts [E, B, H], gate logits [P, B, E] → [P, B, H]."""
        weights = mixture_weights(gates) + self._native(level)[:, None]
        return torch.bmm(weights.transpose(0, 1), experts.transpose(0, 1)).transpose(0, 1)

    def _native(self, level: int) -> Tensor:
        """The numbers v of every path over all experts, 0 for those of other paths, [P, E]."""
        like = self.towers.bias
        own = like.new_ones(self.tasks, self.own) if self.is_identity else self.own_weights[level]
        eye = torch.eye(self.tasks, dtype=own.dtype, device=own.device)
        native = (eye[:, :, None] * own[:, None]).flatten(1)
        if not self.shared:
            return native
        native = torch.cat([native, native.new_zeros(self.tasks, self.shared)], 1)
        if self.paths[level] > self.tasks:
            shared = own.new_ones(1, 1) if self.is_identity else self.shared_weights[level]
            native = torch.cat([native, torch.cat([own.new_zeros(1, self.tasks * self.own), shared], 1)])
        return native


def _uniform(rows: int, count: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(rows, count).uniform_(-(count**-0.5), count**-0.5))
