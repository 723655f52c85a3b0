"""Baseline: everybody gets what everybody liked."""

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
    positives,
    tasks_for,
)

__all__ = ["Popularity"]

# Rows at which an item's own mean weighs as much as the overall mean.
_SMOOTHING = 10.0


class Popularity(Baseline):
    """Ranks by training positives; predicts an item's smoothed mean label.

    (Σ label + m·mean) / (n + m) with m = 10, for every kind of task on interactions; the
    overall mean where no id is among the features of the items.
    """

    def __init__(self, dataset: Dataset, means: dict[str, NDArray[np.float64]], counts: NDArray[np.float32]):
        self._dataset, self._means, self._counts = dataset, means, counts

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Never."""
        return None

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        splits: Sequence[str] = ("train",),
        known: Known = "validation",
        seed: int = 0,
    ) -> Self:
        """Count positives and average labels."""
        rows = fit_rows(dataset, splits)
        means = {}
        for name in tasks_for(dataset, "popularity"):
            labelled, target = known_targets(dataset, name, rows)
            if not len(labelled):
                continue
            item = dataset.item_row[labelled]
            if not identified(dataset, "item"):
                means[name] = np.tile(target.mean(axis=0), (len(dataset.items), 1))
                continue
            overall = target.mean(axis=0)
            total = np.stack(
                [np.bincount(item, column, minlength=len(dataset.items)) for column in target.T], axis=1
            )
            count = np.bincount(item, minlength=len(dataset.items))[:, None]
            means[name] = (total + _SMOOTHING * overall) / (count + _SMOOTHING)
        return cls(dataset, means, positives(dataset, rows).sum(axis=0).astype(np.float32))

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """The item's smoothed mean of each task."""
        items = self._dataset.item_row[rows]
        predictions = {}
        for name, means in self._means.items():
            values = means[items].astype(np.float32)
            flat = not self._dataset.schema.tasks[name].has_classes
            predictions[name] = values[:, 0] if flat else values
        return predictions

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """The number of users who liked each item, the same for everybody."""
        if self._dataset.schema.retrieval_task is None:
            return None
        return np.broadcast_to(self._counts, (len(users), len(self._counts)))
