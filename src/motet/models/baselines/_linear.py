"""Baseline: logistic and ridge regression on one-hot ids, categories, tags, numbers and words."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset
from motet.models.baselines._baseline import (
    MAX_FIT_ROWS,
    Baseline,
    Known,
    fit_rows,
    known_targets,
    tasks_for,
    within_bounds,
)
from motet.models.baselines._design import Design, text_features
from motet.schema import Task

__all__ = ["LinearBaseline", "Tfidf", "fit_tasks"]

# Weights of the penalty λ·|w|²/2 beside the summed loss, weakest last.
_PENALTIES = (30.0, 10.0, 3.0, 1.0, 0.3)
# Many classes cost as many times more, so the search is coarse.
_PENALTIES_OF_CLASSES = (1.0, 0.1)
_ROUNDS = 60


class _Fitted(Baseline):
    """Linear models of the tasks over one design."""

    def __init__(self, dataset: Dataset, design: Design, models: dict[str, Any]) -> None:
        self._dataset, self._design, self._models = dataset, design, models

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Probability, number or distribution of each task."""
        matrix = self._design.matrix(rows)
        return {
            name: _apply(self._dataset, name, model, matrix).astype(np.float32)
            for name, model in self._models.items()
        }

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """It does not rank: without crossed features all users would get one order."""
        return None


class LinearBaseline(_Fitted):
    """Logistic regression (binary, multi-class) and ridge regression (numbers).

    Inputs are one-hot ids and categories, tags, scaled numbers, and TF-IDF of texts; sequences and
    vectors have no linear form here. The penalty is chosen by the loss on validation rows.
    """

    marks = ("cold", "warm", "text", "scenario")

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a task it knows."""
        return None if tasks_for(dataset, "linear") else "no yes-or-no, number or class task"

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        splits: Sequence[str] = ("train",),
        known: Known = "validation",
        seed: int = 0,
    ) -> Self:
        """Fit each task by itself."""
        design = Design.fit(
            dataset, dataset.rows("train"), text_features(dataset, "user", "item", "interaction")
        )
        return cls(dataset, design, fit_tasks(dataset, design, fit_rows(dataset, splits), seed, "linear"))


class Tfidf(_Fitted):
    """Logistic and ridge regression on the words of the interaction's own texts alone (TF-IDF)."""

    marks = ("cold", "text")

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a task it knows, or without texts on interactions."""
        if not text_features(dataset, "interaction"):
            return "no text on interactions"
        return LinearBaseline.steps_aside(dataset)

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        splits: Sequence[str] = ("train",),
        known: Known = "validation",
        seed: int = 0,
    ) -> Self:
        """Fit each task by itself."""
        design = Design.fit(
            dataset, dataset.rows("train"), text_features(dataset, "interaction"), inputs=False
        )
        return cls(dataset, design, fit_tasks(dataset, design, fit_rows(dataset, splits), seed, "tfidf"))


def fit_tasks(
    dataset: Dataset, design: Design, rows: NDArray[np.int64], seed: int, baseline: str
) -> dict[str, Any]:
    """Choose the penalty with models of the training rows, and fit with it on some rows."""
    penalties, models = {}, {}
    matrix, some = _sampled(design, dataset.rows("train"), seed)
    used = np.flatnonzero(np.diff(matrix.tocsc().indptr))
    matrix = matrix[:, used]
    validation = dataset.rows("validation")
    validation_matrix = design.matrix(validation)[:, used]
    for name in tasks_for(dataset, baseline):
        known, target = known_targets(dataset, name, some)
        if not len(known) or (target == target[0]).all():
            continue
        x = matrix[np.searchsorted(some, known)]
        known, validation_target = known_targets(dataset, name, validation)
        x_validation = validation_matrix[np.searchsorted(validation, known)]
        task = dataset.schema.tasks[name]
        best: tuple[float, Any] = (np.inf, None)
        grid = _PENALTIES_OF_CLASSES if task.has_classes else _PENALTIES
        for penalty in grid if len(known) else grid[:1]:
            model = _fit_one(task, x, target, penalty)
            loss = _loss(task, _raw(task, model, x_validation, target.shape[1]), validation_target)
            if loss >= best[0]:
                break  # the loss falls and then rises as the penalty weakens
            best, penalties[name] = (loss, model), penalty
        models[name] = (used, best[1])
    if not np.array_equal(rows, dataset.rows("train")):
        matrix, some = _sampled(design, rows, seed)
        used = np.flatnonzero(np.diff(matrix.tocsc().indptr))
        for name, penalty in penalties.items():
            known, target = known_targets(dataset, name, some)
            x = matrix[np.searchsorted(some, known)][:, used]
            models[name] = (used, _fit_one(dataset.schema.tasks[name], x, target, penalty))
    return models


def _sampled(design: Design, rows: NDArray[np.int64], seed: int) -> tuple[sp.csr_array, NDArray[np.int64]]:
    if len(rows) > MAX_FIT_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_FIT_ROWS, replace=False))
    return design.matrix(rows), rows


def _fit_one(task: Task, x: sp.csr_array, target: NDArray[np.float64], penalty: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 (slow to import, only needed here)
    from sklearn.linear_model import LogisticRegression, Ridge  # noqa: PLC0415 (slow to import, only needed here)

    if task.is_number:
        return Ridge(alpha=penalty, solver="sparse_cg", tol=1e-4).fit(x, target[:, 0])
    label = target[:, 0] if not task.has_classes else target.argmax(axis=1)
    model = LogisticRegression(C=1 / penalty, solver="lbfgs", max_iter=_ROUNDS, tol=1e-3)
    with warnings.catch_warnings():
        # An optimum to the last digit is not needed of a yardstick that is chosen on validation.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, label)


def _raw(task: Task, model: Any, x: sp.csr_array, classes: int) -> NDArray[np.float64]:
    """Predictions as columns: [n, 1], or [n, K] with 0 for a class that was never seen."""
    if not x.shape[0]:  # scikit-learn refuses to predict nothing
        return np.zeros((0, classes))
    if task.is_number:
        return np.asarray(model.predict(x), np.float64)[:, None]
    seen = np.asarray(model.predict_proba(x), np.float64)
    if not task.has_classes:
        return seen[:, 1:]
    wide = np.zeros((x.shape[0], classes))
    wide[:, model.classes_.astype(np.int64)] = seen
    return wide


def _loss(task: Task, prediction: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    if not len(target):
        return 0.0
    if task.is_number:
        return float(np.mean((prediction - target) ** 2))
    p = np.clip(prediction, 1e-7, 1 - 1e-7)
    if task.has_classes:
        return float(-np.mean(np.log((p * target).sum(axis=1))))
    return float(-np.mean(target * np.log(p) + (1 - target) * np.log1p(-p)))


def _apply(dataset: Dataset, name: str, fitted: Any, matrix: sp.csr_array) -> NDArray[np.float64]:
    used, model = fitted
    task = dataset.schema.tasks[name]
    classes = len(dataset.encoder.classes[name]) if task.has_classes else 1
    values = within_bounds(task, _raw(task, model, matrix[:, used], classes))
    return values if task.has_classes else values[:, 0]
