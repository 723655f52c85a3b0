"""How tasks relate: label correlation, gradient agreement, and negative transfer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.errors import DataError
from motet.evaluation._catalogue import catalogue_task, rank_catalogue
from motet.evaluation._evaluate import skills_of, training_deviation
from motet.evaluation._score import primary_values_of
from motet.metrics import Statistic, intervals_of, prepare, resampled_weights
from motet.schema import Predictor, Schema

__all__ = ["label_correlation", "negative_transfer", "paired_intervals", "task_relations"]

# How tasks relate: do their labels move together, do their gradients agree.


def label_correlation(labels: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Pearson correlation of each two labels on the rows where both are known.

    On two yes-or-no labels this is φ; on a yes-or-no label and a number the point-biserial
    correlation.

    Args:
        labels: NaN where missing, shape [N, T].

    Returns:
        Correlations, shape [T, T], NaN where a label does not vary on the common rows, and the
        number of common rows, shape [T, T].

    Example:
        >>> label_correlation(np.array([[0.0, 1.0], [1.0, 0.0], [1.0, np.nan]]))[0].round(3)
        array([[ 1., -1.],
               [-1.,  1.]])
    """
    known = ~np.isnan(labels)
    mask = known.astype(np.float64)
    shift = np.where(known, labels, 0).sum(axis=0, dtype=np.float64) / np.maximum(mask.sum(axis=0), 1)
    # Centred by the label's own mean, so that the sums of squares below do not cancel.
    x = np.where(known, labels - shift, 0.0)
    count = mask.T @ mask
    n = np.maximum(count, 1)
    mean = (x.T @ mask) / n  # [i, j]: mean of label i on rows where j is known too
    covariance = (x.T @ x) / n - mean * mean.T
    variance = ((x * x).T @ mask) / n - mean * mean
    spread = np.sqrt(np.maximum(variance, 0) * np.maximum(variance.T, 0))
    defined = spread > 1e-12 * np.maximum(1.0, np.abs(covariance))
    correlation = np.divide(covariance, spread, out=np.full_like(spread, np.nan), where=defined)
    return np.clip(correlation, -1, 1), count.astype(np.int64)


def task_relations(
    dataset: Dataset, split: str = "train", gradient_cosine: NDArray[np.floating[Any]] | None = None
) -> dict[str, Any]:
    """Relations between the tasks on interactions, ready for JSON.

    Args:
        dataset: Holds the labels. Multi-class and multi-label tasks have no order to correlate and
            are left out of the label correlation.
        split: Rows to look at.
        gradient_cosine: From training: mean cosine between the gradients of each two tasks, in the
            order of ``dataset.schema.tasks``, shape [T, T], NaN where unknown.

    Returns:
        ``label_correlation`` {tasks, matrix, rows} and, if given, ``gradient_cosine`` {tasks,
        matrix}; None where undefined.

    Raises:
        DataError: If the matrix does not fit the tasks.
    """
    tasks = dataset.schema.tasks
    names = [name for name in dataset.encoder.interaction_tasks if not tasks[name].has_classes]
    rows = dataset.rows(split)
    labels = np.stack([dataset.label(name, rows) for name in names], axis=1) if names else np.empty((0, 0))
    matrix, count = label_correlation(labels)
    relations: dict[str, Any] = {
        "label_correlation": {"tasks": names, "matrix": _plain(matrix), "rows": count.tolist()}
    }
    if gradient_cosine is not None:
        size = len(dataset.schema.tasks)
        if gradient_cosine.shape != (size, size):
            raise DataError(
                f"the gradient cosine has shape {gradient_cosine.shape} for {size} tasks",
                "give one row and one column a task",
            )
        relations["gradient_cosine"] = {
            "tasks": list(dataset.schema.tasks),
            "matrix": _plain(gradient_cosine),
        }
    return relations


def _plain(matrix: NDArray[np.floating[Any]]) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in matrix]


# Negative transfer: is a task worse off in the joint model than alone?


