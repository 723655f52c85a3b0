"""Random loss weights.

Lin et al. 2022, "Reasonable effectiveness of random weighting", algorithm 2 (RLW).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from motet.training.balancing._balancer import WeightedBalancer, draws_of

__all__ = ["RandomWeights"]


class RandomWeights(WeightedBalancer):
    """Weights drawn in every step, λ = T·softmax(z) with z ~ N(0, 1): what any clever weighting has to beat.

    The loss is Σ w_t·λ_t·L_t. The draw depends on seed, step and the names of the tasks.

    Args:
        weights: The tasks' own weights w_t.
        seed: Of the draws.
    """

    paper = "Lin et al. 2022, Reasonable effectiveness of random weighting (RLW)"

    def __init__(self, *, weights: Mapping[str, float], seed: int = 0) -> None:
        super().__init__(weights=weights)
        self.seed = seed
        self.order = [sorted(weights).index(name) for name in weights]
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    steps: Tensor

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        values, own = self.stack(losses)
        generator = torch.Generator().manual_seed(draws_of(self.seed, int(self.steps)))
        z = torch.randn(len(values), generator=generator)[self.order].to(values)
        self.steps += 1
        return (own * len(values) * z.softmax(0) * values).sum()
