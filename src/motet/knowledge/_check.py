"""The report on a graph: what it holds, what is wrong with it, and which relations give labels away."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from motet.data import Account, Dataset
from motet.knowledge._graph import KnowledgeGraph
from motet.knowledge._leak import RelationLeak, relation_leaks
from motet.knowledge._read import read_knowledge

__all__ = ["KnowledgeReport", "RelationReport", "check_knowledge"]

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
        leaks: How well relations foretell the labels of tasks on items, the most telling first.
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
    account = Account()
    graph = read_knowledge(data.schema, directory, data.item_ids, account)
    leaks = relation_leaks(graph, data)
    linked = int((graph.item_entity >= 0).sum())
    findings = [str(finding) for finding in account]
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
        f"the relation '{leak.relation}' alone foretells task '{leak.task}' with an average precision of "
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
