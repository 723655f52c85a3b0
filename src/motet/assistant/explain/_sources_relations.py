"""Claims from how items stand to others: near in the model, liked by the same users, joined by a fact of the graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from motet.assistant.explain._claim import (
    LEAST_COSINE,
    MOST_NAMED,
    PRIVACY,
    Basis,
    Claim,
    Mention,
    lift,
    surprise,
)
from motet.assistant.explain._evidence import EvidenceIndex, Taste
from motet.graph import Fact, KnowledgeGraph

__all__ = [
    "Facts",
    "LikedByMany",
    "Nearest",
    "Others",
    "SharedFacts",
    "SimilarItems",
    "near_claim",
    "near_enough",
    "top_of",
]

_LENGTH = 60  # characters of titles that one sentence bears


def near_enough(items: int) -> int:
    """How many items count as near to one: 1 % of the catalogue, from 5 to 50, never half of it.

    Example:
        >>> near_enough(1682), near_enough(100), near_enough(6)
        (16, 5, 3)
    """
    return max(1, min(50, max(5, items // 100), items // 2))


class Nearest:
    """Liked items among the few that are nearest to this one in the whole catalogue."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        if not len(taste.liked):
            return []
        cosines = evidence.vectors @ evidence.vectors[item]
        cosines[item] = -np.inf
        within = near_enough(evidence.items)
        liked = taste.liked[np.argsort(-cosines[taste.liked], kind="stable")][:within]
        ranks = [1 + int((cosines > cosines[row]).sum()) for row in liked]
        near = [
            (int(row), float(cosines[row]))
            for row, rank in zip(liked, ranks, strict=True)
            if rank <= within and cosines[row] >= LEAST_COSINE
        ]
        if not near:
            return []
        empty = Claim("near", item, taste.user, "near", True, (), (("within", within),), 0.0)
        return [near_claim(evidence, empty, near)]

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        named, rows = {mention.row for mention in claim.of("liked")}, list(claim.support.rows)
        known = named <= set(rows) <= set(taste.liked.tolist())
        return known and claim.support.count == len(rows) and _are_near(evidence, claim, rows, "near")


