"""AdaptDHM.

Li et al. 2022, "AdaptDHM: adaptive distribution hierarchical model for multi-domain CTR prediction", section 3.

Legend of shapes: B rows, K clusters, C chunks of one cluster, L rows of a chunk, D width in, H width out.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from motet.models import Inputs
from motet.models._sequences import Dropout
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.models.architectures.scenarios._parts import (
    RowGroups,
    ScenarioCodes,
    ScenarioOptions,
    he_uniform,
    require_scenarios,
)

__all__ = ["AdaptDhm", "AdaptDhmOptions"]

_CENTRING = 0.01  # share of a batch in the running mean


class AdaptDhmOptions(ScenarioOptions):
    """Options of AdaptDHM.

    Attributes:
        clusters: Number of clusters K.
        hidden: Layer widths of each cluster's network.
        momentum: Share of the old centre in the new one.
        rounds: Rounds of routing a step.
        temperature: Of the softmax over clusters while centres are moved.
    """

    clusters: int = Field(4, ge=2)
    hidden: tuple[PositiveInt, ...] = Field((256, 128), min_length=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    rounds: int = Field(3, ge=1)
    temperature: float = Field(0.1, gt=0)


class AdaptDhm(Architecture):
    """Rows are routed to K clusters by their inputs; a cluster's layers are W ⊙ W_k.

    Routing (distribution adaptation module): z = (x − m)/|x − m| without gradient, k = argmaxₖ z·cₖ. In training, for
    some rounds, rₖ = softmaxₖ(z·cₖ/τ) and cₖ ← normalised μ·cₖ + (1 − μ)·normalised Σ_rows rₖ·z; in evaluation centres
    stand still, so that a row's cluster depends on that row alone. Layers (multi-distribution network):
    h = relu((W ⊙ W_k)ᵀ·h + b + b_k), the last one with a column for each task and class.

    The paper routes x itself. Inputs have a mean that all rows share and every centre would end there, so its running
    value m is taken away. The scenario is one of the inputs and has no weights of its own; an unknown one is an input of 0.
    """

    about = About(
        "scenario",
        "rows are routed to clusters that training finds; weights of all times weights of each cluster",
        "Li et al. 2022, AdaptDHM: adaptive distribution hierarchical model",
        ("a scenario",),
    )

    def __init__(self, *, shape: Shape, options: AdaptDhmOptions) -> None:
        super().__init__()
        require_scenarios(shape, "adapt_dhm")
        self.widths, self.options = shape.widths, options
        self.codes = ScenarioCodes(shape=shape, unknown=options.unknown)
        width = shape.widths.user + shape.widths.item + shape.widths.context
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("centres", F.normalize(torch.randn(options.clusters, width), dim=1))
        self.mean: Tensor
        self.centres: Tensor
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        self.own_weights, self.own_biases = nn.ParameterList(), nn.ParameterList()
        for out in (*options.hidden, sum(shape.outputs)):
            self.weights.append(he_uniform(width, out, inputs=width))
            self.biases.append(nn.Parameter(torch.zeros(out)))
            self.own_weights.append(nn.Parameter(torch.ones(options.clusters, width, out)))
            self.own_biases.append(nn.Parameter(torch.zeros(options.clusters, out)))
            width = out
        self.dropout = Dropout(shape.dropout)

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        inputs, _ = self.codes(inputs)
        x = inputs.rows(self.widths)
        groups = RowGroups.of(self._route(x.detach()), len(self.centres))
        h = groups.spread(x)
        layers = zip(self.weights, self.biases, self.own_weights, self.own_biases, strict=True)
        for layer, (weight, bias, own_weight, own_bias) in enumerate(layers):
            b = bias + groups.of_chunks(own_bias)
            h = torch.baddbmm(b[:, None], h, weight * groups.of_chunks(own_weight))
            if layer < len(self.weights) - 1:
                h = self.dropout(h.relu_())
        return groups.collect(h)

    @torch.no_grad()
    def _route(self, x: Tensor) -> Tensor:
        """Cluster of each row, [B]; moves the centres in training."""
        if self.training:
            self.mean.lerp_(x.mean(0), _CENTRING if bool(self.mean.any()) else 1.0)
        z = F.normalize(x - self.mean, dim=1)
        if self.training:
            for _ in range(self.options.rounds):
                r = (z @ self.centres.T / self.options.temperature).softmax(1)  # [B, K]
                moved = F.normalize(r.T @ z, dim=1)
                mixed = self.options.momentum * self.centres + (1 - self.options.momentum) * moved
                self.centres.copy_(F.normalize(mixed, dim=1))
        return (z @ self.centres.T).argmax(1)
