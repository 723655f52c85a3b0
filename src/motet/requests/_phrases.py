"""Phrases of several words, found longest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

__all__ = ["Phrases"]

T = TypeVar("T")


class Phrases(Generic[T]):
    """Values under sequences of words.

    Example:
        >>> phrases = Phrases[int]()
        >>> phrases.add(("science", "fiction"), 1)
        >>> phrases.longest(["a", "science", "fiction", "film"], 1)
        (2, [1])
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, ...], list[T]] = {}
        self._longest: dict[str, int] = {}

    def add(self, words: tuple[str, ...], value: T) -> None:
        """Put a value under some words; nothing for no words."""
        if words:
            values = self._values.setdefault(words, [])
            if value not in values:
                values.append(value)
            self._longest[words[0]] = max(self._longest.get(words[0], 0), len(words))

    def get(self, words: tuple[str, ...]) -> list[T]:
        """Values under exactly these words."""
        return self._values.get(words, [])

    def longest(self, words: Sequence[str], at: int) -> tuple[int, list[T]] | None:
        """The longest phrase that begins at a place: how many words, and its values."""
        for length in range(min(self._longest.get(words[at], 0), len(words) - at), 0, -1):
            values = self._values.get(tuple(words[at : at + length]))
            if values is not None:
                return length, values
        return None

    def items(self) -> Iterator[tuple[tuple[str, ...], list[T]]]:
        """All phrases with their values, in order of arrival."""
        yield from list(self._values.items())  # others may add meanwhile

    def vocabulary(self) -> set[str]:
        """Every word of every phrase."""
        return {word for words in self._values for word in words}
