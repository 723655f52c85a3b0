"""Relations that give a label away: how well the entities of a relation alone foretell a task on items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from motet.data import Dataset
from motet.knowledge._graph import KnowledgeGraph

__all__ = ["RelationLeak", "relation_leaks"]

_FEWEST_ITEMS = 20
_FEWEST_OF_A_CLASS = 3
_GIVEN_AWAY = 0.5


@dataclass(frozen=True, slots=True)
class RelationLeak:
    """How well one relation foretells the labels of one task on items.

    Attributes:
        relation: The relation, as read from the item's side.
        task: The task.
        average_precision: Mean over classes, on held-out items that have the relation.
        base: What a blind guess would have: the mean share of the classes.
        items: Held-out items it was measured on.
        hidden: Whether the schema hides the relation from the task.
    """

    relation: str
    task: str
    average_precision: float
    base: float
    items: int
    hidden: bool

    @property
    def explained(self) -> float:
        """Share of what a blind guess misses that the relation alone foretells, (AP − base) / (1 − base)."""
        return (self.average_precision - self.base) / max(1 - self.base, 1e-9)

    @property
    def gives_away(self) -> bool:
        """Whether that share is half or more: the relation says the label in other words."""
        return self.explained >= _GIVEN_AWAY


def relation_leaks(graph: KnowledgeGraph, data: Dataset) -> list[RelationLeak]:
    """Measure every relation against every task on items with classes, the most telling first.

    For each entity the share of each class among the training items that have it is taken (with the
    overall share as one item more); an item's score for a class is the largest among its entities. This is
    what a model could learn from the relation by heart, and no more.

    Args:
        graph: The graph, whose items are those of the data.
        data: Its labels of tasks on items, and their split.
    """
    owner, edge = _edges_of_items(graph)
    side, entity = graph.adjacency.side[edge], graph.adjacency.entity[edge]
    hide = data.schema.knowledge.hide if data.schema.knowledge is not None else {}
    found = []
    for name, labels in data.entity_labels.items():
        task = data.schema.tasks[name]
        if task.on != "item" or task.is_number or task.ranks_catalogue:
            continue
        classes = _as_columns(labels.values)
        hidden = {graph.aliases.get(relation, relation) for relation in hide.get(name, ())}
        for code in np.unique(side).tolist():
            at = side == code
            measured = _precision(owner[at], entity[at], classes, labels.split == 0)
            if measured is not None:
                relation = graph.relations[code // 2]
                told = relation if code % 2 == 0 else graph.inverses[code // 2] or relation
                found.append(RelationLeak(told, name, *measured, hidden=relation in hidden))
    return sorted(found, key=lambda leak: -leak.explained)


def _edges_of_items(graph: KnowledgeGraph) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row of the item and position of the edge, for every edge that leaves an item."""
    rows = np.flatnonzero(graph.item_entity >= 0)
    owner, edge = graph.adjacency.edges(graph.item_entity[rows])
    return rows[owner], edge


def _as_columns(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Labels as one column a class, NaN rows where there is none, [I, C]."""
    if values.ndim == 2:
        return values
    known = values[~np.isnan(values)]
    classes = np.unique(known)
    if np.array_equal(classes, [0, 1]):
        return values[:, None]
    columns = np.asarray(values[:, None] == classes, np.float32)
    columns[np.isnan(values)] = np.nan
    return columns


def _precision(
    owner: NDArray[np.int64], entity: NDArray[np.int32], labels: NDArray[np.float32], train: NDArray[np.bool_]
) -> tuple[float, float, int] | None:
    """Average precision, base and number of items; None where there are too few."""
    known: NDArray[np.bool_] = np.asarray(~np.isnan(labels).any(1))
    fits = known[owner] & train[owner]
    test = np.unique(owner[known[owner] & ~train[owner]])
    if len(test) < _FEWEST_ITEMS or not fits.any():
        return None
    share = labels[known & train].mean(0)
    entities, code = np.unique(entity, return_inverse=True)
    seen = np.zeros((len(entities), labels.shape[1]))
    np.add.at(seen, code[fits], labels[owner[fits]])
    likely = (seen + share) / (np.bincount(code[fits], minlength=len(entities)) + 1)[:, None]
    score = np.zeros((len(train), labels.shape[1]))
    np.maximum.at(score, owner, likely[code])
    truth = labels[test]
    held = truth.sum(0)
    usable = np.flatnonzero((held >= _FEWEST_OF_A_CLASS) & (held < len(test)))
    if not len(usable):
        return None
    precision = [average_precision_score(truth[:, c], score[test, c]) for c in usable]
    return float(np.mean(precision)), float(truth[:, usable].mean()), len(test)
