"""The facts of a graph as edges, and the most informative paths along them, without a loop over edges.

Legend of shapes: E entities, F facts, R relations, A = 2F edges (each fact seen from both its ends), H items of a history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Adjacency", "Found", "find_paths"]


@dataclass(frozen=True, slots=True)
class Adjacency:
    """Edges by the entity they leave.

    The side of an edge is ``2 r`` where it follows relation r from head to tail, ``2 r + 1`` against it;
    an edge of a symmetric relation has side ``2 r`` both ways.

    Attributes:
        offsets: Where the edges of each entity start, int64 [E + 1].
        entity: The entity each edge leads to, int32 [A].
        side: Its side, int32 [A].
        frequency: How many items have an edge of the same side to the same entity, int32 [A].
        entity_weight: 1 / log₂(1 + neighbours) of each entity, at most 1, float32 [E]: the inverse log
            degree of Adamic & Adar (2003).
        side_weight: 1 / log₂(1 + mean edges of this side into one entity), at most 1, float32 [2 R]: the
            same for a relation, so that sharing a genre says less than sharing a director.
    """

    offsets: NDArray[np.int64]
    entity: NDArray[np.int32]
    side: NDArray[np.int32]
    frequency: NDArray[np.int32]
    entity_weight: NDArray[np.float32]
    side_weight: NDArray[np.float32]

    @classmethod
    def build(
        cls,
        heads: NDArray[np.int32],
        relation: NDArray[np.int32],
        tails: NDArray[np.int32],
        *,
        symmetric: NDArray[np.bool_],
        is_item: NDArray[np.bool_],
    ) -> Adjacency:
        """Edges of some facts.

        Args:
            heads: Head of each fact, [F].
            relation: Its relation, [F].
            tails: Its tail, [F].
            symmetric: Whether each relation reads the same from both sides, [R].
            is_item: Whether each entity is an item, [E].
        """
        n_entities, n_sides = len(is_item), 2 * len(symmetric)
        source = np.concatenate([heads, tails])
        dest = np.concatenate([tails, heads])
        side = np.concatenate([2 * relation, 2 * relation + (~symmetric[relation])]).astype(np.int32)
        order = np.lexsort((dest, side, source))
        source, dest, side = source[order], dest[order], side[order]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n_entities))]).astype(np.int64)
        keys, position = np.unique(dest.astype(np.int64) * n_sides + side, return_inverse=True)
        frequency = np.bincount(position, weights=is_item[source], minlength=len(keys))[position]
        pairs = np.unique(source.astype(np.int64) * n_entities + dest)
        neighbours = np.bincount(pairs // n_entities, minlength=n_entities)
        edges = np.bincount(side, minlength=n_sides)
        reached = np.bincount(keys % n_sides, minlength=n_sides)
        return cls(
            offsets=offsets,
            entity=dest.astype(np.int32, copy=False),
            side=side,
            frequency=frequency.astype(np.int32),
            entity_weight=_inverse_log(neighbours),
            side_weight=_inverse_log(edges / np.maximum(reached, 1)),
        )

    def edges(self, entities: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Edges of some entities.

        Returns:
            For each edge the position in ``entities`` that it belongs to, and its own position, [n] each.
        """
        starts = self.offsets[entities]
        lengths = self.offsets[entities.astype(np.int64) + 1] - starts
        owner = np.repeat(np.arange(len(entities)), lengths)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return owner, np.repeat(starts, lengths) + within


def _inverse_log(count: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float32]:
    weight: NDArray[np.float32] = (1 / np.log2(1 + np.maximum(count, 1))).astype(np.float32)
    return weight


_HUB_WEIGHT = 1 / np.log2(1 + 500)
"""Paths of three steps do not go through entities with more than 500 neighbours: they say nothing."""


@dataclass(frozen=True, slots=True)
class Found:
    """Paths as edges.

    Attributes:
        source: Position of the start in the history, [n].
        edges: Positions of edges in the adjacency, −1 where a path has none; the first leaves the source,
            the last leaves the *target*, the middle one leaves the entity that the last one leads to,
            [n, 3].
        score: Informativeness, falling, float32 [n].
    """

    source: NDArray[np.int64]
    edges: NDArray[np.int64]
    score: NDArray[np.float32]


