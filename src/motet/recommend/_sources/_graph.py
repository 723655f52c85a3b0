"""Candidates that share facts with the items the user liked lately."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.knowledge import KnowledgeGraph
from motet.recommend._sources._item_item import summed
from motet.recommend._sources._source import Ask, best_of

__all__ = ["GraphNeighbours"]

_HISTORY: Final = 10
_NEIGHBOURS: Final = 100
_HUB: Final = 2000  # an entity that leads to more edges than this tells nothing
_KEPT: Final = 20_000


class GraphNeighbours:
    """Items one fact away from a liked one, or two with one entity in between.

    The score of an item is the sum over shared entities of w_e·w_r, the inverse log degrees (Adamic & Adar 2003)
    of the entity and of the relation; see :class:`motet.knowledge.KnowledgeGraph`.

    Args:
        graph: Linked to the bundle's items.
    """

    inline = True
    name = "graph"

    def __init__(self, graph: KnowledgeGraph) -> None:
        self._graph = graph
        self._kept: OrderedDict[int, tuple[NDArray[np.int32], NDArray[np.float32]]] = OrderedDict()

    def neighbours(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Items that share facts with one, by first rows, with scores."""
        found = self._kept.get(row)
        if found is None:
            found = self._walked(row)
            self._kept[row] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found

    def candidates(self, ask: Ask, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        first = ask.now.origin[ask.liked[-_HISTORY:]]
        return summed([self.neighbours(int(row)) for row in np.unique(first)], ask, n)

    def _walked(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        graph, adjacency = self._graph, self._graph.adjacency
        none = (np.zeros(0, np.int32), np.zeros(0, np.float32))
        if row >= len(graph.item_entity) or graph.item_entity[row] < 0:
            return none
        start = int(graph.item_entity[row])
        _, edges = adjacency.edges(np.array([start], np.int32))
        reached, side = adjacency.entity[edges], adjacency.side[edges]
        weight = adjacency.side_weight[side]
        degree = adjacency.offsets[reached.astype(np.int64) + 1] - adjacency.offsets[reached]
        telling = degree <= _HUB
        between, through = reached[telling], (weight * adjacency.entity_weight[reached])[telling]
        owner, further = adjacency.edges(between)
        ends, scores = adjacency.entity[further], through[owner]
        # a second step back along the same relation: two items that share the entity
        same = adjacency.side[further] // 2 == (side[telling] // 2)[owner]
        ends = np.concatenate([ends[same], reached])
        scores = np.concatenate([scores[same], 2 * weight])
        items = graph.entity_item[ends]
        kept = (items >= 0) & (items != row)
        rows, at = np.unique(items[kept], return_inverse=True)
        if not len(rows):
            return none
        total = np.bincount(at, scores[kept]).astype(np.float32)
        best, score = best_of(rows.astype(np.int64), total, _NEIGHBOURS)
        return best.astype(np.int32), score
