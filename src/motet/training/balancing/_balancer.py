"""What a balancer is: the losses of the tasks become one scalar to differentiate.

Legend of shapes: T tasks, n numbers of the shared representation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

__all__ = ["Balancer", "WeightedBalancer", "draws_of", "gramian", "jacobian", "with_gradient"]


class Balancer(nn.Module, ABC):
    """Turns losses into the one to differentiate.

    It is made with ``weights``, the tasks' own weights by name. Other arguments with a default are its options,
    which ``objective.balancer_options`` sets; ``seed`` and ``steps_per_epoch``, where it takes them, are those of
    the run. What it remembers is in its state, so that an interrupted run goes on to the same bit.

    Attributes:
        paper: Authors, year, and short title; empty if there is none.
        needs: What has to be there, in a few words each.
    """

    paper: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Combine losses.

        Args:
            losses: A scalar per task.
            shared: Tensors of the shared representation, which the losses depend on.

        Returns:
            The scalar to differentiate.
        """

    def after_step(self, losses_again: Callable[[], Mapping[str, Tensor]]) -> None:
        """Learn from what a step has changed; nothing, unless a method does.

        Args:
            losses_again: Gives the losses of the same batch under the new weights, without gradients.
        """


class WeightedBalancer(Balancer):
    """A balancer beside the tasks' own weights.

    Args:
        weights: The tasks' own weights, > 0; scaled to sum to 1.
    """

    def __init__(self, *, weights: Mapping[str, float]) -> None:
        super().__init__()
        total = sum(weights.values())
        self.weights = {name: weight / total for name, weight in weights.items()}

    def stack(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Losses and the tasks' own weights in one order, [T] each."""
        values = torch.stack([losses[name] for name in self.weights])
        return values, values.new_tensor(list(self.weights.values()))


def draws_of(seed: int, step: int) -> int:
    """The seed of what is drawn in one step of a run: the same whether or not the run was interrupted."""
    return seed * 1_000_003 + step


def jacobian(losses: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
    """Gradients of losses on shared tensors, a row each, [T, n].

    Args:
        losses: T scalars, each of its own graph: of elements of one tensor every pass would visit all tasks.
        shared: Tensors they depend on; the graph is kept.
    """
    rows = []
    for loss in losses:
        if not loss.requires_grad:
            rows.append(torch.cat([torch.zeros_like(x).flatten() for x in shared]))
            continue
        grads = torch.autograd.grad(loss, list(shared), retain_graph=True, allow_unused=True)
        flat = [
            torch.zeros_like(x).flatten() if g is None else g.flatten()
            for g, x in zip(grads, shared, strict=True)
        ]
        rows.append(torch.cat(flat))
    return torch.stack(rows)


def gramian(losses: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
    """Inner products of the losses' gradients on shared tensors, [T, T].

    Args:
        losses: T scalars.
        shared: Tensors they depend on; the graph is kept.
    """
    rows = jacobian(losses, shared)
    return rows @ rows.T


def with_gradient(total: Tensor, shared: Sequence[Tensor], extra: Tensor) -> Tensor:
    """A loss with the same value and, on the shared tensors, another gradient; above them nothing changes.

    Args:
        total: The loss.
        shared: Tensors it depends on.
        extra: What is added to its gradient there, [n].
    """
    pieces = torch.split(extra.detach(), [x.numel() for x in shared])
    linear = torch.stack([(x * g.view_as(x)).sum() for x, g in zip(shared, pieces, strict=True)]).sum()
    return total + (linear - linear.detach())
