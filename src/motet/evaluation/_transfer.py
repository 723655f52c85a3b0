"""Negative transfer: is a task worse off in the joint model than alone?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motet.data import Dataset
from motet.evaluation._bootstrap import intervals_of, resampled_weights
from motet.evaluation._catalogue import catalogue_task, rank_catalogue
from motet.evaluation._evaluate import skills_of, training_deviation
from motet.evaluation._metrics import prepare
from motet.evaluation._score import headlines_of
from motet.evaluation._statistic import Statistic
from motet.schema import Predictor, Schema

__all__ = ["negative_transfer", "paired_intervals"]


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
    """Intervals of the headline of one predictor minus that of another, by paired bootstrap.

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
    alone = headlines_of(schema, single)
    compared = {}
    for name, value in headlines_of(schema, multi).items():
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
