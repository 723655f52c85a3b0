"""Metrics of ranked lists, all users at once.

Legend: U users, I items, k length of the list. Of items with equal scores, the one with the lower
item row ranks first; so a ranking does not depend on a sorting routine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motet.metrics._statistic import Floats, Statistic, Users, ratio

__all__ = ["RankedUsers", "hit_at", "mrr", "ndcg_at", "rank_users", "recall_at", "top_items"]


@dataclass(frozen=True, slots=True)
class RankedUsers:
    """How well each user's list does, and the lists.

    Attributes:
        ndcg: NDCG@k, float64 [U]; NaN, as all of these, for a user without a relevant item.
        recall: Share of the relevant items that are in the list, [U].
        hit: 1 where the list holds a relevant item, [U].
        reciprocal_rank: 1 / rank of the first relevant item in the full ranking, [U].
        top: Item rows, best first, int64 [U, k]; −1 where fewer items are left.
    """

    ndcg: NDArray[np.float64]
    recall: NDArray[np.float64]
    hit: NDArray[np.float64]
    reciprocal_rank: NDArray[np.float64]
    top: NDArray[np.int64]


def top_items(scores: Floats, k: int) -> NDArray[np.int64]:
    """The k best items of each user, best first; −1 where fewer have a finite score.

    Args:
        scores: Higher is better, −inf for items that may not be recommended, shape [U, I].
        k: Length of the lists, at least 1.

    Returns:
        Item rows, shape [U, k].

    Example:
        >>> import numpy as np
        >>> top_items(np.array([[0.1, 0.9, 0.9, -np.inf]]), 4)
        array([[ 1,  2,  0, -1]])
    """
    users, items = scores.shape
    kept = min(k, items)
    # Only the boundary needs care: everything above it is in, and equals enter by item row.
    boundary = np.partition(scores, items - kept, axis=1)[:, items - kept, None]
    above = scores > boundary
    places_left = kept - above.sum(axis=1, keepdims=True)
    equal = scores == boundary
    chosen = above | (equal & (np.cumsum(equal, axis=1, dtype=np.int32) <= places_left))
    columns = np.nonzero(chosen)[1].reshape(users, kept)
    values = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best = np.take_along_axis(columns, order, axis=1)
    best = np.where(np.isneginf(np.take_along_axis(values, order, axis=1)), -1, best)
    return np.pad(best, ((0, 0), (0, k - kept)), constant_values=-1)


def rank_users(scores: Floats, relevant: NDArray[np.bool_], k: int) -> RankedUsers:
    """Rank all items for each user and compare with what is relevant.

    NDCG@k = Σ_{r≤k} rel_r / log₂(r+1) over the same sum of an ideal list (Järvelin & Kekäläinen
    2002); recall@k = hits / relevant items; hit@k = any hit; MRR = mean 1 / rank of the first.

    Args:
        scores: As for :func:`top_items`, shape [U, I].
        relevant: Shape [U, I].
        k: Length of the lists.
    """
    top = top_items(scores, k)
    hits = np.take_along_axis(relevant, np.maximum(top, 0), axis=1) & (top >= 0)
    discount = 1 / np.log2(np.arange(2, k + 2))
    count = relevant.sum(axis=1)
    ideal = np.concatenate([[np.nan], np.cumsum(discount)])[np.minimum(count, k)]
    defined = np.where(count > 0, count, np.nan)
    reachable = np.where(relevant, scores, -np.inf)
    first = np.argmax(reachable, axis=1)
    best = np.take_along_axis(reachable, first[:, None], axis=1)
    before = (scores == best) & (np.arange(scores.shape[1]) < first[:, None])
    rank = 1 + (scores > best).sum(axis=1) + before.sum(axis=1)
    return RankedUsers(
        ndcg=(hits @ discount) / ideal,
        recall=hits.sum(axis=1) / defined,
        hit=np.where(count > 0, hits.any(axis=1), np.nan),
        reciprocal_rank=np.where(count > 0, np.where(np.isneginf(best[:, 0]), 0.0, 1 / rank), np.nan),
        top=top,
    )


def _mean_over_users(
    labels: Floats, scores: Floats, k: int, of: Callable[[RankedUsers], NDArray[np.float64]]
) -> Statistic:
    known = ~np.isnan(labels)
    values = of(rank_users(np.where(known, scores, -np.inf), known & (labels > 0), k))
    defined = ~np.isnan(values)
    return lambda weights: ratio(float(weights[defined] @ values[defined]), float(weights[defined].sum()))


def ndcg_at(k: int) -> Callable[[Floats, Floats, Users], Statistic]:
    """NDCG@k as a statistic over users with something to find."""
    return lambda labels, scores, users: _mean_over_users(labels, scores, k, lambda r: r.ndcg)


def recall_at(k: int) -> Callable[[Floats, Floats, Users], Statistic]:
    """Recall@k as a statistic over users with something to find."""
    return lambda labels, scores, users: _mean_over_users(labels, scores, k, lambda r: r.recall)


def hit_at(k: int) -> Callable[[Floats, Floats, Users], Statistic]:
    """Share of users whose first k items hold something to find, as a statistic."""
    return lambda labels, scores, users: _mean_over_users(labels, scores, k, lambda r: r.hit)


def mrr(labels: Floats, scores: Floats, users: Users = None) -> Statistic:
    """Mean over users of 1 / rank of the first relevant item, over the whole ranking."""
    return _mean_over_users(labels, scores, 1, lambda r: r.reciprocal_rank)
