"""Weights of the members of a ranking: from validation rows, and between two trainings from lists that were made since.

Legend of shapes: Q lists, I items, C items of a list that are looked at, M members.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from motet.metrics import rank_users
from motet.models.baselines import RankingQueries
from motet.training.blending._members import NETWORK

__all__ = [
    "EarlierLists",
    "Quality",
    "halves_of_users",
    "is_over",
    "quality_of_weights",
    "weigh_by_lists",
    "weigh_members",
]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Quality = Callable[..., float]

_WEIGHTS: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5, 5.0)
_ROUNDS: Final = 3
_HALVINGS: Final = 2
_FEWEST_TO_HALVE: Final = 50  # users
_LEAST_GAIN: Final = 0.005  # a member that adds less than so much of the score is not worth its cost
_LEAST_GAIN_OF_NETWORK: Final = 0.002  # which is computed for other tasks anyway
_CONSIDERED: Final = 200  # items of each member that a weighed list may hold while weights are tried
_FIRST: Final = 20  # items of each member that are kept of a list
_K: Final = 10
_MOST_LISTS: Final = 2_000
_FEWEST_LISTS: Final = 300
_LEAST_WEIGHT: Final = 0.001  # the network orders items that plain members hold to be alike


def quality_of_weights(queries: RankingQueries, parts: Mapping[str, Floats]) -> Quality:
    """Quality of weighed sums of all queries, or of some, over the 200 best items of each member and those to find.

    Args:
        queries: Q of them.
        parts: Standardised scores of each member, [Q, I].
    """
    relevant, seen = queries.task.relevant.toarray() > 0, queries.task.seen.toarray() > 0
    chosen = relevant.copy()
    for part in parts.values():
        best = np.argpartition(np.where(seen, np.inf, -part), min(_CONSIDERED, part.shape[1]) - 1, axis=1)
        np.put_along_axis(chosen, best[:, :_CONSIDERED], values=True, axis=1)
    chosen &= ~seen
    widths = chosen.sum(axis=1)
    there = np.arange(int(widths.max(initial=0))) < widths[:, None]  # [Q, C]
    columns = np.zeros(there.shape, np.int64)
    columns[there] = np.nonzero(chosen)[1]
    found = np.take_along_axis(relevant, columns, axis=1) & there
    scores = {name: np.take_along_axis(part, columns, axis=1) for name, part in parts.items()}
    users = len(queries.users)

    def quality(weights: Mapping[str, float], some: NDArray[np.bool_] | None = None) -> float:
        at = slice(None) if some is None else some
        total = np.where(there[at], np.float32(0), np.float32(-np.inf))
        for name, weight in weights.items():
            total += np.float32(weight) * scores[name][at]
        ndcg = rank_users(total, found[at], 10).ndcg
        first = users if some is None else int(some[:users].sum())
        return float(np.mean([part.mean() for part in (ndcg[:first], ndcg[first:]) if len(part)]))

    return quality


def halves_of_users(users: Rows) -> list[NDArray[np.bool_]]:
    """Two random halves of the users, twice: of some queries' users, [Q], the queries of each half."""
    distinct, at = np.unique(users, return_inverse=True)
    if len(distinct) < _FEWEST_TO_HALVE:
        return [np.ones(len(users), bool)]
    found = []
    for seed in range(_HALVINGS):
        first = np.random.default_rng(seed).permutation(len(distinct)) < len(distinct) // 2
        found += [first[at], ~first[at]]
    return found


def is_over(until_s: float | None) -> bool:
    return until_s is not None and time.monotonic() > until_s


def weigh_members(
    names: Sequence[str], quality: Quality, halves: Sequence[NDArray[np.bool_]], until_s: float | None
) -> dict[str, float]:
    """Mean of the weights that are best for each half of the users, of the members that help in most halves.

    What is best for all users at once changes from seed to seed on sparse data, and what it gains on validation rows
    is lost on later ones. A member that few halves choose adds cost and noise (Meinshausen & Bühlmann 2010).
    """
    found = []
    for some in halves:
        of_half = partial(quality, some=some)
        best = _best_weights({name: of_half({name: 1.0}) for name in names}, of_half, until_s)
        total = sum(best.values())
        found.append({name: weight / total for name, weight in best.items()})
    mean = {name: float(np.mean([one.get(name, 0.0) for one in found])) for name in names}
    most = max(mean, key=lambda name: mean[name])
    return {
        name: weight
        for name, weight in mean.items()
        if name == most or 2 * sum(name in one for one in found) >= len(found)
    }


