"""Balancers that look at the gradients of the tasks on the shared representation (docs/adr/0005).

Legend of shapes: T tasks, n numbers of the shared representation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from motet.errors import MissingExtraError
from motet.training.balancing._balancer import WeightedBalancer, draws_of, jacobian, with_gradient

__all__ = ["GradientDirection", "GramianWeights", "Smoothing", "from_torchjd"]

Smoothing = Annotated[float, Field(ge=0, lt=1)]


def from_torchjd(name: str, **options: Any) -> Any:
    """A class of ``torchjd.aggregation``, made with options.

    Raises:
        MissingExtraError: If TorchJD, or what it needs for this method, is not installed.
    """
    try:
        from torchjd import aggregation  # noqa: PLC0415 (an extra)

        return getattr(aggregation, name)(**options)
    except ImportError:
        raise MissingExtraError("torchjd", "surgery") from None


class GramianWeights(WeightedBalancer):
    """Weights from the Gramian of the tasks' gradients: Σ λ_t·w_t·L_t, λ = weighting(J·Jᵀ).

    The Gramian is scaled to a mean diagonal of 1 first, so that what a method adds for numerical stability
    is small beside it whatever the batch size. Tasks without a gradient on the shared representation, as of a
    batch without their labels, are left out of it, and get the mean weight of the others. Where a weight is
    negative, the shared representation gets that multiple of the task's gradient, as the method asks for; the
    layers above it do not, so that no tower ever climbs.

    Args:
        weights: The tasks' own weights w_t, applied to the losses first.
        weighting: Maps a Gramian [T, T] to weights [T].
        seed: Of what the weighting draws; a step draws the same whether or not the run was interrupted.
        smoothing: ρ of λ ← ρ·λ(before) + (1 − ρ)·λ (CR-MOGM, Zhou et al. 2022), in [0, 1).
        first: The task whose row comes first; the others stand in the order of their names.
        remembers: Whether the weighting keeps a state from step to step, zero at the start.
        scaled: Whether the Gramian is scaled; not for a weighting that remembers lengths.
    """

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        weighting: Callable[[Tensor], Tensor],
        seed: int = 0,
        smoothing: float = 0.0,
        first: str | None = None,
        remembers: bool = False,
        scaled: bool = True,
    ) -> None:
        super().__init__(weights=weights)
        self.weighting, self.seed, self.smoothing = weighting, seed, smoothing
        self.remembers, self.scaled = remembers, scaled
        names = list(weights)
        ordered = sorted(names, key=lambda name: (name != first, name))
        self.order = torch.tensor([names.index(name) for name in ordered])
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("smoothed", torch.full((len(names),), torch.nan))
        if (
            remembers
        ):  # the buffers appear in the first call; a checkpoint can only be loaded into what is there
            self._call(torch.eye(len(names)))
            for buffer in self._memory():
                buffer.zero_()

    steps: Tensor
    smoothed: Tensor

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        values, own = self.stack(losses)
        weighted = own * values
        rows = own[:, None] * jacobian([losses[name] for name in self.weights], shared)  # [T, n]
        chosen = self._weights_of(rows @ rows.T)
        self.steps += 1
        upward = chosen.clamp(min=0)
        total = (upward * weighted).sum()
        if bool((chosen < 0).any()):
            total = with_gradient(total, shared, (chosen - upward) @ rows)
        return total

    @torch.no_grad()
    def _weights_of(self, gram: Tensor) -> Tensor:
        """Weights of all tasks in the order of the schema, [T]."""
        known = gram.diagonal() > 0
        if not bool(known.any()) or not bool(torch.isfinite(gram).all()):
            return torch.ones_like(gram.diagonal())  # nothing to balance, or a loss that the step will refuse
        used = self.order if self.remembers else self.order[known[self.order]]
        size = gram.diagonal()[known].mean() if self.scaled else 1.0
        found = self._call(gram[used][:, used] / size, known[used])
        chosen = torch.full_like(gram.diagonal(), torch.nan)
        chosen[used] = found.to(chosen)
        if self.smoothing:
            before = torch.where(self.smoothed.isnan().to(known), chosen, self.smoothed.to(chosen))
            chosen = self.smoothing * before + (1 - self.smoothing) * chosen
            self.smoothed.copy_(torch.where(known, chosen.to(self.smoothed), self.smoothed))
        return torch.where(known, chosen, chosen[known].mean())

    def _call(self, gram: Tensor, known: Tensor | None = None) -> Tensor:
        before = [buffer.clone() for buffer in self._memory()]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draws_of(self.seed, int(self.steps)))
            found = self.weighting(gram)
        if known is not None and not bool(
            known.all()
        ):  # what is remembered of an absent task stays as it was
            for old, buffer in zip(before, self._memory(), strict=True):
                if buffer.dim():
                    away = ~known if buffer.dim() == 1 else ~known | ~known[:, None]
                    buffer[away] = old[away]
        return found

    def _memory(self) -> list[Tensor]:
        return (
            list(self.weighting.buffers()) if self.remembers and isinstance(self.weighting, nn.Module) else []
        )


class GradientDirection(WeightedBalancer):
    """A direction made of the gradients coordinate by coordinate, which no weights of the tasks give.

    The shared representation gets that direction; the layers above it the gradient of Σ w_t·L_t. Tasks
    without a gradient there are left out.

    Args:
        weights: The tasks' own weights w_t, applied to the losses first.
        aggregator: Maps gradients [T, n] to a direction [n].
        fewest: With fewer tasks than these the direction is the mean.
        seed: Of what the aggregator draws.
    """

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        aggregator: Callable[[Tensor], Tensor],
        fewest: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(weights=weights)
        self.aggregator, self.fewest, self.seed = aggregator, fewest, seed
        names = list(weights)
        self.order = torch.tensor([names.index(name) for name in sorted(names)])
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    steps: Tensor

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        values, own = self.stack(losses)
        weighted = own * values
        rows = (own[:, None] * jacobian([losses[name] for name in self.weights], shared))[
            self.order
        ]  # [T, n]
        rows = rows[rows.any(1)]
        total = weighted.sum()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draws_of(self.seed, int(self.steps)))
            self.steps += 1
            if not len(rows) or not bool(torch.isfinite(rows).all()):
                return total
            wanted = self.aggregator(rows) if len(rows) >= self.fewest else rows.mean(0)
        return with_gradient(total, shared, wanted - rows.sum(0))
