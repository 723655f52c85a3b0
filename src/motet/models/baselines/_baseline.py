"""What every baseline is: a plain predictor, fitted on training rows only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset
from motet.schema import Task

__all__ = [
    "MAX_FIT_ROWS",
    "Baseline",
    "Known",
    "fit_rows",
    "identified",
    "known_targets",
    "positives",
    "tasks_for",
    "within_bounds",
]

Known = Literal["train", "validation"]

# Beyond this many rows baselines are fitted on a seeded sample.
MAX_FIT_ROWS = 1_000_000


class Baseline(ABC):
    """A plain reference that satisfies :class:`~motet.schema.Predictor`.

    What a baseline chooses (a smoothing, a number of rounds) it chooses by its predictions of validation
    rows after a fit on training rows; then it is fitted on the rows of ``splits``.

    Attributes:
        paper: Authors, year, and short title; empty if there is none.
        marks: What it serves: ``cold`` and ``warm`` items, ``text``, and ``scenario``, where it predicts by them.
    """

    paper: ClassVar[str] = ""
    marks: ClassVar[tuple[str, ...]] = ("warm",)

    @classmethod
    @abstractmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Why this baseline has nothing to say on a data set; None if it has."""

    @classmethod
    @abstractmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        splits: Sequence[str] = ("train",),
        known: Known = "validation",
        seed: int = 0,
    ) -> Self:
        """Fit on the rows of some splits.

        Args:
            dataset: The data set it is then bound to.
            splits: Whose rows it is fitted on.
            known: What a ranking may use of a user's history: the training rows, or those of
                validation too. The latter, for a test, is what the model's histories hold.
            seed: Seed of folds and samples.
        """

    @abstractmethod
    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Predict interactions, as :meth:`motet.schema.Predictor.predict` says."""

    @abstractmethod
    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Score every item, as :meth:`motet.schema.Predictor.score_items` says."""


def fit_rows(dataset: Dataset, splits: Sequence[str]) -> NDArray[np.int64]:
    """Row numbers of some splits, ascending."""
    return np.sort(np.concatenate([dataset.rows(split) for split in splits]))


def identified(dataset: Dataset, entity: Literal["user", "item"]) -> bool:
    """Whether a baseline may learn from the labels of one user, or of one item.

    Users are known by their history. Items are known only if an id is among their features: a schema
    that leaves it out does so because it gives a label away, or because new items matter.
    """
    if entity == "user":
        return dataset.schema.keys.user is not None
    return any(dataset.encoder.layout("item").is_id)


def tasks_for(dataset: Dataset, baseline: str) -> list[str]:
    """Names of the tasks on interactions whose rows a baseline can predict, in schema order."""
    tasks = dataset.schema.tasks
    return [
        name
        for name in dataset.encoder.interaction_tasks
        if baseline in tasks[name].baselines and not tasks[name].ranks_catalogue
    ]


def within_bounds(task: Task, values: NDArray[np.float64], edge: float = 0.0) -> NDArray[np.float64]:
    """Predictions clipped to the bounds of their task, ``edge`` inside them where they are probabilities."""
    if task.bounds is None:
        return values
    low, high = task.bounds
    inside = edge if task.is_chance else 0.0
    return np.clip(values, low + inside, high - inside)


def known_targets(
    dataset: Dataset, name: str, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The rows whose label is known, and the labels as columns: classes one-hot.

    Returns:
        Row numbers, shape [n], and targets, shape [n, K], K = 1 for a yes-or-no label or a number.
    """
    labels = dataset.label(name, rows).astype(np.float64)
    labels = labels[:, None] if labels.ndim == 1 else labels
    known = ~np.isnan(labels).any(axis=1)
    labels = labels[known]
    if dataset.schema.tasks[name].has_classes and not dataset.schema.tasks[name].has_sets:
        labels = np.eye(len(dataset.encoder.classes[name]))[labels[:, 0].astype(np.int64)]
    return rows[known], labels


def positives(dataset: Dataset, rows: NDArray[np.int64]) -> sp.csr_array:
    """Who liked what: positive rows of the first retrieval task as zeros and ones, [U, I]."""
    name = dataset.schema.retrieval_task
    liked = rows[dataset.label(name, rows) > 0] if name is not None else rows[:0]
    shape = (len(dataset.users), len(dataset.items))
    pairs = (dataset.user_row[liked], dataset.item_row[liked])
    matrix = sp.csr_array((np.ones(len(liked), np.float32), pairs), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix
