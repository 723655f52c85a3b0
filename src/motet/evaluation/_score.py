"""One number over all tasks: what stops training and chooses the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from motet.data import SPLIT_CODES, Dataset
from motet.errors import DataError
from motet.evaluation._catalogue import catalogue_task, rank_catalogue
from motet.evaluation._evaluate import skills_of, training_deviation
from motet.metrics import prepare
from motet.schema import EntityPredictor, Predictor, Schema

__all__ = ["primary_values", "primary_values_of", "score_of", "validation_score"]


def validation_score(schema: Schema, metrics: Mapping[str, Any]) -> float:
    """The weighted overall score of an evaluation; higher is better.

    Σ_t w_t · m_t / Σ_t w_t over the tasks t, where w_t is ``score_weight`` and m_t the primary metric
    of the task's kind: AUC of a binary task, 1 − RMSE / deviation of the training labels of a
    regression, macro F1 of a multi-class task, macro average precision of a multi-label task, and
    NDCG@10 of the first retrieval task. Tasks without a defined primary metric are left out of both sums.

    Args:
        schema: Holds the tasks and their weights.
        metrics: From :func:`~motet.evaluation.evaluate`.

    Raises:
        DataError: If no task with a weight has a defined primary metric.
    """
    return score_of(schema, primary_values_of(schema, metrics))


def primary_values_of(schema: Schema, metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """The primary metric of each task of an evaluation, by task, in schema order."""
    ranked = False
    values: dict[str, float | None] = {}
    for name, task in schema.tasks.items():
        metric = task.primary_metric
        if task.ranks_catalogue:
            # A predictor gives one score an item, so only the first retrieval task is ranked.
            if not ranked and metrics.get("ranking") is not None:
                values[name] = metrics["ranking"][metric]
            ranked = True
        elif name in metrics.get("tasks", {}):
            values[name] = metrics["tasks"][name][metric]
    return values


def primary_values(
    dataset: Dataset, predictor: Predictor, split: str = "validation"
) -> dict[str, float | None]:
    """Only the primary metric of each task, cheaply: what training asks for after an epoch.

    The values equal those of :func:`~motet.evaluation.evaluate`.

    Args:
        dataset: The data set that the predictor is bound to.
        predictor: Anything that predicts.
        split: Which rows.

    Returns:
        By task, in schema order; None where undefined; tasks that are not predicted are left out.
    """
    rows = dataset.rows(split)
    predictions = predictor.predict(rows)
    values: dict[str, float | None] = {}
    for name, task in dataset.schema.tasks.items():
        metric = task.primary_metric
        if task.ranks_catalogue:
            if name == dataset.schema.retrieval_task:
                wanted = catalogue_task(dataset, split)
                ranked = None if wanted is None else rank_catalogue(wanted, predictor.score_items)
                if ranked is not None:
                    values[name] = float(ranked.ndcg.mean()) if len(ranked.ndcg) else None
            continue
        if task.on == "interaction":
            if name not in predictions:
                continue
            labels, prediction = dataset.label(name, rows), predictions[name]
        else:
            if not isinstance(predictor, EntityPredictor):
                continue
            of_entity = predictor.predict_entities(task.on)
            if name not in of_entity:
                continue
            known = dataset.entity_labels[name]
            chosen = known.split == SPLIT_CODES[split]
            labels, prediction = known.values[chosen], of_entity[name][chosen]
        error = skills_of(task).get(metric)
        wanted_metric = error or metric
        statistics, mask = prepare(task, labels, prediction, only=(wanted_metric,))
        value = statistics[wanted_metric](np.ones(int(mask.sum()))) if statistics else float("nan")
        if error is not None:
            deviation = training_deviation(dataset, name)
            value = 1 - value / deviation if deviation > 0 else float("nan")
        values[name] = None if np.isnan(value) else value
    return values


def score_of(schema: Schema, values: Mapping[str, float | None]) -> float:
    """Weigh primary metrics into one score, as :func:`validation_score` says.

    Args:
        schema: Holds the weights.
        values: Primary metric by task, None where undefined.

    Raises:
        DataError: If no task with a weight has a defined primary metric.

    Example:
        >>> schema = Schema.model_validate({
        ...     "name": "toy", "tables": {"interactions": "a.csv"}, "split": {"by": "random"},
        ...     "features": {"interaction": {"hour": "categorical"}},
        ...     "tasks": {"click": {"kind": "binary", "label": "click", "score_weight": 3},
        ...               "buy": {"kind": "binary", "label": "buy"}},
        ... })
        >>> score_of(schema, {"click": 0.75, "buy": 0.25})
        0.625
    """
    defined = {name: value for name, value in values.items() if value is not None}
    weight = sum(schema.tasks[name].score_weight for name in defined)
    if weight == 0:
        raise DataError(
            "no task with a score weight has a defined metric in this split",
            "give the split labels of at least two classes, or a task a 'score_weight' above 0",
        )
    return sum(schema.tasks[name].score_weight * value for name, value in defined.items()) / weight
