"""Weights from learnt uncertainties.

Kendall et al. 2018, "Multi-task learning using uncertainty to weigh losses for scene geometry and
semantics", eq. 7; Liu et al. 2021, "Towards impartial multi-task learning", section 3.2 (IMTL-L).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from motet.training.balancing._balancer import WeightedBalancer

__all__ = ["ImpartialLosses", "UncertaintyWeights"]


class UncertaintyWeights(WeightedBalancer):
    """Learnt uncertainties: Σ w_t·(e^(−s_t)·L_t + s_t / 2) with s_t = log σ_t², which nothing clamps.

    The factor ½ of the paper's regression term is part of no loss here, so one form serves all kinds. A task
    without a label in the batch leaves its s_t alone.
    """

    paper = "Kendall et al. 2018, Multi-task learning using uncertainty to weigh losses"

    def __init__(self, *, weights: Mapping[str, float]) -> None:
        super().__init__(weights=weights)
        self.log_variance = nn.Parameter(torch.zeros(len(weights)))

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        values, own = self.stack(losses)
        s = self.log_variance
        return (own * (torch.exp(-s) * values + (values.detach() != 0) * s / 2)).sum()


class ImpartialLosses(WeightedBalancer):
    """Learnt scales that bring every loss to 1: Σ w_t·(e^(s_t)·L_t − s_t).

    A task without a label in the batch leaves its s_t alone.
    """

    paper = "Liu et al. 2021, Towards impartial multi-task learning (IMTL-L)"

    def __init__(self, *, weights: Mapping[str, float]) -> None:
        super().__init__(weights=weights)
        self.log_scale = nn.Parameter(torch.zeros(len(weights)))

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        values, own = self.stack(losses)
        s = self.log_scale
        return (own * (torch.exp(s) * values - (values.detach() != 0) * s)).sum()
