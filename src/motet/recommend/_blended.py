"""What retrieval tasks are ranked by where a bundle has plain members beside its network.

Legend of shapes: U users, I items of the bundle, D width of the retrieval vectors, n pairs, users, or
items of one user, m items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from motet.data import Ragged
from motet.models.baselines import ItemToItem, ItemVectors
from motet.recommend._precomputed import PrecomputedItems
from motet.training import NETWORK, Bundle, NetworkMoments, RankingBlend

__all__ = ["BlendedRanking"]

Floats = NDArray[np.float32]


class BlendedRanking:
    """Blends scores of the network with those of the bundle's plain members.

    Args:
        blend: Of the bundle.
        bundle: Knows what its users had.
        items: Gives the network's side of the items.
    """

    def __init__(self, blend: RankingBlend, bundle: Bundle, items: Callable[[], PrecomputedItems]) -> None:
        self.blend, self._bundle, self._items = blend, bundle, items

    @cached_property
    def _moments(self) -> NetworkMoments:
        vectors, bias = self._items().retrieval_arrays
        size = len(self.blend.occurs)
        return NetworkMoments(vectors[:size], bias[:size], self.blend.occurs)

    def of_users(self, network: Floats, users: NDArray[np.int32]) -> Floats:
        """Scores of all items for users of the bundle, or later ones, who had nothing, [U, I].

        Args:
            network: Scores of the network, [U, I].
            users: Their rows, [U].
        """
        return self.blend.scores(network, self._of(users))

    def of_pairs(
        self,
        network: Floats,
        queries: Mapping[int, Floats],
        asked: NDArray[np.int64],
        users: NDArray[np.int32],
        items: NDArray[np.int32],
    ) -> Floats:
        """Scores of pairs, [n].

        Args:
            network: Scores of the network, [n].
            queries: Retrieval vectors by number, [D].
            asked: Number of the vector of each pair, [n].
            users: Row of each pair's user, [n].
            items: Row of each pair's item, [n].
        """
        scores = np.empty(len(users), np.float32)
        order = np.argsort(asked, kind="stable")
        distinct, starts = np.unique(asked[order], return_index=True)
        for query, at in zip(distinct.tolist(), np.split(order, starts[1:]), strict=True):
            had = self._of(users[at[:1]]).values
            scores[at] = self.of_user(network[at], queries[query], had, items[at].astype(np.int64))
        return scores

    def of_user(
        self, network: Floats, query: Floats, had: NDArray[np.int32], items: NDArray[np.int64]
    ) -> Floats:
        """Scores of some items for one user, [n].

        Args:
            network: Scores of the network, [n].
            query: Retrieval vector of the user, [D].
            had: First rows of the items that the user had, oldest first.
            items: First rows of the items, [n].
        """
        return self.blend.of_user(network, self._moments.of(query), had, items)

    def parts(
        self, network: Floats, queries: Floats, had: Ragged, items: NDArray[np.int64]
    ) -> dict[str, Floats]:
        """What each member adds to the score of some items for several users; they sum to :meth:`of_user`, [n, m] each.

        Quick where the users had almost the same items, such as one user with several histories.

        Args:
            network: Scores of the network, [n, m].
            queries: Retrieval vectors of the users, [n, D].
            had: First rows of the items that the users had, oldest first, [n].
            items: First rows of the items, as for :meth:`of_user`, [m].
        """
        blend = self.blend
        parts = {NETWORK: blend.weighed(NETWORK, network, *_each(self._moments, queries))}
        kept = had.values < len(blend.occurs)  # no plain member knows items that came later
        of_user = np.repeat(np.arange(len(had)), had.lengths())[kept]
        lengths = np.bincount(of_user, minlength=len(had)).astype(np.int64)
        had = Ragged.from_lengths(had.values[kept], lengths)
        known = np.flatnonzero(items < len(blend.occurs))
        for name, member in blend.members.items():
            found = np.zeros((len(had), len(items)), np.float32)
            if isinstance(member, ItemVectors):
                profiles = member.profiles(had)
                found[:, known] = profiles @ member.vectors[items[known]].T
                parts[name] = blend.weighed(name, found, *_each(blend.moments_of(name, member), profiles))
            elif isinstance(member, ItemToItem):
                columns, values = member.touched_by_each(had)
                place = np.full(len(blend.occurs), -1)
                place[columns] = np.arange(len(columns))
                there = known[place[items[known]] >= 0]
                found[:, there] = values[:, place[items[there]]]
                # all that is touched occurs in training, and what is not touched scores 0
                size = max(int(np.count_nonzero(blend.occurs)), 1)
                mean = values.sum(1, dtype=np.float64, keepdims=True) / size
                square = (values.astype(np.float64) ** 2).sum(1, keepdims=True) / size
                parts[name] = blend.weighed(name, found, mean, np.sqrt(np.maximum(square - mean**2, 0)))
            else:
                every = member.scores(Ragged.empty(1))[0]
                found[:, known] = every[items[known]]
                of_all = every[blend.occurs].astype(np.float64)
                parts[name] = blend.weighed(name, found, of_all.mean(), of_all.std())
        return parts

    def _of(self, users: NDArray[np.int32] | NDArray[np.int64]) -> Ragged:
        known = users < len(self._bundle.found)
        found = self._bundle.found.take(np.where(known, users, 0).astype(np.int64))
        if known.all():
            return found
        lengths = np.where(known, found.lengths(), 0)
        values = found.values[np.repeat(known, found.lengths())]
        return Ragged.from_lengths(values, lengths)


def _each(moments: NetworkMoments, vectors: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation for each of several vectors, [n, 1] each."""
    found = np.array([moments.of(vector) for vector in vectors], np.float64).reshape(-1, 2)
    return found[:, :1], found[:, 1:]