class SimilarItems:
    """The items nearest to this one, for any user."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        cosines = evidence.vectors @ evidence.vectors[item]
        cosines[item] = -np.inf
        if evidence.shown is not None:
            cosines[~evidence.shown] = -np.inf
        within = near_enough(evidence.items)
        best = np.argsort(-cosines, kind="stable")[: min(MOST_NAMED, within)]
        best = best[cosines[best] >= LEAST_COSINE]
        if not len(best):
            return []
        return [
            Claim(
                "similar",
                item,
                -1,
                "near",
                True,
                tuple(Mention("item", evidence.item_id(int(row)), row=int(row)) for row in best),
                (("within", within),),
                0.5,
                Basis(
                    tuple(int(row) for row in best),
                    len(best),
                    tuple(round(float(cosines[row]), 4) for row in best),
                ),
            )
        ]

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        return _are_near(evidence, claim, [mention.row for mention in claim.of("item")], "near")


def near_claim(evidence: EvidenceIndex, claim: Claim, near: list[tuple[int, float]]) -> Claim:
    """A claim that names the first few of some near items and rests on all of them.

    Args:
        evidence: What is known.
        claim: For everything else it says.
        near: Row and cosine of each.
    """
    named = [row for row, _ in near[:MOST_NAMED]]
    while len(named) > 1 and sum(len(evidence.titles[row]) for row in named) > _LENGTH:
        named.pop()
    return replace(
        claim,
        mentions=tuple(Mention("liked", evidence.item_id(row), row=row) for row in named),
        strength=min(0.9, 0.35 + 0.1 * len(named) + 0.35 * max(cosine for _, cosine in near[: len(named)])),
        support=Basis(
            tuple(row for row, _ in near), len(near), tuple(round(cosine, 4) for _, cosine in near)
        ),
    )


def _are_near(evidence: EvidenceIndex, claim: Claim, rows: list[int], relation: str) -> bool:
    if not rows or not claim.polarity or claim.relation != relation or claim.item in rows:
        return False
    if claim.number("within") != near_enough(evidence.items) or claim.support.rows != tuple(rows):
        return False
    if not claim.mentions or any(mention.key != evidence.item_id(mention.row) for mention in claim.mentions):
        return False
    within = int(claim.number("within"))
    # of unit length: |a - b|² = 2 - 2 cos
    apart = np.linalg.norm(evidence.vectors - evidence.vectors[claim.item], axis=1)
    others = np.delete(np.arange(evidence.items), claim.item)
    # a tie or a rounding may move an item by a place: it is near if so few are clearly nearer
    return all(
        int((apart[others] < apart[row] - 1e-5).sum()) < within
        and abs(1 - apart[row] ** 2 / 2 - weight) < 1e-3
        and 1 - apart[row] ** 2 / 2 >= LEAST_COSINE - 1e-3
        for row, weight in zip(rows, claim.support.weights, strict=True)
    )


_LEAST_LIFT, _FEWEST = 1.3, 20
_MANY, _SOME = 0.15, 0.1  # a smaller part than the first is said only where it is twice the usual one
_MOST_ANCHORS = 300  # of the liked items, the latest
_CLAIMS = 8  # of which what moved the score chooses
_TOPS = (10, 20, 50, 100, 200, 500, 1000)


class Others:
    """Of the n others who liked an item that the user liked, b liked this one: more than usual."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        likers = evidence.likers_of(item, but=taste.user)
        crowd = evidence.active - int(len(evidence.liked_in_bundle(taste.user)) > 0)
        if len(likers) < PRIVACY or crowd <= 0 or not len(taste.liked):
            return []
        anchors = taste.liked[::-1][:_MOST_ANCHORS]
        here = np.zeros(evidence.users, np.int32)
        here[likers] = 1
        part = evidence.likers[:, anchors]
        both = np.asarray(part.T @ here).ravel()
        # the user is not counted
        of = evidence.popularity[anchors] - np.isin(anchors, evidence.liked_in_bundle(taste.user))
        usual = len(likers) / crowd
        found = []
        for row, b, n in zip(anchors.tolist(), both.tolist(), of.tolist(), strict=True):
            times = lift(b, n, usual)
            if (
                b >= PRIVACY
                and n >= _FEWEST
                and times >= _LEAST_LIFT
                and b >= (_SOME if times >= 2 else _MANY) * n
            ):
                # of those who liked it by chance few would: a large part of them says more than a large multiple
                weight = 0.6 + 0.4 * min(1.0, b / n / 0.4)
                found.append((weight * surprise(b, n, usual), row, b, n, times))
        found.sort(key=lambda one: (-one[0], one[1]))
        return [
            Claim(
                "others",
                item,
                taste.user,
                "liked_by_likers_of",
                True,
                (Mention("liked", evidence.item_id(row), row=row),),
                (("found", b), ("of", n), ("times", times)),
                strength,
                Basis((row,), b),
            )
            for strength, row, b, n, times in found[:_CLAIMS]
        ]

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        if len(claim.mentions) != 1 or not claim.polarity or claim.relation != "liked_by_likers_of":
            return False
        row = claim.mentions[0].row
        if row not in taste.liked.tolist() or claim.mentions[0].key != evidence.item_id(row):
            return False
        of = set(evidence.likers_of(row).tolist()) - {taste.user}
        here = set(evidence.likers_of(claim.item).tolist()) - {taste.user}
        crowd = set(evidence.likers.indices.tolist()) - {taste.user}
        both = len(of & here)
        times = lift(both, len(of), len(here) / len(crowd))
        return (
            (both, len(of), times) == (claim.number("found"), claim.number("of"), claim.number("times"))
            and claim.support == Basis((row,), both)
            and both >= PRIVACY
            and len(of) >= _FEWEST
            and times >= _LEAST_LIFT
        )


