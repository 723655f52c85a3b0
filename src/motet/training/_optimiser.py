"""Optimisers: the usual ones for dense weights, the same rules row by row for embeddings."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from motet.models import EmbeddingTable
from motet.schema import TrainingSettings

__all__ = ["RowOptimiser", "dense_optimiser", "learning_rate_at"]

_BETAS = (0.9, 0.999)
_EPS = 1e-8


def dense_optimiser(parameters: Iterable[nn.Parameter], settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimiser of all weights but the embedding table."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "adagrad":
        return torch.optim.Adagrad(parameters, lr=rate, weight_decay=decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, betas=_BETAS, eps=_EPS, weight_decay=decay, fused=True)


class RowOptimiser:
    """Adam or Adagrad on the embedding rows of a batch only.

    The moments of a row change when the row is in a batch ("lazy" Adam), so that a step costs the
    same whatever the size of the table.

    Args:
        table: The embedding table.
        settings: Rule, rates and L2.
    """

    def __init__(self, table: EmbeddingTable, settings: TrainingSettings) -> None:
        self.table = table
        self.rule = settings.optimizer
        self.l2 = settings.embedding_l2
        self.steps = 0
        # filled, not only reserved: else a step pays for the first touch of every page it meets
        self.second = torch.full_like(table.weight, 0.0, requires_grad=False)
        self.first = torch.full_like(self.second, 0.0) if self.rule != "adagrad" else self.second[:0]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update the rows that the last batch gathered.

        Args:
            rate: Learning rate, > 0.
        """
        leaf, ids = self.table.leaf, self.table.leaf_ids
        self.steps += 1
        if leaf is None or ids is None or leaf.grad is None:
            return
        grad = leaf.grad
        rows = leaf.detach()
        if self.l2:
            grad = grad + self.l2 * rows
        second = self.second.index_select(0, ids)
        if self.rule == "adagrad":
            second.addcmul_(grad, grad)
            update = grad / (second.sqrt() + _EPS)
        else:
            first = self.first.index_select(0, ids).lerp_(grad, 1 - _BETAS[0])
            second.mul_(_BETAS[1]).addcmul_(grad, grad, value=1 - _BETAS[1])
            self.first.index_copy_(0, ids, first)
            scale = (1 - _BETAS[1] ** self.steps) ** 0.5 / (1 - _BETAS[0] ** self.steps)
            update = first.mul_(scale).div_(second.sqrt().add_(_EPS))
        self.second.index_copy_(0, ids, second)
        self.table.weight.data.index_copy_(0, ids, rows.sub_(update, alpha=rate))
        self.table.leaf = self.table.leaf_ids = None

    def state(self) -> dict[str, Tensor]:
        """Tensors to save."""
        return {"first": self.first, "second": self.second, "steps": torch.tensor(self.steps)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what :meth:`state` gave."""
        self.first, self.second, self.steps = state["first"], state["second"], int(state["steps"])


def learning_rate_at(step: int, total: int, settings: TrainingSettings) -> float:
    """Learning rate of a step.

    Args:
        step: From 0.
        total: Steps of all epochs.
        settings: Highest rate, schedule and warm-up.

    Example:
        >>> settings = TrainingSettings(learning_rate=1.0, schedule="linear", warmup=0.2)
        >>> [learning_rate_at(step, 10, settings) for step in (0, 1, 2, 6)]
        [0.5, 1.0, 1.0, 0.5]
    """
    warm = round(settings.warmup * total)
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    share = (step - warm) / max(1, total - warm)
    if settings.schedule == "linear":
        return settings.learning_rate * (1 - share)
    if settings.schedule == "cosine":
        return settings.learning_rate * 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * share))))
    return settings.learning_rate
