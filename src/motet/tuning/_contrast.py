"""The contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["info_nce"]


def info_nce(first: Tensor, second: Tensor, related: Tensor, temperature: float) -> Tensor:
    """Pull pairs together, push everything else in the batch apart (van den Oord et al. 2018, eq. 4).

    −log e^(s_kk/τ) / Σ_j e^(s_kj/τ), the mean over k and over both directions, with s the cosine;
    j runs over the batch without those that are related to k themselves.

    Args:
        first: [B, D].
        second: [B, D]; row k belongs to row k of ``first``.
        related: Which are no negatives, bool [B, B]; the diagonal does not matter.
        temperature: τ, > 0.

    Example:
        >>> one = torch.eye(2)
        >>> round(float(info_nce(one, one, torch.zeros(2, 2, dtype=torch.bool), 1.0)), 4)  # log(1 + 1/e)
        0.3133
    """
    logits = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature
    same = torch.eye(len(first), dtype=torch.bool, device=first.device)
    logits = logits.masked_fill(related & ~same, float("-inf"))
    right = torch.arange(len(first), device=first.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2
