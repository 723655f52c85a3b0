"""Measures a trained model: cost of each task, agreement of gradients, the single-task baseline, all metrics."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

import motet
from motet.data import Batcher, CleaningReport, Dataset
from motet.errors import DataError
from motet.evaluation import evaluate, negative_transfer, paired_intervals, task_relations, validation_score
from motet.metrics import calibration_curve
from motet.models import MultiTaskModel, gate_report
from motet.models.baselines import PairMember
from motet.schema import Predictor, Progress, Schema, silent
from motet.training._bag import refit_bag, train_bag
from motet.training._loop import Trained
from motet.training._predictor import ModelPredictor
from motet.training._refit import Refit
from motet.training._step import task_losses
from motet.training.blending import (
    Members,
    RankingBlend,
    TaskBlend,
    fit_blend,
    fit_members,
    fit_pair_members,
    fit_task_blend,
)

__all__ = ["Diagnosis", "diagnose", "follows_from", "measure_trained", "single_task_baseline"]

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


def diagnose(model: MultiTaskModel, data: Dataset, *, batch_size: int = 2048, seed: int = 0) -> Diagnosis:
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
            # numbers alone need no gradient: then nothing is shared that tasks could pull at, and the cosine is NaN
            rows.append(torch.cat([g.flatten() for g in on_shared]) if on_shared else loss.new_zeros(1))
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


# The single-task baseline, which asks whether tasks help each other: the same model, trained on each task alone.


def single_task_baseline(
    data: Dataset,
    predictor: Predictor,
    evaluation: Mapping[str, Any],
    split: str,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train the schema's architecture on each task alone, and compare.

    Args:
        data: The data set.
        predictor: The joint model.
        evaluation: Its evaluation on the split.
        split: Which rows.
        seed: Seed of training and of intervals.
        progress: Progress callback.

    Returns:
        The evaluation of the separate models together, and the comparison by task of
        :func:`~motet.evaluation.negative_transfer`.
    """
    progress = progress or silent
    alone: dict[str, ModelPredictor] = {}
    # plain members work beside these networks as beside the joint one
    members, names = fit_members(data, data.schema.model.members), data.schema.model.members
    blends_tasks = getattr(predictor, "task_blend", None) is not None
    pair_members = fit_pair_members(data, names) if blends_tasks else Members[PairMember]()
    for place, name in enumerate(data.schema.tasks):
        schema = _only(data.schema, name, seed)

        def report(what: str, done: int, total: int, place: int = place, name: str = name) -> None:
            progress(f"{name} alone: {what}", place * total + done, total * len(data.schema.tasks))

        trained = train_bag(data, schema=schema, progress=report)
        known: Literal["train", "validation"] = "train" if split == "validation" else "validation"
        blend, network = None, ModelPredictor(trained.model, data, known="train")
        task_blend = fit_task_blend(data, pair_members, network.predict)
        if data.schema.tasks[name].ranks_catalogue and getattr(predictor, "blend", None) is not None:
            blend = fit_blend(data, members, network)
        if schema.training.refit and split == "test":
            refit_bag(data, trained.model, schema)
        alone[name] = ModelPredictor(trained.model, data, known=known, blend=blend, task_blend=task_blend)
    together = _Together(alone)
    result = evaluate(data, together, split, seed=seed)
    intervals = paired_intervals(data, predictor, together, split, seed=seed)
    return result, negative_transfer(data.schema, evaluation, result, intervals)


class _Together:
    """Separate models as one predictor, each answering for its own task."""

    def __init__(self, alone: Mapping[str, ModelPredictor]) -> None:
        self._alone = alone

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        found: dict[str, NDArray[np.float32]] = {}
        for name, predictor in self._alone.items():
            predictions = predictor.predict(rows)
            if name in predictions:
                found[name] = predictions[name]
        return found

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        for predictor in self._alone.values():
            scores = predictor.score_items(users)
            if scores is not None:
                return scores
        return None

    def predict_entities(self, entity: Literal["user", "item"]) -> Mapping[str, NDArray[np.float32]]:
        found: dict[str, NDArray[np.float32]] = {}
        for predictor in self._alone.values():
            found |= predictor.predict_entities(entity)
        return found


