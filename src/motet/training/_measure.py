"""Everything that a bundle says of a freshly trained model."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import motet
from motet.data import Account, Dataset
from motet.errors import DataError
from motet.evaluation import calibration_curve, evaluate, task_relations, validation_score
from motet.schema import Progress, silent
from motet.training._diagnostics import diagnose
from motet.training._loop import Trained
from motet.training._predictor import ModelPredictor

__all__ = ["follows_from", "measure_trained"]


def measure_trained(
    trained: Trained, data: Dataset, account: Account, progress: Progress = silent
) -> dict[str, Any]:
    """Measure a freshly trained model on the test rows.

    Args:
        trained: The model, and how it was trained.
        data: What it was trained with.
        account: Of the cleaning.
        progress: Called with what is going on.

    Returns:
        Metrics with intervals, task relations, what each task costs, the history of training, and the data in numbers.
    """
    schema, model = data.schema, trained.model
    progress("measuring the test rows", 0, 1)
    predictor = ModelPredictor(model, data)
    found = evaluate(data, predictor, "test", seed=schema.training.seed)
    diagnosis = diagnose(model, data, batch_size=schema.training.batch_size, seed=schema.training.seed)
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
            "embedding_parameters": model.features.table.weight.numel(),
            "tasks": {
                name: {
                    "parameters": diagnosis.parameters[name],
                    "own_parameters": diagnosis.own_parameters[name],
                    "time_share": diagnosis.time_share[name],
                }
                for name in schema.tasks
            },
        },
        "history": history.to_json(),
        "data": {
            "rows": {split: len(data.rows(split)) for split in ("train", "validation", "test")},
            "users": len(data.users) if schema.keys.user else 0,
            "items": len(data.items) if schema.keys.item else 0,
            "cleaning": [str(finding) for finding in account],
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
