"""Confidence intervals by the bootstrap, and the calibration curve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError
from motet.metrics._statistic import Floats, Statistic, Users
from motet.metrics._table import prepare
from motet.schema import Task

__all__ = ["bootstrap", "bootstrap_means", "calibration_curve", "intervals_of", "resampled_weights"]

# Confidence intervals by the bootstrap (Efron 1979), over users where there are users.

# Bounds the work on large data, where intervals are narrow and need fewer replicates.
_MAX_CELLS = 40_000_000
_FEWEST = 40


def bootstrap(
    task: Task,
    labels: Floats,
    predictions: Floats,
    users: Users = None,
    *,
    replicates: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float] | None]:
    """Percentile intervals of every metric of a task.

    Users are drawn with replacement together with all their rows, since rows of one user are not
    independent (Field & Welsh 2007); without users, rows are drawn. Each metric is prepared once
    and evaluated under the draw's weights. Above 40 million cells (rows × columns × replicates)
    fewer replicates are drawn, never fewer than 40.

    Args:
        task: The task; its kind chooses the metrics.
        labels: NaN where missing, shape [N] or [N, K].
        predictions: On the label's own scale, shape [N] or [N, K].
        users: User of each row, shape [N].
        replicates: Number of draws.
        level: Coverage of the interval, in (0, 1).
        seed: Seed of the draws.

    Returns:
        (low, high) by metric; None where fewer than half of the draws define the metric.

    Example:
        >>> import numpy as np
        >>> from motet.kinds import RegressionTask
        >>> labels = np.arange(100.0)
        >>> low, high = bootstrap(RegressionTask(label="x"), labels, labels + 1)["mae"]
        >>> low, high
        (1.0, 1.0)
    """
    statistics, known = prepare(task, labels, predictions, users)
    rows = int(known.sum())
    clusters = None if users is None else np.asarray(users)[known]
    cells = rows * (predictions.shape[1] if predictions.ndim > 1 else 1)
    draws = max(min(replicates, _FEWEST), min(replicates, _MAX_CELLS // max(cells, 1)))
    return intervals_of(statistics, resampled_weights(rows, clusters, draws, seed), level)


def resampled_weights(
    rows: int, clusters: Users, replicates: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """How often each row is drawn, replicate after replicate, shape [N] each.

    Args:
        rows: N.
        clusters: Rows of one cluster are drawn together, shape [N]; None to draw rows.
        replicates: Number of draws.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    if clusters is None:
        size, inverse = rows, None
    else:
        names, inverse = np.unique(clusters, return_inverse=True)
        size = len(names)
    for _ in range(replicates if size else 0):
        drawn = np.bincount(rng.integers(size, size=size), minlength=size).astype(np.float64)
        yield drawn if inverse is None else drawn[inverse]


def intervals_of(
    statistics: Mapping[str, Statistic], weights: Iterator[NDArray[np.float64]], level: float = 0.95
) -> dict[str, tuple[float, float] | None]:
    """Percentile intervals of prepared statistics under the weights of each replicate."""
    draws = np.array([[statistic(w) for statistic in statistics.values()] for w in weights])
    return {name: _percentiles(draws[:, i], level) for i, name in enumerate(statistics)}


def bootstrap_means(
    values: Mapping[str, NDArray[np.float64]], *, replicates: int = 200, level: float = 0.95, seed: int = 0
) -> dict[str, tuple[float, float] | None]:
    """Percentile intervals of means over users.

    Args:
        values: One value a user, shape [U], by metric.
        replicates: Number of draws of users.
        level: Coverage of the interval, in (0, 1).
        seed: Seed of the draws.
    """
    table = np.stack(list(values.values()), axis=1)
    weights = resampled_weights(len(table), None, replicates, seed)
    draws = np.array([w @ table / len(table) for w in weights])
    return {name: _percentiles(draws[:, i], level) for i, name in enumerate(values)}


def _percentiles(draws: NDArray[np.float64], level: float) -> tuple[float, float] | None:
    defined = draws[~np.isnan(draws)]
    if 2 * len(defined) < len(draws) or len(defined) == 0:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


# Calibration curve: of the rows predicted at 30 %, are 30 % positive?


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
