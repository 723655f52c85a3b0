"""Metrics of the task kinds: binary, regression, multi-class, multi-label."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from motet.metrics._statistic import Floats, Statistic, Users, ratio

__all__ = [
    "auc",
    "auc_ovr",
    "average_precision",
    "binary_accuracy",
    "binary_log_loss",
    "brier",
    "calibration_error",
    "class_accuracy",
    "class_log_loss",
    "class_macro_f1",
    "f1",
    "gauc",
    "label_macro_f1",
    "label_rate",
    "lrap",
    "macro_ap",
    "mae",
    "micro_f1",
    "precision",
    "predicted_rate",
    "r2",
    "recall",
    "rmse",
    "weighted_f1",
]

# Metrics of yes-or-no tasks, predicted as probabilities.

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


def binary_log_loss(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
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


def binary_accuracy(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
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


# Metrics of numbers, on the label's own scale.


def rmse(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Root of the mean squared error, in units of the label."""
    loss = (predictions - labels) ** 2
    return lambda weights: float(np.sqrt(ratio(float(weights @ loss), float(weights.sum()))))


def mae(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Mean absolute error, in units of the label."""
    loss = np.abs(predictions - labels)
    return lambda weights: ratio(float(weights @ loss), float(weights.sum()))


def r2(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Explained share of the label's variance, 1 − Σ(ŷ − y)² / Σ(y − ȳ)²."""
    loss = (predictions - labels) ** 2

    def value(weights: NDArray[np.float64]) -> float:
        mean = ratio(float(weights @ labels), float(weights.sum()))
        return 1 - ratio(float(weights @ loss), float(weights @ (labels - mean) ** 2))

    return value


# Metrics of one of several classes, predicted as a distribution.


def class_accuracy(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Share of rows whose most likely class is the label; of equals the lowest class counts."""
    right = (np.argmax(predictions, axis=1) == labels).astype(np.float64)
    return lambda weights: ratio(float(weights @ right), float(weights.sum()))


def class_log_loss(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
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


def class_macro_f1(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
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
    each = [auc((labels == c).astype(np.float64), predictions[:, c]) for c in occurring]

    def value(weights: NDArray[np.float64]) -> float:
        values = np.array([statistic(weights) for statistic in each])
        known = values[~np.isnan(values)]
        return float(known.mean()) if len(known) else float("nan")

    return value


# Metrics of any number of labels at once, predicted as one probability each.


def micro_f1(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """F1 at 0.5 over all decisions of all labels together."""
    predicted = predictions >= _THRESHOLD
    true, either = (predicted * labels).sum(axis=1), (predicted + labels).sum(axis=1)
    return lambda weights: ratio(2 * float(weights @ true), float(weights @ either))


def label_macro_f1(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
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
    each = [average_precision(labels[:, k], predictions[:, k]) for k in occurring]

    def value(weights: NDArray[np.float64]) -> float:
        values = np.array([statistic(weights) for statistic in each])
        known = values[~np.isnan(values)]
        return float(known.mean()) if len(known) else float("nan")

    return value


def lrap(labels: Floats, predictions: Floats, users: Users = None) -> Statistic:
    """Label ranking average precision: for each true label, how many above it are true as well.

    Tsoumakas et al. 2010, section 7.3; a row with no label, or with all, counts 1.
    """
    from scipy.stats import rankdata  # noqa: PLC0415 (slow to import, only needed here)

    rank = rankdata(-predictions, method="max", axis=1).astype(np.int64)
    order = np.argsort(-predictions, axis=1, kind="stable")
    true_above = np.cumsum(np.take_along_axis(labels, order, axis=1), axis=1)
    share = np.take_along_axis(true_above, rank - 1, axis=1) / rank
    relevant = labels.sum(axis=1)
    row = np.divide((share * labels).sum(axis=1), relevant, out=np.ones(len(labels)), where=relevant > 0)
    return lambda weights: ratio(float(weights @ row), float(weights.sum()))
