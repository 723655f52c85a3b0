"""Baseline: EASE, a linear item-item model in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset, Ragged
from motet.models.baselines._baseline import fit_rows
from motet.models.baselines._item_scores import ItemScores, ItemToItem, strongest
from motet.models.baselines._ranking import (
    DECAYS,
    RankingBaseline,
    climb,
    had_items,
    quality_on_validation,
    search,
)

__all__ = ["Ease"]

_LARGEST = 8_000
_PENALTIES = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
_START = 300.0
# Beyond this many items one inversion takes seconds: every second penalty is tried.
_COARSE_FROM = 4_000
_KEPT = 500
_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class _Settings:
    penalty: float = _START
    decay: float = 1.0


class Ease(RankingBaseline):
    """Embarrassingly shallow autoencoder (Steck 2019, eq. 8).

    P = (XᵀX + λI)⁻¹, B = I − P·diag(1 / diag P), scores w·B. X holds the training positives of the
    8,000 items with the most of them; of each row of B the 500 largest weights are kept. λ, and how
    much less older items of a user weigh, are chosen by NDCG@10 on the validation rows.
    """

    paper = "Steck 2019, Embarrassingly shallow autoencoders for sparse data"

    @classmethod
    def choose(cls, dataset: Dataset, until_s: float | None = None, near: Any = None) -> _Settings:
        """λ and the decay."""
        quality = quality_on_validation(dataset, few=near is not None)
        if quality is None:
            return _Settings() if near is None else _Settings(**near)
        train = had_items(dataset, dataset.rows("train"))
        solved = cache(lambda penalty: _weights(train, len(dataset.items), penalty))
        step = 2 if np.count_nonzero(np.bincount(train.values)) > _COARSE_FROM else 1
        axes: list[tuple[str, Sequence[float]]] = [("penalty", _PENALTIES[::step])]
        if dataset.schema.keys.time:
            axes.append(("decay", DECAYS))

        def quality_of(tried: _Settings) -> float:
            return quality(ItemToItem(tried.decay, solved(tried.penalty)))

        if near is not None:
            return climb(_Settings(**near), axes, quality_of)
        return search(_Settings(), axes, quality_of, until_s)

    @classmethod
    def fit_scores(
        cls, dataset: Dataset, settings: _Settings, splits: Sequence[str] = ("train",)
    ) -> ItemScores:
        """Solve."""
        liked = had_items(dataset, fit_rows(dataset, splits))
        return ItemToItem(settings.decay, _weights(liked, len(dataset.items), settings.penalty))


def _weights(liked: Ragged, items: int, penalty: float) -> sp.csr_array:
    """Weights between all items, [I, I]; none from or to an item that was not looked at."""
    count = np.bincount(liked.values, minlength=items)
    used = np.sort(np.argsort(-count, kind="stable")[: min(_LARGEST, np.count_nonzero(count))])
    place = np.full(items, -1)
    place[used] = np.arange(len(used))
    columns, users = place[liked.values], np.repeat(np.arange(len(liked)), liked.lengths())
    ones = np.ones(np.count_nonzero(columns >= 0), np.float32)
    x = sp.csr_array(
        sp.coo_array((ones, (users[columns >= 0], columns[columns >= 0])), shape=(len(liked), len(used)))
    )
    x.data[:] = 1  # an item that comes twice counts once
    weights = solve(x, penalty)
    # a block of rows at a time: all weights as a sparse matrix would take three times the memory
    blocks = [strongest(sp.csr_array(weights[at : at + _ROWS]), _KEPT) for at in range(0, len(used), _ROWS)]
    found = sp.coo_array(sp.vstack(blocks)) if blocks else sp.coo_array((0, 0), dtype=np.float32)
    return sp.csr_array(sp.coo_array((found.data, (used[found.row], used[found.col])), shape=(items, items)))


def solve(liked: sp.csr_array, penalty: float) -> NDArray[np.float32]:
    """B of a matrix of zeros and ones [U, I]; [I, I] with a diagonal of zeros."""
    if not liked.shape[1]:
        return np.zeros((0, 0), np.float32)
    gram = (liked.T @ liked).toarray().astype(np.float64 if liked.shape[1] <= _COARSE_FROM else np.float32)
    gram[np.diag_indices_from(gram)] += penalty
    factor = scipy.linalg.cholesky(gram, lower=True, overwrite_a=True)
    inverse, _ = scipy.linalg.lapack.get_lapack_funcs(("potri",), (factor,))[0](factor, lower=True)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    result: NDArray[np.float32] = weights.astype(np.float32)
    return result
