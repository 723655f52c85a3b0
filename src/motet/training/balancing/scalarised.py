"""One number of the losses without weights that change: geometric mean, smooth maximum.

Chennupati et al. 2019, "MultiNet++: multi-stream feature aggregation and geometric loss strategy";
Lin et al. 2024, "Smooth Tchebycheff scalarization for multi-objective optimization".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from motet.training.balancing._balancer import WeightedBalancer

__all__ = ["GeometricMean", "SmoothMaximum"]

_LEAST = 1e-8


class GeometricMean(WeightedBalancer):
    """Geometric mean of the losses, ∏ L_t^(w_t): their scales do not matter.

    It is over the tasks with a label in the batch, whose weights are scaled to sum to 1.
    """

    paper = "Chennupati et al. 2019, MultiNet++ (geometric loss strategy)"

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        values, own = self.stack(losses)
        known = values.detach() != 0
        if not bool(known.any()):
            return values.sum()
        share = own * known / (own * known).sum()
        safe = torch.where(known, values, torch.ones_like(values)).clamp(min=_LEAST)
        return (share * safe.log()).sum().exp()


class SmoothMaximum(WeightedBalancer):
    """The worst task weighs most: μ·log Σ exp(w_t·L_t / μ).

    The sum is over the tasks with a label in the batch, whose weights are scaled to sum to 1.

    Args:
        weights: The tasks' own weights w_t.
        mu: μ; the smaller, the nearer to the maximum, > 0.
    """

    paper = "Lin et al. 2024, Smooth Tchebycheff scalarization for multi-objective optimization"

    def __init__(self, *, weights: Mapping[str, float], mu: Annotated[float, Field(gt=0)] = 0.1) -> None:
        super().__init__(weights=weights)
        self.mu = mu

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        values, own = self.stack(losses)
        known = values.detach() != 0
        if not bool(known.any()):
            return values.sum()
        share = own * known / (own * known).sum()
        return self.mu * (share * values / self.mu).masked_fill(~known, -math.inf).logsumexp(0)
