"""What has been understood so far, before it is a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from motet.requests._request import FactWanted, Range, Tag, TagQuota

__all__ = ["Reading", "TagSaid"]


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
    """Slots of a request while it is read; see :class:`motet.requests.Request`.

    Attributes:
        said: Tags in the order of the text.
        ranges: Limits by column.
        clashes: Two limits of a column that nothing keeps together.
        quotas: Parts of the answer that are counted.
        like: Rows to be like.
        without: Rows that must not come.
        seen: Rows that somebody says to know.
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
    tone: Literal["plain", "warm", "brief"] | None = None
    wants: list[str] = field(default_factory=list)
    unmet: list[str] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)
    freed: bool = False
    also: bool = False
    again: bool = False
    instead: bool = False
