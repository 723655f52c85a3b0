"""Dynamic weight average.

Liu et al. 2019, "End-to-end multi-task learning with attention", eq. 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from motet.training.balancing._balancer import WeightedBalancer

__all__ = ["DynamicWeightAverage"]


class DynamicWeightAverage(WeightedBalancer):
    """Tasks whose loss falls slowly weigh more: λ = T·softmax(r / temperature), r_t = L_t(epoch − 1) / L_t(epoch − 2).

    L_t(epoch) is the mean over the batches of an epoch in which the task has a label; r_t = 1 until two epochs
    are known. The loss is Σ w_t·λ_t·L_t.

    Args:
        weights: The tasks' own weights w_t.
        steps_per_epoch: Steps of an epoch, ≥ 1.
        temperature: The larger, the more even the weights, > 0.
    """

    paper = "Liu et al. 2019, End-to-end multi-task learning with attention (DWA)"

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        steps_per_epoch: int = 1,
        temperature: Annotated[float, Field(gt=0)] = 2.0,
    ) -> None:
        super().__init__(weights=weights)
        self.temperature, self.steps_per_epoch = temperature, steps_per_epoch
        self.register_buffer("sums", torch.zeros(len(weights), dtype=torch.float64))  # of this epoch
        self.register_buffer("counts", torch.zeros(len(weights), dtype=torch.int64))
        self.register_buffer("history", torch.full((2, len(weights)), torch.nan, dtype=torch.float64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    sums: Tensor
    counts: Tensor
    history: Tensor
    steps: Tensor

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        values, own = self.stack(losses)
        if int(self.steps) and int(self.steps) % self.steps_per_epoch == 0:
            self._close_epoch()
        rates = (self.history[1] / self.history[0]).nan_to_num(1.0)  # eq. 7, [T]
        spread = len(rates) * (rates / self.temperature).softmax(0).to(values)
        self.sums += values.detach()
        self.counts += values.detach() != 0  # a task without a label in the batch has a loss of 0
        self.steps += 1
        return (own * spread * values).sum()

    def _close_epoch(self) -> None:
        known = self.counts > 0
        mean = self.sums / self.counts.clamp(min=1)
        self.history[0] = torch.where(known, self.history[1], self.history[0])
        self.history[1] = torch.where(known, mean, self.history[1])
        self.sums.zero_()
        self.counts.zero_()
