"""What the graph says: facts of an item, facts that two items share, paths between items."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Fact", "Path", "SharedFact"]


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
