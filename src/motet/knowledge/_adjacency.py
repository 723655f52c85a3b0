"""Facts as edges that can be walked both ways, in arrays.

Legend of shapes: E entities, R relations, F facts, A = 2F edges (each fact seen from both its ends).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Adjacency"]


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
