"""What each task costs, and how the gradients of the tasks agree, on a trained model."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motet.data import Batcher, Dataset
from motet.models import Model
from motet.training._step import task_losses

__all__ = ["Diagnosis", "diagnose"]

_BATCHES = 8


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Measured on a few training batches.

    Attributes:
        cosine: Mean cosine between the gradients of each two tasks on the shared representation
            (the input vectors of users, items and rows), [T, T] in schema order; NaN where one is zero.
        time_share: Per task, its share of the time of all backward passes.
        parameters: Per task, the dense weights that its loss reaches.
        own_parameters: Per task, the dense weights that only its loss reaches.
    """

    cosine: NDArray[np.float64]
    time_share: dict[str, float]
    parameters: dict[str, int]
    own_parameters: dict[str, int]


def diagnose(model: Model, data: Dataset, *, batch_size: int = 2048, seed: int = 0) -> Diagnosis:
    """Differentiate each task's loss alone on a few batches of training rows.

    Args:
        model: The trained model; its weights are not changed.
        data: The data set it was trained on.
        batch_size: Rows a batch.
        seed: Seed of the choice of rows.
    """
    schema = data.schema
    names = list(schema.tasks)
    negatives = max((task.drawn_items for task in schema.tasks.values()), default=0)
    batcher = Batcher(data, negatives=negatives)
    dense = [p for name, p in model.named_parameters() if name != "features.table.weight"]
    cosines, seconds = [], np.zeros(len(names))
    reached = np.zeros((len(names), len(dense)), bool)
    model.eval()
    batches = batcher.epoch(data.rows("train"), batch_size, (seed, 1))
    for batch, _ in zip(batches, range(_BATCHES), strict=False):
        outputs = model(batch)
        inputs = outputs.inputs
        shared = [x for x in (inputs.user, inputs.item, inputs.context) if x.requires_grad and x.numel()]
        losses = task_losses(model, data, schema, batch, outputs)
        rows = []
        for place, loss in enumerate(losses.values()):
            began = time.perf_counter()
            grads = torch.autograd.grad(loss, [*shared, *dense], retain_graph=True, allow_unused=True)
            seconds[place] += time.perf_counter() - began
            on_shared = [torch.zeros_like(x) if g is None else g for g, x in zip(grads, shared, strict=False)]
            rows.append(torch.cat([g.flatten() for g in on_shared]))
            reached[place] |= [g is not None and bool((g != 0).any()) for g in grads[len(shared) :]]
        jacobian = torch.stack(rows)
        jacobian = jacobian / jacobian.norm(dim=1, keepdim=True)  # a task without labels here gives NaN
        cosines.append((jacobian @ jacobian.T).double().numpy())
    sizes = np.asarray([p.numel() for p in dense])
    alone = reached & (reached.sum(0) == 1)
    share = seconds / max(seconds.sum(), 1e-12)
    stacked = np.stack(cosines)
    known = ~np.isnan(stacked)
    mean = np.where(known, stacked, 0).sum(0) / np.maximum(known.sum(0), 1)
    mean[~known.any(0)] = np.nan
    return Diagnosis(
        cosine=mean,
        time_share={name: float(s) for name, s in zip(names, share, strict=True)},
        parameters={name: int(sizes[row].sum()) for name, row in zip(names, reached, strict=True)},
        own_parameters={name: int(sizes[row].sum()) for name, row in zip(names, alone, strict=True)},
    )
