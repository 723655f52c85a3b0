"""The evaluation: every task, scenario and group of rows, and the ranking of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from motet.data import SPLIT_CODES, Dataset
from motet.errors import DataError
from motet.evaluation._catalogue import ranking_metrics
from motet.metrics import Floats, Users, bootstrap, metrics_of, task_metrics, why_undefined
from motet.schema import EntityPredictor, Predictor, Task, require_known

__all__ = ["Evaluation", "evaluate", "training_deviation"]

Evaluation = dict[str, Any]
_SPLITS = ("train", "validation", "test")


def evaluate(
    dataset: Dataset,
    predictor: Predictor,
    split: str = "test",
    *,
    seed: int = 0,
    intervals: bool = True,
    slices: bool = True,
) -> Evaluation:
    """Measure a predictor on one split.

    Args:
        dataset: The data set that the predictor is bound to.
        predictor: Tasks it does not predict are left out; an :class:`~motet.schema.EntityPredictor`
            is asked for the tasks on items and users as well.
        split: ``train``, ``validation`` or ``test``.
        seed: Seed of the bootstrap.
        intervals: Whether to give 95 % intervals, over users where there are users.
        slices: Whether to measure scenarios and groups as well.

    Returns:
        Plain values, ready for JSON without NaN; an undefined metric is None::

            dataset, split, seed
            rows        {total, scenarios: {name: n}, groups: {name: n}}
            tasks       {task: {metric: value, metric_interval: [low, high], rows: n,
                                undefined: why, where a metric is None}}
            scenarios   {scenario: {task: {metric: value, rows: n}}}
            traffic     {scenario: {rows, users, items, shared_users, shared_items,
                                    tasks: {task: {observed, predicted, ratio}}}}
            groups      {warm, cold_user, cold_item: {task: {metric: value, rows: n}}}
            ranking     {ndcg@10, recall@10, hit@10, mrr, coverage@10, diversity@10, novelty@10,
                         users}, or None

        A row is warm if its user and its item have training rows, and else cold by user, by item,
        or both. ``shared_users`` is the share of a scenario's users who have rows in another scenario of the
        split, ``ratio`` is mean prediction / mean label, for tasks with one number a row.

    Raises:
        MotetError: If the split is not known, or a prediction has the wrong shape or is not finite.
    """
    require_known(split, _SPLITS, "the split", DataError)
    rows = dataset.rows(split)
    users = dataset.user_row[rows] if dataset.schema.keys.user is not None else None
    predictions = predictor.predict(rows)
    for name in predictions:
        require_known(name, dataset.schema.tasks, "the predicted task", DataError)
    labels = {
        name: dataset.label(name, rows)
        for name, task in dataset.schema.tasks.items()
        if task.on == "interaction" and name in predictions and not task.ranks_catalogue
    }
    tasks = {
        name: measure(dataset, name, label, predictions[name], users, intervals, seed)
        for name, label in labels.items()
    }
    tasks |= _entity_tasks(dataset, predictor, split, intervals, seed)
    scenarios = _scenario_masks(dataset, rows) if slices else {}
    groups = _group_masks(dataset, rows) if slices else {}

    def sliced(masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, dict[str, Any]]:
        return {
            part: {
                name: measure(
                    dataset, name, label[mask], predictions[name][mask],
                    None if users is None else users[mask], False, seed,
                )
                for name, label in labels.items()
            }
            for part, mask in masks.items()
            if mask.any()
        }  # fmt: skip

    return {
        "dataset": dataset.schema.name,
        "split": split,
        "seed": seed,
        "rows": {
            "total": len(rows),
            "scenarios": {name: int(mask.sum()) for name, mask in scenarios.items()},
            "groups": {name: int(mask.sum()) for name, mask in groups.items()},
        },
        "tasks": {name: tasks[name] for name in dataset.schema.tasks if name in tasks},
        "scenarios": sliced(scenarios),
        "traffic": scenario_traffic(dataset, rows, scenarios, labels, predictions),
        "groups": sliced(groups),
        "ranking": ranking_metrics(dataset, predictor, split, seed=seed, intervals=intervals),
    }


def measure(
    dataset: Dataset,
    name: str,
    labels: Floats,
    predictions: Floats,
    users: Users,
    intervals: bool,
    seed: int,
) -> dict[str, Any]:
    """Metrics of one task on some rows, with what goes beside them in an evaluation."""
    task = dataset.schema.tasks[name]
    try:
        result: dict[str, Any] = dict(task_metrics(task, labels, predictions, users))
        ranges = bootstrap(task, labels, predictions, users, seed=seed) if intervals else {}
    except DataError as error:
        raise DataError(f"task '{name}': {error.problem}", error.cure) from None
    for metric, mean_error in skills_of(task).items():
        deviation = training_deviation(dataset, name)
        result[metric] = _skill(result[mean_error], deviation)
        if ranges.get(mean_error) is not None and deviation > 0:
            low, high = ranges[mean_error] or (0.0, 0.0)
            ranges[metric] = (1 - high / deviation, 1 - low / deviation)
    for metric, interval in ranges.items():
        result[f"{metric}_interval"] = None if interval is None else list(interval)
    result["rows"] = _known(labels)
    if None in result.values():
        result["undefined"] = why_undefined(task, labels)
    return result


def training_deviation(dataset: Dataset, name: str) -> float:
    """Standard deviation of a task's training labels, in units of the label."""
    task = dataset.schema.tasks[name]
    if task.on == "interaction":
        labels = dataset.label(name, dataset.rows("train"))
    else:
        known = dataset.entity_labels[name]
        labels = known.values[known.split == SPLIT_CODES["train"]]
    labels = labels[~np.isnan(labels)].astype(np.float64)
    return float(labels.std()) if len(labels) else 0.0