def _best_weights(
    alone: Mapping[str, float], quality: Callable[[Mapping[str, float]], float], until_s: float | None
) -> dict[str, float]:
    """Weights by coordinate ascent from the best member alone; a plain one stays only if it adds enough."""
    best = max(alone, key=lambda name: alone[name])
    weights, value = {best: 1.0}, alone[best]
    for _ in range(_ROUNDS):
        before = value
        for name in sorted(alone, key=lambda name: -alone[name]):
            gain = _LEAST_GAIN_OF_NETWORK if name == NETWORK else _LEAST_GAIN
            least = value if name in weights else value * (1 + gain)
            for weight in () if is_over(until_s) else _WEIGHTS:
                tried = {n: w for n, w in {**weights, name: weight}.items() if w}
                if (
                    tried
                    and weight != weights.get(name, 0.0)
                    and (found := quality(tried)) > max(value, least)
                ):
                    weights, value = tried, found
        if value == before:
            break
    for name in sorted((n for n in weights if n != NETWORK), key=lambda name: weights[name]):
        others = {n: w for n, w in weights.items() if n != name}
        if others and not is_over(until_s) and (found := quality(others)) * (1 + _LEAST_GAIN) >= value:
            weights, value = others, found
    return weights


# Between two trainings.


@dataclass(frozen=True, slots=True)
class EarlierLists:
    """What members scored just before an item was taken up that nobody had learnt of yet.

    Attributes:
        names: Of the members.
        scores: Standardised, of the item that was taken up and of the first items of each member; NaN for places
            that hold none, float16 [Q, C, M].
    """

    names: tuple[str, ...]
    scores: NDArray[np.float16]

    @classmethod
    def of(cls, parts: Mapping[str, Floats], items: Rows, closed: NDArray[np.bool_]) -> Self:
        """Of some events.

        Args:
            parts: Standardised scores of each member, [Q, I].
            items: The item of each event, [Q].
            closed: Items that the user had already, [Q, I].
        """
        closed = closed.copy()
        np.put_along_axis(closed, items[:, None], values=True, axis=1)
        first = min(_FIRST, closed.shape[1])
        columns = [items[:, None]]
        for part in parts.values():
            open_ = np.where(closed, -np.inf, part)
            columns.append(np.argpartition(-open_, first - 1, axis=1)[:, :first])
        chosen = np.concatenate(columns, axis=1)
        scores = np.stack([np.take_along_axis(part, chosen, axis=1) for part in parts.values()], axis=-1)
        shut = np.take_along_axis(closed, chosen, axis=1)
        order = np.argsort(chosen, axis=1, kind="stable")
        ordered = np.take_along_axis(chosen, order, axis=1)
        again = np.zeros(chosen.shape, bool)
        np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
        scores[shut | again, :] = np.nan
        scores[:, 0] = np.stack([part[np.arange(len(items)), items] for part in parts.values()], axis=-1)
        return cls(tuple(parts), np.clip(scores, -6e4, 6e4).astype(np.float16))

    @classmethod
    def together(cls, some: Sequence[Self | None], names: Sequence[str]) -> Self | None:
        """The latest 2,000 of several, the oldest first; those of other members are left out."""
        kept = [
            one.scores for one in some if one is not None and one.names == tuple(names) and len(one.scores)
        ]
        if not kept:
            return None
        most = max(one.shape[1] for one in kept)
        wide = [
            np.pad(one, ((0, 0), (0, most - one.shape[1]), (0, 0)), constant_values=np.nan) for one in kept
        ]
        return cls(tuple(names), np.concatenate(wide)[-_MOST_LISTS:])


def weigh_by_lists(lists: EarlierLists, weights: Mapping[str, float]) -> dict[str, float] | None:
    """Weights that would have made better lists, if there are some beyond one standard error.

    They are sought as on validation rows, by NDCG@10 of the item that was taken up. The likelihood of that item against
    the others is no measure here: the others are the first of some member, which no weights at all would explain best.

    Args:
        lists: Q of them.
        weights: Of the same members so far.

    Returns:
        Weights of the same sum, 0 for members that do not help now; None where there are fewer than 300 lists, or the
        gain is within noise.
    """
    if len(lists.scores) < _FEWEST_LISTS:
        return None
    scores = lists.scores.astype(np.float32)
    empty = np.isnan(scores[..., 0])
    scores[empty] = 0
    place = {name: at for at, name in enumerate(lists.names)}

    def gains(tried: Mapping[str, float]) -> NDArray[np.float64]:
        total = np.where(empty, np.float32(-np.inf), np.float32(0))
        for name, weight in tried.items():
            total += np.float32(weight) * scores[..., place[name]]
        rank = 1 + (total[:, 1:] > total[:, :1]).sum(axis=1)
        return np.where(rank <= _K, 1 / np.log2(1 + rank), 0.0)

    def quality(tried: Mapping[str, float], some: NDArray[np.bool_]) -> float:
        return float(gains(tried)[some].mean())

    halves = halves_of_users(np.arange(len(scores)))
    found = weigh_members(lists.names, quality, halves, None)
    gain = gains(found) - gains(weights)
    if gain.mean() <= gain.std() / np.sqrt(len(gain)):
        return None
    factor = sum(weights.values()) / sum(found.values())
    least = {name: _LEAST_WEIGHT if name == NETWORK else 0.0 for name in lists.names}
    return {name: max(factor * found.get(name, 0.0), least[name]) for name in lists.names}
