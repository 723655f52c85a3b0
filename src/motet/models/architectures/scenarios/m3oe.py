"""M3oE.

Zhang et al. 2024, "M3oE: multi-domain multi-task mixture-of-experts recommendation framework", section 3.

Legend of shapes: B rows, S scenario codes, C chunks of one scenario, L rows of a chunk, T tasks, E shared experts,
D width in, H width of an expert.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.models import Inputs, ParallelLayers, mixture_weights
from motet.models._sequences import Dropout
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.models.architectures.scenarios._parts import (
    RoutedTowers,
    RowGroups,
    ScenarioCodes,
    ScenarioOptions,
    he_uniform,
    require_scenarios,
    with_neutral,
)

__all__ = ["M3oe", "M3oeOptions"]


class M3oeOptions(ScenarioOptions):
    """Options of M3oE.

    Attributes:
        representation: Width of the representation that experts read.
        experts: Number of shared experts.
        hidden: Layer widths of each expert.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    representation: int = Field(128, ge=1)
    experts: int = Field(4, ge=2)
    hidden: tuple[PositiveInt, ...] = Field((64,), min_length=1)
    tower: int = Field(32, ge=0)


class M3oe(Architecture):
    """Experts for what is common, for each scenario and for each task, fused on two levels.

    h = relu((W ⊙ W_s)·x + b + b_s) + relu(W'·x + b'), the representation of a scenario. For scenario s and task k:
    common Sₖ = Σₑ softmax(G_sk·h)ₑ·fₑ(h); of scenarios D = β_s·d_s(h) + (1 − β_s)·mean of the other d(h); of tasks
    Tₖ = βₖ·tₖ(h) + (1 − βₖ)·mean of the other t(h); yₖ = tower_sk(Sₖ + α_s·D + αₖ·Tₖ). All α and β are in (0, 1).

    Every scenario's expert is computed for every row, so that cost grows with the number of scenarios. The paper chooses
    α and β on validation rows by bi-level optimisation; here they are trained with the other weights.

    An unknown scenario has W_s = 1, b_s = 0, and an expert, gates and towers of its own.
    """

    about = About(
        "scenario",
        "experts that are common, of each scenario and of each task, fused on two levels",
        "Zhang et al. 2024, M3oE: multi-domain multi-task mixture-of-experts recommendation framework",
        ("a scenario",),
    )

    def __init__(self, *, shape: Shape, options: M3oeOptions) -> None:
        super().__init__()
        count, tasks = require_scenarios(shape, "m3oe"), len(shape.outputs)
        self.count, self.tasks, self.experts = count, tasks, options.experts
        self.widths = shape.widths
        self.codes = ScenarioCodes(shape=shape, unknown=options.unknown)
        width, out = shape.widths.user + shape.widths.item + shape.widths.context, options.representation
        self.weight, self.bias = he_uniform(width, out, inputs=width), nn.Parameter(torch.zeros(out))
        self.own_weight = nn.Parameter(torch.ones(count - 1, width, out))
        self.own_bias = nn.Parameter(torch.zeros(count - 1, out))
        self.skip = nn.Linear(width, out)
        first, *rest = options.hidden
        every = options.experts + count + tasks
        self.first = nn.Linear(out, every * first)
        for layer in (self.skip, self.first):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.rest = ParallelLayers(count=every, inputs=first, hidden=rest, dropout=shape.dropout)
        self.dropout = Dropout(shape.dropout)
        self.gate = he_uniform(count, out, tasks * options.experts, inputs=6 * out)
        self.balance = nn.Parameter(torch.ones(count)) if count > 1 else None  # β_s before the sigmoid
        self.task_balance = nn.Parameter(torch.ones(tasks)) if tasks > 1 else None
        self.share = nn.Parameter(torch.zeros(count))  # α_s before the sigmoid
        self.task_share = nn.Parameter(torch.zeros(tasks))
        self.towers = RoutedTowers(
            scenarios=count,
            width=options.hidden[-1],
            outputs=shape.outputs,
            hidden=options.tower,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        inputs, codes = self.codes(inputs)
        x, groups = inputs.rows(self.widths), RowGroups.of(codes, self.count)
        w = self.weight * groups.of_chunks(with_neutral(self.own_weight, 1.0))  # [C, D, H]
        b = self.bias + groups.of_chunks(with_neutral(self.own_bias, 0.0))
        h = groups.collect(torch.baddbmm(b[:, None], groups.spread(x), w).relu_())
        h = self.dropout(h + self.skip(x).relu())
        every = self.first(h).relu_().unflatten(1, (self.experts + self.count + self.tasks, -1))
        every = self.rest(self.dropout(every).transpose(0, 1))  # [E + S + T, B, H]
        common, of_scenario, of_task = every.split([self.experts, self.count, self.tasks])
        gates = groups.collect(torch.bmm(groups.spread(h), groups.of_chunks(self.gate)))
        g = mixture_weights(gates.view(len(gates), self.tasks, -1))  # [B, T, E]
        z = torch.bmm(g, common.transpose(0, 1)).transpose(0, 1)  # [T, B, H]
        own = of_scenario[codes, torch.arange(len(codes), device=codes.device)]  # [B, H]
        if self.balance is not None:
            balance = self.balance.sigmoid().index_select(0, codes)[:, None]
            own = _fused(own, of_scenario.sum(0), self.count, balance)
        z = z + self.share.sigmoid().index_select(0, codes)[:, None] * own
        if self.task_balance is not None:
            balance = self.task_balance.sigmoid()[:, None, None]
            of_task = _fused(of_task, of_task.sum(0), self.tasks, balance)
        logits: Tensor = self.towers(z + self.task_share.sigmoid()[:, None, None] * of_task, groups)
        return logits


def _fused(own: Tensor, total: Tensor, count: int, balance: Tensor) -> Tensor:
    """β·own + (1 − β)·mean of the others."""
    return balance * own + (1 - balance) * (total - own) / (count - 1)
