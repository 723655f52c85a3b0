"""Metrics of one of several classes, predicted as a distribution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from motet.evaluation import _binary
from motet.evaluation._statistic import Floats, Statistic, Users, ratio

__all__ = ["accuracy", "auc_ovr", "log_loss", "macro_f1", "weighted_f1"]

_CLIP = float(np.finfo(np.float32).eps)


def accuracy(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Share of rows whose most likely class is the label; of equals the lowest class counts."""
    right = (np.argmax(predictions, axis=1) == labels).astype(np.float64)
    return lambda weights: ratio(float(weights @ right), float(weights.sum()))


def log_loss(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Mean of −log p(class of the label), in nats, of distributions scaled to sum to 1."""
    chosen = np.take_along_axis(predictions, labels.astype(np.int64)[:, None], axis=1)[:, 0]
    loss = -np.log(np.clip(chosen / np.maximum(predictions.sum(axis=1), _CLIP), _CLIP, 1.0))
    return lambda weights: ratio(float(weights @ loss), float(weights.sum()))


def _f1_per_class(
    labels: Floats, predictions: Floats
) -> Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Function of weights that gives F1 (NaN for a class that never occurs) and support per class."""
    classes = predictions.shape[1]
    truth, guess = labels.astype(np.int64), np.argmax(predictions, axis=1)
    right = (truth == guess).astype(np.float64)

    def values(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        support: NDArray[np.float64] = np.bincount(truth, weights, minlength=classes).astype(np.float64)
        either = support + np.bincount(guess, weights, minlength=classes)
        true = np.bincount(truth, weights * right, minlength=classes)
        f1 = np.divide(2 * true, either, out=np.full(classes, np.nan), where=either > 0)
        return f1, support

    return values


def macro_f1(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Mean F1 of the classes that occur among labels or predictions."""
    per_class = _f1_per_class(labels, predictions)
    return lambda weights: float(np.nanmean(per_class(weights)[0]))


def weighted_f1(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Mean F1 of the classes, weighted by their rows."""
    per_class = _f1_per_class(labels, predictions)

    def value(weights: NDArray[np.float64]) -> float:
        f1, support = per_class(weights)
        return ratio(float(np.nansum(f1 * support)), float(support.sum()))

    return value


def auc_ovr(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Mean over classes of the AUC of one class against the rest (Fawcett 2006, unweighted).

    Classes that no row, or every row, has are left out.
    """
    occurring = np.unique(labels).astype(np.int64)
    each = [_binary.auc((labels == c).astype(np.float64), predictions[:, c]) for c in occurring]

    def value(weights: NDArray[np.float64]) -> float:
        values = np.array([statistic(weights) for statistic in each])
        known = values[~np.isnan(values)]
        return float(known.mean()) if len(known) else float("nan")

    return value
