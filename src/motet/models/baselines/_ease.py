"""Baseline: EASE, a linear item-item model in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset
from motet.evaluation import catalogue_task, rank_catalogue
from motet.models.baselines._baseline import Baseline, Known, fit_rows, known_positives, positives

__all__ = ["Ease"]

_LARGEST_CATALOGUE = 20_000
_GRID = (50.0, 100.0, 200.0, 500.0, 1000.0)
# Beyond this many items one inversion takes a minute, so λ is not searched for.
_LARGEST_SEARCHED = 6_000
_UNSEARCHED = 500.0


class Ease(Baseline):
    """Embarrassingly shallow autoencoder (Steck 2019, eq. 8).

    P = (XᵀX + λI)⁻¹, B = I − P·diag(1 / diag P), scores X·B. X holds the training positives; a user is
    scored from all positives up to the ranking. λ is chosen by
    NDCG@10 on the validation among 50 … 1000, and 500 for more than 6,000 items.
    """

    def __init__(self, liked: sp.csr_array, weights: NDArray[np.float32]) -> None:
        self._liked, self._weights = liked, weights

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a retrieval task, or with more than 20,000 items."""
        if dataset.schema.retrieval_task is None:
            return "no retrieval task"
        if len(dataset.items) > _LARGEST_CATALOGUE:
            return (
                f"{len(dataset.items):,} items: the inverse of a matrix of more than "
                f"{_LARGEST_CATALOGUE:,} columns does not fit in memory"
            )
        return None

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        splits: Sequence[str] = ("train",),
        known: Known = "validation",
        seed: int = 0,
    ) -> Self:
        """Choose λ and solve."""
        penalty = _choose(dataset)
        liked = positives(dataset, fit_rows(dataset, splits))
        return cls(known_positives(dataset, known), _solve(liked, penalty))

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Nothing: it only ranks."""
        return {}

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """The user's positives times the weights."""
        scores: NDArray[np.float32] = self._liked[users] @ self._weights
        return scores


def _solve(liked: sp.csr_array, penalty: float) -> NDArray[np.float32]:
    gram = (
        (liked.T @ liked).toarray().astype(np.float64 if liked.shape[1] <= _LARGEST_SEARCHED else np.float32)
    )
    gram[np.diag_indices_from(gram)] += penalty
    factor = scipy.linalg.cholesky(gram, lower=True, overwrite_a=True)
    inverse, _ = scipy.linalg.lapack.get_lapack_funcs(("potri",), (factor,))[0](factor, lower=True)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    result: NDArray[np.float32] = weights.astype(np.float32)
    return result


def _choose(dataset: Dataset) -> float:
    task = catalogue_task(dataset, "validation")
    if len(dataset.items) > _LARGEST_SEARCHED or task is None or not len(task.users):
        return _UNSEARCHED
    liked = positives(dataset, dataset.rows("train"))

    def quality(penalty: float) -> float:
        baseline = Ease(liked, _solve(liked, penalty))
        ranked = rank_catalogue(task, baseline.score_items)
        return float(ranked.ndcg.mean()) if ranked is not None else 0.0

    return max(_GRID, key=quality)
