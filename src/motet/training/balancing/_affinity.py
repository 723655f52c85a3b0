"""Which tasks help each other: affinity by looking one step ahead, and the best grouping of the tasks by it.

Fifty et al. 2021, "Efficiently identifying task groupings for multi-task learning", eq. 1–2 (TAG).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.data import Batch, Dataset
from motet.errors import TrainingError
from motet.schema import Progress, Schema, silent
from motet.training._step import TrainingStep, learning_rate_at

__all__ = ["TaskAffinity", "task_affinity"]

_MOST_TASKS = 12  # every way to group so many is looked at in seconds


@dataclass(frozen=True, slots=True)
class TaskAffinity:
    """How much a step on one task helps each other task.

    Attributes:
        tasks: Names, in schema order.
        matrix: [T, T], row i and column j: the share by which the loss of task j falls in a step on task i alone,
            mean over the measured steps; negative where it rises.
        measured: Steps that were measured.
    """

    tasks: tuple[str, ...]
    matrix: NDArray[np.float64]
    measured: int

    def gain(self, group: tuple[str, ...]) -> float:
        """Sum over the tasks of a group of the mean affinity of its other tasks to it; 0 for a task alone."""
        places = [self.tasks.index(name) for name in group]
        part = self.matrix[np.ix_(places, places)]
        return float((part.sum() - np.trace(part)) / (len(places) - 1)) if len(places) > 1 else 0.0

    def groups(self, number: int) -> tuple[tuple[str, ...], ...]:
        """The grouping with the largest sum of gains, every one looked at; each task is in one group.

        Args:
            number: Of groups, from 1 to the number of tasks.

        Raises:
            TrainingError: If the number is out of range, or there are more than twelve tasks.

        Example:
            >>> help_each_other = np.array([[0.3, 0.2, -0.1], [0.2, 0.3, 0.0], [-0.1, 0.0, 0.3]])
            >>> TaskAffinity(("click", "buy", "rate"), help_each_other, 10).groups(2)
            (('click', 'buy'), ('rate',))
        """
        n = len(self.tasks)
        if not 1 <= number <= n:
            raise TrainingError(f"{n} tasks cannot make {number} groups", f"choose 1 to {n}")
        if n > _MOST_TASKS:
            raise TrainingError(
                f"{n} tasks can be grouped in too many ways to look at all",
                f"leave tasks out: at most {_MOST_TASKS}",
            )

        def named(mask: int) -> tuple[str, ...]:
            return tuple(name for k, name in enumerate(self.tasks) if mask >> k & 1)

        gains = [self.gain(named(mask)) if mask else 0.0 for mask in range(1 << n)]

        @cache
        def best(mask: int, left: int) -> tuple[float, tuple[int, ...]]:
            """The best way to make some tasks into some groups."""
            if left == 1:
                return gains[mask], (mask,)
            low = mask & -mask
            rest = others = mask ^ low
            found: tuple[float, tuple[int, ...]] = (-np.inf, ())
            while True:  # every subset of the others, joined by the first task
                group = low | others
                if (mask ^ group).bit_count() >= left - 1:
                    after = best(mask ^ group, left - 1)
                    found = max(found, (gains[group] + after[0], (group, *after[1])))
                if not others:
                    return found
                others = (others - 1) & rest

        return tuple(named(mask) for mask in best((1 << n) - 1, number)[1])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"tasks": list(self.tasks), "affinity": self.matrix.tolist(), "measured": self.measured}


def task_affinity(
    data: Dataset,
    *,
    schema: Schema | None = None,
    steps: int = 200,
    every: int = 5,
    rate: float | None = None,
    progress: Progress = silent,
) -> TaskAffinity:
    """Train for some steps, and measure on the way what a step on each task alone would do to the others.

    Zᵢⱼ = 1 − Lⱼ(X; θₛ − η·∇Lᵢ, θⱼ) / Lⱼ(X; θₛ, θⱼ) on the batch X of the step (eq. 1–2). Shared weights θₛ are
    those that more than one task has a gradient on, embedding rows included; the others stay. Each measured step
    costs one more backward and one more forward pass a task.

    Args:
        data: The data set.
        schema: Another schema with the same features; that of the data when left out.
        steps: Training steps, ≥ 1.
        every: A step of so many is measured, ≥ 1.
        rate: η; ``training.learning_rate`` when left out.
        progress: Progress callback.

    Raises:
        TrainingError: If there is one task only, or a loss is not finite.
    """
    schema = schema or data.schema
    if len(schema.tasks) < 2:
        raise TrainingError("one task has no other to help", "add a task")
    stepper = TrainingStep(data, schema)
    settings, rows = schema.training, data.rows("train")
    size = settings.rows_a_step(len(rows))
    ahead = settings.learning_rate if rate is None else rate
    total = np.zeros((len(schema.tasks), len(schema.tasks)))
    seen = np.zeros_like(total)
    measured, epoch = 0, 0
    while stepper.steps < steps:
        for batch in stepper.batcher.epoch(rows, size, (settings.seed, epoch)):
            if stepper.steps % every == 0:
                found = _one_step_ahead(stepper, batch, ahead)
                known = np.isfinite(found)
                total += np.where(known, found, 0.0)
                seen += known
                measured += 1
            stepper(batch, learning_rate_at(stepper.steps, steps, settings))
            progress("affinity", stepper.steps, steps)
            if stepper.steps == steps:
                break
        epoch += 1
    return TaskAffinity(tuple(schema.tasks), total / np.maximum(seen, 1), measured)


def _one_step_ahead(stepper: TrainingStep, batch: Batch, rate: float) -> NDArray[np.float64]:
    """Zᵢⱼ of a batch, [T, T]; NaN where a task has no label in it."""
    table = stepper.model.features.table
    losses = list(stepper.losses(batch).values())
    leaf, ids = table.leaf, table.leaf_ids
    assert leaf is not None  # noqa: S101 (the forward pass has gathered the rows)
    assert ids is not None  # noqa: S101
    dense = [p for p in stepper.model.parameters() if p is not table.weight and p.requires_grad]
    known = [bool(loss.detach() != 0) and loss.requires_grad for loss in losses]
    grads: list[tuple[Tensor | None, ...]] = [
        torch.autograd.grad(loss, [leaf, *dense], retain_graph=True, allow_unused=True) if has else ()
        for loss, has in zip(losses, known, strict=True)
    ]
    touched = np.array([[g is not None and bool(g.any()) for g in of] for of in grads if of])
    if not len(touched):
        return np.full((len(losses), len(losses)), np.nan)
    shared = touched.sum(0) > 1
    before = np.array([float(loss.detach()) for loss in losses])
    found = np.full((len(losses), len(losses)), np.nan)
    weights = [p.detach() for p in dense]
    kept = [p.clone() for p in weights]
    rows = leaf.detach().clone()
    for i, of in enumerate(grads):
        if not known[i]:
            continue
        with torch.no_grad():
            if shared[0] and of[0] is not None:
                table.weight.index_copy_(0, ids, rows - rate * of[0])
            for p, g, common in zip(weights, of[1:], shared[1:], strict=True):
                if common and g is not None:
                    p.sub_(g, alpha=rate)
            after = np.array([float(loss) for loss in stepper.losses(batch).values()])
            table.weight.index_copy_(0, ids, rows)
            for p, old in zip(weights, kept, strict=True):
                p.copy_(old)
        found[i, known] = 1 - after[known] / before[known]
    return found
