"""Answers to questions measured side by side, with plain controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.evaluation import CONTROLS, METRICS
from motet.schema import Task
from motet.tuning._compare import Measured, user_weights
from motet.tuning._questions import Question

__all__ = ["control_answers", "measure_answers"]

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


def control_answers(data: Dataset, questions: Sequence[Question]) -> list[NDArray[np.float64] | None]:
    """What plain controls answer: biases for yes-or-no and numbers, popularity in training rows for the rest.

    A cold item has no popularity; it is None then.
    """
    train = data.rows("train")
    bias = CONTROLS["like_ratio"].fit(data)
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
