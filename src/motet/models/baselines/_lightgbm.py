"""Baseline: gradient-boosted trees on attributes and target statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset, Ragged
from motet.models.baselines._baseline import (
    MAX_FIT_ROWS,
    Baseline,
    Known,
    fit_rows,
    identified,
    known_targets,
    tasks_for,
    within_bounds,
)
from motet.models.baselines._design import entity_rows
from motet.models.baselines._target_statistics import TargetStatistics
from motet.schema import ENTITIES, Entity

__all__ = ["LightGBM"]

_MOST_CATEGORIES = 64
_MOST_TAGS = 100
_MOST_CLASSES_IN_STATISTICS = 10
_ROUNDS, _ROUNDS_UNWATCHED, _PATIENCE = 1000, 200, 50
_SETTINGS: dict[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class LightGBM(Baseline):
    """LightGBM (Ke et al. 2017) per task, stopped early on validation rows.

    Inputs are categories of up to 64 values, numbers, the 100 most frequent tags, and, for the
    user, the item and every id or category, the smoothed mean label and the number of training
    rows; means of training rows are out-of-fold, so that no row sees its own label.
    """

    def __init__(self, dataset: Dataset, models: dict[str, tuple[_Columns, Any]]) -> None:
        self._dataset, self._models = dataset, models

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a task it knows."""
        return None if tasks_for(dataset, "lightgbm") else "no yes-or-no, number or class task"

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
        rows = fit_rows(dataset, splits)
        if len(rows) > MAX_FIT_ROWS:
            rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_FIT_ROWS, replace=False))
        models = {}
        for name in tasks_for(dataset, "lightgbm"):
            labelled, target = known_targets(dataset, name, rows)
            if len(labelled) and not (target == target[0]).all():
                columns = _Columns(dataset, labelled, target, seed)
                models[name] = (columns, _boost(dataset, name, columns, labelled, target, seed))
        return cls(dataset, models)

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Probability, number or distribution of each task."""
        if not len(rows):  # LightGBM refuses to predict nothing
            return {name: self._nothing(name) for name in self._models}
        predictions = {}
        for name, (columns, booster) in self._models.items():
            values = np.asarray(booster.predict(columns.matrix(rows), num_threads=_threads(len(rows))))
            values = within_bounds(self._dataset.schema.tasks[name], values)
            predictions[name] = values.astype(np.float32)
        return predictions

    def _nothing(self, name: str) -> NDArray[np.float32]:
        classes = self._dataset.encoder.classes.get(name)
        return np.zeros(0 if classes is None else (0, len(classes)), np.float32)

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """It does not rank: scoring every pair of user and item by trees is out of proportion."""
        return None


class _Columns:
    """The inputs of one task."""

    def __init__(
        self, dataset: Dataset, rows: NDArray[np.int64], target: NDArray[np.float64], seed: int
    ) -> None:
        self._dataset = dataset
        self.categories: list[int] = []
        self._statistics: list[tuple[Entity, int, TargetStatistics]] = []
        self._tags: dict[tuple[Entity, str], NDArray[np.int64]] = {}
        if target.shape[1] > _MOST_CLASSES_IN_STATISTICS:
            target = target[:, :0]
        for entity in ENTITIES:
            table, of = dataset.table(entity), entity_rows(dataset, entity, rows)
            if entity != "interaction" and identified(dataset, entity):
                statistics = TargetStatistics.fit(of, len(table), target, seed=seed)
                self._statistics.append((entity, -1, statistics))
            for column in range(table.codes.shape[1]):
                if not _repeats_entity(table.codes[:, column], entity):
                    codes = table.codes[of, column].astype(np.int64)
                    statistics = TargetStatistics.fit(codes, dataset.encoder.table_rows, target, seed=seed)
                    self._statistics.append((entity, column, statistics))
            for name, lists in table.tags.items():
                counts = np.bincount(lists.take(of).values, minlength=dataset.encoder.table_rows)
                frequent = np.argsort(-counts, kind="stable")[:_MOST_TAGS]
                self._tags[entity, name] = frequent[counts[frequent] > 0]

    def matrix(self, rows: NDArray[np.int64], training: bool = False) -> NDArray[np.float32]:
        """Inputs of interactions, [n, F]; of the rows it was fitted on with ``training``."""
        parts: list[NDArray[Any]] = []
        self.categories = []
        for entity in ENTITIES:
            table, of = self._dataset.table(entity), entity_rows(self._dataset, entity, rows)
            for column in range(table.codes.shape[1]):
                low = int(table.codes[:, column].min(initial=0))
                if int(table.codes[:, column].max(initial=0)) - low < _MOST_CATEGORIES:
                    self.categories.append(sum(part.shape[1] for part in parts))
                    parts.append(table.codes[of, column, None] - low)
            parts.append(table.numbers[of])
            for name, lists in table.tags.items():
                parts.append(_multi_hot(lists.take(of), self._tags[entity, name]))
        for entity, column, statistics in self._statistics:
            of = entity_rows(self._dataset, entity, rows)
            codes = self._dataset.table(entity).codes
            groups = of if column < 0 else codes[of, column].astype(np.int64)
            parts.append(statistics.out_of_fold if training else statistics.mean[groups])
            parts.append(np.log1p(statistics.count[groups])[:, None])
        return np.concatenate([part.astype(np.float32) for part in parts], axis=1)


def _repeats_entity(codes: NDArray[np.int32], entity: Entity) -> bool:
    """Whether a column tells nearly every row apart, as the entity's own statistics do already."""
    return entity != "interaction" and 2 * len(np.unique(codes)) > len(codes)


def _multi_hot(lists: Ragged, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Zeros and ones for some tags, shape [n, len(chosen)]."""
    position = np.full(int(max(chosen.max(initial=0), lists.values.max(initial=0))) + 1, -1)
    position[chosen] = np.arange(len(chosen))
    columns = position[lists.values]
    rows = np.repeat(np.arange(len(lists)), lists.lengths())
    dense = np.zeros((len(lists), len(chosen)), np.float32)
    dense[rows[columns >= 0], columns[columns >= 0]] = 1.0
    return dense


def _boost(
    dataset: Dataset,
    name: str,
    columns: _Columns,
    rows: NDArray[np.int64],
    target: NDArray[np.float64],
    seed: int,
) -> Any:
    import lightgbm  # noqa: PLC0415 (slow to import, only needed here)

    objective = dataset.schema.tasks[name].boosting_objective
    settings = _SETTINGS | {"objective": objective, "seed": seed, "num_threads": _threads(len(rows))}
    if target.shape[1] > 1:
        settings["num_class"] = target.shape[1]
    inputs = columns.matrix(rows, training=True)
    train = lightgbm.Dataset(inputs, _flat(target), categorical_feature=columns.categories, params=settings)
    known, watched = known_targets(dataset, name, dataset.rows("validation"))
    if not len(known):
        return lightgbm.train(settings, train, _ROUNDS_UNWATCHED)
    validation = train.create_valid(columns.matrix(known), _flat(watched))
    stop = lightgbm.early_stopping(_PATIENCE, verbose=False)
    return lightgbm.train(settings, train, _ROUNDS, valid_sets=[validation], callbacks=[stop])


def _threads(rows: int) -> int:
    """Threads that pay: on few rows, or a busy machine, the second one only waits for the first."""
    return 1 if rows < 200_000 else 2


def _flat(target: NDArray[np.float64]) -> NDArray[np.float64]:
    flat: NDArray[np.float64] = (
        target[:, 0] if target.shape[1] == 1 else target.argmax(axis=1).astype(np.float64)
    )
    return flat
