"""DCMT.

Zhu, Zhong, Yang et al. 2023, "DCMT: A direct entire-space causal multi-task framework for post-click conversion
estimation", ICDE. A twin tower predicts conversions r̂ where rows were clicked, and the other outcome r̂* in a
counterfactual world, where the label of a row is mirrored: r* = 1 − r, so 1 for a row without a click. With clicks o,
their predicted chance ô, and the cross-entropy e,

    E = Σ_{o=1} e(r, r̂)/ô  +  Σ_{o=0} e(r*, r̂*)/(1 − ô)  +  λ₁·mean |1 − (r̂ + r̂*)|        (1)
    L = L_CTR + w_cvr·E + w_ctcvr·L_CTCVR                                                     (2)

The last term of (1) is the counterfactual prior: either r or r* happens. Either sum is divided by the sum of its weights
(self-normalised), or by the number of rows. ô is a constant in (1), at least ``least_propensity`` from 0 and 1. In a
longer funnel o says whether the step before was reached. The paper's towers are wide and deep, and the twins share their
deep layers; here every tower has layers of its own over shared embeddings. Equations are numbered here.

Legend of shapes: B rows, K steps.
"""

from __future__ import annotations

from collections.abc import Mapping

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

__all__ = ["Dcmt", "DcmtOptions"]


class DcmtOptions(FunnelOptions):
    """Options of DCMT.

    Attributes:
        prior_weight: λ₁, of the counterfactual prior.
        conversion_weight: w_cvr.
        global_weight: w_ctcvr.
        least_propensity: The least ô, and the least 1 − ô, that is divided by.
        self_normalised: Whether sums of weighted errors are divided by the sum of their weights.
    """

    prior_weight: float = Field(0.001, ge=0)
    conversion_weight: float = Field(1.0, ge=0)
    global_weight: float = Field(1.0, ge=0)
    least_propensity: float = Field(0.02, gt=0, lt=0.5)
    self_normalised: bool = True


class Dcmt(Funnel):
    """Conversions on clicked rows and mirrored ones on the others, tied by r̂ + r̂* = 1."""

    about = About(
        "funnel",
        "conversions of clicked rows and a counterfactual twin of the others, by inverse propensities",
        "Zhu et al. 2023, DCMT: A direct entire-space causal multi-task framework",
        needs=("a binary task after a binary task",),
    )

    def __init__(self, *, shape: Shape, options: DcmtOptions) -> None:
        super().__init__(shape=shape, options=options, more=1)
        self.options = options

    def losses(
        self, logits: Mapping[str, Tensor], labels: Mapping[str, Tensor], extra: Tensor
    ) -> dict[str, Tensor]:
        """The loss of each step; other tasks keep theirs."""
        options, steps = self.options, self.steps
        a, twin = torch.stack([logits[name] for name in steps]), extra.T  # [K, B], [K − 1, B]
        z, weight = known_steps(labels, steps)
        yes, no = log_chances(a)
        reached = weighted_mean(-(z * yes + (1 - z) * no), weight)  # CTR, then CTCVR of each step
        o, least, counts = z[:-1], options.least_propensity, weight[1:]
        chance = yes[:-1].detach().exp().clamp(least, 1 - least)  # ô
        factual = F.binary_cross_entropy_with_logits(a[1:], z[1:], reduction="none")
        mirrored = -F.logsigmoid(twin)  # e(1, r̂*): only rows without the step before
        error = self._mean(factual, counts, o / chance)
        error = error + self._mean(mirrored, counts, (1 - o) / (1 - chance))
        prior = (1 - a[1:].sigmoid() - twin.sigmoid()).abs()
        error = error + options.prior_weight * weighted_mean(prior, counts)
        later = options.conversion_weight * error + options.global_weight * reached[1:]
        return dict(zip(steps, [reached[0], *later.unbind()], strict=True))

    def _mean(self, errors: Tensor, counts: Tensor, inverse: Tensor) -> Tensor:
        if self.options.self_normalised:
            return weighted_mean(errors, counts * inverse)
        return weighted_mean(errors * inverse, counts)
