"""A knowledge graph beside a catalogue: facts of items, what items share, and paths between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from motet.data import IdIndex
from motet.errors import KnowledgeError
from motet.graph._adjacency import Adjacency, find_paths

__all__ = ["Fact", "KnowledgeGraph", "Path", "SharedFact"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about a subject, read from the subject's side.

    Attributes:
        relation: Name of the relation. A fact that is stated from the other side bears the inverse
            relation's name where there is one.
        forward: Whether it reads subject → entity; False where the graph states entity → subject and
            has no name for the inverse.
        entity: Id of the other entity.
        name: Its name, or None where the graph has none.
        item_row: Row of the item that this entity is, or None.
        frequency: How many items of the catalogue this very fact holds for (the same relation, side and
            entity); at least 1 where the subject is an item.
    """

    relation: str
    forward: bool
    entity: str
    name: str | None
    item_row: int | None
    frequency: int


@dataclass(frozen=True, slots=True)
class SharedFact:
    """A fact that holds for two items.

    Attributes:
        fact: The fact; it reads the same for both.
        score: Informativeness, 0 to 1: the rarer the entity and the more telling the relation, the higher.
    """

    fact: Fact
    score: float


@dataclass(frozen=True, slots=True)
class Path:
    """A chain of facts from an item of a history to another item.

    Attributes:
        history_row: Row of the item it starts at.
        item_row: Row of the item it ends at.
        steps: The walk: the first fact is of the history item, each further one of the entity that the
            one before has reached; the last one's entity is the item.
        last: The last step read from the item's side: a fact of the item, whose entity the walk came
            through. A path of two steps says that ``steps[0]`` holds for the history item and ``last``
            for the item, with the same entity.
        score: Informativeness times the weight of the history item.
    """

    history_row: int
    item_row: int
    steps: tuple[Fact, ...]
    last: Fact
    score: float

    @property
    def is_shared(self) -> bool:
        """Whether both items have the very same fact: the same director, not director here and writer there."""
        first = self.steps[0]
        return len(self.steps) == 2 and (first.relation, first.forward) == (
            self.last.relation,
            self.last.forward,
        )


