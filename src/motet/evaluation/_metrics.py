"""The table of metrics, and all metrics of a task at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError
from motet.evaluation import _binary, _multiclass, _multilabel, _ranking, _regression
from motet.evaluation._statistic import Floats, Metric, Statistic, Users
from motet.schema import AnyTask

__all__ = ["HEADLINES", "METRICS", "Prepared", "prepare", "task_metrics", "why_undefined"]

METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        "auc": Metric("chance that a positive ranks above a negative", True, {"binary": _binary.auc}),
        "average_precision": Metric(
            "precision averaged over recall", True, {"binary": _binary.average_precision}
        ),
        "gauc": Metric("AUC within each user, weighted by rows", True, {"binary": _binary.gauc}),
        "log_loss": Metric(
            "mean −log probability of what happened",
            False,
            {"binary": _binary.log_loss, "multiclass": _multiclass.log_loss},
        ),
        "brier": Metric("mean squared error of the probability", False, {"binary": _binary.brier}),
        "ece": Metric(
            "mean gap of predicted and true rate, 15 bins", False, {"binary": _binary.calibration_error}
        ),
        "accuracy": Metric(
            "share of right decisions",
            True,
            {"binary": _binary.accuracy, "multiclass": _multiclass.accuracy},
        ),
        "precision": Metric("share of positives among predicted ones", True, {"binary": _binary.precision}),
        "recall": Metric("share of positives that are predicted", True, {"binary": _binary.recall}),
        "f1": Metric("harmonic mean of precision and recall", True, {"binary": _binary.f1}),
        "label_rate": Metric(
            "share of positives: CTR, CVR as they were", None, {"binary": _binary.label_rate}
        ),
        "predicted_rate": Metric(
            "mean prediction: CTR, CVR as foretold", None, {"binary": _binary.predicted_rate}
        ),
        "rmse": Metric("root of the mean squared error", False, {"regression": _regression.rmse}),
        "mae": Metric("mean absolute error", False, {"regression": _regression.mae}),
        "r2": Metric("share of the variance explained", True, {"regression": _regression.r2}),
        "skill": Metric("1 − RMSE / deviation of the training labels", True, {"regression": None}),
        "macro_f1": Metric(
            "mean F1 of the classes",
            True,
            {"multiclass": _multiclass.macro_f1, "multilabel": _multilabel.macro_f1},
        ),
        "weighted_f1": Metric(
            "mean F1 of the classes, by rows", True, {"multiclass": _multiclass.weighted_f1}
        ),
        "micro_f1": Metric("F1 over all decisions together", True, {"multilabel": _multilabel.micro_f1}),
        "auc_ovr": Metric(
            "mean AUC of each class against the rest", True, {"multiclass": _multiclass.auc_ovr}
        ),
        "macro_ap": Metric(
            "mean average precision of the labels", True, {"multilabel": _multilabel.macro_ap}
        ),
        "lrap": Metric("how high true labels rank within a row", True, {"multilabel": _multilabel.lrap}),
        "ndcg@10": Metric("gain of the list over an ideal one", True, {"retrieval": _ranking.ndcg_at(10)}),
        "recall@10": Metric(
            "share of relevant items that are in the list", True, {"retrieval": _ranking.recall_at(10)}
        ),
        "hit@10": Metric("users with a relevant item in the list", True, {"retrieval": _ranking.hit_at(10)}),
        "mrr": Metric("mean 1 / rank of the first relevant item", True, {"retrieval": _ranking.mrr}),
        "coverage@10": Metric("share of the catalogue in any list", True, {"retrieval": None}),
        "diversity@10": Metric("mean distance of two items of a list", True, {"retrieval": None}),
        "novelty@10": Metric("mean surprise −log₂ popularity, in bits", True, {"retrieval": None}),
    }
)
"""Every metric by name, in the order of a report."""

HEADLINES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "binary": "auc",
        "regression": "skill",
        "multiclass": "macro_f1",
        "multilabel": "macro_ap",
        "retrieval": "ndcg@10",
    }
)
"""Per task kind, the one metric that the overall score takes; higher is better."""

Prepared = tuple[dict[str, Statistic], NDArray[np.bool_]]


def prepare(
    task: AnyTask,
    labels: Floats,
    predictions: Floats,
    users: Users = None,
    only: Collection[str] | None = None,
) -> Prepared:
    """Prepare the metrics of a task on the rows whose label is known.

    Args:
        task: The task; its kind chooses the metrics.
        labels: NaN where missing, shape [N], or [N, K] for a multi-label task.
        predictions: On the label's own scale, shape [N] or [N, K].
        users: User of each row, shape [N]; GAUC is left out without.
        only: Names of metrics to keep; all when left out.

    Returns:
        Functions of the known rows' weights, by metric, and which rows are known, shape [N].

    Raises:
        DataError: If labels and predictions do not fit, or a prediction is not finite.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    two = task.kind in ("multiclass", "multilabel")
    if len(predictions) != len(labels) or predictions.ndim != 1 + two:
        raise DataError(
            f"a {task.kind} task with labels of shape {labels.shape} has predictions of shape "
            f"{predictions.shape}",
            "return one row a label, with one column a class or label",
        )
    missing: NDArray[np.bool_] = np.isnan(labels)
    known: NDArray[np.bool_] = ~(missing if labels.ndim == 1 else np.any(missing, axis=1))
    label, prediction = labels[known].astype(np.float64), predictions[known].astype(np.float64)
    bad = np.size(prediction) - int(np.isfinite(prediction).sum())
    if bad:
        raise DataError(f"{bad} predictions of a {task.kind} task are not finite", "fix the predictor")
    user = None if users is None else np.asarray(users)[known]
    statistics = {
        name: form(label, prediction, user)
        for name, metric in METRICS.items()
        if (form := metric.forms.get(task.kind)) is not None
        and len(label)
        and (only is None or name in only)
        and (name != "gauc" or users is not None)
    }
    return statistics, known


