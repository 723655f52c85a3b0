"""AdaSparse.

Yang et al. 2022, "AdaSparse: learning adaptively sparse structures for multi-domain click-through rate prediction",
section 2.2, with the weighting "fusion".

Legend of shapes: B rows, D width of a layer's input, H width out.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.models import Inputs, Towers
from motet.models._sequences import Dropout
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.models.architectures.scenarios._parts import ScenarioCodes, ScenarioOptions, require_scenarios

__all__ = ["AdaSparse", "AdaSparseOptions"]


class AdaSparseOptions(ScenarioOptions):
    """Options of AdaSparse.

    Attributes:
        hidden: Layer widths of the trunk.
        tower: Hidden width of each tower; 0 for a linear one.
        embedding: Width of the scenario's embedding.
        alpha: Steepness α of the pruner at the start.
        last_alpha: Steepness at the end.
        alpha_steps: Training steps from the one to the other.
        beta: Largest factor β.
        epsilon: Factors up to this prune the unit.
    """

    hidden: tuple[PositiveInt, ...] = Field((256, 128), min_length=1)
    tower: int = Field(32, ge=0)
    embedding: int = Field(16, ge=1)
    alpha: float = Field(0.1, gt=0)
    last_alpha: float = Field(5.0, gt=0)
    alpha_steps: int = Field(2000, ge=1)
    beta: float = Field(2.0, ge=1)
    epsilon: float = Field(0.25, ge=0)


class AdaSparse(Architecture):
    """Units of every layer are scaled, and pruned, by scenario and row.

    h ← relu(W·(h ⊙ π) + b), π = S_ε(β·σ(α·P·[e_s; h])), with S_ε(v) = v where v > ε and 0 elsewhere. α grows from step to
    step of training, so that factors come nearer to a choice; it is a buffer, saved with the weights, and stays as it is
    in evaluation.

    The paper's penalty on a share of pruned units outside of a range is left out: an architecture gives logits, and
    losses belong to the tasks. An unknown scenario has e_s = 0.
    """

    about = About(
        "scenario",
        "units of each layer scaled and pruned by scenario",
        "Yang et al. 2022, AdaSparse: learning adaptively sparse structures",
        ("a scenario",),
    )

    def __init__(self, *, shape: Shape, options: AdaSparseOptions) -> None:
        super().__init__()
        count = require_scenarios(shape, "adasparse")
        self.widths, self.options = shape.widths, options
        self.codes = ScenarioCodes(shape=shape, unknown=options.unknown)
        self.scenario = nn.Embedding(count, options.embedding, padding_idx=0)
        self.register_buffer("alpha", torch.tensor(options.alpha))
        self.alpha: Tensor
        self.pruners, self.layers = nn.ModuleList(), nn.ModuleList()
        width = shape.widths.user + shape.widths.item + shape.widths.context
        for out in options.hidden:
            self.pruners.append(nn.Linear(options.embedding + width, width))
            layer = nn.Linear(width, out)
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
            self.layers.append(layer)
            width = out
        self.dropout = Dropout(shape.dropout)
        self.towers = Towers(width=width, outputs=shape.outputs, hidden=options.tower, dropout=shape.dropout)
        self.tasks = len(shape.outputs)

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        inputs, codes = self.codes(inputs)
        if self.training:
            self._grow()
        e, h = self.scenario(codes), inputs.rows(self.widths)
        for pruner, layer in zip(self.pruners, self.layers, strict=True):
            factors = self.options.beta * (self.alpha * pruner(torch.cat([e, h], 1))).sigmoid()
            h = h * factors * (factors > self.options.epsilon)
            h = self.dropout(layer(h).relu_())
        logits: Tensor = self.towers(h.expand(self.tasks, -1, -1), inputs.scenario)
        return logits

    @torch.no_grad()
    def _grow(self) -> None:
        first, last = self.options.alpha, self.options.last_alpha
        low, high = min(first, last), max(first, last)
        # not in place: the graph of a step before may still hold the value
        self.alpha = (self.alpha + (last - first) / self.options.alpha_steps).clamp(low, high)
