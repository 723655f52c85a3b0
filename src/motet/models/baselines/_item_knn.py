"""Baseline: items that the same users had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import scipy.sparse as sp

from motet.data import Dataset, Ragged
from motet.models.baselines._baseline import fit_rows
from motet.models.baselines._item_scores import LAST, ItemScores, ItemToItem, strongest
from motet.models.baselines._ranking import (
    DECAYS,
    RankingBaseline,
    climb,
    had_items,
    quality_on_validation,
    search,
)

__all__ = ["ItemKnn"]

_KEPT = 200
_ROWS = 256  # of the product of users and items at once


@dataclass(frozen=True, slots=True)
class _Settings:
    window: int = 0
    power: float = 0.5
    shrink: float = 10.0
    decay: float = 1.0


class ItemKnn(RankingBaseline):
    """Item-item nearest neighbours, with shrinkage.

    S[j, i] = c(j, i) / (n_j^(1−p)·n_i^p + h), where c counts the users who had both items (Deshpande &
    Karypis 2004, eq. 2 and 3: p = 1/2 is the cosine), or, within a window, how often the two are at
    most so many events apart, a distance of d counting 1/d. Where users come back to items, an item is its own
    neighbour as often as they do. The 200 nearest of each item are kept. The
    window, p, the shrinkage h and how much less older items of a user weigh are chosen by NDCG@10 on
    the validation rows; the latest 100 items of each user count.
    """

    paper = "Deshpande & Karypis 2004, Item-based top-N recommendation algorithms"

    @classmethod
    def choose(cls, dataset: Dataset, until_s: float | None = None, near: Any = None) -> _Settings:
        """The window, p, the shrinkage and the decay."""
        quality = quality_on_validation(dataset, few=near is not None)
        if quality is None:
            return _Settings() if near is None else _Settings(**near)
        train = had_items(dataset, dataset.rows("train"))
        counted = cache(lambda window: _together(train, len(dataset.items), window, _comes_again(dataset)))
        axes: list[tuple[str, Sequence[float]]] = [
            ("power", (0.5, 0.3, 0.7)),
            ("shrink", (0.0, 3.0, 30.0, 100.0)),
        ]
        if dataset.schema.keys.time:
            axes = [("decay", DECAYS), ("window", (5,)), *axes, ("decay", DECAYS)]

        def quality_of(tried: _Settings) -> float:
            return quality(_scores(counted(tried.window), train, tried))

        if near is not None:
            return climb(_Settings(**near), axes, quality_of)
        return search(_Settings(), axes, quality_of, until_s)

    @classmethod
    def fit_scores(
        cls, dataset: Dataset, settings: _Settings, splits: Sequence[str] = ("train",)
    ) -> ItemScores:
        """Count."""
        liked = had_items(dataset, fit_rows(dataset, splits))
        together = _together(liked, len(dataset.items), settings.window, _comes_again(dataset))
        return _scores(together, liked, settings)


def _comes_again(dataset: Dataset) -> bool:
    return any(task.offers_again for task in dataset.schema.tasks.values())


def _scores(together: sp.csr_array, liked: Ragged, settings: _Settings) -> ItemToItem:
    items = together.shape[0]
    count = np.bincount(liked.values, minlength=items).astype(np.float32)
    rows = np.repeat(np.arange(items), np.diff(together.indptr))
    norm = count[rows] ** (1 - settings.power) * count[together.indices] ** settings.power
    scaled = together.copy()
    scaled.data = together.data / (norm + np.float32(settings.shrink))
    return ItemToItem(settings.decay, strongest(scaled, _KEPT))


def _together(liked: Ragged, items: int, window: int, again: bool) -> sp.csr_array:
    """How often two items come together, [I, I]; an item with itself where users come back to items (``again``)."""
    lengths = liked.lengths()
    users = np.repeat(np.arange(len(liked)), lengths)
    age = np.repeat(liked.offsets[1:], lengths) - np.arange(len(liked.values)) - 1
    if window:
        total = sp.csr_array((items, items), dtype=np.float32)
        for lag in range(1, min(window, max(lengths.max(initial=0) - 1, 0)) + 1):
            same = users[lag:] == users[:-lag]
            pairs = (liked.values[:-lag][same], liked.values[lag:][same])
            ones = np.full(int(same.sum()), 1 / lag, np.float32)
            total = total + sp.csr_array(sp.coo_array((ones, pairs), shape=(items, items)))
        total = sp.csr_array(total + total.T)
    else:
        kept = age < LAST
        ones = np.ones(int(kept.sum()), np.float32)
        x = sp.csr_array(sp.coo_array((ones, (users[kept], liked.values[kept])), shape=(len(liked), items)))
        x.sum_duplicates()
        twice = np.bincount(x.indices[x.data > 1], minlength=items).astype(np.float32)
        x.data[:] = 1  # an item that comes twice counts once
        total = sp.csr_array(x.T @ x)
        total.setdiag(twice)
    if not again:
        total.setdiag(0)
    total.eliminate_zeros()
    return total
