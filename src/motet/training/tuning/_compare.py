"""Predictors, and answers to questions, measured side by side on warm and on cold items, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset
from motet.metrics import METRICS, rank_users
from motet.models.baselines import BASELINES
from motet.schema import Predictor, Task
from motet.training.tuning._instruct import Question

__all__ = [
    "Interval",
    "Measured",
    "baseline_answers",
    "difference",
    "mean_of",
    "measure_answers",
    "measure_predictor",
]

Interval = tuple[float, float, float]
"""A value with the ends of its 95 % interval."""

_K = 10
_MOST_USERS = 4000


@dataclass(frozen=True, slots=True)
class Measured:
    """Metrics of one predictor on one data set.

    Attributes:
        values: By name, such as ``like auc, cold``.
        draws: The same under each draw of users, [R]; draw r is of the same users for all predictors.
    """

    values: Mapping[str, float]
    draws: Mapping[str, NDArray[np.float64]]


def measure_predictor(
    data: Dataset, predictor: Predictor, split: str = "test", *, replicates: int = 200, seed: int = 0
) -> Measured:
    """Measure a predictor on the rows of warm and of cold items.

    An item is cold if no training row is of it. Per task on interactions its primary metric (RMSE
    of a number); of a ranking NDCG@10 among the warm items the person has not had, and among the
    cold items. People are drawn with replacement for the intervals.

    Args:
        data: The data set it is bound to, with users and items.
        predictor: Tasks it does not predict are left out.
        split: Which rows.
        replicates: Draws of users.
        seed: Of the draws.
    """
    weights = user_weights(len(data.users), replicates, seed)
    rows = data.rows(split)
    cold = np.bincount(data.item_row[data.rows("train")], minlength=len(data.items)) == 0
    found: dict[str, Callable[[NDArray[np.float64] | None], float]] = {}
    for task, values in predictor.predict(rows).items():
        primary = data.schema.tasks[task].primary_metric
        metric = METRICS[primary].skill_of or primary
        labels = data.label(task, rows)
        known = ~np.isnan(labels if labels.ndim == 1 else labels[:, 0])
        for group, of_group in (("warm", ~cold), ("cold", cold)):
            chosen = known & of_group[data.item_row[rows]]
            if chosen.any():
                found[f"{task} {metric}, {group}"] = _metric(
                    metric, labels[chosen], values[chosen], data.user_row[rows[chosen]]
                )
    found |= _rankings(data, predictor, split, cold)
    return Measured(
        {name: value(None) for name, value in found.items()},
        {name: np.array([value(w) for w in weights]) for name, value in found.items()},
    )


def mean_of(seeds: Sequence[Measured]) -> dict[str, Interval]:
    """Mean over seeds of each metric, and the interval of that mean over draws of users."""
    return {
        name: _interval(
            float(np.mean([m.values[name] for m in seeds])), np.mean([m.draws[name] for m in seeds], axis=0)
        )
        for name in seeds[0].values
        if all(name in m.values for m in seeds)
    }


def difference(first: Sequence[Measured], second: Sequence[Measured]) -> dict[str, Interval]:
    """Mean over seeds of first − second, paired over the same draws of users."""
    pairs = [
        Measured(
            {n: a.values[n] - b.values[n] for n in a.values if n in b.values},
            {n: a.draws[n] - b.draws[n] for n in a.values if n in b.values},
        )
        for a, b in zip(first, second, strict=True)
    ]
    return mean_of(pairs)


def user_weights(users: int, replicates: int, seed: int) -> list[NDArray[np.float64]]:
    """How often each user is drawn, draw after draw, [U] each."""
    rng = np.random.default_rng(seed)
    return [
        np.bincount(rng.integers(users, size=users), minlength=users).astype(np.float64)
        for _ in range(replicates)
    ]


def _metric(
    name: str, labels: NDArray[np.float32], values: NDArray[np.float32], users: NDArray[np.int32]
) -> Callable[[NDArray[np.float64] | None], float]:
    metric = METRICS[name]
    return lambda weights: metric(labels, values, users, None if weights is None else weights[users])


def _rankings(
    data: Dataset, predictor: Predictor, split: str, cold: NDArray[np.bool_]
) -> dict[str, Callable[[NDArray[np.float64] | None], float]]:
    task = data.schema.retrieval_task
    if task is None:
        return {}
    rows = data.rows(split)
    relevant = _pairs(data, rows[data.label(task, rows) > 0])
    seen = _pairs(data, np.concatenate([data.rows(s) for s in ("train", "validation") if s != split]))
    found: dict[str, Callable[[NDArray[np.float64] | None], float]] = {}
    for group, items in (("warm", np.flatnonzero(~cold)), ("cold", np.flatnonzero(cold))):
        if not len(items):
            continue
        wanted, had = relevant[:, items].toarray() > 0, seen[:, items].toarray() > 0
        users = np.flatnonzero((wanted & ~had).any(1))[:_MOST_USERS]
        scores = predictor.score_items(users) if len(users) else None
        if scores is None:
            continue
        given = np.where(had[users], -np.inf, scores[:, items])
        ndcg = rank_users(given, wanted[users] & ~had[users], _K).ndcg
        found[f"{task} ndcg@{_K}, {group}"] = _mean(ndcg, users)
    return found


def _mean(
    values: NDArray[np.float64], users: NDArray[np.int64]
) -> Callable[[NDArray[np.float64] | None], float]:
    return lambda weights: float(np.average(values, weights=None if weights is None else weights[users]))


def _pairs(data: Dataset, rows: NDArray[np.int64]) -> sp.csr_array:
    shape = (len(data.users), len(data.items))
    return sp.csr_array((np.ones(len(rows)), (data.user_row[rows], data.item_row[rows])), shape=shape)


def _interval(value: float, draws: NDArray[np.float64]) -> Interval:
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return value, float("nan"), float("nan")
    low, high = np.quantile(defined, [0.025, 0.975])
    return value, float(low), float(high)


Answers = Sequence[NDArray[np.float64] | None]


def measure_answers(
    data: Dataset,
    questions: Sequence[Question],
    answers: Answers,
    group: str,
    *,
    replicates: int = 200,
    seed: int = 0,
) -> Measured:
    """Measure probabilities of the allowed answers.

    Per task: AUC of "yes" for yes-or-no, RMSE of the expected number for numbers, and for the
    others the share of questions whose likeliest answer is right.

    Args:
        data: The data set that was asked about.
        questions: Of one or more tasks.
        answers: Probabilities of each question's choices; None where there is no answer.
        group: What to call these questions, such as ``cold``.
        replicates: Draws of users (of items for tasks on items).
        seed: Of the draws.
    """
    values: dict[str, float] = {}
    draws: dict[str, NDArray[np.float64]] = {}
    for task in dict.fromkeys(q.task for q in questions):
        pairs = [(q, p) for q, p in zip(questions, answers, strict=True) if q.task == task and p is not None]
        if not pairs:
            continue
        asked, found = [q for q, _ in pairs], [p for _, p in pairs]
        kind = data.schema.tasks[task]
        rows = np.array([q.row for q in asked])
        owner = rows if kind.on == "item" else data.user_row[rows].astype(np.int64)
        owners = len(data.items) if kind.on == "item" else len(data.users)
        name, value = _value(kind, asked, found)
        values[f"{task} {name}, {group}"] = value(np.ones(len(asked)))
        draws[f"{task} {name}, {group}"] = np.array(
            [value(w[owner]) for w in user_weights(owners, replicates, seed)]
        )
    return Measured(values, draws)


def baseline_answers(data: Dataset, questions: Sequence[Question]) -> list[NDArray[np.float64] | None]:
    """What plain baselines answer: biases for yes-or-no and numbers, popularity in training rows for the rest.

    A cold item has no popularity; it is None then.
    """
    train = data.rows("train")
    bias = BASELINES["like_ratio"].fit(data)
    answers: list[NDArray[np.float64] | None] = []
    for q in questions:
        task = data.schema.tasks[q.task]
        if task.on == "item":
            labels = data.entity_labels[q.task]
            counts = np.nan_to_num(labels.values[labels.split == 0]).sum(0).astype(np.float64)
            answers.append(counts / max(counts.sum(), 1))
        elif task.ranks_catalogue:
            counts = np.bincount(data.item_row[train], minlength=len(data.items))
            popular = np.array([counts[item] for item in q.items], np.float64)
            answers.append(popular / popular.sum() if popular.sum() else None)
        else:
            value = float(bias.predict(np.array([q.row]))[q.task][0])
            if task.is_chance:
                answers.append(np.array([value, 1 - value]))
            else:  # all on one number, whose expectation is the prediction
                low, span = float(q.choices[0]), len(q.choices) - 1
                share = (value - low) / span
                answers.append(np.array([1 - share, *np.zeros(span - 1), share]))
    return answers


def _value(
    task: Task, asked: Sequence[Question], found: Sequence[NDArray[np.float64]]
) -> tuple[str, Callable[[NDArray[np.float64]], float]]:
    if task.is_chance:
        labels = np.array([float(q.right[0] == 0) for q in asked])
        yes = np.array([p[0] for p in found])
        return "auc", lambda weights: METRICS["auc"](labels, yes, None, weights)
    if task.is_number:
        labels = np.array([float(q.choices[q.right[0]]) for q in asked])
        expected = np.array(
            [p @ np.array([float(c) for c in q.choices]) for q, p in zip(asked, found, strict=True)]
        )
        return "rmse", lambda weights: METRICS["rmse"](labels, expected, None, weights)
    hit = np.array([float(int(p.argmax()) in q.right) for q, p in zip(asked, found, strict=True)])
    return "hit@1", lambda weights: float(np.average(hit, weights=weights)) if weights.sum() else float("nan")
