"""Misspelt words of a request, put right where only one word can have been meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib.resources import files
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

__all__ = ["Spelling", "common_english"]

_SHORTEST: Final = 4
_LONG: Final = 6  # from here on another letter may stand in a place
_VERY_LONG: Final = 8  # from here on two slips are forgiven


def common_english() -> dict[str, int]:
    """The most frequent words of English, and the rank of each from 0."""
    text = (files("motet.requests") / "english.txt").read_text(encoding="utf-8")
    return {word: rank for rank, word in enumerate(text.split("\n")[1:]) if word}


class Spelling:
    """Puts words right.

    A word that is right, in English or in the catalogue, is never changed; the first letter must be
    right, since people seldom miss it; among short words a letter may be missing, doubled or swapped
    with its neighbour, but not be another one ("kiss" is not "kids").

    Args:
        right: Words that requests are read with.
        known: Words that are right as they stand.

    Example:
        >>> Spelling({"horror", "comedy"}, {"sunny"}).corrected("horor")
        'horror'
    """

    def __init__(self, right: Collection[str], known: Collection[str]) -> None:
        self._known = set(known) | set(right)
        self._by_letter: dict[str, list[str]] = {}
        for word in sorted(right):
            if len(word) >= _SHORTEST and word.isalpha() and word.isascii():
                self._by_letter.setdefault(word[0], []).append(word)
        self._kept: dict[str, str] = {}

    def allow(self, words: Iterable[str]) -> None:
        """Further words that are right as they stand."""
        for word in words:
            self._known.add(word)

    def corrected(self, word: str) -> str:
        """The word that was meant; the word itself where that is not clear."""
        if len(word) < _SHORTEST or word in self._known or not (word.isalpha() and word.isascii()):
            return word
        slips = 2 if len(word) >= _VERY_LONG else 1
        found = process.extract(
            word, self._by_letter.get(word[0], ()), scorer=OSA.distance, score_cutoff=slips, limit=4
        )
        near = [(int(distance), right) for right, distance, _ in found if self._is_slip(word, right)]
        if not near:
            return word
        near.sort()
        best = near[0][1]
        return word if len(best) == len(word) and self._lacks_a_letter(word, best) else best

    def _lacks_a_letter(self, word: str, best: str) -> bool:
        """Whether a letter is missing of a common word, so that no other was meant: "musicans"."""
        if sorted(word) == sorted(best):
            return False
        letters = "aeiouclnrst"
        return any(
            word[:at] + letter + word[at:] in self._known
            for at in range(1, len(word) + 1)
            for letter in letters
        )

    @staticmethod
    def _is_slip(word: str, right: str) -> bool:
        if len(word) >= _LONG or len(word) != len(right):
            return True
        return sorted(word) == sorted(right)
