"""What a request is taken apart into."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

from motet.requests._tokens import Token

__all__ = ["Item", "Scan"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in a request.

    Attributes:
        kinds: Kinds of cue, or one of ``tag``, ``title``, ``number``, ``column``, ``scenario``,
            ``fact``, ``relation``, ``ordinal``, ``end``, ``comma``, ``dash``, ``quote``, ``mark``,
            ``stop`` and ``word``.
        value: What it is.
        start: First token.
        stop: One past the last token.
    """

    kinds: frozenset[str]
    value: Any
    start: int
    stop: int

    def has(self, *kinds: str) -> bool:
        """Whether it is of one of some kinds."""
        return not self.kinds.isdisjoint(kinds)


@dataclass(frozen=True, slots=True)
class Scan:
    """A request taken apart.

    Attributes:
        text: It.
        tokens: Its tokens.
        words: Their words, misspelt ones put right.
        items: What they are, in order; every token is in one.
        foreign: Whether it is in neither English nor Chinese.
        totals: Places of items such as "in total".
        clauses: The number of the clause of each item.
        sentences: The number of the sentence of each item.
    """

    text: str
    tokens: list[Token]
    words: list[str]
    items: list[Item]
    foreign: bool = False
    totals: tuple[int, ...] = ()
    clauses: tuple[int, ...] = ()
    sentences: tuple[int, ...] = ()

    @classmethod
    def of(cls, text: str, tokens: list[Token], words: list[str], items: list[Item]) -> Scan:
        """A request with the numbers of its clauses and sentences, counted once for all who ask."""
        clause = sentence = 0
        clauses, sentences = [], []
        for item in items:
            clause += item.has("end", "comma", "but")
            sentence += item.has("end")
            clauses.append(clause)
            sentences.append(sentence)
        totals = tuple(place for place, item in enumerate(items) if item.has("total"))
        return cls(text, tokens, words, items, False, totals, tuple(clauses), tuple(sentences))

    def total_near(self, at: int, parts: tuple[int, ...]) -> int | None:
        """Place of the "total" or 一共 in the same part of the request as an item, one before it first."""
        after = bisect_left(self.totals, at)
        for place in (*self.totals[max(after - 1, 0) : after], *self.totals[after : after + 1]):
            if place != at and parts[place] == parts[at]:
                return place
        return None

    def before(self, token: int) -> str:
        """The character before a token; empty at the beginning."""
        start = self.tokens[token].start
        return self.text[start - 1 : start] if start else ""

    def said(self, start: int, stop: int) -> str:
        """The text of some tokens."""
        return self.text[self.tokens[start].start : self.tokens[stop - 1].end] if stop > start else ""
