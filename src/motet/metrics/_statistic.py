"""A metric in two steps: prepare once (sort, group), then evaluate under any weights of the rows.

The bootstrap needs a metric hundreds of times on the same rows with other weights; sorting once
and weighting later makes that cheap, and one definition serves both the value and its interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Metric", "Prepare", "Statistic", "Users", "ratio"]

Floats = NDArray[np.floating[Any]]
Users = NDArray[np.integer[Any]] | None
Statistic = Callable[[NDArray[np.float64]], float]
Prepare = Callable[[Floats, Floats, Users], Statistic]


def ratio(above: float, below: float) -> float:
    """Divide, where nothing by nothing is undefined (NaN) and not a warning."""
    return float(above / below) if below > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, and what is known about it.

    Attributes:
        meaning: One line for people who read a report.
        higher_is_better: None where neither direction is better.
        forms: Per dimensions of labels and of predictions it is defined for, what prepares labels,
            predictions and users into a function of row weights; None where it takes more than labels
            and predictions: the training rows, or the lists of all users together.
        within_users: Whether it is undefined where rows have no users.
        skill_of: The metric it is derived from, a mean error: 1 − error / deviation of the training labels.
    """

    meaning: str
    higher_is_better: bool | None
    forms: Mapping[tuple[int, int], Prepare | None]
    within_users: bool = False
    skill_of: str = ""

    def __call__(
        self, labels: Floats, predictions: Floats, users: Users = None, weights: Floats | None = None
    ) -> float:
        """Evaluate the metric; NaN where it is undefined.

        Args:
            labels: Known labels, shape [N], or [N, K] for several labels at once. For a ranking,
                shape [U, I], 1 where an item is relevant, NaN where it may not be recommended.
            predictions: Shape [N] or [N, K]; scores of shape [U, I] for a ranking.
            users: User of each row, shape [N], for metrics within users.
            weights: Weight of each row, shape [N]; all 1 when left out.

        Example:
            >>> import numpy as np
            >>> from motet.metrics import METRICS
            >>> METRICS["auc"](np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.1, 0.9]))
            0.5
        """
        labels, predictions = np.asarray(labels, np.float64), np.asarray(predictions, np.float64)
        shape = (labels.ndim, predictions.ndim)
        prepare = self.forms.get(shape)
        if prepare is None or len(labels) == 0:
            return float("nan")
        ones = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
        return prepare(labels, predictions, users)(ones)
