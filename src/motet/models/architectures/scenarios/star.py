"""STAR.

Sheng et al. 2021, "One model to serve all: star topology adaptive recommender for multi-domain CTR prediction",
eq. 2–9.

Legend of shapes: B rows, S scenario codes, C chunks of one scenario, L rows of a chunk, D width in, H width out.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.models import FactorisedLinear, Inputs
from motet.models._sequences import Dropout
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.models.architectures.scenarios._parts import (
    RowGroups,
    ScenarioCodes,
    ScenarioMoments,
    ScenarioOptions,
    he_uniform,
    require_scenarios,
    with_neutral,
)

__all__ = ["Star", "StarOptions"]


class StarOptions(ScenarioOptions):
    """Options of STAR.

    Attributes:
        hidden: Layer widths of the network.
        auxiliary: Hidden width of the auxiliary network.
        embedding: Width of the scenario's embedding in the auxiliary network.
        memory: Rows of a scenario that its running statistics are about.
    """

    hidden: tuple[PositiveInt, ...] = Field((256, 128), min_length=1)
    auxiliary: int = Field(32, ge=1)
    embedding: int = Field(8, ge=1)
    memory: int = Field(20_000, ge=1)


class Star(Architecture):
    """Each layer of scenario p has weights W ⊙ W_p and bias b + b_p, behind a normalisation by scenario.

    z' = γ·γ_p ⊙ (z − μ_p)/√(σ_p² + ε) + β + β_p (eq. 3–5), with running μ_p and σ_p of the same scenario in evaluation;
    h = φ((W ⊙ W_p)ᵀ·h + b + b_p) (eq. 6–7); y = s_m + s_a with s_a of the auxiliary network, which sees the
    embedding of the scenario beside the inputs (eq. 8–9). The last layer has a column for each task and class.

    An unknown scenario has W_p = 1, γ_p = 1, b_p = β_p = 0, an embedding of 0 and the statistics of all rows: the part
    that all scenarios share.
    """

    about = About(
        "scenario",
        "weights of all scenarios times weights of each, normalised by scenario",
        "Sheng et al. 2021, One model to serve all: star topology adaptive recommender",
        ("a scenario",),
    )

    def __init__(self, *, shape: Shape, options: StarOptions) -> None:
        super().__init__()
        count = require_scenarios(shape, "star")
        self.widths, self.count = shape.widths, count
        self.codes = ScenarioCodes(shape=shape, unknown=options.unknown)
        width = sum((shape.widths.user, shape.widths.item, shape.widths.context))
        self.moments = ScenarioMoments(scenarios=count, width=width, memory=options.memory)
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.own_scale = nn.Parameter(torch.ones(count - 1, width))
        self.own_shift = nn.Parameter(torch.zeros(count - 1, width))
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        self.own_weights, self.own_biases = nn.ParameterList(), nn.ParameterList()
        outputs = sum(shape.outputs)
        for out in (*options.hidden, outputs):
            self.weights.append(he_uniform(width, out, inputs=width))
            self.biases.append(nn.Parameter(torch.zeros(out)))
            # ones, so that every scenario starts as the shared network
            self.own_weights.append(nn.Parameter(torch.ones(count - 1, width, out)))
            self.own_biases.append(nn.Parameter(torch.zeros(count - 1, out)))
            width = out
        self.dropout = Dropout(shape.dropout)
        self.auxiliary = FactorisedLinear(widths=shape.widths, out=options.auxiliary)
        self.embedding = nn.Embedding(count, options.embedding, padding_idx=0)
        self.of_scenario = nn.Linear(options.embedding, options.auxiliary, bias=False)
        self.auxiliary_out = nn.Linear(options.auxiliary, outputs)

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        inputs, codes = self.codes(inputs)
        z = self.moments(inputs.rows(self.widths), codes)  # [B, D]
        scale = self.scale * with_neutral(self.own_scale, 1.0)  # [S, D]
        shift = self.shift + with_neutral(self.own_shift, 0.0)
        z = z * scale.index_select(0, codes) + shift.index_select(0, codes)  # eq. 4–5
        groups = RowGroups.of(codes, self.count)
        h = groups.spread(z)  # [C, L, D]
        layers = zip(self.weights, self.biases, self.own_weights, self.own_biases, strict=True)
        for layer, (weight, bias, own_weight, own_bias) in enumerate(layers):
            w = weight * groups.of_chunks(with_neutral(own_weight, 1.0))  # eq. 6, [C, D, H]
            b = bias + groups.of_chunks(with_neutral(own_bias, 0.0))  # [C, H]
            h = torch.baddbmm(b[:, None], h, w)  # eq. 7
            if layer < len(self.weights) - 1:
                h = self.dropout(h.relu_())
        a = self.auxiliary(inputs) + self.of_scenario(self.embedding(codes))
        auxiliary: Tensor = self.auxiliary_out(a.relu())  # eq. 8
        return groups.collect(h) + auxiliary  # eq. 9
