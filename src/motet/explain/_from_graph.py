"""Facts of the knowledge graph: those that the item shares with liked items, and those about it alone."""

from __future__ import annotations

import polars as pl

from motet.explain._claim import Basis, Claim, Mention
from motet.explain._ground import Ground, Taste
from motet.explain._source import MOST_NAMED
from motet.knowledge import Fact, KnowledgeGraph

__all__ = ["Facts", "SharedFacts"]

_PATHS = 12
_HUB = 0.2  # a fact that holds for more of the catalogue says nothing
_CLAIMS = 3
_TELLING = 0.65  # weight of a relation of which two facts on average share one entity
_TOLD = 6  # facts of a description


class SharedFacts:
    """The item has a fact in common with liked items: the same director, or it is a sequel to one."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        if ground.graph is None or not len(taste.liked):
            return []
        found: dict[tuple[str, bool, str], list[tuple[float, int, Fact]]] = {}
        for path in ground.graph.paths(taste.liked, item, k=_PATHS, max_hops=2):
            direct = len(path.steps) == 1
            if not direct and (not path.is_shared or path.last.frequency > _HUB * ground.items):
                continue
            fact = path.last
            found.setdefault((fact.relation, fact.forward, fact.entity), []).append(
                (path.score, path.history_row, fact)
            )
        claims = []
        for (relation, forward, _), paths in found.items():
            fact = paths[0][2]
            if ground.graph.said(relation, "en", forward) is None:  # nobody said how to say it
                continue
            if fact.name is None and fact.item_row is None and not _tells_unnamed(ground.graph, relation):
                continue
            direct = fact.item_row is not None and fact.item_row in {row for _, row, _ in paths}
            rows = tuple(dict.fromkeys(row for _, row, _ in paths))
            entity = () if direct else (_mention(ground, fact),)
            claims.append(
                Claim(
                    "fact",
                    item,
                    taste.user,
                    relation,
                    True,
                    entity
                    + tuple(Mention("liked", ground.item_id(row), row=row) for row in rows[:MOST_NAMED]),
                    (("found", len(rows)),),
                    _strength(max(score for score, _, _ in paths), direct, len(rows)),
                    Basis(rows[:MOST_NAMED], len(rows), (round(paths[0][0], 4),)),
                )
            )
        claims.sort(key=lambda claim: -claim.strength)
        return claims[:_CLAIMS]

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        graph, named = ground.graph, claim.of("liked")
        if graph is None or not named or not claim.polarity:
            return False
        if {mention.row for mention in named} - set(taste.liked.tolist()):
            return False
        if any(mention.key != ground.item_id(mention.row) for mention in named):
            return False
        here = _entity_of(ground, claim.item)
        entities = claim.of("entity")
        if here is None or len(entities) > 1:
            return False
        ends = [_entity_of(ground, mention.row) for mention in named]
        if not entities:
            return all(end is not None and graph.holds(here, claim.relation, True, end) for end in ends)
        if entities[0] != _mention_of(ground, entities[0].key):
            return False
        shared = entities[0].key
        return all(
            end is not None and graph.holds(end, claim.relation, True, shared) for end in (here, *ends)
        )


class Facts:
    """What the graph says of the item, in the relations that somebody gave words to."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        if ground.graph is None:
            return []
        by_relation: dict[str, list[Fact]] = {}
        for fact in ground.graph.facts(item):
            named = fact.name is not None or fact.item_row is not None
            if fact.forward and named and ground.graph.said(fact.relation) is not None:
                by_relation.setdefault(fact.relation, []).append(fact)
        claims = []
        for relation, facts in by_relation.items():
            rarest = sorted(facts, key=lambda fact: (fact.frequency, fact.entity))[:MOST_NAMED]
            claims.append(
                Claim(
                    "says",
                    item,
                    -1,
                    relation,
                    True,
                    tuple(_mention(ground, fact) for fact in rarest),
                    (),
                    1 / (1 + min(fact.frequency for fact in rarest)),
                    Basis((), len(facts)),
                )
            )
        claims.sort(key=lambda claim: -claim.strength)
        return claims[:_TOLD]

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        here = _entity_of(ground, claim.item)
        if ground.graph is None or here is None or not claim.mentions or not claim.polarity:
            return False
        return all(
            mention == _mention_of(ground, mention.key)
            and ground.graph.holds(here, claim.relation, True, mention.key)
            for mention in claim.mentions
        )


def _tells_unnamed(graph: KnowledgeGraph, relation: str) -> bool:
    """Whether to share an entity without a name says anything: a director does, a language does not.

    Every film has a language, and few share each director: it is for the relation's entities to be rare.
    """
    at = 2 * graph.relations.index(relation) if relation in graph.relations else None
    return at is not None and float(graph.adjacency.side_weight[at]) >= _TELLING


def _strength(score: float, direct: bool, rows: int) -> float:
    return min(1.0, (0.75 if direct else 0.35) + 0.5 * min(score, 0.5) + 0.05 * min(rows, 3))


def _mention(ground: Ground, fact: Fact) -> Mention:
    if fact.item_row is not None:
        return Mention("entity", fact.entity, row=fact.item_row, name=ground.titles[fact.item_row])
    return Mention("entity", fact.entity, name=fact.name or "")


def _mention_of(ground: Ground, entity: str) -> Mention:
    """How an entity is to be named, looked up by its id alone."""
    graph = ground.graph
    at = -1 if graph is None else _row_of(ground, entity)
    if graph is None or at < 0:
        return Mention("entity", entity, row=-2)
    item = int(graph.entity_item[at])
    if item >= 0:
        return Mention("entity", entity, row=item, name=ground.titles[item])
    return Mention("entity", entity, name=graph.names[at] or "")


def _row_of(ground: Ground, entity: str) -> int:
    return -1 if ground.graph is None else int(ground.graph.index.rows(pl.Series([entity]))[0])


def _entity_of(ground: Ground, item: int) -> str | None:
    """Id of the entity that an item is."""
    if ground.graph is None:
        return None
    at = ground.graph.entity_of(item)
    return None if at < 0 else str(ground.graph.index.words[at])
