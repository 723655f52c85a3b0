"""HAMUR.

Li et al. 2023, "HAMUR: hyper adapter for multi-domain recommendation", section 3.

Legend of shapes: B rows, S scenario codes, C chunks of one scenario, L rows of a chunk, D width of a layer, A width of
an adapter, k side of a row's matrix.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.models import FactorisedLinear, Inputs, Towers
from motet.models._sequences import Dropout
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.models.architectures.scenarios._parts import (
    RowGroups,
    ScenarioCodes,
    ScenarioMoments,
    ScenarioOptions,
    require_scenarios,
)

__all__ = ["Hamur", "HamurOptions"]


class HamurOptions(ScenarioOptions):
    """Options of HAMUR.

    Attributes:
        hidden: Layer widths of the shared network; an adapter stands behind each.
        tower: Hidden width of each tower; 0 for a linear one.
        adapter: Width A that an adapter narrows to.
        rank: Side k of the matrix that the hyper-network generates for a row.
        hyper: Hidden width of the hyper-network.
        memory: Rows of a scenario that its running statistics are about.
    """

    hidden: tuple[PositiveInt, ...] = Field((256, 128), min_length=1)
    tower: int = Field(32, ge=0)
    adapter: int = Field(32, ge=1)
    rank: int = Field(8, ge=1)
    hyper: int = Field(64, ge=1)
    memory: int = Field(20_000, ge=1)


class Hamur(Architecture):
    """A shared network with adapters whose weights come from the scenario and, by a hyper-network, from the row.

    I(x) = reshape(hyper-network(x)), k × k, shared by all scenarios and adapters. An adapter of scenario s:
    W↓ = U_s·I(x)·V_s, W↑ = U'_s·I(x)·V'_s, z = W↑ᵀ·σ(W↓ᵀ·h + b_s) + b'_s, h ← h + γ_s ⊙ (z − μ_s)/√(σ_s² + ε) + β_s (domain
    normalisation, with running statistics of the same scenario in evaluation). W↓ and W↑ are never written out.

    An unknown scenario has no adapter: the shared network answers.
    """

    about = About(
        "scenario",
        "a shared network with adapters, generated from the scenario and the row",
        "Li et al. 2023, HAMUR: hyper adapter for multi-domain recommendation",
        ("a scenario",),
    )

    def __init__(self, *, shape: Shape, options: HamurOptions) -> None:
        super().__init__()
        self.count, self.rank = require_scenarios(shape, "hamur"), options.rank
        self.codes = ScenarioCodes(shape=shape, unknown=options.unknown)
        first, *rest = options.hidden
        self.first = FactorisedLinear(widths=shape.widths, out=first)
        self.hyper_first = FactorisedLinear(widths=shape.widths, out=options.hyper)
        self.hyper = nn.Linear(options.hyper, options.rank**2)
        self.adapters = nn.ModuleList(_Adapter(self.count, width, options) for width in options.hidden)
        self.layers = nn.ModuleList()
        for out in rest:
            layer = nn.Linear(first, out)
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
            self.layers.append(layer)
            first = out
        self.dropout = Dropout(shape.dropout)
        self.towers = Towers(width=first, outputs=shape.outputs, hidden=options.tower, dropout=shape.dropout)
        self.tasks = len(shape.outputs)

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        inputs, codes = self.codes(inputs)
        groups = RowGroups.of(codes, self.count)
        matrix = self.hyper(self.hyper_first(inputs).relu_())
        matrix = groups.spread(matrix.unflatten(1, (self.rank, self.rank)))  # [C, L, k, k]
        h = self.first(inputs).relu_()
        for place, adapter in enumerate(self.adapters):
            h = self.layers[place - 1](h).relu_() if place else h
            h = self.dropout(adapter(h, codes, groups, matrix))
        logits: Tensor = self.towers(h.expand(self.tasks, -1, -1), inputs.scenario)
        return logits


class _Adapter(nn.Module):
    """An adapter cell of each known scenario. Shapes: h [B, D], I [C, L, k, k] → [B, D]."""

    def __init__(self, scenarios: int, width: int, options: HamurOptions) -> None:
        super().__init__()
        k, narrow = options.rank, options.adapter
        self.down = nn.Parameter(torch.randn(scenarios, width, k) * width**-0.5)  # U
        self.down_out = nn.Parameter(torch.randn(scenarios, k, narrow) * k**-0.5)  # V
        self.up = nn.Parameter(torch.randn(scenarios, narrow, k) * narrow**-0.5)
        self.up_out = nn.Parameter(torch.randn(scenarios, k, width) * k**-0.5)
        self.down_bias = nn.Parameter(torch.zeros(scenarios, 1, narrow))
        self.up_bias = nn.Parameter(torch.zeros(scenarios, 1, width))
        self.moments = ScenarioMoments(scenarios=scenarios, width=width, memory=options.memory)
        # small, so that the shared network comes first; the paper begins with 1
        self.scale = nn.Parameter(torch.full((scenarios, width), 0.1))
        self.shift = nn.Parameter(torch.zeros(scenarios, width))

    def forward(self, h: Tensor, codes: Tensor, groups: RowGroups, matrix: Tensor) -> Tensor:
        x = groups.spread(h)  # [C, L, D]
        z = self._product(x, self.down, matrix, self.down_out, groups) + groups.of_chunks(self.down_bias)
        z = self._product(z.sigmoid(), self.up, matrix, self.up_out, groups)
        z = groups.collect(z + groups.of_chunks(self.up_bias))  # [B, D]
        standard: Tensor = self.moments(z, codes)
        z = standard * self.scale.index_select(0, codes) + self.shift.index_select(0, codes)
        return h + z * (codes > 0)[:, None]

    @staticmethod
    def _product(x: Tensor, u: Tensor, matrix: Tensor, v: Tensor, groups: RowGroups) -> Tensor:
        """x·U_s·I·V_s from the left, so that no row has a matrix larger than k × k."""
        narrow = torch.bmm(x, groups.of_chunks(u))  # [C, L, k]
        return torch.bmm(torch.einsum("clk,clkj->clj", narrow, matrix), groups.of_chunks(v))
