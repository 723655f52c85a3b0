"""Smoothed means of a label by group, without a row's own label in its own statistic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TargetStatistics"]

_FOLDS = 5


@dataclass(frozen=True, slots=True)
class TargetStatistics:
    """Mean label and count of each group of training rows (Micci-Barreca 2001, eq. 3).

    A training row gets the mean of the folds it is not in: with its own label in the mean a model
    would read the label back, and leaving out only that one label gives it away as surely, by the
    distance to the group's mean.

    Attributes:
        mean: Smoothed mean, shape [G, K].
        count: Rows, shape [G].
        out_of_fold: Smoothed mean of each training row, shape [n, K].
    """

    mean: NDArray[np.float64]
    count: NDArray[np.float64]
    out_of_fold: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        groups: NDArray[np.int64],
        size: int,
        target: NDArray[np.float64],
        smoothing: float = 10.0,
        seed: int = 0,
    ) -> TargetStatistics:
        """Compute the statistics.

        Args:
            groups: Group of each training row, in [0, size), shape [n].
            size: Number of groups G.
            target: Labels as columns, shape [n, K].
            smoothing: Rows at which a group's own mean weighs as much as the overall mean.
            seed: Seed of the folds.
        """
        fold = np.random.default_rng(seed).permutation(len(groups)) % _FOLDS
        prior = target.mean(axis=0)
        cell = groups * _FOLDS + fold
        count = np.bincount(cell, minlength=size * _FOLDS).reshape(size, _FOLDS).astype(np.float64)
        total = np.zeros((size, _FOLDS, target.shape[1]))
        for k, y in enumerate(target.T):
            total[:, :, k] = np.bincount(cell, y, minlength=size * _FOLDS).reshape(size, _FOLDS)
        all_count, all_total = count.sum(axis=1), total.sum(axis=1)
        others = all_count[groups] - count[groups, fold]
        rest = all_total[groups] - total[groups, fold]
        return cls(
            mean=(all_total + smoothing * prior) / (all_count + smoothing)[:, None],
            count=all_count,
            out_of_fold=(rest + smoothing * prior) / (others + smoothing)[:, None],
        )
