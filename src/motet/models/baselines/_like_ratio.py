"""Baseline: how much this user likes things, and how much this item is liked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.models.baselines._baseline import (
    Baseline,
    Known,
    fit_rows,
    identified,
    known_targets,
    tasks_for,
    within_bounds,
)

__all__ = ["LikeRatio"]

_GRID = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
_ROUNDS = 10
_EDGE = 1e-3

Biases = tuple[float, NDArray[np.float64], NDArray[np.float64]]


class LikeRatio(Baseline):
    """Additive biases, ŷ = μ + b_user + b_item (Koren et al. 2009, eq. 3), for labels 0/1 and numbers.

    min Σ (y − μ − b_u − b_i)² + λ_u Σ b_u² + λ_i Σ b_i², by alternating exact solutions; λ_u and
    λ_i are chosen in turn by the squared error on validation rows. Probabilities are clipped to
    [0.001, 0.999], numbers to the task's range.
    """

    def __init__(self, dataset: Dataset, biases: dict[str, Biases]) -> None:
        self._dataset, self._biases = dataset, biases

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without such a task, or without users and items it may know."""
        if not tasks_for(dataset, "like_ratio"):
            return "no yes-or-no or number task on interactions"
        known = identified(dataset, "user") or identified(dataset, "item")
        return None if known else "neither users nor ids of items"

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        splits: Sequence[str] = ("train",),
        known: Known = "validation",
        seed: int = 0,
    ) -> Self:
        """Fit the biases of each task."""
        biases = {}
        for name in tasks_for(dataset, "like_ratio"):
            if len(known_targets(dataset, name, fit_rows(dataset, splits))[0]):
                penalties = _choose(dataset, name)
                biases[name] = _fit(dataset, name, fit_rows(dataset, splits), *penalties)
        return cls(dataset, biases)

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """μ + b_user + b_item of each task."""
        predictions = {}
        for name, biases in self._biases.items():
            values = within_bounds(
                self._dataset.schema.tasks[name], _apply(self._dataset, rows, biases), _EDGE
            )
            predictions[name] = values.astype(np.float32)
        return predictions

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Biases order items alike for everybody and are no ranking."""
        return None


def _choose(dataset: Dataset, name: str) -> tuple[float, float]:
    train = dataset.rows("train")
    rows, target = known_targets(dataset, name, dataset.rows("validation"))
    if not len(rows) or not len(known_targets(dataset, name, train)[0]):
        return 10.0, 10.0

    def error(user_penalty: float, item_penalty: float) -> float:
        fitted = _fit(dataset, name, train, user_penalty, item_penalty)
        return float(np.mean((_apply(dataset, rows, fitted) - target[:, 0]) ** 2))

    of_item = min(_GRID, key=lambda penalty: error(5.0, penalty))
    of_user = min(_GRID, key=lambda penalty: error(penalty, of_item))
    return of_user, of_item


def _fit(
    dataset: Dataset, name: str, rows: NDArray[np.int64], user_penalty: float, item_penalty: float
) -> Biases:
    known, target = known_targets(dataset, name, rows)
    users, items = dataset.user_row[known], dataset.item_row[known]
    may = identified(dataset, "user"), identified(dataset, "item")
    n_users, n_items = len(dataset.users), len(dataset.items)
    mean = float(target.mean())
    y = target[:, 0] - mean
    of_user, of_item = np.zeros(n_users), np.zeros(n_items)
    user_count, item_count = np.bincount(users, minlength=n_users), np.bincount(items, minlength=n_items)
    for _ in range(_ROUNDS):
        rest = may[1] * np.bincount(items, y - of_user[users], minlength=n_items)
        of_item = rest / (item_count + item_penalty)
        rest = may[0] * np.bincount(users, y - of_item[items], minlength=n_users)
        of_user = rest / (user_count + user_penalty)
    return mean, of_user, of_item


def _apply(dataset: Dataset, rows: NDArray[np.int64], biases: Biases) -> NDArray[np.float64]:
    mean, of_user, of_item = biases
    values: NDArray[np.float64] = mean + of_user[dataset.user_row[rows]] + of_item[dataset.item_row[rows]]
    return values
