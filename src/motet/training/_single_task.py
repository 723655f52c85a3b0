"""The control that asks whether tasks help each other: the same model, trained on each task alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.evaluation import evaluate, negative_transfer, paired_intervals
from motet.schema import Predictor, Progress, Schema, silent
from motet.training._loop import train_model
from motet.training._predictor import ModelPredictor

__all__ = ["single_task_control"]


def single_task_control(
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
        progress: Called with what is going on.

    Returns:
        The evaluation of the separate models together, and the comparison by task of
        :func:`~motet.evaluation.negative_transfer`.
    """
    progress = progress or silent
    alone: dict[str, ModelPredictor] = {}
    for place, name in enumerate(data.schema.tasks):
        schema = _only(data.schema, name, seed)

        def report(what: str, done: int, total: int, place: int = place, name: str = name) -> None:
            progress(f"{name} alone: {what}", place * total + done, total * len(data.schema.tasks))

        trained = train_model(data, schema=schema, progress=report)
        known: Literal["train", "validation"] = "train" if split == "validation" else "validation"
        alone[name] = ModelPredictor(trained.model, data, known=known)
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