def task_metrics(
    task: AnyTask, labels: Floats, predictions: Floats, users: Users = None
) -> dict[str, float | None]:
    """Every metric of a task, on the rows whose label is known.

    Args:
        task: The task; its kind chooses the metrics.
        labels: NaN where missing, shape [N], or [N, K] for a multi-label task.
        predictions: On the label's own scale, shape [N] or [N, K].
        users: User of each row, shape [N]; GAUC is left out without.

    Returns:
        Metric by name; None where it is undefined (:func:`why_undefined` says why).

    Raises:
        DataError: If labels and predictions do not fit, or a prediction is not finite.

    Example:
        >>> import numpy as np
        >>> from motet.schema import RegressionTask
        >>> task = RegressionTask(label="stars")
        >>> values = task_metrics(task, np.array([1.0, 3.0, np.nan]), np.array([2.0, 3.0, 5.0]))
        >>> values["mae"], values["r2"]
        (0.5, 0.5)
    """
    statistics, known = prepare(task, labels, predictions, users)
    weights = np.ones(int(known.sum()))
    names = [
        name
        for name, metric in METRICS.items()
        if metric.forms.get(task.kind) is not None and (name != "gauc" or users is not None)
    ]
    values = {name: statistics[name](weights) if name in statistics else float("nan") for name in names}
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def why_undefined(task: AnyTask, labels: Floats) -> str:
    """Say why some metric of a task is undefined on these labels.

    Example:
        >>> import numpy as np
        >>> from motet.schema import BinaryTask
        >>> why_undefined(BinaryTask(label="click"), np.array([1.0, 1.0, np.nan]))
        'one class only: all 2 known labels are 1'
    """
    labels = np.asarray(labels)
    known = labels[~np.isnan(labels)] if labels.ndim == 1 else labels[~np.isnan(labels).any(axis=1)]
    if len(known) == 0:
        return "no label is known"
    if labels.ndim == 1 and (known == known[0]).all():
        what = "labels do not vary" if task.kind == "regression" else "one class only"
        return f"{what}: all {len(known)} known labels are {known[0]:g}"
    if task.kind == "multilabel" and not known.any():
        return "no row has a label"
    return "no prediction reaches 0.5" if task.kind == "binary" else "too few rows"