class LikedByMany:
    """How many users liked it, and among how many of the most liked it is."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        likers = int(evidence.popularity[item])
        top = top_of(int((evidence.popularity > likers).sum()) + 1, evidence.items)
        if likers < PRIVACY:
            return []
        return [
            Claim(
                "popular",
                item,
                -1,
                "liked_by",
                True,
                (),
                (("found", likers), ("top", top)),
                0.25 if top else 0.1,
                Basis((), likers),
            )
        ]

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        likers = len(set(evidence.likers_of(claim.item).tolist()))
        more = sum(int(count) > likers for count in evidence.popularity)
        return (
            claim.polarity
            and claim.relation == "liked_by"
            and not claim.mentions
            and likers == claim.number("found") == claim.support.count >= PRIVACY
            and claim.number("top") == top_of(more + 1, evidence.items)
        )


def top_of(rank: int, items: int) -> int:
    """The smallest round number that a rank is within, 0 where that is more than a tenth of the catalogue.

    Example:
        >>> top_of(17, 1682), top_of(500, 1682), top_of(2, 30)
        (20, 0, 0)
    """
    return next((top for top in _TOPS if rank <= top <= items / 10), 0)


_PATHS = 12
_HUB = 0.2  # a fact that holds for more of the catalogue says nothing
_SHARED_FACTS = 3
_INFORMATIVE = 0.65  # weight of a relation of which two facts on average share one entity
_MOST_FACTS = 6  # facts of a description


class SharedFacts:
    """The item has a fact in common with liked items: the same director, or it is a sequel to one."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        if evidence.graph is None or not len(taste.liked):
            return []
        found: dict[tuple[str, bool, str], list[tuple[float, int, Fact]]] = {}
        for path in evidence.graph.paths(taste.liked, item, k=_PATHS, max_hops=2):
            direct = len(path.steps) == 1
            if not direct and (not path.is_shared or path.last.frequency > _HUB * evidence.items):
                continue
            fact = path.last
            found.setdefault((fact.relation, fact.forward, fact.entity), []).append(
                (path.score, path.history_row, fact)
            )
        claims = []
        for (relation, forward, _), paths in found.items():
            fact = paths[0][2]
            if evidence.graph.said(relation, "en", forward) is None:  # there are no words for it
                continue
            if fact.name is None and fact.item_row is None and not _informs_unnamed(evidence.graph, relation):
                continue
            direct = fact.item_row is not None and fact.item_row in {row for _, row, _ in paths}
            rows = tuple(dict.fromkeys(row for _, row, _ in paths))
            entity = () if direct else (_mention(evidence, fact),)
            claims.append(
                Claim(
                    "fact",
                    item,
                    taste.user,
                    relation,
                    True,
                    entity
                    + tuple(Mention("liked", evidence.item_id(row), row=row) for row in rows[:MOST_NAMED]),
                    (("found", len(rows)),),
                    _strength(max(score for score, _, _ in paths), direct, len(rows)),
                    Basis(rows[:MOST_NAMED], len(rows), (round(paths[0][0], 4),)),
                )
            )
        claims.sort(key=lambda claim: -claim.strength)
        return claims[:_SHARED_FACTS]

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        graph, named = evidence.graph, claim.of("liked")
        if graph is None or not named or not claim.polarity:
            return False
        if {mention.row for mention in named} - set(taste.liked.tolist()):
            return False
        if any(mention.key != evidence.item_id(mention.row) for mention in named):
            return False
        here = _entity_of(evidence, claim.item)
        entities = claim.of("entity")
        if here is None or len(entities) > 1:
            return False
        ends = [_entity_of(evidence, mention.row) for mention in named]
        if not entities:
            return all(end is not None and graph.holds(here, claim.relation, True, end) for end in ends)
        if entities[0] != _mention_of(evidence, entities[0].key):
            return False
        shared = entities[0].key
        return all(
            end is not None and graph.holds(end, claim.relation, True, shared) for end in (here, *ends)
        )


class Facts:
    """What the graph says of the item, in the relations that have words."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        if evidence.graph is None:
            return []
        by_relation: dict[str, list[Fact]] = {}
        for fact in evidence.graph.facts(item):
            named = fact.name is not None or fact.item_row is not None
            if fact.forward and named and evidence.graph.said(fact.relation) is not None:
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
                    tuple(_mention(evidence, fact) for fact in rarest),
                    (),
                    1 / (1 + min(fact.frequency for fact in rarest)),
                    Basis((), len(facts)),
                )
            )
        claims.sort(key=lambda claim: -claim.strength)
        return claims[:_MOST_FACTS]

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        here = _entity_of(evidence, claim.item)
        if evidence.graph is None or here is None or not claim.mentions or not claim.polarity:
            return False
        return all(
            mention == _mention_of(evidence, mention.key)
            and evidence.graph.holds(here, claim.relation, True, mention.key)
            for mention in claim.mentions
        )


def _informs_unnamed(graph: KnowledgeGraph, relation: str) -> bool:
    """Whether to share an entity without a name says anything: a director does, a language does not.

    Every film has a language, and few share each director: it is for the relation's entities to be rare.
    """
    at = 2 * graph.relations.index(relation) if relation in graph.relations else None
    return at is not None and float(graph.adjacency.side_weight[at]) >= _INFORMATIVE


def _strength(score: float, direct: bool, rows: int) -> float:
    return min(1.0, (0.75 if direct else 0.35) + 0.5 * min(score, 0.5) + 0.05 * min(rows, 3))


def _mention(evidence: EvidenceIndex, fact: Fact) -> Mention:
    if fact.item_row is not None:
        return Mention("entity", fact.entity, row=fact.item_row, name=evidence.titles[fact.item_row])
    return Mention("entity", fact.entity, name=fact.name or "")


def _mention_of(evidence: EvidenceIndex, entity: str) -> Mention:
    """How an entity is to be named, looked up by its id alone."""
    graph = evidence.graph
    at = -1 if graph is None else _row_of(evidence, entity)
    if graph is None or at < 0:
        return Mention("entity", entity, row=-2)
    item = int(graph.entity_item[at])
    if item >= 0:
        return Mention("entity", entity, row=item, name=evidence.titles[item])
    return Mention("entity", entity, name=graph.names[at] or "")


def _row_of(evidence: EvidenceIndex, entity: str) -> int:
    return -1 if evidence.graph is None else int(evidence.graph.index.rows(pl.Series([entity]))[0])


def _entity_of(evidence: EvidenceIndex, item: int) -> str | None:
    """Id of the entity that an item is."""
    if evidence.graph is None:
        return None
    at = evidence.graph.entity_of(item)
    return None if at < 0 else str(evidence.graph.index.words[at])
