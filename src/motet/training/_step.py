"""One training step: forward, losses, balance, backward, update."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from motet.data import Batch, Batcher, Dataset
from motet.errors import TrainingError
from motet.models import Model, Outputs, build_model
from motet.objectives import build_balancer
from motet.schema import Schema
from motet.training._checkpoint import load_optimiser, optimiser_tensors
from motet.training._matmul import matrix_products
from motet.training._memory import keep_freed_memory
from motet.training._optimiser import RowOptimiser, dense_optimiser

__all__ = ["Step", "TrainingStep", "task_losses"]


class Step(Protocol):
    """A model in training that takes one step a call: :class:`TrainingStep`, or what is built around one.

    Attributes:
        model: The model in training; all that is kept of the best look is in its state.
        batcher: Builds its training batches.
    """

    @property
    def model(self) -> Model:
        """The model in training."""
        ...

    @property
    def batcher(self) -> Batcher:
        """Builds its training batches."""
        ...

    def __call__(self, batch: Batch, rate: float) -> Tensor:
        """Take one step; the loss of each task, [T]."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Tensors to save."""
        ...

    def load(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Take over what :meth:`state` gave after some steps."""
        ...


class TrainingStep:
    """A model with its optimisers, which takes one step a call.

    Args:
        data: The data set.
        schema: Its schema, or another one with the same features.

    Attributes:
        model: The model in training.
        batcher: Builds its training batches.
        steps: Steps taken.
    """

    def __init__(self, data: Dataset, schema: Schema) -> None:
        keep_freed_memory()
        self.data, self.schema, self.settings = data, schema, schema.training
        self.model = build_model(schema, data.encoder, seed=self.settings.seed)
        weights = {name: task.weight for name, task in schema.tasks.items()}
        self.balancer = build_balancer(schema.objective.balancer, weights)
        table = self.model.features.table
        self.dense = [p for p in self.model.parameters() if p is not table.weight]
        self.dense += list(self.balancer.parameters())
        self.optimiser = dense_optimiser(self.dense, self.settings)
        self.rows_optimiser = RowOptimiser(table, self.settings)
        negatives = max((task.drawn_items for task in schema.tasks.values()), default=0)
        self.batcher = Batcher(data, id_dropout=schema.model.id_dropout, negatives=negatives)
        self.steps = 0

    def __call__(self, batch: Batch, rate: float) -> Tensor:
        """Take one step.

        Args:
            batch: From :attr:`batcher`.
            rate: Learning rate.

        Returns:
            The loss of each task, [T].

        Raises:
            TrainingError: If a loss or the gradient is not finite; the weights are left as they were.
        """
        with matrix_products(self.settings.matmul):
            return self._step(batch, rate)

    def _step(self, batch: Batch, rate: float) -> Tensor:
        settings = self.settings
        torch.manual_seed(settings.seed * 1_000_003 + self.steps)  # dropout depends on the step alone
        self.model.train()
        outputs = self.model(batch)
        losses = task_losses(self.model, self.data, self.schema, batch, outputs)
        inputs = outputs.inputs
        shared = [x for x in (inputs.user, inputs.item, inputs.context) if x.requires_grad]
        total = self.balancer(losses, shared)
        values = torch.stack([loss.detach() for loss in losses.values()])
        if not bool(torch.isfinite(total)) or not bool(torch.isfinite(values).all()):
            self._explain_non_finite(dict(zip(losses, values.tolist(), strict=True)), batch)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        if settings.clip_norm:
            norm = torch.nn.utils.clip_grad_norm_(self.dense, settings.clip_norm, foreach=True)
            if not bool(torch.isfinite(norm)):
                self._explain_non_finite(dict(zip(losses, values.tolist(), strict=True)), batch)
        if settings.l1:
            for p in self.dense:
                if p.grad is not None:
                    p.grad.add_(p.detach().sign(), alpha=settings.l1)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.rows_optimiser.step(rate * settings.embedding_rate)
        self.steps += 1
        return values

    def state(self) -> dict[str, Tensor]:
        """Tensors to save: weights, balancer and optimisers."""
        tensors = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        tensors |= {f"balancer.{name}": t for name, t in self.balancer.state_dict().items()}
        tensors |= {f"rows.{name}": t for name, t in self.rows_optimiser.state().items()}
        return tensors | {f"dense.{name}": t for name, t in optimiser_tensors(self.optimiser).items()}

    def load(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Take over what :meth:`state` gave after some steps."""

        def part(name: str) -> dict[str, Tensor]:
            return {key.removeprefix(name): t for key, t in tensors.items() if key.startswith(name)}

        self.model.load_state_dict(part("model."))
        self.balancer.load_state_dict(part("balancer."))
        self.rows_optimiser.load(part("rows."))
        load_optimiser(self.optimiser, part("dense."))
        self.steps = steps

    def _explain_non_finite(self, losses: dict[str, float], batch: Batch) -> None:
        wrong = [name for name, value in losses.items() if not np.isfinite(value)]
        tasks = ", ".join(wrong) or "the balanced sum or its gradient"
        raise TrainingError(
            f"the loss of {tasks} is not finite at step {self.steps + 1} "
            f"(a batch of {len(batch):,} rows: {batch.rows[:3].tolist()} …)",
            "lower training.learning_rate, set training.clip_norm, or look for extreme values with 'motet check'",
        )


def task_losses(
    model: Model, data: Dataset, schema: Schema, batch: Batch, outputs: Outputs
) -> dict[str, Tensor]:
    """The loss of every task on a batch, in schema order."""
    return {
        name: task.batch_loss(name, batch, outputs, data.encoder.statistics(name))
        for name, task in schema.tasks.items()
    }