def _only(schema: Schema, task: str, seed: int) -> Schema:
    """The schema with one task; a label that is masked by another task stays masked in the data."""
    alone = schema.tasks[task].model_copy(update={"after": None})
    training = schema.training.model_copy(update={"seed": seed})
    options = {key: value for key, value in schema.model.options.items() if key != "preference"}
    model = schema.model.model_copy(update={"options": options})
    return schema.model_copy(update={"tasks": {task: alone}, "training": training, "model": model})


def measure_trained(
    trained: Trained,
    data: Dataset,
    cleaning_report: CleaningReport,
    progress: Progress = silent,
    *,
    blend: RankingBlend | None = None,
    task_blend: TaskBlend | None = None,
    refit: Refit | None = None,
) -> dict[str, Any]:
    """Measure a freshly trained model on the test rows.

    Args:
        trained: The model, and how it was trained.
        data: What it was trained with.
        cleaning_report: Of the cleaning.
        progress: Progress callback.
        blend: Plain members that rank beside the model.
        task_blend: Plain members that predict tasks beside it.
        refit: How the model learnt from the validation rows.

    Returns:
        Metrics with intervals, task relations, what each task costs, the history of training, and the data in numbers.
    """
    schema, model = data.schema, trained.model
    progress("measuring the test rows", 0, 1)
    predictor = ModelPredictor(model, data, blend=blend, task_blend=task_blend)
    found = evaluate(data, predictor, "test", seed=schema.training.seed)
    networks = len(model.networks)  # of one shape: what is true of the first is true of all
    diagnosis = diagnose(
        model.networks[0],
        data,
        batch_size=schema.training.rows_a_step(len(data.rows("train"))),
        seed=schema.training.seed,
    )
    history = trained.history
    return {
        "motet": motet.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "architecture": schema.model.architecture,
        "schema": schema.to_yaml(),
        "synthetic": schema.name.startswith("world"),
        **found,
        "seed": schema.training.seed,
        **follows_from(data, predictor, found, "test"),
        "relations": task_relations(data, gradient_cosine=diagnosis.cosine),
        "cost": {
            "train_s": history.elapsed_s,
            "rows_per_s": history.rows / max(history.elapsed_s, 1e-9),
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "parameters": sum(p.numel() for p in model.parameters()),
            "embedding_parameters": sum(one.features.table.weight.numel() for one in model.networks),
            "tasks": {
                name: {
                    "parameters": networks * diagnosis.parameters[name],
                    "own_parameters": networks * diagnosis.own_parameters[name],
                    "time_share": diagnosis.time_share[name],
                }
                for name in schema.tasks
            },
        },
        "history": history.to_json(),
        "refit": None if refit is None else refit.to_json(),
        **({} if trained.bag is None else {"bag": trained.bag.to_json()}),
        **({} if (gates := gate_report(model)) is None else {"gates": gates}),
        "blend": {
            "ranking": None if blend is None else dict(blend.report),
            "tasks": {} if task_blend is None else dict(task_blend.report),
        },
        "data": {
            "rows": {split: len(data.rows(split)) for split in ("train", "validation", "test")},
            "users": len(data.users) if schema.keys.user else 0,
            "items": len(data.items) if schema.keys.item else 0,
            "cleaning": [str(finding) for finding in cleaning_report],
        },
    }


def follows_from(
    data: Dataset, predictor: ModelPredictor, found: Mapping[str, Any], split: str
) -> dict[str, Any]:
    """What follows from an evaluation.

    Args:
        data: What was evaluated on.
        predictor: What was evaluated.
        found: The metrics of :func:`motet.evaluation.evaluate`.
        split: Of which rows.

    Returns:
        The weighted score (None where no task is defined), and calibration curves by binary task.
    """
    rows = data.rows(split)
    predictions = predictor.predict(rows)
    try:
        score = validation_score(data.schema, found)
    except DataError:  # no task is defined on these rows: the metrics say so one by one
        score = None
    return {
        "score": score,
        "calibration": {
            name: calibration_curve(data.label(name, rows), predictions[name])
            for name, task in data.schema.tasks.items()
            if task.is_chance and name in predictions
        },
    }
