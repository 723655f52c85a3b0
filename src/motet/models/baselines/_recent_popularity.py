"""Baseline: what many users had of late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.models.baselines._baseline import fit_rows
from motet.models.baselines._item_scores import ItemPrior, ItemScores
from motet.models.baselines._ranking import RankingBaseline, best_of, quality_on_validation

__all__ = ["RecentPopularity"]

_HALF_LIVES: Final = (0.0, 0.3, 0.1, 0.03, 0.01)


class RecentPopularity(RankingBaseline):
    """Training positives of each item, halved for every so many that came after: log(1 + Σ_e 2^(−age_e / h)).

    The half-life h, as a share of the training positives (0 for none), is chosen by NDCG@10 on the validation rows;
    ages count positives. The order is the same for all users: beside methods that know the user it says what is
    in season.
    """

    @classmethod
    def choose(cls, dataset: Dataset, until_s: float | None = None, near: Any = None) -> float:
        """The half-life, in positives; 0 where nothing fades."""
        quality = quality_on_validation(dataset, few=near is not None)
        if quality is None or not dataset.schema.keys.time:
            return 0.0
        size = len(_ordered(dataset, dataset.rows("train")))
        half_lives = [share * size for share in _HALF_LIVES]
        return best_of(half_lives, near, lambda half_life: quality(cls.fit_scores(dataset, half_life)))

    @classmethod
    def fit_scores(cls, dataset: Dataset, settings: float, splits: Sequence[str] = ("train",)) -> ItemScores:
        """Count."""
        liked = _ordered(dataset, fit_rows(dataset, splits))
        age = len(liked) - 1 - np.arange(len(liked))
        weight = np.exp2(-age / settings) if settings else np.ones(len(liked))
        return ItemPrior(
            1.0, np.log1p(np.bincount(liked, weight, minlength=len(dataset.items))).astype(np.float32)
        )


def _ordered(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int32]:
    """Items of the positives among some rows, oldest first."""
    name = dataset.schema.retrieval_task
    rows = rows[dataset.label(name, rows) > 0] if name is not None else rows[:0]
    return dataset.item_row[rows[np.lexsort((dataset.item_row[rows], dataset.time[rows]))]]
