"""Conflict-averse gradient descent.

Liu et al. 2021, "Conflict-averse gradient descent for multi-task learning", algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from motet.training.balancing._gradients import GramianWeights, Smoothing

__all__ = ["ConflictAverse"]

_SMALL = 1e-12


class ConflictAverse(GramianWeights):
    """The direction within c·‖g₀‖ of the mean g₀ that helps the worst task most.

    d = g₀ + (√φ / ‖g_v‖)·g_v with φ = c²·‖g₀‖² and v on the simplex that minimises g_vᵀg₀ + √φ·‖g_v‖,
    solved by SciPy as its authors do. c = 0 is the mean.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
        c: Radius of the ball, as a share of the length of the mean, in [0, 1).
        smoothing: Share of the weights of the step before, in [0, 1).
    """

    paper = "Liu et al. 2021, Conflict-averse gradient descent for multi-task learning (CAGrad)"

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        seed: int = 0,
        c: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        smoothing: Smoothing = 0.0,
    ) -> None:
        super().__init__(weights=weights, weighting=self._solve, seed=seed, smoothing=smoothing)
        self.c = c

    def _solve(self, gram: Tensor) -> Tensor:
        g = gram.detach().cpu().double().numpy()  # [T, T]
        even = np.full(len(g), 1 / len(g))
        to_mean = g @ even  # g_iᵀg₀
        radius = self.c * np.sqrt(max(even @ to_mean, 0.0))  # √φ

        def length(v: NDArray[np.float64]) -> float:
            return float(np.sqrt(max(v @ g @ v, _SMALL)))

        found = scipy.optimize.minimize(
            lambda v: v @ to_mean + radius * length(v),
            even,
            jac=lambda v: to_mean + radius * (g @ v) / length(v),
            bounds=[(0.0, 1.0)] * len(g),
            constraints={"type": "eq", "fun": lambda v: v.sum() - 1, "jac": np.ones_like},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 200},
        )
        v = found.x
        return torch.from_numpy(even + radius / length(v) * v).to(gram)
