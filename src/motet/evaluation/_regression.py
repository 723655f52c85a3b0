"""Metrics of numbers, on the label's own scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motet.evaluation._statistic import Floats, Statistic, Users, ratio

__all__ = ["mae", "r2", "rmse"]


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
