"""How tasks relate: do their labels move together, do their gradients agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.errors import DataError

__all__ = ["label_correlation", "task_relations"]


def label_correlation(labels: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Pearson correlation of each two labels on the rows where both are known.

    On two yes-or-no labels this is φ; on a yes-or-no label and a number the point-biserial
    correlation.

    Args:
        labels: NaN where missing, shape [N, T].

    Returns:
        Correlations, shape [T, T], NaN where a label does not vary on the common rows, and the
        number of common rows, shape [T, T].

    Example:
        >>> label_correlation(np.array([[0.0, 1.0], [1.0, 0.0], [1.0, np.nan]]))[0].round(3)
        array([[ 1., -1.],
               [-1.,  1.]])
    """
    known = ~np.isnan(labels)
    mask = known.astype(np.float64)
    shift = np.where(known, labels, 0).sum(axis=0, dtype=np.float64) / np.maximum(mask.sum(axis=0), 1)
    # Centred by the label's own mean, so that the sums of squares below do not cancel.
    x = np.where(known, labels - shift, 0.0)
    count = mask.T @ mask
    n = np.maximum(count, 1)
    mean = (x.T @ mask) / n  # [i, j]: mean of label i on rows where j is known too
    covariance = (x.T @ x) / n - mean * mean.T
    variance = ((x * x).T @ mask) / n - mean * mean
    spread = np.sqrt(np.maximum(variance, 0) * np.maximum(variance.T, 0))
    defined = spread > 1e-12 * np.maximum(1.0, np.abs(covariance))
    correlation = np.divide(covariance, spread, out=np.full_like(spread, np.nan), where=defined)
    return np.clip(correlation, -1, 1), count.astype(np.int64)


def task_relations(
    dataset: Dataset, split: str = "train", gradient_cosine: NDArray[np.floating[Any]] | None = None
) -> dict[str, Any]:
    """Relations between the tasks on interactions, ready for JSON.

    Args:
        dataset: Holds the labels. Multi-class and multi-label tasks have no order to correlate and
            are left out of the label correlation.
        split: Rows to look at.
        gradient_cosine: From training: mean cosine between the gradients of each two tasks, in the
            order of ``dataset.schema.tasks``, shape [T, T], NaN where unknown.

    Returns:
        ``label_correlation`` {tasks, matrix, rows} and, if given, ``gradient_cosine`` {tasks,
        matrix}; None where undefined.

    Raises:
        DataError: If the matrix does not fit the tasks.
    """
    tasks = dataset.schema.tasks
    names = [name for name in dataset.encoder.interaction_tasks if not tasks[name].has_classes]
    rows = dataset.rows(split)
    labels = np.stack([dataset.label(name, rows) for name in names], axis=1) if names else np.empty((0, 0))
    matrix, count = label_correlation(labels)
    relations: dict[str, Any] = {
        "label_correlation": {"tasks": names, "matrix": _plain(matrix), "rows": count.tolist()}
    }
    if gradient_cosine is not None:
        size = len(dataset.schema.tasks)
        if gradient_cosine.shape != (size, size):
            raise DataError(
                f"the gradient cosine has shape {gradient_cosine.shape} for {size} tasks",
                "give one row and one column a task",
            )
        relations["gradient_cosine"] = {
            "tasks": list(dataset.schema.tasks),
            "matrix": _plain(gradient_cosine),
        }
    return relations


def _plain(matrix: NDArray[np.floating[Any]]) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in matrix]
