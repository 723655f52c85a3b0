"""Dropout whose mask costs an eighth of the random numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Dropout"]


class Dropout(nn.Module):
    """Sets a share of units to zero in training and scales the rest (Srivastava et al. 2014).

    One byte of randomness decides each unit, so that the share is a multiple of 1/256; drawing a
    float for each would take longer than the matrix product behind it.

    Args:
        share: Share of units to drop, in [0, 1); rounded to 1/256.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.threshold = round(share * 256)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.threshold:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.threshold
        return x * kept * (256 / (256 - self.threshold))