def skills_of(task: Task) -> dict[str, str]:
    """Metrics of a task that are 1 − error / deviation of the training labels, with their error."""
    return {name: metric.skill_of for name, metric in metrics_of(task).items() if metric.skill_of}


def _skill(error: float | None, deviation: float) -> float | None:
    return None if error is None or deviation == 0 else 1 - error / deviation


def _known(labels: Floats) -> int:
    missing = np.isnan(labels) if labels.ndim == 1 else np.isnan(labels).any(axis=1)
    return int(len(labels) - missing.sum())


def _entity_tasks(
    dataset: Dataset, predictor: Predictor, split: str, intervals: bool, seed: int
) -> dict[str, dict[str, Any]]:
    if not isinstance(predictor, EntityPredictor):
        return {}
    results = {}
    entities: tuple[Literal["user", "item"], ...] = ("user", "item")
    for entity in entities:
        names = [name for name, task in dataset.schema.tasks.items() if task.on == entity]
        predictions = predictor.predict_entities(entity) if names else {}
        for name in names:
            if name in predictions:
                known = dataset.entity_labels[name]
                rows = np.flatnonzero(known.split == SPLIT_CODES[split])
                results[name] = measure(
                    dataset, name, known.values[rows], predictions[name][rows], None, intervals, seed
                )
    return results


def _scenario_masks(dataset: Dataset, rows: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    if dataset.schema.keys.scenario is None:
        return {}
    codes = dataset.scenario[rows]
    masks = {name: codes == code for code, name in enumerate(dataset.encoder.scenarios)}
    return {name: mask for name, mask in masks.items() if name != "unknown" or mask.any()}


def scenario_traffic(
    dataset: Dataset,
    rows: NDArray[np.int64],
    scenarios: Mapping[str, NDArray[np.bool_]],
    labels: Mapping[str, Floats],
    predictions: Mapping[str, Floats],
) -> dict[str, dict[str, Any]]:
    """Who and what each scenario has in common with the others, and whether its predictions are right on average.

    Args:
        dataset: The data set.
        rows: Interactions, [N].
        scenarios: Which of the rows are of each scenario, [N] each; every row is of one at the most.
        labels: Per task, of the rows.
        predictions: Likewise.

    Returns:
        As ``traffic`` of :func:`evaluate`, of scenarios with rows.
    """
    keys = dataset.schema.keys
    entities = {
        name: row_of[rows]
        for name, key, row_of in (
            ("users", keys.user, dataset.user_row),
            ("items", keys.item, dataset.item_row),
        )
        if key is not None
    }
    seen = {name: [np.unique(of[mask]) for mask in scenarios.values()] for name, of in entities.items()}
    # in how many scenarios each user or item is
    times = {
        name: np.bincount(np.concatenate(lists)) for name, lists in seen.items() if sum(map(len, lists)) > 0
    }
    found = {}
    for place, (scenario, mask) in enumerate(scenarios.items()):
        if not mask.any():
            continue
        line: dict[str, Any] = {"rows": int(mask.sum())}
        found[scenario] = line
        for name, lists in seen.items():
            line[name] = len(lists[place])
            line[f"shared_{name}"] = float((times[name][lists[place]] > 1).mean())
        line["tasks"] = {
            task: _means(label[mask], predictions[task][mask])
            for task, label in labels.items()
            if label.ndim == predictions[task].ndim == 1
        }
    return found


def _means(labels: Floats, predictions: Floats) -> dict[str, float | None]:
    """Mean label and mean prediction of the rows whose label is known, and what part of the one the other is."""
    known = ~np.isnan(labels)
    if not known.any():
        return {"observed": None, "predicted": None, "ratio": None}
    observed = float(labels[known].mean(dtype=np.float64))
    predicted = float(predictions[known].mean(dtype=np.float64))
    return {
        "observed": observed,
        "predicted": predicted,
        "ratio": predicted / observed if observed > 0 else None,
    }


def _group_masks(dataset: Dataset, rows: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    train = dataset.rows("train")
    warm = np.ones(len(rows), np.bool_)
    masks = {}
    for entity, key, row_of in (
        ("user", dataset.schema.keys.user, dataset.user_row),
        ("item", dataset.schema.keys.item, dataset.item_row),
    ):
        if key is not None:
            seen = np.bincount(row_of[train], minlength=int(row_of.max(initial=0)) + 1) > 0
            masks[f"cold_{entity}"] = ~seen[row_of[rows]]
            warm &= seen[row_of[rows]]
    return {"warm": warm, **masks} if masks else {}
