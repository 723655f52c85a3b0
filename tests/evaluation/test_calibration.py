"""The calibration curve: right by hand, and in step with the calibration error."""

from __future__ import annotations

import numpy as np
import pytest

from motet.errors import DataError
from motet.metrics import METRICS, calibration_curve


def test_the_curve_adds_up_to_the_calibration_error() -> None:
    rng = np.random.default_rng(0)
    predictions = rng.uniform(0, 0.6, 500).round(2)
    labels = (rng.uniform(size=500) < predictions**1.5).astype(float)
    curve = calibration_curve(labels, predictions)
    gaps = np.abs(np.subtract(curve["observed"], curve["predicted"]))
    assert gaps @ np.array(curve["rows"]) / 500 == pytest.approx(METRICS["ece"](labels, predictions))
    assert sum(curve["rows"]) == 500
    assert curve["predicted"] == sorted(curve["predicted"])


def test_missing_labels_are_left_out_and_equal_predictions_share_a_bin() -> None:
    labels = np.array([1.0, 0.0, np.nan, 1.0])
    curve = calibration_curve(labels, np.array([0.5, 0.5, 0.9, 0.5]))
    assert curve == {"predicted": [0.5], "observed": [pytest.approx(2 / 3)], "rows": [3]}


def test_no_label_gives_an_empty_curve() -> None:
    empty: dict[str, list[float]] = {"predicted": [], "observed": [], "rows": []}
    assert calibration_curve(np.array([np.nan]), np.array([0.5])) == empty


@pytest.mark.parametrize(
    ("labels", "predictions", "bins", "problem"),
    [
        ([1.0, 0.0], [0.5], 15, "do not fit"),
        ([1.0], [1.5], 15, "not between 0 and 1"),
        ([1.0], [float("nan")], 15, "not between 0 and 1"),
        ([1.0], [0.5], 0, "at least 1"),
    ],
)
def test_bad_input_is_named(labels: list[float], predictions: list[float], bins: int, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        calibration_curve(np.array(labels), np.array(predictions), bins)
