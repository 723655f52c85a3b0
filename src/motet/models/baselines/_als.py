"""Baseline: factors of users and items by alternating least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset, Ragged
from motet.models.baselines._baseline import fit_rows
from motet.models.baselines._item_scores import LAST, FoldedFactors, ItemScores
from motet.models.baselines._ranking import (
    DECAYS,
    RankingBaseline,
    climb,
    had_items,
    quality_on_validation,
    search,
)

__all__ = ["Als"]

_ROUNDS: Final = 10
_FACTORS: Final = (64, 128)
_CONFIDENCES: Final = (3.0, 10.0, 1.0, 30.0)
_PENALTIES: Final = (3.0, 10.0, 30.0, 100.0)
# Positives that factors of items are fitted on, by whole users: while settings are tried, and in the end. One core
# does ten rounds of 64 factors over a million of them in ten seconds.
_TRIED: Final = 300_000
_FITTED: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class _Settings:
    factors: int = 64
    confidence: float = 3.0
    penalty: float = 10.0
    decay: float = 1.0


class Als(RankingBaseline):
    """Alternating least squares for implicit feedback (Hu, Koren & Volinsky 2008, eq. 3 to 5).

    min Σ c_ui (p_ui − x_u·y_i)² + λ (Σ|x_u|² + Σ|y_i|²) with p = 1 and c = 1 + α for what a user had, p = 0 and c = 1
    for all else; users are then folded in from their latest 100 items. α, λ, the number of factors and how much less
    older items of a user weigh are chosen by NDCG@10 on the validation rows.
    """

    paper = "Hu, Koren & Volinsky 2008, Collaborative filtering for implicit feedback datasets"

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a retrieval task, or without the library."""
        if find_spec("implicit") is None:
            return "the package implicit is not installed"
        return super().steps_aside(dataset)

    @classmethod
    def choose(cls, dataset: Dataset, until_s: float | None = None, near: Any = None) -> _Settings:
        """α, λ, the number of factors and the decay."""
        quality = quality_on_validation(dataset, few=near is not None)
        if quality is None:
            return _Settings() if near is None else _Settings(**near)
        some = _some_users(had_items(dataset, dataset.rows("train")), len(dataset.items), _TRIED)
        fitted = cache(lambda width, confidence, penalty: _factors(some, width, confidence, penalty))
        axes: list[tuple[str, Sequence[float]]] = [
            ("penalty", _PENALTIES),
            ("confidence", _CONFIDENCES),
            ("penalty", _PENALTIES),
            ("factors", _FACTORS),
        ]
        if dataset.schema.keys.time:
            axes.append(("decay", DECAYS))

        def quality_of(tried: _Settings) -> float:
            return quality(_scores(fitted(tried.factors, tried.confidence, tried.penalty), tried))

        if near is not None:  # the shape stays: each other one takes a fit
            return climb(_Settings(**near), [one for one in axes if one[0] != "factors"], quality_of)
        return search(_Settings(), axes, quality_of, until_s)

    @classmethod
    def fit_scores(
        cls, dataset: Dataset, settings: _Settings, splits: Sequence[str] = ("train",)
    ) -> ItemScores:
        """Fit the factors of the items."""
        liked = had_items(dataset, fit_rows(dataset, splits))
        matrix = _some_users(liked, len(dataset.items), _FITTED)
        return _scores(_factors(matrix, settings.factors, settings.confidence, settings.penalty), settings)


def _scores(vectors: NDArray[np.float32], settings: _Settings) -> FoldedFactors:
    gram = vectors.T @ vectors
    return FoldedFactors(settings.decay, vectors, settings.confidence, settings.penalty, gram)


def _some_users(liked: Ragged, items: int, most: int) -> sp.csr_matrix:
    """The latest items of users, drawn until there are ``most`` of them, as zeros and ones [U', I]."""
    order = np.random.default_rng(0).permutation(np.flatnonzero(liked.lengths()))
    enough = np.searchsorted(np.cumsum(np.minimum(liked.lengths()[order], LAST)), most) + 1
    some = liked.take(np.sort(order[:enough]).astype(np.int64))
    lengths = some.lengths()
    age = np.repeat(some.offsets[1:], lengths) - np.arange(len(some.values)) - 1
    users, kept = np.repeat(np.arange(len(some)), lengths), age < LAST
    ones = np.ones(int(kept.sum()), np.float32)
    x = sp.csr_matrix((ones, (users[kept], some.values[kept])), shape=(len(some), items))
    x.sum_duplicates()
    x.data[:] = 1  # an item that comes twice counts once
    return x


def _factors(liked: sp.csr_matrix, width: int, confidence: float, penalty: float) -> NDArray[np.float32]:
    """Factors of the items, zeros for one that nobody had, [I, D]."""
    from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 (slow to import, only needed here)
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 (likewise)

    if not liked.nnz:
        return np.zeros((liked.shape[1], width), np.float32)
    sure = liked.copy()
    sure.data[:] = 1 + confidence
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=width,
            regularization=penalty,
            alpha=1.0,
            iterations=_ROUNDS,
            num_threads=1,
            random_state=0,
        )
        model.fit(sure, show_progress=False)
    found: NDArray[np.float32] = np.array(model.item_factors, np.float32)
    found[np.bincount(liked.indices, minlength=liked.shape[1]) == 0] = 0
    return found
