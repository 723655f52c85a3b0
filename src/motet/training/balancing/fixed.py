"""Fixed weights: those of the tasks, or equal ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from motet.training.balancing._balancer import WeightedBalancer

__all__ = ["EqualWeights", "FixedWeights"]


class FixedWeights(WeightedBalancer):
    """The tasks' own weights: Σ w_t·L_t."""

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        return torch.stack([self.weights[name] * loss for name, loss in losses.items()]).sum()


class EqualWeights(FixedWeights):
    """The mean of the losses, whatever weights the tasks have."""

    def __init__(self, *, weights: Mapping[str, float]) -> None:
        super().__init__(weights=dict.fromkeys(weights, 1.0))
