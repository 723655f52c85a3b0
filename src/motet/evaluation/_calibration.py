"""The calibration curve: of what was given 30 %, did 30 % happen?"""

from __future__ import annotations

import numpy as np

from motet.errors import DataError
from motet.evaluation._statistic import Floats

__all__ = ["calibration_curve"]


def calibration_curve(
    labels: Floats, predictions: Floats, bins: int = 15
) -> dict[str, list[float] | list[int]]:
    """Compare predicted probabilities with what happened, in bins of equal mass.

    The bins are those of the calibration error, so Σ_b rows_b |observed_b − predicted_b| / N is the
    metric ``ece`` when there are 15 of them. Equal predictions share a bin; bins without a row are
    left out.

    Args:
        labels: 0 or 1, NaN where missing, shape [N].
        predictions: Probabilities, shape [N].
        bins: Number of bins, at least 1.

    Returns:
        ``predicted`` and ``observed``, the means of each bin in ascending order, and its ``rows``.

    Raises:
        DataError: If the shapes differ, or a prediction is not a probability.

    Example:
        >>> import numpy as np
        >>> calibration_curve(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.25, 0.25, 0.75, 0.75]), bins=2)
        {'predicted': [0.25, 0.75], 'observed': [0.5, 1.0], 'rows': [2, 2]}
    """
    labels, predictions = np.asarray(labels, np.float64), np.asarray(predictions, np.float64)
    if labels.ndim != 1 or labels.shape != predictions.shape:
        raise DataError(
            f"labels of shape {labels.shape} do not fit predictions of shape {predictions.shape}",
            "pass one label and one probability a row",
        )
    if bins < 1:
        raise DataError(f"bins is {bins}, and at least 1 is needed", "leave it at 15")
    known = ~np.isnan(labels)
    label, p = labels[known], predictions[known]
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError("a prediction is not between 0 and 1", "pass probabilities, not scores")
    if not len(p):
        return {"predicted": [], "observed": [], "rows": []}
    edges = np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1])
    bin_of_row = np.searchsorted(edges, p, side="right")
    rows = np.bincount(bin_of_row, minlength=bins)
    filled = rows > 0
    predicted = np.bincount(bin_of_row, p, minlength=bins)[filled] / rows[filled]
    observed = np.bincount(bin_of_row, label, minlength=bins)[filled] / rows[filled]
    return {"predicted": predicted.tolist(), "observed": observed.tolist(), "rows": rows[filled].tolist()}
