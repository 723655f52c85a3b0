"""What a graph is worth: how much of the catalogue it covers, and which relations give a label away."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import CleaningReport, Dataset
from motet.graph._files import read_knowledge
from motet.graph._graph import KnowledgeGraph

__all__ = ["KnowledgeReport", "RelationLeak", "RelationReport", "check_knowledge", "relation_leaks"]

_FEWEST_ITEMS = 20
_FEWEST_OF_A_CLASS = 3
_GIVEN_AWAY = 0.5


@dataclass(frozen=True, slots=True)
class RelationLeak:
    """How well one relation predicts the labels of one task on items.

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
        """Share of what a blind guess misses that the relation alone predicts, (AP − base) / (1 − base)."""
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
                name_read = relation if code % 2 == 0 else graph.inverses[code // 2] or relation
                found.append(RelationLeak(name_read, name, *measured, hidden=relation in hidden))
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
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 (slow to import, only needed here)

    precision = [average_precision_score(truth[:, c], score[test, c]) for c in usable]
    return float(np.mean(precision)), float(truth[:, usable].mean()), len(test)


_MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class RelationReport:
    """One relation.

    Attributes:
        relation: Its name.
        inverse: The name of the same from the other side, or None.
        facts: How many facts it has.
        items: How many items have one.
        entities: How many different entities their facts name.
    """

    relation: str
    inverse: str | None
    facts: int
    items: int
    entities: int


@dataclass(frozen=True, slots=True)
class KnowledgeReport:
    """What ``motet check`` prints of a graph.

    Attributes:
        entities: Entities in it.
        facts: Facts, each once.
        items: Items of the catalogue.
        linked: Items that have facts.
        relations: Every relation.
        findings: What was found and what was done about it, a line each.
        leaks: How well relations predict the labels of tasks on items, the most telling first.
        warnings: What should be changed, a line each; empty when all is well.
    """

    entities: int
    facts: int
    items: int
    linked: int
    relations: list[RelationReport]
    findings: list[str]
    leaks: list[RelationLeak]
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)


def check_knowledge(directory: str | Path, data: Dataset) -> KnowledgeReport:
    """Read the graph of a data set's schema, and report on it.

    Args:
        directory: Where the files of the graph are.
        data: The data set it stands beside; its labels are looked at, not its interactions.

    Raises:
        KnowledgeError: If training could not read the graph either.
    """
    cleaning_report = CleaningReport()
    graph = read_knowledge(data.schema, directory, data.item_ids, cleaning_report)
    leaks = relation_leaks(graph, data)
    linked = int((graph.item_entity >= 0).sum())
    findings = [str(finding) for finding in cleaning_report]
    if linked < len(graph.item_entity):
        findings.append(
            f"{len(graph.item_entity) - linked:,} of {len(graph.item_entity):,} items have no facts"
        )
    one_way = [name for name, other in zip(graph.relations, graph.inverses, strict=True) if other is None]
    if one_way:
        findings.append(
            f"stated from one side only, which is fine: {', '.join(one_way[:_MOST_EXAMPLES])}"
            + (f" and {len(one_way) - _MOST_EXAMPLES} more" if len(one_way) > _MOST_EXAMPLES else "")
        )
    warnings = [
        f"the relation '{leak.relation}' alone predicts task '{leak.task}' with an average precision of "
        f"{leak.average_precision:.2f} (a blind guess: {leak.base:.2f}) and is not hidden from it: add it to "
        f"knowledge.hide.{leak.task}"
        for leak in leaks
        if leak.gives_away and not leak.hidden
    ]
    warnings += [
        f"every fact of '{name}' stands in '{other}' the other way round: say 'inverses: {{{name}: {other}}}'"
        for name, other in _contained(graph)
    ]
    return KnowledgeReport(
        entities=len(graph.index),
        facts=len(graph),
        items=len(graph.item_entity),
        linked=linked,
        relations=_relations(graph),
        findings=findings,
        leaks=leaks,
        warnings=warnings,
    )


def _relations(graph: KnowledgeGraph) -> list[RelationReport]:
    facts = np.bincount(graph.relation, minlength=len(graph.relations))
    reports = []
    for code, (name, inverse) in enumerate(zip(graph.relations, graph.inverses, strict=True)):
        heads, tails = graph.heads[graph.relation == code], graph.tails[graph.relation == code]
        ends = np.concatenate([np.stack([heads, tails]), np.stack([tails, heads])], 1)
        ends = ends[:, graph.entity_item[ends[0]] >= 0]
        items, entities = (len(np.unique(end)) for end in ends)
        reports.append(RelationReport(name, inverse, int(facts[code]), items, entities))
    return reports


def _contained(graph: KnowledgeGraph) -> list[tuple[str, str]]:
    """Relations without an inverse whose reversed facts are all facts of one other relation."""
    table = pl.DataFrame({"head": graph.heads, "tail": graph.tails, "relation": graph.relation})
    alone = [code for code, other in enumerate(graph.inverses) if other is None]
    turned = table.filter(pl.col("relation").is_in(alone)).rename({"head": "tail", "tail": "head"})
    both = turned.join(table, on=["head", "tail"], suffix="_of").filter(
        pl.col("relation") != pl.col("relation_of")
    )
    counts = both.group_by("relation", "relation_of").len().sort("relation", "relation_of")
    facts = np.bincount(graph.relation, minlength=len(graph.relations))
    return [
        (graph.relations[code], graph.relations[other])
        for code, other, n in counts.iter_rows()
        if n == facts[code] and n > 1
    ]
