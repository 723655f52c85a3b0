"""PEPNet.

Chang et al. 2023, "PEPNet: parameter and embedding personalized network for infusing with personalized prior
information", eq. 3–10.

Legend of shapes: B rows, T tasks, D width of the inputs, G width of a gate's hidden layer, H width of a layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.models import Inputs, Towers
from motet.models._sequences import Dropout
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.models.architectures.scenarios._parts import (
    ScenarioCodes,
    ScenarioOptions,
    he_uniform,
    require_scenarios,
)

__all__ = ["PepNet", "PepNetOptions"]


class PepNetOptions(ScenarioOptions):
    """Options of PEPNet.

    Attributes:
        hidden: Layer widths of each task's network.
        gate: Hidden width of the gates.
        embedding: Width of the scenario's embedding.
    """

    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    gate: int = Field(32, ge=1)
    embedding: int = Field(16, ge=1)


class PepNet(Architecture):
    """Gates scale the inputs by scenario (EPNet) and the hidden units of each task by user and item (PPNet).

    A gate is δ = 2·σ(W'·relu(W·z + b) + b') (gate neural unit, eq. 3–4). EPNet: O = δ([e_s; stop(x)]) ⊙ x (eq. 5–6).
    PPNet: for every task and layer, h ← δ([u; i; stop(O)]) ⊙ h behind h = relu(W·h + b) (eq. 7–10). The prior is all
    that is known of user and item, where the paper has the ids of user, item and author.

    An unknown scenario has e_s = 0.
    """

    about = About(
        "scenario",
        "gates scale the inputs by scenario, and each task's layers by user and item",
        "Chang et al. 2023, PEPNet: parameter and embedding personalized network",
        ("a scenario",),
    )

    def __init__(self, *, shape: Shape, options: PepNetOptions) -> None:
        super().__init__()
        count = require_scenarios(shape, "pepnet")
        self.widths, self.tasks, self.sizes = shape.widths, len(shape.outputs), tuple(options.hidden)
        self.prior = shape.widths.user + shape.widths.item
        width = self.prior + shape.widths.context
        self.codes = ScenarioCodes(shape=shape, unknown=options.unknown)
        self.scenario = nn.Embedding(count, options.embedding, padding_idx=0)
        self.input_gate = _GateUnit(options.embedding + width, options.gate, width)
        self.layer_gate = _GateUnit(
            self.prior + width, self.tasks * options.gate, sum(self.sizes), groups=self.tasks
        )
        self.first = nn.Linear(width, self.tasks * self.sizes[0])
        nn.init.kaiming_uniform_(self.first.weight, nonlinearity="relu")
        nn.init.zeros_(self.first.bias)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for before, out in zip(self.sizes, self.sizes[1:], strict=False):
            self.weights.append(he_uniform(self.tasks, before, out, inputs=before))
            self.biases.append(nn.Parameter(torch.zeros(self.tasks, 1, out)))
        self.dropout = Dropout(shape.dropout)
        self.towers = Towers(width=self.sizes[-1], outputs=shape.outputs, hidden=0)

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        inputs, codes = self.codes(inputs)
        x = inputs.rows(self.widths)  # [B, D]
        gate = self.input_gate(torch.cat([self.scenario(codes), x.detach()], 1))
        x = gate.squeeze(0) * x  # eq. 6
        prior = torch.cat([inputs.rows(self.widths)[:, : self.prior], x.detach()], 1)
        gates = self.layer_gate(prior).split(self.sizes, 2)  # eq. 7–8, a layer each, [T, B, H]
        h = self.first(x).relu_().unflatten(1, (self.tasks, -1)).transpose(0, 1)  # [T, B, H]
        h = self.dropout(gates[0] * h)  # eq. 9
        for weight, bias, delta in zip(self.weights, self.biases, gates[1:], strict=True):
            h = self.dropout(delta * torch.baddbmm(bias, h, weight).relu_())  # eq. 9–10
        logits: Tensor = self.towers(h, inputs.scenario)
        return logits


class _GateUnit(nn.Module):
    """2·σ(W'·relu(W·z + b) + b'), some side by side; begins near 1. Shapes: [B, D] → [groups, B, out]."""

    def __init__(self, inputs: int, hidden: int, out: int, groups: int = 1) -> None:
        super().__init__()
        self.groups = groups
        self.first = nn.Linear(inputs, hidden)
        self.weight = nn.Parameter(torch.empty(groups, hidden // groups, out).normal_(std=0.02))
        self.bias = nn.Parameter(torch.zeros(groups, 1, out))

    def forward(self, z: Tensor) -> Tensor:
        hidden = self.first(z).relu_().unflatten(1, (self.groups, -1)).transpose(0, 1)
        return 2 * torch.baddbmm(self.bias, hidden, self.weight).sigmoid()
