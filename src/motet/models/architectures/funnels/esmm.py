"""ESMM.

Ma, Zhao, Huang, Wang, Hu, Zhu & Gai 2018, "Entire space multi-task model: an effective approach for estimating
post-click conversion rate", SIGIR. With y a click and z a conversion,

    P(y = 1, z = 1 | x) = P(y = 1 | x)·P(z = 1 | y = 1, x)      pCTCVR = pCTR × pCVR        (eq. 1)
    L = Σ l(y, pCTR) + Σ l(y & z, pCTR × pCVR)                  l cross-entropy, over all impressions

pCVR itself has no loss: it is learnt through the product, so that it is defined on impressions without a click too. The
product is one of probabilities. A longer funnel has one such term a step.

Legend of shapes: B rows, K steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from motet.models.architectures._architecture import About, Shape
from motet.models.architectures.funnels._funnel import (
    Funnel,
    FunnelOptions,
    known_steps,
    log_chances,
    weighted_mean,
)

__all__ = ["Esmm", "EsmmOptions"]


class EsmmOptions(FunnelOptions):
    """Options of ESMM: those of every funnel."""


class Esmm(Funnel):
    """Cross-entropy of having reached each step, over all rows; pCTCVR = pCTR × pCVR."""

    about = About(
        "funnel",
        "clicks, and clicks that convert, learnt over all impressions; conversion by the product of probabilities",
        "Ma et al. 2018, Entire space multi-task model",
        needs=("a binary task after a binary task",),
    )

    def __init__(self, *, shape: Shape, options: EsmmOptions) -> None:
        super().__init__(shape=shape, options=options)

    def losses(
        self, logits: Mapping[str, Tensor], labels: Mapping[str, Tensor], extra: Tensor
    ) -> dict[str, Tensor]:
        """The loss of each step; other tasks keep theirs."""
        z, weight = known_steps(labels, self.steps)
        yes, no = log_chances(torch.stack([logits[name] for name in self.steps]))
        losses = weighted_mean(-(z * yes + (1 - z) * no), weight)  # [K]
        return dict(zip(self.steps, losses.unbind(), strict=True))
