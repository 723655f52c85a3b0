"""GradNorm.

Chen et al. 2018, "GradNorm: gradient normalization for adaptive loss balancing in deep multitask
networks", eq. 1–2 and algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from motet.training.balancing._balancer import WeightedBalancer, jacobian

__all__ = ["GradNorm"]


class GradNorm(WeightedBalancer):
    """Learnt weights v_t that let every task train at a like rate.

    G_t = ‖∇ v_t·L_t‖ on the shared representation; r_t = (L_t / L_t(0)) / mean; the weights minimise
    L_grad = Σ |G_t − Ḡ·r_t^α| (eq. 2), Ḡ·r_t^α taken as a constant, and are scaled to sum to T after each
    update. The network minimises Σ w_t·v_t·L_t, v_t taken as constants. Tasks without a label in the batch
    are in none of the means; the first loss L_t(0) of a task is that of the first batch where it has labels.

    Args:
        weights: The tasks' own weights w_t.
        alpha: How much slower tasks are favoured; 0 makes all gradients equally long, ≥ 0.
    """

    paper = "Chen et al. 2018, GradNorm: gradient normalization for adaptive loss balancing"

    def __init__(self, *, weights: Mapping[str, float], alpha: Annotated[float, Field(ge=0)] = 1.5) -> None:
        super().__init__(weights=weights)
        self.alpha = alpha
        # trained with the network: its gradient is that of L_grad, which is part of the returned loss
        self.balance = nn.Parameter(torch.ones(len(weights)))
        self.register_buffer("first_losses", torch.full((len(weights),), torch.nan))

    first_losses: Tensor

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        values, own = self.stack(losses)
        lengths = jacobian([losses[name] for name in self.weights], shared).norm(dim=1)  # [T]
        now = values.detach()
        known = (now != 0) & (lengths > 0)
        with torch.no_grad():
            positive = self.balance.clamp(min=_LEAST)
            self.balance.copy_(positive * len(values) / positive.sum())  # algorithm 1, last line
            new = known & self.first_losses.isnan()
            self.first_losses.copy_(torch.where(new, now.to(self.first_losses), self.first_losses))
            ratio = now / self.first_losses.to(now)
            rate = ratio / ratio[known].mean()  # r_t
            mean = (self.balance * lengths)[known].mean()  # Ḡ
            goal = mean * rate**self.alpha  # eq. 1
        distance = (self.balance * lengths - goal).abs()
        grad_loss = torch.where(known, distance, torch.zeros_like(distance)).sum()  # eq. 2
        total = (own * self.balance.detach() * values).sum()
        return total + (grad_loss - grad_loss.detach())


_LEAST = 1e-3  # the weights are trained freely, and a weight below 0 would push its task uphill
