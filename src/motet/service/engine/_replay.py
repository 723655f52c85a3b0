"""What another policy would have earned with the lists of the recommendation log, before it is deployed.

Legend: N lists, K ranks that are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError
from motet.evaluation import PolicyValue, off_policy_values
from motet.recommend import Query, Ranked
from motet.recommend.rerank import Explore, place_probabilities
from motet.service.engine._served import ServedModel
from motet.service.experiments import VariantSettings
from motet.service.store import Shown, Store

__all__ = ["Replayed", "replay"]

Array = NDArray[np.float64]

_FEWEST: Final = 100
_FOLDS: Final = 5
_EVENTS_AT_ONCE: Final = 5_000
_LISTS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Replayed:
    """Estimates of a policy from logged lists.

    Attributes:
        lists: Lists with an item that was drawn by chance: N.
        skipped: Lists without one, which say nothing.
        depth: K.
        logged: Rewarded items a list, in the first K ranks, as it was.
        values: The same under the policy, by method.
        mean_weight: Mean importance weight at each rank: about 1 where the log covers the policy, below it where the policy
            shows what the log never does.
        effective: Lists under the policy itself that would say as much, at each rank.
    """

    lists: int
    skipped: int
    depth: int
    logged: PolicyValue
    values: dict[str, PolicyValue]
    mean_weight: tuple[float, ...]
    effective: tuple[float, ...]


def replay(
    store: Store,
    served: ServedModel,
    policy: VariantSettings,
    rewards: Collection[str],
    *,
    depth: int = 1,
    most: int = 10_000,
    clip: float | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Replayed:
    """Estimate what a policy would have earned from lists in which places were drawn (``explore``).

    Of each list, oldest first, the policy is asked with the user, the scenario, and the events up to its time. With
    p_j the logged propensity of rank j given those before, π_j that of the policy, and w_k = Π_{j ≤ k} π_j / p_j, where
    r_k is 1 for a rewarded item,

        ips    mean of Σ_k w_k r_k                                       (McInerney et al. 2020)
        snips  Σ_k (Σ w_k r_k / Σ w_k)
        dr     mean of Σ_k w_k (r_k − q̂(a_k)) + w_{k−1} Σ_a π_k(a) q̂(a)   (Kiyohara et al. 2022)

    with q̂ linear in the item's value and 1/k, fitted on other users' lists. Filters, exclusions and rules of requests
    are not in the log, nor are items as they were then: the mean weights show how much that matters. A bundle that has
    learnt from these events already knows their outcomes, and looks better than it is.

    Args:
        store: Holds lists and events.
        served: The model of the policy, which has read nothing of the store yet.
        policy: Objective, diversity and exploration; rules and model are not looked at.
        rewards: Types of events that reward an item of the list that they name.
        depth: K, from 1; each further rank costs effective lists.
        most: Most lists, the newest.
        clip: Largest weight.
        progress: Called with lists done and lists in all.

    Raises:
        DataError: If fewer than 100 lists have a place that was drawn.
    """
    total = 0
    shown: list[Shown] = []
    for one in _lists(store):
        total += 1
        if any(item.propensity is not None and item.propensity < 1 for item in one.items[:depth]):
            shown.append(one)
    shown = shown[-most:]
    if len(shown) < _FEWEST:
        raise DataError(
            f"{len(shown)} of {total} logged lists have a place that was drawn, and at least {_FEWEST} are needed",
            'serve some lists with "explore": {"method": "epsilon", "epsilon": 0.1}, or a variant with it',
        )
    earned, moments = _outcomes(store, {one.id for one in shown}, rewards)
    visible = np.minimum.accumulate(moments[::-1])[::-1]  # [events]: nothing sent before it is later
    served.catch_up_to(0)
    w, r, own, expected, before = (np.zeros((len(shown), depth)) for _ in range(5))
    features, of_policy = np.zeros((len(shown), depth, 3)), np.zeros((len(shown), depth, 3))
    for at, one in enumerate(shown):
        served.catch_up_to(int(np.searchsorted(visible, one.time.timestamp(), side="right")))
        chances = _chances(served, policy, one, depth)
        weight = 1.0
        for k, item in enumerate(one.items[:depth]):
            chance, value, mean_value = chances[k]
            before[at, k] = weight
            weight *= chance / item.propensity if item.propensity else 0.0
            weight = min(weight, clip) if clip is not None else weight
            w[at, k] = weight
            r[at, k] = float(item.item in earned.get(one.id, ()))
            features[at, k] = (1.0, value, 1 / (k + 1))
            of_policy[at, k] = (1.0, mean_value, 1 / (k + 1))
        progress(at + 1, len(shown))
    users = np.array([one.user or f"\0{one.id}" for one in shown])
    _predict(features, of_policy, r, users, own, expected)
    return _estimates(w, before, r, own, expected, users, total - len(shown))


def _lists(store: Store) -> Iterator[Shown]:
    cursor: Shown | None = None
    while some := store.shown.after(cursor, _LISTS_AT_ONCE):
        yield from some
        cursor = some[-1]


def _outcomes(
    store: Store, lists: Collection[str], rewards: Collection[str]
) -> tuple[dict[str, set[str]], NDArray[np.float64]]:
    """Rewarded items by list, and the times of all events in their order, by number."""
    earned: dict[str, set[str]] = {}
    seq = 0
    times: list[float] = []
    while events := store.events.after(seq, _EVENTS_AT_ONCE):
        for one in events:
            times += [one.time.timestamp()] * (one.seq - len(times))  # numbers of deleted events are free
            if one.list_id in lists and one.type in rewards:
                earned.setdefault(str(one.list_id), set()).add(one.item)
        seq = events[-1].seq
    return earned, np.array(times, np.float64)


def _chances(
    served: ServedModel, policy: VariantSettings, one: Shown, depth: int
) -> list[tuple[float, float, float]]:
    """At each rank: probability of the logged item, its value, and the mean value under the policy."""
    explore = policy.explore
    pool = max(depth, explore.pool if explore is not None else depth + len(one.items))
    query = Query(
        user=served.known_as(one.user) if one.user is not None else None,
        scenario=one.scenario,
        k=min(pool, 1_000),
        objective=policy.objective,
        diversity=policy.diversity,
    )
    ranked: Ranked = served.parts.live.recommend(query)
    values = np.array([item.value for item in ranked.items])
    place = {item.item: at for at, item in enumerate(ranked.items)}
    left = np.ones(len(values), bool)
    found: list[tuple[float, float, float]] = []
    for item in one.items[:depth]:
        at = place.get(item.item)
        if not left.any():
            found.append((0.0, 0.0, 0.0))
            continue
        chances = _of_place(explore, values, left)
        mean = float(chances @ values)
        found.append((float(chances[at]), float(values[at]), mean) if at is not None else (0.0, mean, mean))
        if at is not None:
            left[at] = False
    return found


def _of_place(explore: Explore | None, values: Array, left: NDArray[np.bool_]) -> Array:
    if explore is None:
        chances = np.zeros(len(values))
        chances[int(np.argmax(left))] = 1.0
        return chances
    pool = left.copy()
    pool[explore.pool :] = False
    return place_probabilities(explore, values, pool if pool.any() else left)


def _predict(
    features: Array, of_policy: Array, reward: Array, users: NDArray[np.str_], own: Array, expected: Array
) -> None:
    """Fill in q̂ of the logged items and its mean under the policy, by models of other users' lists."""
    group = np.unique(users, return_inverse=True)[1]
    fold = np.random.default_rng(0).permutation(int(group.max()) + 1)[group] % _FOLDS
    for at in range(_FOLDS):
        out = fold == at
        x, y = features[~out].reshape(-1, 3), reward[~out].ravel()
        coefficients = np.linalg.solve(x.T @ x + np.eye(3), x.T @ y)
        own[out], expected[out] = features[out] @ coefficients, of_policy[out] @ coefficients


def _estimates(
    w: Array, before: Array, r: Array, own: Array, expected: Array, users: NDArray[np.str_], skipped: int
) -> Replayed:
    one = np.ones(len(w))

    def mean_of(each: Array) -> PolicyValue:
        return off_policy_values(each, one, one, users=users)["ips"]

    weights = w.mean(0)  # [K]
    found = {"ips": mean_of((w * r).sum(1))}
    if (weights > 0).all():
        ratio = (w * r).mean(0) / weights  # [K]
        found["snips"] = mean_of(ratio.sum() + (w * (r - ratio) / weights).sum(1))
    found["dr"] = mean_of((w * (r - own) + before * expected).sum(1))
    squares = (w**2).sum(0)
    effective = np.divide(w.sum(0) ** 2, squares, out=np.zeros_like(squares), where=squares > 0)
    return Replayed(
        len(w),
        skipped,
        w.shape[1],
        mean_of(r.sum(1)),
        found,
        tuple(float(one) for one in weights),
        tuple(float(one) for one in effective),
    )
