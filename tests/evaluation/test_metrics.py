"""Metrics against scikit-learn, and the properties that hold for any labels and scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from motet.errors import DataError
from motet.kinds import BinaryTask, MulticlassTask, MultilabelTask, RegressionTask
from motet.metrics import METRICS, task_metrics, why_undefined

Floats = NDArray[np.float64]
BINARY, NUMBER = BinaryTask(label="y"), RegressionTask(label="y")
CLASSES, LABELS = MulticlassTask(label="y"), MultilabelTask(label="y")


@st.composite
def scored(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """Labels of both classes and scores with many ties."""
    n = draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, 2, n).astype(np.float64)
    labels[:2] = [0, 1]
    return labels, rng.integers(1, draw(st.integers(2, 40)), n) / 41


PEERS: dict[str, Callable[[Floats, Floats], Any]] = {
    "auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "log_loss": sk.log_loss,
    "brier": sk.brier_score_loss,
    "accuracy": lambda y, p: sk.accuracy_score(y, p >= 0.5),
    "recall": lambda y, p: sk.recall_score(y, p >= 0.5),
    "f1": lambda y, p: sk.f1_score(y, p >= 0.5),
}


@pytest.mark.parametrize("name", list(PEERS))
@settings(max_examples=40, deadline=None)
@given(data=scored())
def test_binary_metrics_equal_those_of_scikit_learn(name: str, data: tuple[Floats, Floats]) -> None:
    labels, scores = data
    assert METRICS[name](labels, scores) == pytest.approx(PEERS[name](labels, scores), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(data=scored(), seed=st.integers(0, 1000))
def test_weights_mean_repetition(data: tuple[Floats, Floats], seed: int) -> None:
    labels, scores = data
    times = np.random.default_rng(seed).integers(1, 4, len(labels))
    repeated = np.repeat(labels, times), np.repeat(scores, times)
    for name in ("auc", "average_precision", "log_loss", "f1", "brier"):
        weighted = METRICS[name](labels, scores, weights=times.astype(np.float64))
        assert weighted == pytest.approx(METRICS[name](*repeated), abs=1e-9), name


@settings(max_examples=40, deadline=None)
@given(data=scored())
def test_auc_sees_only_the_order_of_scores(data: tuple[Floats, Floats]) -> None:
    labels, scores = data
    assert METRICS["auc"](labels, np.exp(3 * scores) - 7) == METRICS["auc"](labels, scores)
    assert METRICS["auc"](labels, -scores) == pytest.approx(1 - METRICS["auc"](labels, scores))


@settings(max_examples=40, deadline=None)
@given(data=scored(), seed=st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(data: tuple[Floats, Floats], seed: int) -> None:
    labels, scores = data
    rng = np.random.default_rng(seed)
    users, order = rng.integers(0, 4, len(labels)), rng.permutation(len(labels))
    before = task_metrics(BINARY, labels, scores, users)
    after = task_metrics(BINARY, labels[order], scores[order], users[order])
    assert before == pytest.approx(after, nan_ok=True)


def test_gauc_is_the_row_weighted_auc_of_users_with_both_classes() -> None:
    rng = np.random.default_rng(0)
    users = rng.integers(0, 12, 200)
    labels, scores = rng.integers(0, 2, 200).astype(np.float64), rng.integers(0, 9, 200) / 9
    labels[users == 3], labels[users == 5] = 1, 0
    each = [users == user for user in range(12) if user not in (3, 5)]
    expected = np.average(
        [sk.roc_auc_score(labels[one], scores[one]) for one in each], weights=[one.sum() for one in each]
    )
    assert METRICS["gauc"](labels, scores, users) == pytest.approx(expected)


def test_calibration_error_by_hand() -> None:
    scores = np.repeat([0.2, 0.6], 10)
    labels = np.repeat([1.0, 0.0, 1.0, 0.0], [4, 6, 6, 4])
    assert METRICS["ece"](labels, scores) == pytest.approx((abs(0.4 - 0.2) + 0.0) / 2)


def test_rates_are_those_of_labels_and_predictions() -> None:
    values = task_metrics(BINARY, np.array([1.0, 0.0, np.nan, 0.0]), np.array([0.3, 0.2, 0.9, 0.1]))
    assert values["label_rate"] == pytest.approx(1 / 3)
    assert values["predicted_rate"] == pytest.approx(0.2)


def test_regression_metrics_equal_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    labels = rng.normal(3, 1, 100)
    predictions = labels + rng.normal(0, 0.5, 100)
    values = task_metrics(NUMBER, labels, predictions)
    assert values["rmse"] == pytest.approx(sk.root_mean_squared_error(labels, predictions))
    assert values["mae"] == pytest.approx(sk.mean_absolute_error(labels, predictions))
    assert values["r2"] == pytest.approx(sk.r2_score(labels, predictions))


def test_multiclass_metrics_equal_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 150).astype(np.float64)
    predictions = rng.dirichlet(np.ones(4), 150)
    values, guess = task_metrics(CLASSES, labels, predictions), predictions.argmax(axis=1)
    assert values["accuracy"] == pytest.approx(sk.accuracy_score(labels, guess))
    assert values["macro_f1"] == pytest.approx(sk.f1_score(labels, guess, average="macro"))
    assert values["weighted_f1"] == pytest.approx(sk.f1_score(labels, guess, average="weighted"))
    assert values["log_loss"] == pytest.approx(sk.log_loss(labels, predictions))
    assert values["auc_ovr"] == pytest.approx(sk.roc_auc_score(labels, predictions, multi_class="ovr"))


def test_multilabel_metrics_equal_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random((80, 6)) < 0.3).astype(np.float64)
    predictions = rng.integers(0, 12, (80, 6)) / 12
    values = task_metrics(LABELS, labels, predictions)
    assert values["micro_f1"] == pytest.approx(sk.f1_score(labels, predictions >= 0.5, average="micro"))
    assert values["macro_f1"] == pytest.approx(sk.f1_score(labels, predictions >= 0.5, average="macro"))
    assert values["macro_ap"] == pytest.approx(sk.average_precision_score(labels, predictions))
    assert values["lrap"] == pytest.approx(sk.label_ranking_average_precision_score(labels, predictions))


@pytest.mark.parametrize(
    ("labels", "why"),
    [([1.0, 1.0, np.nan], "one class only: all 2 known labels are 1"), ([np.nan] * 3, "no label is known")],
)
def test_what_is_undefined_is_none_and_has_a_reason(labels: list[float], why: str) -> None:
    known = np.array(labels)
    values = task_metrics(BINARY, known, np.array([0.1, 0.2, 0.3]), np.array([0, 1, 2]))
    assert values["auc"] is None
    assert values["gauc"] is None
    assert not any(value is not None and np.isnan(value) for value in values.values())
    assert why_undefined(BINARY, known) == why


def test_constant_numbers_have_no_r2() -> None:
    values = task_metrics(NUMBER, np.array([2.0, 2.0]), np.array([2.0, 3.0]))
    assert values["r2"] is None
    assert values["mae"] == pytest.approx(0.5)


def test_predictions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="labels of shape"):
        task_metrics(BINARY, np.zeros(3), np.zeros((3, 2)))
    with pytest.raises(DataError, match="1 predictions of a binary task are not finite"):
        task_metrics(BINARY, np.array([0.0, 1.0]), np.array([np.nan, 0.5]))
