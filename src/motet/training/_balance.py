"""Balancers: how the losses of the tasks become one step.

A balancer gives each task a weight; one backward pass of the weighted sum follows. Gradient methods
compute the weights from the Gramian of the tasks' gradients on the shared representation, so that
the sum of the gradients there is the one that the method asks for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import torch
from torch import Tensor, nn

from motet.errors import MissingExtraError
from motet.schema import Registry, require_known

__all__ = [
    "BALANCERS",
    "Balancer",
    "EqualWeights",
    "FixedWeights",
    "GramianWeights",
    "UncertaintyWeights",
    "build_balancer",
    "gramian",
    "register_balancer",
]

B = TypeVar("B", bound=Callable[..., Any])


class Balancer(nn.Module, ABC):
    """Turns losses into the one to differentiate."""

    @abstractmethod
    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses.

        Args:
            losses: A scalar per task.
            shared: Tensors of the shared representation, which the losses depend on.

        Returns:
            The scalar to differentiate.
        """


class FixedWeights(Balancer):
    """Σ w_t·L_t / Σ w_t with the tasks' own weights."""

    def __init__(self, *, weights: Mapping[str, float]) -> None:
        super().__init__()
        total = sum(weights.values())
        self.weights = {name: weight / total for name, weight in weights.items()}

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        return torch.stack([self.weights[name] * loss for name, loss in losses.items()]).sum()


class EqualWeights(FixedWeights):
    """The mean of the losses, whatever weights the tasks have."""

    def __init__(self, *, weights: Mapping[str, float]) -> None:
        super().__init__(weights=dict.fromkeys(weights, 1.0))


class UncertaintyWeights(Balancer):
    """Σ w_t·(e^(−s_t)·L_t + s_t / 2) / Σ w_t with learnt s_t = log σ_t² (Kendall et al. 2018, eq. 7).

    The factor ½ of the paper's regression term is part of no loss here, so one form serves all kinds.
    """

    def __init__(self, *, weights: Mapping[str, float]) -> None:
        super().__init__()
        total = sum(weights.values())
        self.weights = {name: weight / total for name, weight in weights.items()}
        self.log_variance = nn.Parameter(torch.zeros(len(weights)))

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        parts = [
            self.weights[name] * (torch.exp(-s) * loss + s / 2)
            for s, (name, loss) in zip(self.log_variance, losses.items(), strict=True)
        ]
        return torch.stack(parts).sum()


class GramianWeights(Balancer):
    """Weights from the Gramian of the tasks' gradients, by any weighting of TorchJD.

    Args:
        weights: The tasks' own weights, applied to the losses first.
        weighting: Maps a Gramian [T, T] to weights [T].
    """

    def __init__(self, *, weights: Mapping[str, float], weighting: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        total = sum(weights.values())
        self.weights = {name: weight / total for name, weight in weights.items()}
        self.weighting = weighting

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses."""
        weighted = [self.weights[name] * loss for name, loss in losses.items()]
        chosen = self.weighting(gramian(weighted, shared).detach())
        return torch.stack([w * loss for w, loss in zip(chosen, weighted, strict=True)]).sum()


def gramian(losses: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
    """Inner products of the losses' gradients on shared tensors, [T, T].

    Args:
        losses: T scalars.
        shared: Tensors they depend on; the graph is kept.
    """
    rows = []
    for loss in losses:
        grads = torch.autograd.grad(loss, list(shared), retain_graph=True, allow_unused=True)
        flat = [
            torch.zeros_like(x).flatten() if g is None else g.flatten()
            for g, x in zip(grads, shared, strict=True)
        ]
        rows.append(torch.cat(flat))
    jacobian = torch.stack(rows)
    return jacobian @ jacobian.T


def _upgrad(*, weights: Mapping[str, float]) -> GramianWeights:
    """UPGrad: no task's loss rises to first order (Quinton & Rey 2024, algorithm 1)."""
    try:
        from torchjd.aggregation import UPGradWeighting  # noqa: PLC0415 (an extra)

        weighting = UPGradWeighting()
    except ImportError:
        raise MissingExtraError("torchjd", "surgery") from None
    return GramianWeights(weights=weights, weighting=weighting)


BALANCERS: Final[Registry[Callable[..., Any]]] = Registry(
    "balancer",
    {
        "equal": EqualWeights,
        "fixed": FixedWeights,
        "uncertainty": UncertaintyWeights,
        "upgrad": _upgrad,
    },
)
"""Every balancer by name; each is called with the weights of the tasks."""


def register_balancer(name: str) -> Callable[[B], B]:
    """Add a balancer, which ``objective.balancer`` may name; a decorator of its class or function.

    Raises:
        SchemaError: If another balancer has the name.
    """
    return cast("Callable[[B], B]", BALANCERS.adder(name))


def build_balancer(name: str, weights: Mapping[str, float]) -> Balancer:
    """Build a balancer from the table.

    Raises:
        SchemaError: If the name is not known.
        MissingExtraError: If it needs a package that is not installed.
    """
    require_known(name, BALANCERS, "objective.balancer")
    balancer: Balancer = BALANCERS[name](weights=weights)
    return balancer
