"""Baseline: how much this user likes things, and how much this item is liked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

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
from motet.models.baselines._pairs import PairMember, Pairs

__all__ = ["Biases", "LikeRatio"]

_GRID = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
_ROUNDS = 10
_EDGE = 1e-3

_Biases = tuple[float, NDArray[Any], NDArray[Any]]


class LikeRatio(Baseline):
    """Additive biases, ŷ = μ + b_user + b_item (Koren et al. 2009, eq. 3), for labels 0/1 and numbers.

    min Σ (y − μ − b_u − b_i)² + λ_u Σ b_u² + λ_i Σ b_i², by alternating exact solutions; λ_u and
    λ_i are chosen in turn by the squared error on validation rows. Probabilities are clipped to
    [0.001, 0.999], numbers to the task's range.
    """

    paper = "Koren, Bell & Volinsky 2009, Matrix factorization techniques for recommender systems"

    def __init__(self, dataset: Dataset, biases: Biases) -> None:
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
        return cls(dataset, Biases.fit(dataset, fit_rows(dataset, splits)))

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """μ + b_user + b_item of each task."""
        return self._biases.predict(Pairs.of(self._dataset, rows))

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Biases order items alike for everybody and are no ranking."""
        return None


class Biases(PairMember):
    """Mean, and biases of users and items, of each task.

    Args:
        biases: By task.
        bounds: Lowest and highest prediction of each task.
    """

    is_quick: ClassVar[bool] = True

    def __init__(self, biases: Mapping[str, _Biases], bounds: Mapping[str, tuple[float, float]]) -> None:
        self._of, self._bounds = dict(biases), dict(bounds)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks that it predicts."""
        return tuple(self._of)

    @classmethod
    def fit(cls, dataset: Dataset, rows: NDArray[np.int64], seed: int = 0) -> Self:
        """Fit the biases of each task; nothing is drawn."""
        biases, bounds = {}, {}
        for name in tasks_for(dataset, "like_ratio"):
            if len(known_targets(dataset, name, rows)[0]):
                biases[name] = _fit(dataset, name, rows, *_choose(dataset, name))
                task, all_numbers = dataset.schema.tasks[name], np.array([-np.inf, np.inf])
                low, high = within_bounds(task, all_numbers, _EDGE).tolist()
                bounds[name] = (low, high)
        return cls(biases, bounds)

    def predict(self, pairs: Pairs, tasks: Sequence[str] | None = None) -> dict[str, NDArray[np.float32]]:
        """μ + b_user + b_item of each task; a user or item never seen has a bias of 0, [n]."""
        users, items = pairs.known["user"], pairs.known["item"]
        return {
            name: np.clip(_apply(self._of[name], users, items), *self._bounds[name]).astype(np.float32)
            for name in (self._of if tasks is None else tasks)
            if name in self._of
        }

    def only(self, tasks: Sequence[str]) -> Self:
        """The biases of some tasks alone."""
        return type(self)(
            {name: self._of[name] for name in tasks}, {name: self._bounds[name] for name in tasks}
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What has to be kept to read it again."""
        found: dict[str, NDArray[Any]] = {}
        for name, (mean, of_user, of_item) in self._of.items():
            found[f"mean.{name}"] = np.array([mean, *self._bounds[name]])
            found |= {f"user.{name}": of_user.astype(np.float32), f"item.{name}": of_item.astype(np.float32)}
        return found

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over what :meth:`arrays` gave."""
        names = [key.removeprefix("mean.") for key in arrays if key.startswith("mean.")]
        means = {name: arrays[f"mean.{name}"].tolist() for name in names}
        return cls(
            {name: (means[name][0], arrays[f"user.{name}"], arrays[f"item.{name}"]) for name in names},
            {name: (means[name][1], means[name][2]) for name in names},
        )


def _choose(dataset: Dataset, name: str) -> tuple[float, float]:
    train = dataset.rows("train")
    rows, target = known_targets(dataset, name, dataset.rows("validation"))
    if not len(rows) or not len(known_targets(dataset, name, train)[0]):
        return 10.0, 10.0

    def error(user_penalty: float, item_penalty: float) -> float:
        fitted = _fit(dataset, name, train, user_penalty, item_penalty)
        return float(
            np.mean((_apply(fitted, dataset.user_row[rows], dataset.item_row[rows]) - target[:, 0]) ** 2)
        )

    of_item = min(_GRID, key=lambda penalty: error(5.0, penalty))
    of_user = min(_GRID, key=lambda penalty: error(penalty, of_item))
    return of_user, of_item


def _fit(
    dataset: Dataset, name: str, rows: NDArray[np.int64], user_penalty: float, item_penalty: float
) -> _Biases:
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


def _apply(
    biases: _Biases, users: NDArray[np.integer[Any]], items: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    mean, of_user, of_item = biases
    values: NDArray[np.float64] = mean + _of(of_user, users) + _of(of_item, items)
    return values


def _of(biases: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    known = (rows >= 0) & (rows < len(biases))
    return np.where(known, biases[np.where(known, rows, 0)], 0.0) if len(biases) else np.zeros(len(rows))
