"""What a request is taken apart into."""

from __future__ import annotations

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
    """

    text: str
    tokens: list[Token]
    words: list[str]
    items: list[Item]
    foreign: bool = False

    def before(self, token: int) -> str:
        """The character before a token; empty at the beginning."""
        start = self.tokens[token].start
        return self.text[start - 1 : start] if start else ""

    def said(self, start: int, stop: int) -> str:
        """The text of some tokens."""
        return self.text[self.tokens[start].start : self.tokens[stop - 1].end] if stop > start else ""
