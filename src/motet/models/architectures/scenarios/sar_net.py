"""SAR-Net.

Shen et al. 2021, "SAR-Net: a scenario-aware ranking network for personalized fair recommendation in hundreds of travel
scenarios", section 3.

Legend of shapes: B rows, U users, I items, N histories, S scenario codes, C chunks of one scenario, L rows of a chunk,
T tasks, E experts, D width of the inputs, d width of a history.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.models import Inputs, ParallelLayers, Towers, mixture_weights
from motet.models._sequences import Dropout
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.models.architectures.scenarios._parts import (
    RoutedLayers,
    RowGroups,
    ScenarioCodes,
    ScenarioOptions,
    he_uniform,
    require_scenarios,
    with_neutral,
)

__all__ = ["SarNet", "SarNetOptions"]


class SarNetOptions(ScenarioOptions):
    """Options of SAR-Net.

    Attributes:
        shared_experts: Experts of all scenarios.
        scenario_experts: Experts of each scenario.
        hidden: Layer widths of each expert.
        tower: Hidden width of each tower; 0 for a linear one.
        embedding: Width of the scenario's embedding in the attention.
    """

    shared_experts: int = Field(4, ge=1)
    scenario_experts: int = Field(2, ge=1)
    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    tower: int = Field(32, ge=0)
    embedding: int = Field(8, ge=1)


class SarNet(Architecture):
    """Attention over histories, a linear transformation by scenario, and a mixture of two groups of experts.

    1. The interest Σₙ αₙ·α'ₙ·hₙ over the user's histories hₙ; α = softmaxₙ(q_i·hₙ/√d) with q_i of the scored item,
       α' = softmaxₙ(q_s·tₙ/√d) with q_s of the scenario and a key tₙ of each history.
    2. x' = β_s ⊙ [x; interest] + γ_s.
    3. yₖ = hᵏ(Σₑ gᵏ(x')ₑ·fₑ(x')) over experts of all scenarios and of scenario s, g a softmax.

    The paper attends to single events with the scenario of each; here events of a history are one vector, so that
    attention is over the histories that the schema has (such as one a scenario, by ``where``), and there is none where
    there are fewer than two. Its fairness coefficient, the strength of a manual intervention in the exposure of an item,
    and the bias network that reads it are left out: logs do not say it.

    An unknown scenario has β = 1, γ = 0, a scenario embedding of 0, and experts of its own.
    """

    about = About(
        "scenario",
        "attention over histories, a linear transformation by scenario, experts of all and of each scenario",
        "Shen et al. 2021, SAR-Net: a scenario-aware ranking network",
        ("a scenario",),
    )

    def __init__(self, *, shape: Shape, options: SarNetOptions) -> None:
        super().__init__()
        count = require_scenarios(shape, "sar_net")
        self.count, self.widths, self.tasks = count, shape.widths, len(shape.outputs)
        self.codes = ScenarioCodes(shape=shape, unknown=options.unknown)
        width = shape.widths.user + shape.widths.item + shape.widths.context
        self.attention = None
        if len(shape.histories) > 1 and shape.widths.item:
            self.attention = _HistoryAttention(shape, count, options.embedding)
            width += self.attention.width
        self.scale = nn.Parameter(torch.ones(count - 1, width))
        self.shift = nn.Parameter(torch.zeros(count - 1, width))
        first, *rest = options.hidden
        self.shared_experts = options.shared_experts
        self.first = nn.Linear(width, options.shared_experts * first)
        nn.init.kaiming_uniform_(self.first.weight, nonlinearity="relu")
        nn.init.zeros_(self.first.bias)
        self.dropout = Dropout(shape.dropout)
        self.shared = ParallelLayers(
            count=options.shared_experts, inputs=first, hidden=rest, dropout=shape.dropout
        )
        self.own = RoutedLayers(
            scenarios=count,
            inputs=width,
            hidden=options.hidden,
            count=options.scenario_experts,
            dropout=shape.dropout,
        )
        experts = options.shared_experts + options.scenario_experts
        self.gate = he_uniform(width, self.tasks * experts, inputs=6 * width)
        self.towers = Towers(
            width=self.own.width, outputs=shape.outputs, hidden=options.tower, dropout=shape.dropout
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        inputs, codes = self.codes(inputs)
        x = inputs.rows(self.widths)
        if self.attention is not None:
            x = torch.cat([x, self.attention(inputs, codes)], 1)  # [B, D + d]
        scale = with_neutral(self.scale, 1.0).index_select(0, codes)
        x = x * scale + with_neutral(self.shift, 0.0).index_select(0, codes)
        groups = RowGroups.of(codes, self.count)
        own = groups.collect(self.own(groups.spread(x), groups).transpose(1, 2))  # [B, E_s, H]
        h = self.dropout(self.first(x).relu_()).unflatten(1, (self.shared_experts, -1))
        shared = self.shared(h.transpose(0, 1)).transpose(0, 1)  # [B, E_shared, H]
        g = mixture_weights((x @ self.gate).view(len(x), self.tasks, -1))  # [B, T, E]
        mixed = torch.bmm(g, torch.cat([shared, own], 1)).transpose(0, 1)  # [T, B, H]
        logits: Tensor = self.towers(mixed, inputs.scenario)
        return logits


class _HistoryAttention(nn.Module):
    """Σₙ αₙ·α'ₙ·hₙ. Shapes: Inputs, codes [B] → [B, d]."""

    def __init__(self, shape: Shape, scenarios: int, embedding: int) -> None:
        super().__init__()
        self.places = shape.histories
        self.width = self.places[0][1] - self.places[0][0]
        self.item = nn.Linear(shape.widths.item, self.width)
        self.scenario = nn.Embedding(scenarios, embedding, padding_idx=0)
        self.query = nn.Linear(embedding, self.width)
        self.keys = nn.Parameter(torch.randn(len(self.places), self.width))

    def forward(self, inputs: Inputs, codes: Tensor) -> Tensor:
        h = torch.stack([inputs.user[:, start:stop] for start, stop in self.places], 1)  # [U, N, d]
        h = h.index_select(0, inputs.user_of_row)  # [B, N, d]
        q = self.item(inputs.item).index_select(0, inputs.item_of_row)  # [B, d]
        scale = self.width**-0.5
        of_item = mixture_weights(torch.einsum("bd,bnd->bn", q, h) * scale)
        of_scenario = mixture_weights(self.query(self.scenario(codes)) @ self.keys.T * scale)
        return torch.einsum("bn,bnd->bd", of_item * of_scenario, h)
