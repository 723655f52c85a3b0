"""Metrics of any number of labels at once, predicted as one probability each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from motet.evaluation import _binary
from motet.evaluation._statistic import Floats, Statistic, Users, ratio

__all__ = ["lrap", "macro_ap", "macro_f1", "micro_f1"]

_THRESHOLD = 0.5


def micro_f1(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """F1 at 0.5 over all decisions of all labels together."""
    predicted = predictions >= _THRESHOLD
    true, either = (predicted * labels).sum(axis=1), (predicted + labels).sum(axis=1)
    return lambda weights: ratio(2 * float(weights @ true), float(weights @ either))


def macro_f1(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Mean F1 at 0.5 of the labels that occur, or are predicted, at least once."""
    predicted = predictions >= _THRESHOLD
    true, either = predicted * labels, predicted + labels

    def value(weights: NDArray[np.float64]) -> float:
        below = weights @ either
        occurring = below > 0
        return ratio(float((2 * (weights @ true)[occurring] / below[occurring]).sum()), int(occurring.sum()))

    return value


def macro_ap(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Mean average precision of the labels that at least one row has."""
    occurring = np.flatnonzero(labels.any(axis=0))
    each = [_binary.average_precision(labels[:, k], predictions[:, k]) for k in occurring]

    def value(weights: NDArray[np.float64]) -> float:
        values = np.array([statistic(weights) for statistic in each])
        known = values[~np.isnan(values)]
        return float(known.mean()) if len(known) else float("nan")

    return value


def lrap(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Label ranking average precision: for each true label, how many above it are true as well.

    Tsoumakas et al. 2010, section 7.3; a row with no label, or with all, counts 1.
    """
    rank = rankdata(-predictions, method="max", axis=1).astype(np.int64)
    order = np.argsort(-predictions, axis=1, kind="stable")
    true_above = np.cumsum(np.take_along_axis(labels, order, axis=1), axis=1)
    share = np.take_along_axis(true_above, rank - 1, axis=1) / rank
    relevant = labels.sum(axis=1)
    row = np.divide((share * labels).sum(axis=1), relevant, out=np.ones(len(labels)), where=relevant > 0)
    return lambda weights: ratio(float(weights @ row), float(weights.sum()))
