"""Titles as users write them: articles moved, brackets opened, subtitles dropped, numerals read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rapidfuzz import fuzz, process

from motet.assistant.understand._quantities import SMALL_NUMBERS
from motet.assistant.understand._tokens import words_of
from motet.schema import ARTICLES, split_article

__all__ = ["TitleMatch", "Titles", "ways_to_say"]

_BRACKETS: Final = re.compile(r"\s*\(([^()]*)\)")
_SUBTITLE: Final = re.compile(r"\s*(?::|\s-\s|\.\.\.|\bor:)\s*")
_ROMAN: Final = {"ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9"}
_SAID: Final = {str(number): word for number, word in enumerate(SMALL_NUMBERS)}
_TO_DIGITS: Final = _ROMAN | {word: str(number) for number, word in enumerate(SMALL_NUMBERS)}
_ALMOST: Final = 87.0  # ratio of rapidfuzz, 0 to 100, from which a title is a misspelt one
_SHORTEST_FUZZY: Final = 5


@dataclass(frozen=True, slots=True)
class TitleMatch:
    """Items that a phrase names.

    Attributes:
        rows: Rows of the catalogue.
        length: Words of the phrase.
        exact: Whether the words are the title's own.
        short: Whether they are only its beginning, such as "Indiana Jones".
    """

    rows: tuple[int, ...]
    length: int
    exact: bool
    short: bool = False


def ways_to_say(title: str) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """The whole title in every way it is said, and its beginnings.

    Example:
        >>> whole, short = ways_to_say("Godfather: Part II, The (1974)")
        >>> sorted(" ".join(words) for words in whole)[:3]
        ['godfather 2', 'godfather ii', 'godfather part 2']
        >>> [" ".join(words) for words in ways_to_say("Star Trek: First Contact")[1]]
        ['star trek']
    """
    others = [inner for inner in _BRACKETS.findall(title) if not inner.strip().isdigit()]
    whole: set[tuple[str, ...]] = set()
    short: set[tuple[str, ...]] = set()
    for name in [_BRACKETS.sub("", title).strip(), *others]:
        moved = " ".join(split_article(name.strip()) or (name.strip(),))
        words = words_of(moved)
        whole |= _without_article(words)
        begin = words_of(_SUBTITLE.split(moved, maxsplit=1)[0])
        if begin != words:
            short |= {b for b in _without_article(begin) if _says_enough(b)}
        if len(begin) > 2 and (begin[-1] in _ROMAN or begin[-1].isdigit()) and _says_enough(begin[:-1]):
            short |= _without_article(begin[:-1])
        for cut in range(2, len(words)):
            if words[cut] in ("and", "in", "of", "of", "at") and _says_enough(words[:cut]):
                short |= _without_article(words[:cut])
    for words in list(whole):
        whole |= _numerals(words)
    for words in list(short):
        short |= _numerals(words)
    return {w for w in whole if w}, {w for w in short if w} - whole


def _without_article(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    if len(words) > 1 and words[0] in ARTICLES:
        return {words, words[1:]}
    return {words}


def _says_enough(words: tuple[str, ...]) -> bool:
    return sum(len(word) > 2 and word not in ARTICLES for word in words) >= 2 or (
        len(words) >= 2 and words[-1].isdigit()
    )


def _numerals(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    found = {words}
    if len(words) > 1:
        found.add((words[0], *(_ROMAN.get(word, word) for word in words[1:])))
        for form in list(found):
            for at in range(1, len(form) - 1):
                if form[at] == "part":
                    found.add(form[:at] + form[at + 1 :])
        found.add(tuple(_SAID.get(word, word) for word in words))
        found.add(tuple(_TO_DIGITS.get(word, word) if word not in _ROMAN else word for word in words))
    return found


class Titles:
    """Finds the items that words name.

    Args:
        titles: Title of each row; None where it has none.

    Example:
        >>> titles = Titles(["Matrix, The", "Heat"])
        >>> titles.exact(("the", "matrix")).rows, titles.fuzzy(("the", "matirx")).rows
        ((0,), (0,))
    """

    def __init__(self, titles: Iterable[str | None]) -> None:
        self._whole: dict[tuple[str, ...], list[int]] = {}
        self._short: dict[tuple[str, ...], list[int]] = {}
        self.longest = 1
        self.starts: dict[str, int] = {}
        """Words that begin a title, and how many words the longest of these has."""
        self.vocabulary: set[str] = set()
        self.first_words: set[str] = set()
        for row, title in enumerate(titles):
            if title:
                self._index(row, title)
        self._by_letter: dict[str, dict[str, tuple[str, ...]]] = {}
        for words in (*self._short, *self._whole):
            self._by_letter.setdefault(words[0][0], {})[" ".join(words)] = words

    def put(self, titles: Mapping[int, str]) -> None:
        """Further titles, by row; other threads may look titles up meanwhile."""
        new = [words for row, title in titles.items() for words in self._index(row, title)]
        for letter in {words[0][0] for words in new}:
            keys = {" ".join(words): words for words in new if words[0][0] == letter}
            self._by_letter[letter] = {**self._by_letter.get(letter, {}), **keys}

    def drop(self, titles: Mapping[int, str]) -> None:
        """Forget titles, by row."""
        gone: dict[str, set[str]] = {}
        for row, title in titles.items():
            whole, short = ways_to_say(title)
            for index, ways in ((self._whole, whole), (self._short, short)):
                for words in ways:
                    left = [one for one in index.get(words, ()) if one != row]
                    if left:
                        index[words] = left
                    else:
                        index.pop(words, None)
                    if words not in self._whole and words not in self._short:
                        gone.setdefault(words[0][0], set()).add(" ".join(words))
        for letter, keys in gone.items():
            kept = self._by_letter.get(letter, {})
            self._by_letter[letter] = {key: words for key, words in kept.items() if key not in keys}

    def _index(self, row: int, title: str) -> list[tuple[str, ...]]:
        """Put a title where it is looked up by its words; returns the ways to say it."""
        whole, short = ways_to_say(title)
        for index, ways in ((self._whole, whole), (self._short, short)):
            for words in ways:
                rows = index.get(words, [])
                if row not in rows:
                    index[words] = [*rows, row]
                self.longest = max(self.longest, len(words))
                self.starts[words[0]] = max(self.starts.get(words[0], 0), len(words))
        self.vocabulary |= {word for words in whole for word in words}
        self.first_words |= {words[0] for words in whole}
        return [*short, *whole]

    def exact(self, words: tuple[str, ...], *, short: bool = False) -> TitleMatch | None:
        """Items of exactly this title; with ``short``, of titles that begin so, too."""
        rows = self._whole.get(words)
        if rows:
            return TitleMatch(tuple(rows), len(words), True)
        rows = self._short.get(words) if short else None
        return TitleMatch(tuple(rows), len(words), True, True) if rows else None

    def fuzzy(self, words: Sequence[str]) -> TitleMatch | None:
        """Items whose title is almost this."""
        phrase = " ".join(words)
        if len(phrase) < _SHORTEST_FUZZY:
            return None
        cutoff = _ALMOST if len(phrase) > 7 else 83.0
        keys = self._by_letter.get(phrase[0], {})  # the first letter is seldom missed, and this is fast
        best = process.extractOne(phrase, keys.keys(), scorer=fuzz.ratio, score_cutoff=cutoff)
        if best is None:
            return None
        key = keys[best[0]]
        if [w for w in words if w.isdigit()] != [w for w in key if w.isdigit()]:
            return None  # "Jaws 3" is no misspelt "Jaws 2"
        if abs(len(key) - len(words)) > 1:
            return None
        rows = self._whole.get(key) or self._short.get(key)
        if not rows:
            return None
        return TitleMatch(tuple(rows), len(words), False, key not in self._whole)
