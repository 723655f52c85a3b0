"""AITM.

Xi, Chen, Yan, Zhang, Zhu, Zhuang & Chen 2021, "Modeling the sequential dependence among audience multi-step conversions
with multi-task learning in targeted display advertising", KDD. Step t hands information on to step t + 1:

    z_1 = q_1,  q_t = f_t(x)                                               (1) one network a task
    p_{t−1} = relu(g_{t−1}·z_{t−1})                                        (2) what is handed on
    z_t = Σ_{u ∈ {p_{t−1}, q_t}} w_u·h₁(u)                                 (3) adaptive information transfer
    w_u = softmax_u(⟨h₂(u), h₃(u)⟩/√H)                                     (4)
    ŷ_t = σ(tower_t(z_t))                                                  (5) chance of having reached step t
    L   = Σ_t l(reached_t, ŷ_t) + α·Σ_{t≥2} mean max(ŷ_t − ŷ_{t−1}, 0)      (6) calibrator: no step is likelier than
                                                                               the one before

h₁, h₂ and h₃ are linear layers, one set for each transfer; the authors' code has one for all of them. ŷ_t is over all
rows; the prediction, of step t given step t − 1, is ŷ_t/ŷ_{t−1}, at most 0.9999. Equations are numbered here.

Legend of shapes: B rows, K steps, T tasks, H width of a network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from motet.models import FirstExperts, Inputs, Towers
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.models.architectures.funnels._funnel import FunnelOptions, known_steps, steps_of, weighted_mean

__all__ = ["Aitm", "AitmOptions"]

_MOST = 0.9999  # of a step given the one before: its logit must be finite


class AitmOptions(FunnelOptions):
    """Options of AITM.

    Attributes:
        calibrator: α, weight of the behavioural expectation calibrator.
    """

    calibrator: float = Field(0.6, ge=0)


class Aitm(Architecture):
    """z_t mixes what step t − 1 hands on with its own network by attention; ŷ_t ≤ ŷ_{t−1} by a loss."""

    about = About(
        "funnel",
        "each step hands information on to the next; a calibrator keeps later steps less likely",
        "Xi et al. 2021, Modeling the sequential dependence among audience multi-step conversions",
        needs=("a binary task after a binary task",),
    )

    columns: Tensor

    def __init__(self, *, shape: Shape, options: AitmOptions) -> None:
        super().__init__()
        self.steps = steps_of(shape, options.steps)
        self.calibrator = options.calibrator
        self.places = [shape.tasks.index(name) for name in self.steps]
        starts = [sum(shape.outputs[:place]) for place in self.places]
        self.register_buffer("columns", torch.tensor(starts), persistent=False)
        self.networks = FirstExperts(
            widths=shape.widths, count=len(shape.outputs), hidden=options.hidden, dropout=shape.dropout
        )
        width = self.networks.width
        self.hand_on = nn.ModuleList(nn.Linear(width, width) for _ in self.steps[1:])  # g
        self.look = nn.ModuleList(nn.Linear(width, 3 * width) for _ in self.steps[1:])  # h₁, h₂, h₃
        self.towers = Towers(
            width=width,
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        return self.with_extra(inputs, item_logits)[0]

    def with_extra(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Logits of each step given the one before, [B, W], and of having reached it, [B, K − 1] but the first."""
        q, _ = self.networks(inputs)  # [T, B, H]
        z = list(q.unbind())
        for k, (before, here) in enumerate(pairwise(self.places)):
            handed = self.hand_on[k](z[before]).relu()  # eq. 2
            u = torch.stack([handed, q[here]], 1)  # [B, 2, H]
            h1, h2, h3 = self.look[k](u).chunk(3, 2)
            w = ((h2 * h3).sum(2) / math.sqrt(q.shape[2])).softmax(1)  # eq. 4
            z[here] = (w[:, :, None] * h1).sum(1)  # eq. 3
        y: Tensor = self.towers(torch.stack(z), inputs.scenario)
        a = y.index_select(1, self.columns)  # of having reached, [B, K]
        log_ratio = F.logsigmoid(a[:, 1:]) - F.logsigmoid(a[:, :-1])
        log_ratio = log_ratio.clamp(max=math.log(_MOST))
        given = log_ratio - (-log_ratio.expm1()).log()
        return y.index_copy(1, self.columns[1:], given), a[:, 1:]

    def losses(
        self, logits: Mapping[str, Tensor], labels: Mapping[str, Tensor], extra: Tensor
    ) -> dict[str, Tensor]:
        """The loss of each step, eq. 6; other tasks keep theirs."""
        a = torch.cat([logits[self.steps[0]][None], extra.T])  # [K, B]
        z, weight = known_steps(labels, self.steps)
        losses = weighted_mean(F.binary_cross_entropy_with_logits(a, z, reduction="none"), weight)
        excess = weighted_mean(a.sigmoid().diff(dim=0).relu(), weight[1:])  # [K − 1]
        losses = losses + self.calibrator * F.pad(excess, (1, 0))
        return dict(zip(self.steps, losses.unbind(), strict=True))
