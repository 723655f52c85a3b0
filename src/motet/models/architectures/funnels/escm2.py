"""ESCM².

Wang, Chang, Liu, Huang, Chen, Yu, Li & Chu 2022, "ESCM²: Entire space counterfactual multi-task model for post-click
conversion rate estimation", SIGIR. ESMM with a counterfactual risk of the conversion rate: with clicks o and their
predicted chance ô, conversions r and r̂, and the cross-entropy δ = l(r, r̂),

    L     = L_CTR + λ_c·R + λ_g·L_CTCVR                       the last as in ESMM
    R_IPS = mean o·δ/ô                                        (1) inverse propensity
    R_DR  = mean [δ̂ + o·(δ − δ̂)/ô] + mean o·(δ − δ̂)²/ô        (2) doubly robust, and the loss of the imputed error δ̂

δ̂ = softplus of a tower of its own, so that it can meet any cross-entropy (in PaddleRec's version it is at most 1). ô is
a constant in (1) and (2), at least ``least_propensity``; δ is one in the last term of (2), so that the imputation
follows the error and not the other way round. In a longer funnel o says whether the step before was reached, and ô is
the product of its chances. Equations are numbered here.

Legend of shapes: B rows, K steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from motet.models.architectures._architecture import About, Shape
from motet.models.architectures.funnels._funnel import (
    Funnel,
    FunnelOptions,
    known_steps,
    log_chances,
    weighted_mean,
)

__all__ = ["Escm2", "Escm2Options"]


class Escm2Options(FunnelOptions):
    """Options of ESCM².

    Attributes:
        risk: ``dr``, doubly robust, or ``ips``, inverse propensity.
        counterfactual_weight: λ_c.
        global_weight: λ_g.
        least_propensity: The least ô that is divided by.
    """

    risk: Literal["dr", "ips"] = "dr"
    counterfactual_weight: float = Field(1.0, ge=0)
    global_weight: float = Field(1.0, ge=0)
    least_propensity: float = Field(0.02, gt=0, le=1)


class Escm2(Funnel):
    """ESMM and a conversion loss weighted by inverse propensities, doubly robust or not."""

    about = About(
        "funnel",
        "ESMM with a conversion loss over all impressions by inverse propensities, doubly robust or not",
        "Wang et al. 2022, ESCM2: Entire space counterfactual multi-task model",
        needs=("a binary task after a binary task",),
    )

    def __init__(self, *, shape: Shape, options: Escm2Options) -> None:
        super().__init__(shape=shape, options=options, more=int(options.risk == "dr"))
        self.options = options

    def losses(
        self, logits: Mapping[str, Tensor], labels: Mapping[str, Tensor], extra: Tensor
    ) -> dict[str, Tensor]:
        """The loss of each step; other tasks keep theirs."""
        options, steps = self.options, self.steps
        a = torch.stack([logits[name] for name in steps])
        z, weight = known_steps(labels, steps)
        yes, no = log_chances(a)
        reached = weighted_mean(-(z * yes + (1 - z) * no), weight)  # CTR, then CTCVR of each step
        inverse = z[:-1] / yes[:-1].detach().exp().clamp(min=options.least_propensity)  # o/ô, [K − 1, B]
        delta = F.binary_cross_entropy_with_logits(a[1:], z[1:], reduction="none")
        if options.risk == "ips":
            risk = weighted_mean(inverse * delta, weight[1:])  # eq. 1
        else:
            imputed = F.softplus(extra.T)  # [K − 1, B]
            risk = weighted_mean(imputed + inverse * (delta - imputed), weight[1:])  # eq. 2
            risk = risk + weighted_mean(inverse * (delta.detach() - imputed) ** 2, weight[1:])
        later = options.counterfactual_weight * risk + options.global_weight * reached[1:]
        return dict(zip(steps, [reached[0], *later.unbind()], strict=True))
