"""Fast adaptive multitask optimisation.

Liu et al. 2023, "FAMO: fast adaptive multitask optimization", algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from motet.training.balancing._balancer import WeightedBalancer

__all__ = ["FastAdaptive"]

_LEAST = 1e-8


class FastAdaptive(WeightedBalancer):
    """Losses fall at like relative rates, by what each step has changed.

    c·Σ z_t·log L_t with z = softmax(log w + ξ) and the constant c = 1 / Σ (z_t / L_t). After the step the losses of the same batch are taken again, one more forward pass, and
    ξ ← ξ − β·(Jᵀδ + γ·ξ) with δ_t = log L_t(before) − log L_t(after) and J the Jacobian of the softmax. Tasks
    without a label in the batch are left out of both.

    Args:
        weights: The tasks' own weights w_t, where z begins.
        step_size: β, > 0.
        decay: γ, ≥ 0.
    """

    paper = "Liu et al. 2023, FAMO: fast adaptive multitask optimization"

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        step_size: Annotated[float, Field(gt=0)] = 0.025,
        decay: Annotated[float, Field(ge=0)] = 0.001,
    ) -> None:
        super().__init__(weights=weights)
        self.step_size, self.decay = step_size, decay
        self.register_buffer("logits", torch.zeros(len(weights)))
        self.before: Tensor | None = None

    logits: Tensor

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        values, own = self.stack(losses)
        self.before = values.detach()
        known = self.before != 0
        if not bool(known.any()):
            return values.sum()
        z = self._shares(own, known)
        safe = torch.where(known, values, torch.ones_like(values)).clamp(min=_LEAST)
        scale = 1 / (z / safe.detach()).sum()
        return scale * (z * safe.log()).sum()

    @torch.no_grad()
    def after_step(self, losses_again: Callable[[], Mapping[str, Tensor]]) -> None:
        """Take the step of ξ."""
        if self.before is None:
            return
        after, own = self.stack(losses_again())
        before, known = self.before, self.before != 0
        gain = torch.where(known, before.clamp(min=_LEAST).log() - after.clamp(min=_LEAST).log(), 0.0)
        z = self._shares(own, known)
        slope = z * (gain - (z * gain).sum())  # Jᵀδ, J = diag z − z·zᵀ
        moved = self.logits - self.step_size * (slope.to(self.logits) + self.decay * self.logits)
        self.logits.copy_(torch.where(known & bool(torch.isfinite(moved).all()), moved, self.logits))

    def _shares(self, own: Tensor, known: Tensor) -> Tensor:
        logits = own.log() + self.logits.to(own)
        return logits.masked_fill(~known, -math.inf).softmax(0)
