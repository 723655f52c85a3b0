"""Metrics of yes-or-no tasks, predicted as probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motet.evaluation._statistic import Floats, Statistic, Users, ratio

__all__ = [
    "accuracy",
    "auc",
    "average_precision",
    "brier",
    "calibration_error",
    "f1",
    "gauc",
    "label_rate",
    "log_loss",
    "precision",
    "predicted_rate",
    "recall",
]

_THRESHOLD = 0.5
_CALIBRATION_BINS = 15
# The smallest distance from 0 and 1 that a float32 probability near 1 can express.
_CLIP = float(np.finfo(np.float32).eps)


def gauc(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """AUC within each user, averaged with the user's rows as weight (Zhu et al. 2017, eq. 9).

    Users with one class only have no AUC and are skipped. Ties count one half.
    """
    who = np.zeros(len(labels), np.int64) if users is None else np.asarray(users)
    order = np.lexsort((predictions, who))
    label, score, who = labels[order], predictions[order], who[order]
    starts_user = np.concatenate([[True], who[1:] != who[:-1]])
    starts_tie = starts_user | np.concatenate([[True], score[1:] != score[:-1]])
    tie = np.flatnonzero(starts_tie)
    first = np.flatnonzero(starts_user[tie])
    ties_of_user = np.diff(np.append(first, len(tie)))

    def value(weights: NDArray[np.float64]) -> float:
        weight = weights[order]
        positive = np.add.reduceat(weight * label, tie)
        negative = np.add.reduceat(weight * (1 - label), tie)
        below = np.cumsum(negative) - negative
        below -= np.repeat(below[first], ties_of_user)
        won = np.add.reduceat(positive * (below + negative / 2), first)
        positives, negatives = np.add.reduceat(positive, first), np.add.reduceat(negative, first)
        both = (positives > 0) & (negatives > 0)
        if not both.any():
            return float("nan")
        share = won[both] / (positives[both] * negatives[both])
        return float(np.average(share, weights=(positives + negatives)[both]))

    return value


def auc(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Area under the ROC curve: the chance that a positive ranks above a negative; ties count half.

    The Mann–Whitney statistic U / (P·N), exact with ties.
    """
    return gauc(labels, predictions, None)


def average_precision(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Precision averaged over recall, Σ (R_n − R_{n−1}) P_n over distinct scores from the highest."""
    order = np.argsort(-predictions, kind="stable")
    label, score = labels[order], predictions[order]
    tie = np.flatnonzero(np.concatenate([[True], score[1:] != score[:-1]]))

    def value(weights: NDArray[np.float64]) -> float:
        weight = weights[order]
        positive = np.add.reduceat(weight * label, tie)
        total = np.add.reduceat(weight, tie)
        seen = np.cumsum(total)
        precision_at = np.divide(np.cumsum(positive), seen, out=np.zeros_like(seen), where=seen > 0)
        return ratio(float(positive @ precision_at), float(positive.sum()))

    return value


def log_loss(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Mean of −log p(label), in nats; probabilities are kept 1.2e-7 away from 0 and 1."""
    p = np.clip(predictions, _CLIP, 1 - _CLIP)
    loss = -(labels * np.log(p) + (1 - labels) * np.log1p(-p))
    return lambda weights: ratio(float(weights @ loss), float(weights.sum()))


def brier(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Mean of (p − label)² (Brier 1950)."""
    loss = (predictions - labels) ** 2
    return lambda weights: ratio(float(weights @ loss), float(weights.sum()))


def calibration_error(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Expected calibration error over 15 bins of equal mass (Naeini et al. 2015, with quantile bins).

    Σ_b |Σ_{i∈b} (label_i − p_i)| / N. Equal predictions always share a bin, so the order of rows
    does not matter.
    """
    edges = np.quantile(predictions, np.linspace(0, 1, _CALIBRATION_BINS + 1)[1:-1])
    bins = np.searchsorted(edges, predictions, side="right")
    gap = labels - predictions

    def value(weights: NDArray[np.float64]) -> float:
        gaps = np.bincount(bins, weights * gap, minlength=_CALIBRATION_BINS)
        return ratio(float(np.abs(gaps).sum()), float(weights.sum()))

    return value


def accuracy(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Share of rows on the right side of 0.5."""
    right = ((predictions >= _THRESHOLD) == (labels > 0)).astype(np.float64)
    return lambda weights: ratio(float(weights @ right), float(weights.sum()))


def precision(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Share of positives among rows predicted at 0.5 or more; undefined when there are none."""
    predicted = (predictions >= _THRESHOLD).astype(np.float64)
    true = predicted * labels
    return lambda weights: ratio(float(weights @ true), float(weights @ predicted))


def recall(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Share of positives that are predicted at 0.5 or more; undefined without a positive."""
    true = (predictions >= _THRESHOLD) * labels
    return lambda weights: ratio(float(weights @ true), float(weights @ labels))


def f1(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Harmonic mean of precision and recall at 0.5, 2·TP / (2·TP + FP + FN)."""
    predicted = (predictions >= _THRESHOLD).astype(np.float64)
    true = predicted * labels
    return lambda weights: ratio(2 * float(weights @ true), float(weights @ (predicted + labels)))


def label_rate(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Share of positive labels: the CTR of a click task, the CVR of a purchase after a click."""
    return lambda weights: ratio(float(weights @ labels), float(weights.sum()))


def predicted_rate(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Mean predicted probability, to be read beside the label rate."""
    return lambda weights: ratio(float(weights @ predictions), float(weights.sum()))