def paired_intervals(
    dataset: Dataset,
    first: Predictor,
    second: Predictor,
    split: str = "test",
    *,
    replicates: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float] | None]:
    """Intervals of the primary metric of one predictor minus that of another, by paired bootstrap.

    Both are measured on the same draw of users (rows where there are no users), so what is hard
    about a user cancels and the interval is narrower than two separate ones.

    Args:
        dataset: The data set both are bound to.
        first: The predictor that is asked about.
        second: The one to compare with; only interaction and retrieval tasks of both are compared.
        split: Which rows.
        replicates: Number of draws.
        level: Coverage, in (0, 1).
        seed: Seed of the draws.

    Returns:
        (low, high) by task.
    """
    rows = dataset.rows(split)
    users = dataset.user_row[rows] if dataset.schema.keys.user is not None else None
    both = first.predict(rows), second.predict(rows)
    intervals: dict[str, tuple[float, float] | None] = {}
    for name, task in dataset.schema.tasks.items():
        if task.ranks_catalogue:
            if name == dataset.schema.retrieval_task:
                intervals |= _paired_ranking(dataset, name, first, second, split, replicates, level, seed)
            continue
        if task.on != "interaction" or not all(name in each for each in both):
            continue
        error = skills_of(task).get(task.primary_metric)
        wanted = error or task.primary_metric
        pair = [prepare(task, dataset.label(name, rows), each[name], users, (wanted,)) for each in both]
        known = pair[0][1]
        if not known.any():
            continue
        deviation = training_deviation(dataset, name)
        scale = 1.0 if error is None else -1 / deviation if deviation > 0 else float("nan")
        difference = _difference(pair[0][0][wanted], pair[1][0][wanted], scale)
        weights = resampled_weights(
            int(known.sum()), None if users is None else users[known], replicates, seed
        )
        intervals |= intervals_of({name: difference}, weights, level)
    return intervals


def _difference(first: Statistic, second: Statistic, scale: float) -> Statistic:
    return lambda weights: scale * (first(weights) - second(weights))


def _paired_ranking(
    dataset: Dataset,
    name: str,
    first: Predictor,
    second: Predictor,
    split: str,
    replicates: int,
    level: float,
    seed: int,
) -> dict[str, tuple[float, float] | None]:
    task = catalogue_task(dataset, split)
    if task is None or not len(task.users):
        return {}
    ranked = rank_catalogue(task, first.score_items), rank_catalogue(task, second.score_items)
    if ranked[0] is None or ranked[1] is None:
        return {}
    gain = ranked[0].ndcg - ranked[1].ndcg
    weights = resampled_weights(len(gain), None, replicates, seed)
    return intervals_of({name: lambda w: float(w @ gain / w.sum())}, weights, level)


def negative_transfer(
    schema: Schema,
    multi: Mapping[str, Any],
    single: Mapping[str, Any],
    intervals: Mapping[str, tuple[float, float] | None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Compare a multi-task model with single-task models, task by task.

    Args:
        schema: Names the tasks.
        multi: Evaluation of the joint model.
        single: Evaluation of the models trained on each task alone, put together: ``tasks`` and
            ``ranking`` as in :func:`~motet.evaluation.evaluate`.
        intervals: Interval of multi − single by task, from :func:`paired_intervals`. For a task
            without one, the joint model's own interval around its value stands in for it.

    Returns:
        By task: ``metric, multi, single, difference`` (above 0 the joint model is better),
        ``interval`` of the difference, and ``negative_transfer``: whether the difference is below
        0 and its interval, if there is one, as well.
    """
    alone = primary_values_of(schema, single)
    compared = {}
    for name, value in primary_values_of(schema, multi).items():
        other = alone.get(name)
        if value is None or other is None:
            continue
        metric = schema.tasks[name].primary_metric
        interval = (intervals or {}).get(name)
        if interval is None:
            source = multi["ranking"] if schema.tasks[name].ranks_catalogue else multi["tasks"][name]
            own = source.get(f"{metric}_interval")
            interval = None if own is None else (own[0] - other, own[1] - other)
        compared[name] = {
            "metric": metric,
            "multi": value,
            "single": other,
            "difference": value - other,
            "interval": None if interval is None else list(interval),
            "negative_transfer": bool(value < other and (interval is None or interval[1] < 0)),
        }
    return compared
