"""The part of a graph that vectors are learnt from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motet.errors import KnowledgeError
from motet.knowledge._graph import KnowledgeGraph
from motet.schema import require_known

__all__ = ["Edges", "Interactions", "edges_for_vectors"]


@dataclass(frozen=True, slots=True)
class Interactions:
    """Who had what: training rows only, or the vectors would know the test.

    Attributes:
        user_row: int32 [N].
        item_row: int32 [N].
    """

    user_row: NDArray[np.int32]
    item_row: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Edges:
    """Facts between numbered nodes.

    Attributes:
        nodes: Number of nodes.
        relations: Number of relations.
        heads: int64 [F].
        relation: int64 [F].
        tails: int64 [F].
        item_node: Node of each item, −1 where it has none, int64 [I].
    """

    nodes: int
    relations: int
    heads: NDArray[np.int64]
    relation: NDArray[np.int64]
    tails: NDArray[np.int64]
    item_node: NDArray[np.int64]


def edges_for_vectors(graph: KnowledgeGraph, exclude: Collection[str] = ()) -> Edges:
    """Facts without some relations, and without entities that only one fact names.

    Such an entity, an actor of one film, says nothing of what else the film is like, and its vector would
    be whatever makes that one fact true; most entities of a real graph are of this kind.

    Args:
        graph: The graph.
        exclude: Relations to leave out, by their own name or by that of their inverse.

    Raises:
        KnowledgeError: If such a relation is not in the graph.
    """
    names = {name: code for code, name in enumerate(graph.relations)}
    names |= {name: names[other] for name, other in graph.aliases.items()}
    for name in exclude:
        require_known(name, names, "the relation", KnowledgeError)
    keep = ~np.isin(graph.relation, [names[name] for name in exclude])
    heads, relation, tails = graph.heads[keep], graph.relation[keep], graph.tails[keep]
    is_item = graph.entity_item >= 0
    named = np.bincount(np.concatenate([heads, tails]), minlength=len(is_item))
    useful = is_item | (named > 1)
    keep = useful[heads] & useful[tails]
    heads, relation, tails = heads[keep], relation[keep], tails[keep]
    there = np.unique(np.concatenate([heads, tails]))
    node = np.full(len(is_item), -1, np.int64)
    node[there] = np.arange(len(there))
    entity = graph.item_entity
    return Edges(
        nodes=len(there),
        relations=len(graph.relations),
        heads=node[heads],
        relation=relation.astype(np.int64),
        tails=node[tails],
        item_node=np.where(entity >= 0, node[np.where(entity >= 0, entity, 0)], -1),
    )
