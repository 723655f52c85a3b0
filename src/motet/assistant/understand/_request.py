"""Requests: what was asked for, typed and validated, and what has been read of it so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias, get_args

from pydantic import Field, model_validator

from motet.schema import Language, Part

__all__ = [
    "TONES",
    "FactWanted",
    "Language",
    "Range",
    "Reader",
    "Reading",
    "Request",
    "Tag",
    "TagQuota",
    "TagSaid",
    "Tone",
    "Understanding",
]

Tone: TypeAlias = Literal["plain", "warm", "brief"]
"""How an answer sounds."""
TONES: Final[tuple[Tone, ...]] = get_args(Tone)
"""All of them, the default first."""


class Tag(Part):
    """A value of a column of tags or categories.

    Attributes:
        column: Column of the catalogue.
        value: As it stands in the catalogue.
    """

    column: str
    value: str


class FactWanted(Part):
    """A fact of the knowledge graph, such as "directed by" an entity.

    Attributes:
        entity: Its id in the graph.
        relation: Through which the item hangs on it; any when left out.
        words: The words of the request that name it.
    """

    entity: str
    relation: str | None = None
    words: str = ""


class Range(Part):
    """Limits of a column of numbers, both inclusive; one may be open.

    Attributes:
        column: Column of the catalogue.
        low: Lowest value.
        high: Highest value.
    """

    column: str
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if self.low is None and self.high is None:
            raise ValueError("a range needs a lowest or a highest value")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the range {self.low:g} to {self.high:g} is empty")
        return self


class TagQuota(Part):
    """How many items of an answer have some tags: "two funny westerns", "at most 2 action".

    Attributes:
        tags: An item counts that has all of these.
        low: At least so many, ≥ 1.
        high: At most so many, ≥ 0.
    """

    tags: tuple[Tag, ...] = Field(min_length=1)
    low: int | None = Field(None, ge=1, le=100)
    high: int | None = Field(None, ge=0, le=100)

    @model_validator(mode="after")
    def _says_something(self) -> TagQuota:
        if self.low is None and self.high is None:
            raise ValueError("a quota needs a lowest or a highest number of items")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the quota {self.low} to {self.high} is empty")
        return self


class Request(Part):
    """A request in words, understood.

    The hard parts are ``must``, ``must_not``, ``ranges``, ``facts``, ``facts_not``, ``without`` and
    ``count``: no answer may break them. ``prefer``, ``wants`` and ``like`` move items up and down.

    Attributes:
        text: What was said, cleaned; only to be shown.
        language: Language of the request, and of the answer.
        wants: Words that no slot took, for retrieval by meaning; empty if there are none.
        must: Each item has all of these.
        prefer: Items with more of these come first.
        must_not: No item has any of these.
        facts: Facts of the knowledge graph that each item has.
        facts_not: Facts that no item has.
        ranges: Limits of numbers, each kept by every item; an item whose number is missing is out. Two of one
            column contradict each other: "before 1950 and after 1990".
        like: Ids of items to be like; they are not answers themselves.
        without: Ids of items that must not come.
        count: Items asked for; None where it was not said.
        quotas: Parts of the answer that are counted; the items of different parts are different ones.
        total: Limits of the sum of a number over the whole answer, such as a budget.
        scenario: Where it is for, a scenario of the schema.
        tone: How the answer should sound.
        flags: Kinds of suspicious text that were found, and ignored.
        unmet: Parts that were understood but cannot be met, in words: the catalogue has no such column.
    """

    text: str = ""
    language: Language = "en"
    wants: str = ""
    must: tuple[Tag, ...] = ()
    prefer: tuple[Tag, ...] = ()
    must_not: tuple[Tag, ...] = ()
    facts: tuple[FactWanted, ...] = ()
    facts_not: tuple[FactWanted, ...] = ()
    ranges: tuple[Range, ...] = ()
    like: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    count: int | None = Field(None, ge=1, le=100)
    quotas: tuple[TagQuota, ...] = ()
    total: tuple[Range, ...] = ()
    scenario: str | None = None
    tone: Tone = "plain"
    flags: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _does_not_contradict_itself(self) -> Request:
        both = set(self.must) & set(self.must_not)
        if both:
            raise ValueError(f"'{next(iter(both)).value}' is both wanted and excluded")
        return self


@dataclass(frozen=True, slots=True)
class Understanding:
    """A request as it was understood.

    Attributes:
        request: What was understood.
        read_by: ``rules``, or the name of the language model whose answer was used where it could be checked.
        problem: Why a language model was not used though there is one; empty otherwise.
        agreed: What the language model said that the rules had read, too, as "slot: value".
        added: What it found beyond the rules.
        dropped: What it said that the request or the catalogue does not support.
    """

    request: Request
    read_by: str = "rules"
    problem: str = ""
    agreed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


class Reader(Protocol):
    """Understands requests in words."""

    def understand(
        self, text: str, previous: Request | None = None, shown: Sequence[str] = ()
    ) -> Understanding:
        """Understand what is said, on top of what was, perhaps about the items shown for that."""
        ...


@dataclass(slots=True)
class TagSaid:
    """A tag, and how it was said.

    Attributes:
        tags: What the words may mean; all of it, where two columns share a value.
        own: Whether it was said by its own name.
        excluded: Whether it must not be.
        hedged: Whether it was only wished for.
        at: Place of the item in the scan.
        words: How it was said.
        choice: Whether it is one of several things joined by "or".
    """

    tags: tuple[Tag, ...]
    own: bool
    excluded: bool
    hedged: bool
    at: int
    words: str
    choice: bool = False


@dataclass(slots=True)
class Reading:
    """Slots of a request while it is read; see :class:`motet.assistant.understand.Request`.

    Attributes:
        said: Tags in the order of the text.
        ranges: Limits by column.
        clashes: Two limits of a column that nothing keeps together.
        quotas: Parts of the answer that are counted.
        like: Rows to be like.
        without: Rows that must not come.
        seen: Rows that the user says to know.
        compared: Columns to be moved on, with +1 for more and −1 for less: "older", "cheaper".
        freed: Whether limits of numbers are lifted.
        also: Whether what is said now comes beside what was said before.
        again: Whether everything that was said before is forgotten.
        instead: Whether what is said now takes the place of what was said before.
    """

    said: list[TagSaid] = field(default_factory=list)
    facts: list[FactWanted] = field(default_factory=list)
    facts_not: list[FactWanted] = field(default_factory=list)
    ranges: dict[str, Range] = field(default_factory=dict)
    total: dict[str, Range] = field(default_factory=dict)
    clashes: dict[str, tuple[Range, Range]] = field(default_factory=dict)
    quotas: tuple[TagQuota, ...] = ()
    like: list[int] = field(default_factory=list)
    without: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    count: int | None = None
    scenario: str | None = None
    tone: Tone | None = None
    wants: list[str] = field(default_factory=list)
    unmet: list[str] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)
    freed: bool = False
    also: bool = False
    again: bool = False
    instead: bool = False