def find_paths(
    adjacency: Adjacency,
    sources: NDArray[np.int32],
    weights: NDArray[np.float32],
    target: int,
    *,
    k: int,
    max_hops: int,
) -> Found:
    r"""Find the k best paths from any source to the target.

    .. math:: s = w_h \prod_x \frac{1}{\log_2(1 + d_x)}
              \Bigl(\prod_{l=1}^{L} \frac{1}{\log_2(1 + \bar d_{r_l})}\Bigr)^{1/L}

    over the entities x in between with :math:`d_x` neighbours and the relations :math:`r_l` of the L
    steps, of which :math:`\bar d_r` facts on average share one entity. Of several relations between the
    same entities one is given, the same on both sides if there is one; a path of three steps is given only
    where its first entity is no neighbour of the target. Paths visit no entity twice.

    Args:
        adjacency: The edges.
        sources: Entities of the history, [H]; −1 for items without one.
        weights: Weight of each, [H].
        target: Entity of the item.
        k: Paths at the most.
        max_hops: Steps at the most: 1, 2 or 3.
    """
    at = np.flatnonzero((sources >= 0) & (sources != target) & (weights > 0))
    owner, first = adjacency.edges(sources[at])
    owner = at[owner]
    dest, side = adjacency.entity[first], adjacency.side[first]
    factor = weights[owner]
    parts = [_direct(adjacency, owner, first, factor, target)]
    if max_hops >= 2:
        ahead = dest != target
        owner, first, dest, side, factor = (x[ahead] for x in (owner, first, dest, side, factor))
        _, last = adjacency.edges(np.array([target], np.int32))
        last = last[adjacency.entity[last] != target]
        near = np.unique(adjacency.entity[last])
        meets = np.isin(dest, near)
        parts.append(_meeting(adjacency, owner[meets], first[meets], factor[meets], last))
        if max_hops >= 3:
            far = ~meets
            parts.append(
                _through_two(
                    adjacency, owner[far], first[far], factor[far], sources, last, np.append(near, target)
                )
            )
    source = np.concatenate([p.source for p in parts])
    edges = np.concatenate([p.edges for p in parts])
    score = np.concatenate([p.score for p in parts])
    order = np.lexsort((edges[:, 2], edges[:, 1], edges[:, 0], source, -score))[:k]
    return Found(source[order], edges[order], score[order])


def _direct(
    adjacency: Adjacency,
    owner: NDArray[np.int64],
    first: NDArray[np.int64],
    factor: NDArray[np.float32],
    target: int,
) -> Found:
    hit = adjacency.entity[first] == target
    owner, first = owner[hit], first[hit]
    none = np.full(len(first), -1, np.int64)
    score = factor[hit] * adjacency.side_weight[adjacency.side[first]]
    return Found(owner, np.stack([first, none, none], 1), score)


def _meeting(
    adjacency: Adjacency,
    owner: NDArray[np.int64],
    first: NDArray[np.int64],
    factor: NDArray[np.float32],
    last: NDArray[np.int64],
) -> Found:
    """Source → x ← target: one path a pair (source, x)."""
    left, right = _join(adjacency.entity[first], adjacency.entity[last])
    first, owner, factor, last = first[left], owner[left], factor[left], last[right]
    side, other = adjacency.side[first], adjacency.side[last]
    through = adjacency.entity[first]
    weight = adjacency.side_weight[side] * adjacency.side_weight[other]
    score = factor * adjacency.entity_weight[through] * np.sqrt(weight)
    best = _first_of_each(owner, through, (other, side, -score, side != other))
    none = np.full(len(best), -1, np.int64)
    return Found(owner[best], np.stack([first[best], none, last[best]], 1), score[best])


def _through_two(
    adjacency: Adjacency,
    owner: NDArray[np.int64],
    first: NDArray[np.int64],
    factor: NDArray[np.float32],
    sources: NDArray[np.int32],
    last: NDArray[np.int64],
    closed: NDArray[np.int32],
) -> Found:
    """Source → x ← y ← target, the two best y of each x, so that one is left where the other is the source."""
    last = last[adjacency.entity_weight[adjacency.entity[last]] >= _HUB_WEIGHT]
    position, middle = adjacency.edges(adjacency.entity[last])
    last = last[position]
    x = adjacency.entity[middle]
    keep = ~np.isin(x, closed) & (adjacency.entity_weight[x] >= _HUB_WEIGHT)
    last, middle, x = last[keep], middle[keep], x[keep]
    y = adjacency.entity[last]
    # the middle edge leaves y; between two entities in between, the rarer side counts
    gain = adjacency.side_weight[adjacency.side[middle]] * adjacency.side_weight[adjacency.side[last]]
    rank = adjacency.entity_weight[y] * np.cbrt(gain)
    best = _first_of_each(x, y, (last, middle, -rank))
    best = best[np.lexsort((y[best], -rank[best], x[best]))]
    nth = np.arange(len(best)) - np.searchsorted(x[best], x[best])
    best = best[nth < 2]
    last, middle, x, y, gain = last[best], middle[best], x[best], y[best], gain[best]
    left, right = _join(adjacency.entity[first], x)
    other = sources[owner[left]] != y[right]
    left, right = left[other], right[other]
    owner, first, factor = owner[left], first[left], factor[left]
    through = adjacency.entity[first]
    weight = adjacency.side_weight[adjacency.side[first]] * gain[right]
    score = factor * adjacency.entity_weight[through] * adjacency.entity_weight[y[right]] * np.cbrt(weight)
    best = _first_of_each(owner, through, (adjacency.side[first], y[right], -score))
    edges = np.stack([first[best], middle[right][best], last[right][best]], 1)
    return Found(owner[best], edges, score[best])


def _join(left: NDArray[np.int32], right: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of all pairs of equal values."""
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    start = np.searchsorted(ordered, left, "left")
    count = np.searchsorted(ordered, left, "right") - start
    at = np.repeat(np.arange(len(left)), count)
    within = np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
    return at, order[np.repeat(start, count) + within]


def _first_of_each(a: NDArray[Any], b: NDArray[Any], keys: tuple[NDArray[Any], ...]) -> NDArray[np.int64]:
    """Of all rows with the same (a, b) the first by the keys, of which the last one weighs most."""
    order = np.lexsort((*keys, b, a))
    a, b = a[order], b[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    chosen: NDArray[np.int64] = order[fresh]
    return chosen
