"""Methods of TorchJD, by adapters: what each does, and its options. Needs ``motet[surgery]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from motet.errors import SchemaError
from motet.schema import nearest
from motet.training.balancing._gradients import GradientDirection, GramianWeights, Smoothing, from_torchjd

__all__ = [
    "AlignedComponents",
    "ConflictFree",
    "DualCone",
    "FairResources",
    "GradientSurgery",
    "GradientVaccine",
    "ImpartialGradients",
    "MinimumNorm",
    "MostCentral",
    "NashBargaining",
    "PrimaryFirst",
    "SignDropout",
    "TrimmedMean",
    "UnconflictingProjection",
]

_NEEDS = ("motet[surgery]",)
Share = Annotated[float, Field(ge=0, le=1)]


class UnconflictingProjection(GramianWeights):
    """UPGrad: each gradient is projected on the cone where no task's loss rises to first order; the mean of these.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
        smoothing: Share of the weights of the step before, in [0, 1).
    """

    paper = "Quinton & Rey 2024, Jacobian descent for multi-objective optimization (UPGrad)"
    needs = _NEEDS

    def __init__(self, *, weights: Mapping[str, float], seed: int = 0, smoothing: Smoothing = 0.0) -> None:
        super().__init__(
            weights=weights, weighting=from_torchjd("UPGradWeighting"), seed=seed, smoothing=smoothing
        )


class DualCone(GramianWeights):
    """DualProj: the mean gradient, projected on the cone where no task's loss rises to first order.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
        smoothing: Share of the weights of the step before, in [0, 1).
    """

    paper = "Lopez-Paz & Ranzato 2017, Gradient episodic memory for continual learning"
    needs = _NEEDS

    def __init__(self, *, weights: Mapping[str, float], seed: int = 0, smoothing: Smoothing = 0.0) -> None:
        super().__init__(
            weights=weights, weighting=from_torchjd("DualProjWeighting"), seed=seed, smoothing=smoothing
        )


class MinimumNorm(GramianWeights):
    """MGDA: the shortest convex combination of the gradients, min ‖Σ λ_t·g_t‖ over the simplex, by Frank-Wolfe.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
        smoothing: Share of the weights of the step before, in [0, 1).
        iterations: Most steps of Frank-Wolfe, ≥ 1.
        tolerance: It ends when a step is shorter, > 0.
    """

    paper = "Sener & Koltun 2018, Multi-task learning as multi-objective optimization (MGDA)"
    needs = _NEEDS

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        seed: int = 0,
        smoothing: Smoothing = 0.0,
        iterations: Annotated[int, Field(ge=1)] = 100,
        tolerance: Annotated[float, Field(gt=0)] = 0.001,
    ) -> None:
        weighting = from_torchjd("MGDAWeighting", epsilon=tolerance, max_iters=iterations)
        super().__init__(weights=weights, weighting=weighting, seed=seed, smoothing=smoothing)


class GradientSurgery(GramianWeights):
    """PCGrad: each gradient loses its part against each other one that it conflicts with, in drawn order; their sum.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Of the orders.
        smoothing: Share of the weights of the step before, in [0, 1).
    """

    paper = "Yu et al. 2020, Gradient surgery for multi-task learning (PCGrad)"
    needs = _NEEDS

    def __init__(self, *, weights: Mapping[str, float], seed: int = 0, smoothing: Smoothing = 0.0) -> None:
        super().__init__(
            weights=weights, weighting=from_torchjd("PCGradWeighting"), seed=seed, smoothing=smoothing
        )


class GradientVaccine(GramianWeights):
    """GradVac: each gradient is turned towards the others until cosines are at least what they have been of late.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Of the orders in which the others are met.
        smoothing: Share of the weights of the step before, in [0, 1).
        beta: Share of this step in the running mean of a cosine, in [0, 1].
    """

    paper = "Wang et al. 2021, Gradient vaccine (GradVac)"
    needs = _NEEDS

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        seed: int = 0,
        smoothing: Smoothing = 0.0,
        beta: Share = 0.5,
    ) -> None:
        weighting = from_torchjd("GradVacWeighting", beta=beta)
        super().__init__(weights=weights, weighting=weighting, seed=seed, smoothing=smoothing, remembers=True)


class ImpartialGradients(GramianWeights):
    """IMTL-G: the combination that has the same projection on the direction of every task's gradient.

    λ = (J·Jᵀ)⁺·d / Σ, d_t = ‖g_t‖.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
        smoothing: Share of the weights of the step before, in [0, 1).
    """

    paper = "Liu et al. 2021, Towards impartial multi-task learning (IMTL-G)"
    needs = _NEEDS

    def __init__(self, *, weights: Mapping[str, float], seed: int = 0, smoothing: Smoothing = 0.0) -> None:
        super().__init__(
            weights=weights, weighting=from_torchjd("IMTLGWeighting"), seed=seed, smoothing=smoothing
        )


class FairResources(GramianWeights):
    """FairGrad: α-fair weights, J·Jᵀ·λ = λ^(−1/α).

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
        smoothing: Share of the weights of the step before, in [0, 1).
        alpha: α; 0 is the mean, 1 Nash bargaining, large values favour the worst task, ≥ 0.
    """

    paper = "Ban & Ji 2024, Fair resource allocation in multi-task learning (FairGrad)"
    needs = _NEEDS

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        seed: int = 0,
        smoothing: Smoothing = 0.0,
        alpha: Annotated[float, Field(ge=0)] = 2.0,
    ) -> None:
        weighting = from_torchjd("FairGradWeighting", alpha=alpha)
        super().__init__(weights=weights, weighting=weighting, seed=seed, smoothing=smoothing)


class NashBargaining(GramianWeights):
    """Nash-MTL: the bargaining solution, J·Jᵀ·λ = 1 / λ.

    It is FairGrad with α = 1, solved by the same code: TorchJD's own Nash-MTL wants a solver under the GPL.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
        smoothing: Share of the weights of the step before, in [0, 1).
    """

    paper = "Navon et al. 2022, Multi-task learning as a bargaining game (Nash-MTL)"
    needs = _NEEDS

    def __init__(self, *, weights: Mapping[str, float], seed: int = 0, smoothing: Smoothing = 0.0) -> None:
        weighting = from_torchjd("FairGradWeighting", alpha=1.0)
        super().__init__(weights=weights, weighting=weighting, seed=seed, smoothing=smoothing)


class AlignedComponents(GramianWeights):
    """Aligned-MTL: gradients are made orthogonal and equally long by their principal components; the mean of these.

    λ = √σ·V·Σ⁻¹·Vᵀ·1/T of the eigenvalues Σ² and vectors V of J·Jᵀ.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
        smoothing: Share of the weights of the step before, in [0, 1).
        scale: Which eigenvalue gives the length σ: ``min``, ``median`` or the mean, ``rmse``.
    """

    paper = "Senushkin et al. 2023, Independent component alignment for multi-task learning (Aligned-MTL)"
    needs = _NEEDS

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        seed: int = 0,
        smoothing: Smoothing = 0.0,
        scale: Literal["min", "median", "rmse"] = "min",
    ) -> None:
        weighting = from_torchjd("AlignedMTLWeighting", scale_mode=scale)
        super().__init__(weights=weights, weighting=weighting, seed=seed, smoothing=smoothing)


class MostCentral(GradientDirection):
    """Krum: the mean of the gradients that are nearest to the others; of all where fewer than three tasks are there.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
        outliers: How many gradients may be off, ≥ 0.
        kept: How many are averaged, ≥ 1; all but ``outliers`` and two when left out.
    """

    paper = "Blanchard et al. 2017, Machine learning with adversaries (Krum)"
    needs = _NEEDS

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        seed: int = 0,
        outliers: Annotated[int, Field(ge=0)] = 0,
        kept: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        krum = from_torchjd("Krum", n_byzantine=outliers)

        def aggregator(rows: Tensor) -> Tensor:
            krum.n_selected = kept or len(rows) - outliers - 2
            found: Tensor = krum(rows)
            return found

        fewest = max(outliers + 3, kept or 1)
        super().__init__(weights=weights, aggregator=aggregator, fewest=fewest, seed=seed)


class PrimaryFirst(GramianWeights):
    """PCD: the direction nearest to the gradient of one task that gains every other a share τ of its own progress.

    Where that task has no label in a batch, the others weigh the same.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
        smoothing: Share of the weights of the step before, in [0, 1).
        primary: The task that comes first; the one with the largest weight when left out.
        tau: τ, in [0, 1].
        beta: Decay of the running means of squared lengths, in [0, 1).
    """

    paper = "TMLR 2026, Not all objectives are born equal: priority-constrained descent (PCD)"
    needs = _NEEDS

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        seed: int = 0,
        smoothing: Smoothing = 0.0,
        primary: str | None = None,
        tau: Share = 0.02,
        beta: Annotated[float, Field(ge=0, lt=1)] = 0.999,
    ) -> None:
        if primary is not None and primary not in weights:
            raise SchemaError(
                f"objective.balancer_options.primary: there is no task '{primary}'", nearest(primary, weights)
            )
        super().__init__(
            weights=weights,
            weighting=_OrEqual(from_torchjd("PCDWeighting", tau=tau, beta=beta, eps=1e-16)),
            seed=seed,
            smoothing=smoothing,
            first=primary or max(weights, key=lambda name: weights[name]),
            remembers=True,
            scaled=False,
        )


class _OrEqual(nn.Module):
    """A weighting, and equal weights where it moves nothing."""

    def __init__(self, weighting: nn.Module) -> None:
        super().__init__()
        self.weighting = weighting

    def forward(self, gram: Tensor) -> Tensor:
        found: Tensor = self.weighting(gram)
        return found if bool(found.any()) else torch.full_like(found, 1 / len(found))


class ConflictFree(GradientDirection):
    """ConFIG: the direction with the same cosine to every gradient, as long as their projections on it together.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
    """

    paper = "Liu et al. 2024, ConFIG: towards conflict-free training"
    needs = _NEEDS

    def __init__(self, *, weights: Mapping[str, float], seed: int = 0) -> None:
        super().__init__(weights=weights, aggregator=from_torchjd("ConFIG"), seed=seed)


class SignDropout(GradientDirection):
    """GradDrop: each number keeps the gradients of one sign, drawn by how much of it has that sign.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Of the draws.
    """

    paper = "Chen et al. 2020, Just pick a sign: gradient sign dropout (GradDrop)"
    needs = _NEEDS

    def __init__(self, *, weights: Mapping[str, float], seed: int = 0) -> None:
        drop = from_torchjd("GradDrop")
        # where every task has a gradient of 0 the purity is 0/0, and the sum is 0 all the same
        super().__init__(weights=weights, aggregator=lambda rows: drop(rows).nan_to_num(0.0), seed=seed)


class TrimmedMean(GradientDirection):
    """The mean of each number of the gradients without its largest and smallest values.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        seed: Unused: nothing is drawn.
        trimmed: How many are left out at each end, ≥ 0; none where too few tasks have a label in the batch.
    """

    paper = "Yin et al. 2018, Byzantine-robust distributed learning"
    needs = _NEEDS

    def __init__(
        self, *, weights: Mapping[str, float], seed: int = 0, trimmed: Annotated[int, Field(ge=0)] = 1
    ) -> None:
        aggregator = from_torchjd("TrimmedMean", trim_number=trimmed)
        super().__init__(weights=weights, aggregator=aggregator, fewest=2 * trimmed + 1, seed=seed)
