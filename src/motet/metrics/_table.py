"""The table of metrics, and all metrics of a task at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError
from motet.metrics._by_task import (
    auc,
    auc_ovr,
    average_precision,
    binary_accuracy,
    binary_log_loss,
    brier,
    calibration_error,
    class_accuracy,
    class_log_loss,
    class_macro_f1,
    f1,
    gauc,
    label_macro_f1,
    label_rate,
    lrap,
    macro_ap,
    mae,
    micro_f1,
    precision,
    predicted_rate,
    r2,
    recall,
    rmse,
    weighted_f1,
)
from motet.metrics._ranking import hit_at, mrr, ndcg_at, recall_at
from motet.metrics._statistic import Floats, Metric, Statistic, Users
from motet.schema import TASK_KINDS, Registry, Task, require_known

__all__ = [
    "METRICS",
    "PRIMARY_METRICS",
    "Prepared",
    "metrics_of",
    "prepare",
    "register_metric",
    "task_metrics",
    "why_undefined",
]

_FLAT, _CLASSES, _SETS = (1, 1), (1, 2), (2, 2)  # dimensions of labels and of predictions

METRICS: Final[Registry[Metric]] = Registry(
    "metric",
    {
        "auc": Metric("chance that a positive ranks above a negative", True, {_FLAT: auc}),
        "average_precision": Metric("precision averaged over recall", True, {_FLAT: average_precision}),
        "gauc": Metric("AUC within each user, weighted by rows", True, {_FLAT: gauc}, within_users=True),
        "log_loss": Metric(
            "mean −log probability of what happened",
            False,
            {_FLAT: binary_log_loss, _CLASSES: class_log_loss},
        ),
        "brier": Metric("mean squared error of the probability", False, {_FLAT: brier}),
        "ece": Metric("mean gap of predicted and true rate, 15 bins", False, {_FLAT: calibration_error}),
        "accuracy": Metric(
            "share of right decisions",
            True,
            {_FLAT: binary_accuracy, _CLASSES: class_accuracy},
        ),
        "precision": Metric("share of positives among predicted ones", True, {_FLAT: precision}),
        "recall": Metric("share of positives that are predicted", True, {_FLAT: recall}),
        "f1": Metric("harmonic mean of precision and recall", True, {_FLAT: f1}),
        "label_rate": Metric("share of positives: observed CTR, CVR", None, {_FLAT: label_rate}),
        "predicted_rate": Metric("mean prediction: predicted CTR, CVR", None, {_FLAT: predicted_rate}),
        "rmse": Metric("root of the mean squared error", False, {_FLAT: rmse}),
        "mae": Metric("mean absolute error", False, {_FLAT: mae}),
        "r2": Metric("share of the variance explained", True, {_FLAT: r2}),
        "skill": Metric("1 − RMSE / deviation of the training labels", True, {_FLAT: None}, skill_of="rmse"),
        "macro_f1": Metric(
            "mean F1 of the classes",
            True,
            {_CLASSES: class_macro_f1, _SETS: label_macro_f1},
        ),
        "weighted_f1": Metric("mean F1 of the classes, by rows", True, {_CLASSES: weighted_f1}),
        "micro_f1": Metric("F1 over all decisions together", True, {_SETS: micro_f1}),
        "auc_ovr": Metric("mean AUC of each class against the rest", True, {_CLASSES: auc_ovr}),
        "macro_ap": Metric("mean average precision of the labels", True, {_SETS: macro_ap}),
        "lrap": Metric("how high true labels rank within a row", True, {_SETS: lrap}),
        "ndcg@10": Metric("gain of the list over an ideal one", True, {_SETS: ndcg_at(10)}),
        "recall@10": Metric("share of relevant items that are in the list", True, {_SETS: recall_at(10)}),
        "hit@10": Metric("users with a relevant item in the list", True, {_SETS: hit_at(10)}),
        "mrr": Metric("mean 1 / rank of the first relevant item", True, {_SETS: mrr}),
        "coverage@10": Metric("share of the catalogue in any list", True, {_SETS: None}),
        "diversity@10": Metric("mean distance of two items of a list", True, {_SETS: None}),
        "novelty@10": Metric("mean surprise −log₂ popularity, in bits", True, {_SETS: None}),
    },
    error=DataError,
)
"""Every metric by name, in the order of a report."""


class _PrimaryMetrics(Mapping[str, str]):
    """The primary metric of each task kind, those from elsewhere included."""

    def __getitem__(self, kind: str) -> str:
        return TASK_KINDS[kind].primary_metric

    def __iter__(self) -> Iterator[str]:
        return iter(TASK_KINDS)

    def __len__(self) -> int:
        return len(TASK_KINDS)


PRIMARY_METRICS: Final[Mapping[str, str]] = _PrimaryMetrics()
"""Per task kind, the one metric that the overall score takes; higher is better."""


def register_metric(name: str) -> Callable[[Metric], Metric]:
    """Add a metric that task kinds may name, as ``register_metric("deviance")(Metric(...))``.

    Raises:
        DataError: If another metric has the name.
    """
    return METRICS.adder(name)


def metrics_of(task: Task | type[Task]) -> dict[str, Metric]:
    """The metrics of a task or a kind of tasks by name, in the order of a report.

    Raises:
        DataError: If its kind names one that is not known.
    """
    kind = task if isinstance(task, type) else type(task)
    for name in kind.metrics:
        require_known(name, METRICS, f"the metric of {kind.__name__}", DataError)
    return {name: METRICS[name] for name in kind.metrics}


Prepared = tuple[dict[str, Statistic], NDArray[np.bool_]]


def prepare(
    task: Task,
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
    if len(predictions) != len(labels) or predictions.ndim != task.dimensions[1]:
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
        for name, metric in metrics_of(task).items()
        if (form := metric.forms.get(task.dimensions)) is not None
        and len(label)
        and (only is None or name in only)
        and (users is not None or not metric.within_users)
    }
    return statistics, known


def task_metrics(
    task: Task, labels: Floats, predictions: Floats, users: Users = None
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
        >>> from motet.kinds import RegressionTask
        >>> task = RegressionTask(label="stars")
        >>> values = task_metrics(task, np.array([1.0, 3.0, np.nan]), np.array([2.0, 3.0, 5.0]))
        >>> values["mae"], values["r2"]
        (0.5, 0.5)
    """
    statistics, known = prepare(task, labels, predictions, users)
    weights = np.ones(int(known.sum()))
    names = [
        name
        for name, metric in metrics_of(task).items()
        if metric.forms.get(task.dimensions) is not None and (users is not None or not metric.within_users)
    ]
    values = {name: statistics[name](weights) if name in statistics else float("nan") for name in names}
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def why_undefined(task: Task, labels: Floats) -> str:
    """Say why some metric of a task is undefined on these labels.

    Example:
        >>> import numpy as np
        >>> from motet.kinds import BinaryTask
        >>> why_undefined(BinaryTask(label="click"), np.array([1.0, 1.0, np.nan]))
        'one class only: all 2 known labels are 1'
    """
    labels = np.asarray(labels)
    known = labels[~np.isnan(labels)] if labels.ndim == 1 else labels[~np.isnan(labels).any(axis=1)]
    if len(known) == 0:
        return "no label is known"
    return task.why_undefined(known)