@dataclass(frozen=True, slots=True)
class KnowledgeGraph:
    """Facts about the items of a catalogue, each once, and the entities they speak of.

    Legend of shapes: E entities, R relations, F facts, I items.

    Attributes:
        index: Ids of the entities, in row order.
        names: Name of each entity, null where it has none, [E].
        relations: Names of the relations, [R].
        inverses: For each the name of the same relation from the other side; its own name if it reads
            the same from both, None if it has none.
        aliases: Every relation of the triples that was folded into its inverse, and that one.
        words: Words of relations (inverses included) per language.
        heads: Head of each fact, int32 [F].
        relation: Its relation, int32 [F].
        tails: Its tail, int32 [F].
        item_entity: Entity of each item, −1 where it is not linked, int32 [I].
        entity_item: Item of each entity, −1 where it is none; the first, if several items are one entity,
            int32 [E].
        adjacency: The facts as edges.
    """

    index: IdIndex
    names: pl.Series
    relations: tuple[str, ...]
    inverses: tuple[str | None, ...]
    aliases: Mapping[str, str]
    words: Mapping[str, Mapping[str, str]]
    heads: NDArray[np.int32]
    relation: NDArray[np.int32]
    tails: NDArray[np.int32]
    item_entity: NDArray[np.int32]
    entity_item: NDArray[np.int32]
    adjacency: Adjacency

    @classmethod
    def build(
        cls,
        *,
        index: IdIndex,
        names: pl.Series,
        relations: Sequence[str],
        inverses: Sequence[str | None],
        aliases: Mapping[str, str],
        words: Mapping[str, Mapping[str, str]],
        heads: NDArray[np.int32],
        relation: NDArray[np.int32],
        tails: NDArray[np.int32],
        item_entity: NDArray[np.int32],
    ) -> KnowledgeGraph:
        """Put a graph together; arguments as the attributes of the same name."""
        linked = np.flatnonzero(item_entity >= 0)
        entity_item = np.full(len(index), -1, np.int32)
        entity_item[item_entity[linked][::-1]] = linked[::-1]
        symmetric = np.array([a == b for a, b in zip(relations, inverses, strict=True)], bool)
        adjacency = Adjacency.build(
            heads, relation, tails, symmetric=symmetric, is_item=np.asarray(entity_item >= 0)
        )
        return cls(
            index=index,
            names=names,
            relations=tuple(relations),
            inverses=tuple(inverses),
            aliases=aliases,
            words=words,
            heads=heads,
            relation=relation,
            tails=tails,
            item_entity=item_entity,
            entity_item=entity_item,
            adjacency=adjacency,
        )

    def __len__(self) -> int:
        """Number of facts."""
        return len(self.heads)

    def facts(self, item_row: int) -> list[Fact]:
        """Everything that the graph says of an item, relation by relation.

        Args:
            item_row: Row of the item; one beyond the rows of the graph has no facts.

        Raises:
            KnowledgeError: If the row is negative.
        """
        entity = self.entity_of(item_row)
        if entity < 0:
            return []
        start, stop = self.adjacency.offsets[entity : entity + 2]
        return [self._fact(edge) for edge in range(int(start), int(stop))]

    def shared(self, item_a: int, item_b: int) -> list[SharedFact]:
        """Facts that hold for both of two items, the most informative first.

        Args:
            item_a: Row of one item.
            item_b: Row of the other.

        Raises:
            KnowledgeError: If a row is negative.
        """
        a, b = self.entity_of(item_a), self.entity_of(item_b)
        if a < 0 or b < 0 or a == b:
            return []
        adjacency = self.adjacency
        of_a = np.arange(*adjacency.offsets[a : a + 2])
        of_b = np.arange(*adjacency.offsets[b : b + 2])
        n = len(self.index)
        key_a, key_b = (adjacency.side[e] * np.int64(n) + adjacency.entity[e] for e in (of_a, of_b))
        both = of_a[np.isin(key_a, key_b)]
        score = adjacency.entity_weight[adjacency.entity[both]] * adjacency.side_weight[adjacency.side[both]]
        order = np.lexsort((both, -score))
        return [SharedFact(self._fact(int(both[at])), float(score[at])) for at in order]

    def paths(
        self,
        history_rows: ArrayLike,
        item_row: int,
        k: int = 10,
        max_hops: int = 2,
        weights: ArrayLike | None = None,
    ) -> list[Path]:
        """The most informative chains of facts from the items of a history to an item.

        See ``_paths.find_paths`` for the score. Of several relations between the same two
        entities one is given. An item that stands in the history twice is taken with its larger weight,
        and the item itself is left out.

        Args:
            history_rows: Rows of the items a user has had, [H].
            item_row: Row of the item.
            k: Paths at the most, from 0.
            max_hops: Steps at the most: 1 (a direct fact), 2 (one entity in between) or 3.
            weights: How much each item of the history counts, such as its recency, [H]; 1 when left out.

        Raises:
            KnowledgeError: If a row is negative, or a number is out of range.
        """
        rows = np.asarray(history_rows, np.int64).reshape(-1)
        weight = np.ones(len(rows), np.float32) if weights is None else np.asarray(weights, np.float32)
        if weight.shape != rows.shape or not np.isfinite(weight).all():
            raise KnowledgeError(
                f"weights of shape {list(weight.shape)} for {len(rows)} items, or one that is not finite",
                "give one number an item of the history",
            )
        if len(rows) and rows.min() < 0:
            raise KnowledgeError(
                f"the history holds item row {rows.min()}", "give rows of the catalogue, from 0"
            )
        if max_hops not in (1, 2, 3) or k < 0:
            raise KnowledgeError(f"max_hops is {max_hops} and k is {k}", "give 1, 2 or 3, and k from 0")
        linked = rows < len(self.item_entity)  # items added after training have no facts
        rows, weight = rows[linked], weight[linked]
        target = self.entity_of(item_row)
        if target < 0 or not k or not len(rows):
            return []
        order = np.lexsort((np.arange(len(rows)), -weight, rows))
        _, first = np.unique(rows[order], return_index=True)
        rows, weight = rows[order][first], weight[order][first]
        found = find_paths(self.adjacency, self.item_entity[rows], weight, target, k=k, max_hops=max_hops)
        return [
            self._path(int(rows[source]), item_row, edges, float(score))
            for source, edges, score in zip(found.source, found.edges.tolist(), found.score, strict=True)
        ]

    def holds(self, subject: str, relation: str, forward: bool, entity: str) -> bool:
        """Whether the graph states a fact, from whichever side it is stated.

        Args:
            subject: Id of the entity the fact is of.
            relation: Name of the relation, or of its inverse.
            forward: Whether it reads subject → entity.
            entity: Id of the other entity.
        """
        a, b = self.index.rows(pl.Series([subject, entity])).tolist()
        side = self._side(relation, forward)
        if a < 0 or b < 0 or side is None:
            return False
        edges = np.arange(*self.adjacency.offsets[a : a + 2])
        return bool(((self.adjacency.entity[edges] == b) & (self.adjacency.side[edges] == side)).any())

    def items_with(self, entity: str, relation: str | None = None) -> NDArray[np.int32]:
        """Rows of the items that have a fact with an entity, in order.

        Args:
            entity: Id of the entity.
            relation: Name of the relation as read from the item's side; any when left out.
        """
        row = int(self.index.rows(pl.Series([entity]))[0])
        if row < 0:
            return np.zeros(0, np.int32)
        edges = np.arange(*self.adjacency.offsets[row : row + 2])
        if relation is not None:
            side = self._side(relation, True)
            if side is None:
                return np.zeros(0, np.int32)
            edges = edges[self.adjacency.side[edges] == self._flip(side)]
        reached = np.zeros(len(self.index), bool)
        reached[self.adjacency.entity[edges]] = True
        linked = self.item_entity >= 0
        return np.flatnonzero(linked & reached[np.where(linked, self.item_entity, 0)]).astype(np.int32)

    def said(self, relation: str, language: str = "en", forward: bool = True) -> str | None:
        """Words of a relation, from the schema; None where there are none in that language.

        Args:
            relation: Name of the relation or of an inverse.
            language: ``en``, ``zh`` …
            forward: Whether it is read subject → entity; the other way only an inverse has words.
        """
        return self.words.get(relation, {}).get(language) if forward else None

    def entity_of(self, item_row: int) -> int:
        """Entity of an item; −1 where it is not linked.

        A catalogue grows while it is served: an item beyond the rows of the graph was added after
        training, so nothing links it and it has no facts.

        Args:
            item_row: Row of the item.

        Raises:
            KnowledgeError: If the row is negative.
        """
        if item_row < 0:
            raise KnowledgeError(f"there is no item row {item_row}", "give a row of the catalogue, from 0")
        return int(self.item_entity[item_row]) if item_row < len(self.item_entity) else -1

    def _side(self, relation: str, forward: bool) -> int | None:
        """The side of edges that a relation, or the name of an inverse, is read from."""
        if relation in self.relations:
            side = 2 * self.relations.index(relation)
        elif relation in self.aliases:
            side = 2 * self.relations.index(self.aliases[relation]) + 1
        else:
            return None
        return side if forward else self._flip(side)

    def _flip(self, side: int) -> int:
        relation = side // 2
        return side if self.inverses[relation] == self.relations[relation] else side ^ 1

    def _fact(self, edge: int) -> Fact:
        side, entity = int(self.adjacency.side[edge]), int(self.adjacency.entity[edge])
        relation, inverse = self.relations[side // 2], self.inverses[side // 2]
        item = int(self.entity_item[entity])
        return Fact(
            relation=relation if side % 2 == 0 or inverse is None else inverse,
            forward=side % 2 == 0 or inverse is not None,
            entity=str(self.index.words[entity]),
            name=self.names[entity],
            item_row=item if item >= 0 else None,
            frequency=int(self.adjacency.frequency[edge]),
        )

    def _reversed(self, edge: int, source: int) -> int:
        """The same fact's edge from the other end; ``source`` is where this one leaves."""
        entity, side = int(self.adjacency.entity[edge]), self._flip(int(self.adjacency.side[edge]))
        edges = np.arange(*self.adjacency.offsets[entity : entity + 2])
        same = (self.adjacency.entity[edges] == source) & (self.adjacency.side[edges] == side)
        return int(edges[np.flatnonzero(same)[0]])

    def _path(self, history_row: int, item_row: int, edges: Sequence[int], score: float) -> Path:
        """A path of :func:`find_paths` as facts: its last edges are read from the item's side."""
        first, middle, last = edges
        start, target = int(self.item_entity[history_row]), int(self.item_entity[item_row])
        if last < 0:
            return Path(
                history_row, item_row, (self._fact(first),), self._fact(self._reversed(first, start)), score
            )
        steps = [first]
        through = int(self.adjacency.entity[last])
        if middle >= 0:
            steps.append(self._reversed(middle, through))
        steps.append(self._reversed(last, target))
        return Path(history_row, item_row, tuple(map(self._fact, steps)), self._fact(last), score)
