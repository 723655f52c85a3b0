"""M2M.

Zhang et al. 2022, "Leaving no one behind: a multi-scenario multi-task meta learning approach for advertiser modeling",
section 3.3.

Legend of shapes: B rows, C chunks of one scenario, L rows of a chunk, T tasks, E experts, K width of the knowledge,
H width of an expert.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from motet.models import FirstExperts, Inputs, Towers, mixture_weights
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.models.architectures.scenarios._parts import (
    RowGroups,
    ScenarioCodes,
    ScenarioOptions,
    require_scenarios,
)

__all__ = ["M2m", "M2mOptions"]

_SLOPE = 0.01


class M2mOptions(ScenarioOptions):
    """Options of M2M.

    Attributes:
        experts: Number of experts.
        hidden: Layer widths of each expert.
        knowledge: Width of the scenario knowledge that weights are generated from.
        levels: Meta layers of each tower.
    """

    experts: int = Field(4, ge=2)
    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    knowledge: int = Field(16, ge=1)
    levels: int = Field(1, ge=1, le=4)


class M2m(Architecture):
    """Layers whose weights are generated from what is known of the scenario.

    A meta unit is Meta(h) = φ(W_s·h + b_s), W_s = reshape(V·k_s + v), b_s = V'·k_s + v', with knowledge
    k_s = relu(A·e_s + a) and φ a leaky ReLU. Meta attention: aₖₑ = vᵀ·Meta([fₑ(x); tₖ]), Rₖ = Σₑ softmax(aₖ)ₑ·fₑ(x), with
    a representation tₖ of each task. Meta tower: h ← φ(Meta(h) + h) from h = Rₖ on; yₖ = wₖ·h + bₖ.

    Experts read the inputs; the paper's transformer over an advertiser's events is the feature layer's affair. A row
    attends to its own experts, never to other rows. An unknown scenario has e_s = 0.
    """

    about = About(
        "scenario",
        "attention and towers whose weights are generated from the scenario",
        "Zhang et al. 2022, Leaving no one behind: a multi-scenario multi-task meta learning approach",
        ("a scenario",),
    )

    def __init__(self, *, shape: Shape, options: M2mOptions) -> None:
        super().__init__()
        self.count, tasks = require_scenarios(shape, "m2m"), len(shape.outputs)
        self.codes = ScenarioCodes(shape=shape, unknown=options.unknown)
        self.experts = FirstExperts(
            widths=shape.widths, count=options.experts, hidden=options.hidden, dropout=shape.dropout
        )
        width, knowledge = self.experts.width, options.knowledge
        self.scenario = nn.Embedding(self.count, knowledge, padding_idx=0)
        self.knowledge = nn.Linear(knowledge, knowledge)
        self.task = nn.Parameter(torch.randn(tasks, width) * 0.1)
        self.task_layer = nn.Linear(width, width)
        self.attention = _MetaUnit(knowledge, 2 * width, width)
        self.vote = nn.Parameter(torch.randn(width) * width**-0.5)
        self.towers = nn.ModuleList(_MetaUnit(knowledge, width, width) for _ in range(options.levels))
        self.out = Towers(width=width, outputs=shape.outputs, hidden=0)

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        inputs, codes = self.codes(inputs)
        experts, _ = self.experts(inputs)  # [E, B, H]
        groups = RowGroups.of(codes, self.count)
        k = self.knowledge(self.scenario(groups.codes)).relu()  # [C, K]
        f = groups.spread(experts.transpose(0, 1))  # [C, L, E, H]
        t = self.task_layer(self.task).relu()  # [T, H]
        weight, bias = self.attention(k)  # [C, 2H, H], [C, 1, H]
        of_expert, of_task = weight.split(experts.shape[2], 1)  # W·[f; t] = W₁·f + W₂·t
        pair = torch.bmm(f.flatten(1, 2), of_expert).view_as(f).unsqueeze(3)  # [C, L, E, 1, H]
        pair = pair + (t @ of_task + bias)[:, None, None]  # [C, L, E, T, H]
        votes = F.leaky_relu(pair, _SLOPE) @ self.vote  # [C, L, E, T]
        h = mixture_weights(votes.transpose(2, 3)) @ f  # [C, L, T, H]
        for tower in self.towers:
            weight, bias = tower(k)
            meta = F.leaky_relu(torch.baddbmm(bias, h.flatten(1, 2), weight), _SLOPE)
            h = F.leaky_relu(meta.view_as(h) + h, _SLOPE)
        logits: Tensor = self.out(groups.collect(h).transpose(0, 1), inputs.scenario)
        return logits


class _MetaUnit(nn.Module):
    """Weights and biases of a layer from knowledge. Shapes: [C, K] → [C, D, H], [C, 1, H]."""

    def __init__(self, knowledge: int, inputs: int, out: int) -> None:
        super().__init__()
        self.shape = inputs, out
        bound = (6.0 / inputs) ** 0.5
        self.weight = nn.Linear(knowledge, inputs * out)
        self.bias = nn.Linear(knowledge, out)
        with torch.no_grad():  # every scenario begins near one layer, drawn as a plain one would be
            self.weight.weight.normal_(std=0.1 * bound)
            self.weight.bias.uniform_(-bound, bound)
            self.bias.bias.zero_()

    def forward(self, k: Tensor) -> tuple[Tensor, Tensor]:
        return self.weight(k).unflatten(1, self.shape), self.bias(k).unsqueeze(1)
