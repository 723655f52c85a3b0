"""The training step: losses, balancing, optimisers; precision of matrix products and memory."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from motet.data import Batch, Batcher, Dataset, TrainingRows
from motet.errors import TrainingError
from motet.models import EmbeddingTable, FeatureGates, MultiTaskModel, Outputs, build_model
from motet.schema import Schema, TrainingSettings
from motet.training._checkpoint import load_optimiser, optimiser_tensors
from motet.training.balancing import build_balancer

__all__ = [
    "RowOptimiser",
    "StandardStep",
    "TrainingStep",
    "dense_optimiser",
    "keep_freed_memory",
    "learning_rate_at",
    "matrix_products",
    "task_losses",
]


@contextmanager
def matrix_products(precision: Literal["float32", "bf16"]) -> Iterator[None]:
    """Do matrix products within the block in the given precision; inputs and results stay float32.

    Args:
        precision: ``bf16`` rounds the factors to 8 bits of mantissa and sums in float32.
    """
    backend = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = backend.fp32_precision
    backend.fp32_precision = "bf16" if precision == "bf16" else "ieee"
    try:
        yield
    finally:
        backend.fp32_precision = before


# Keep freed memory in the process: a training step allocates the same large tensors again and again.

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_BYTES = 32 << 20  # the most that glibc takes
_TRIM_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Tell the C library to keep freed blocks of up to 32 MiB, and up to 1 GiB of them.

    By default it maps each large tensor again and the kernel clears its pages, which on some virtual
    machines takes longer than the arithmetic. Only Linux with glibc has the call; elsewhere nothing
    is done.

    Returns:
        Whether it took effect.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # each call returns 1 if it took effect
    return bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES) & mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES))


# Optimisers: the usual ones for dense weights, the same rules row by row for embeddings.

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
        moving = table.weight if table.weight.requires_grad else table.weight[:0]  # a frozen table needs none
        # filled, not only reserved: else a step pays for the first touch of every page it meets
        self.second = torch.full_like(moving, 0.0, requires_grad=False)
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


class StandardStep(Protocol):
    """A model in training that takes one step a call: :class:`TrainingStep`, or what is built around one.

    Attributes:
        model: The model in training; all that is kept of the best validation is in its state.
        batcher: Builds its training batches.
        start: What its weights began with, plain values; empty where they were drawn. A checkpoint of another start is
            not resumed.
    """

    @property
    def model(self) -> MultiTaskModel:
        """The model in training."""
        ...

    @property
    def start(self) -> Mapping[str, Any]:
        """What its weights began with."""
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
        model: A model to train further; a new one when left out.

    Attributes:
        model: The model in training.
        batcher: Builds its training batches.
        steps: Steps taken.
        start: See :class:`StandardStep`.
    """

    def __init__(self, data: Dataset, schema: Schema, *, model: MultiTaskModel | None = None) -> None:
        keep_freed_memory()
        self.start: Mapping[str, Any] = {}
        self.data, self.schema, self.settings = data, schema, schema.training
        self.model = model or build_model(schema, data.encoder, seed=self.settings.seed)
        if model is None:
            self.model.features.take_content(data)
        weights = {name: task.weight for name, task in schema.tasks.items()}
        negatives = max((task.drawn_items for task in schema.tasks.values()), default=0)
        self.batcher = Batcher(
            data,
            id_dropout=schema.model.id_dropout,
            negatives=negatives,
            augment=True,
            training=TrainingRows(data, schema, self.settings.seed),
        )
        rows = self.batcher.count_useful(data.rows("train"))
        self.balancer = build_balancer(
            schema.objective.balancer,
            weights,
            schema.objective.balancer_options,
            seed=self.settings.seed,
            steps_per_epoch=max(1, -(-rows // self.settings.rows_a_step(rows))),
        )
        # those of a frozen network, to which a task is added, are no part of the model in training
        self.gates = next((m for m in self.model.modules() if isinstance(m, FeatureGates)), None)
        table = self.model.features.table
        self.dense = [p for p in self.model.parameters() if p is not table.weight]
        self.dense += list(self.balancer.parameters())
        self.optimiser = dense_optimiser(self.dense, self.settings)
        self.rows_optimiser = RowOptimiser(table, self.settings)
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
        outputs = self._outputs(batch)
        losses = task_losses(self.model, self.data, self.schema, batch, outputs)
        inputs = outputs.inputs
        shared = [x for x in (inputs.user, inputs.item, inputs.context) if x.requires_grad]
        total = self.balancer(losses, shared)
        if self.gates is not None:
            total = total + self.gates.cost()
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
        with torch.no_grad():
            self.balancer.after_step(lambda: self.losses(batch))
        self.steps += 1
        return values

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of every task on a batch under the weights as they are, with the dropout of the next step."""
        return task_losses(self.model, self.data, self.schema, batch, self._outputs(batch))

    def _outputs(self, batch: Batch) -> Outputs:
        torch.manual_seed(self.settings.seed * 1_000_003 + self.steps)  # dropout depends on the step alone
        self.model.train()
        outputs: Outputs = self.model(batch)
        return outputs

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
    model: MultiTaskModel, data: Dataset, schema: Schema, batch: Batch, outputs: Outputs
) -> dict[str, Tensor]:
    """The loss of every task on a batch, in schema order: that of its kind unless the architecture has its own."""
    own: dict[str, Tensor] = {}
    if model.architecture is not None:
        own = model.architecture.losses(outputs.logits, batch.labels, outputs.extra)
    return {
        name: own[name]
        if name in own
        else task.batch_loss(name, batch, outputs, data.encoder.statistics(name))
        for name, task in schema.tasks.items()
    }
