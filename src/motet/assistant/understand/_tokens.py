"""A request cut into words, numbers, Chinese characters and marks, and the items that these make up."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

__all__ = ["Kind", "Phrases", "Scan", "Span", "Token", "fold_word", "forms", "tokenize", "words_of"]

Kind = Literal["word", "number", "decade", "han", "mark"]

_HAN: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN: Final = re.compile(
    rf"""(?P<decade>['’]?\b(?:1[89]|20)?\d0['’]?s\b)
    |(?P<number>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?(?![^\W_{_HAN}])|\d+(?:\.\d+)?(?![^\W_{_HAN}]))
    |(?P<han>[{_HAN}])
    |(?P<word>\bw/o?\b(?=\s)|(?:[A-Za-z]\.){{2,}}|[^\W_{_HAN}]+(?:['’ʼ`´][^\W_{_HAN}]+)*)
    |(?P<mark>[^\s\w])""",
    re.VERBOSE | re.IGNORECASE,
)
_APOSTROPHES: Final = str.maketrans("", "", "'’ʼ`´.")
_ABBREVIATIONS: Final = frozenset(
    {"mr", "mrs", "ms", "dr", "st", "sgt", "vs", "jr", "sr", "blvd", "prof", "no", "vol"}
)
_SHORT_FORMS: Final = {"w/o": "without", "w/": "with"}
_CLOSES_CLAUSE: Final = frozenset({"end", "comma", "but"})
_JOINS: Final = frozenset("-*·・'’_")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a request.

    Attributes:
        norm: As it is compared: lower case, no accents, no apostrophes.
        kind: A word, a number, a decade such as ``80s``, a Chinese character, or a mark.
        start: Its first character in the text.
        end: Place behind its last character.
        capital: Whether it begins with a capital letter, or is a number.
    """

    norm: str
    kind: Kind
    start: int
    end: int
    capital: bool


def fold_word(word: str) -> str:
    """Lower case, without accents, apostrophes and full stops.

    Example:
        >>> fold_word("L'Été"), fold_word("E.T.")
        ('lete', 'et')
    """
    plain = word.casefold()
    if not plain.isascii():
        parts = unicodedata.normalize("NFKD", plain)
        plain = "".join(part for part in parts if not unicodedata.combining(part))
    return plain.translate(_APOSTROPHES)


def tokenize(text: str) -> list[Token]:
    """Cut a text into tokens; a hyphen inside a word is a gap, ``&`` is "and".

    Example:
        >>> [token.norm for token in tokenize("Sci-fi & '80s: 像E.T.")]
        ['sci', 'fi', 'and', '80s', ':', '像', 'et']
    """
    tokens: list[Token] = []
    for found in _TOKEN.finditer(text):
        start, end, piece = found.start(), found.end(), found.group()
        kind: Kind = found.lastgroup  # type: ignore[assignment]
        if kind == "mark":
            if piece == "&":
                tokens.append(Token("and", "word", start, end, True))
                continue
            piece = _MARK_NAMES.get(piece, piece)
            if _joins(text, start, piece) or (piece == "." and tokens and _abbreviates(tokens[-1], start)):
                continue
            tokens.append(Token(piece, kind, start, end, False))
        elif kind == "number":
            tokens.append(Token(piece.replace(",", ""), kind, start, end, True))
        else:
            plain = piece.isascii() and piece.isalnum()
            norm = piece.lower() if plain else _SHORT_FORMS.get(piece.casefold()) or fold_word(piece)
            if norm:
                tokens.append(Token(norm, kind, start, end, piece[0].isupper() or piece[0].isdigit()))
    return tokens


def words_of(text: str) -> tuple[str, ...]:
    """The words of a phrase, as they are compared; no marks.

    Example:
        >>> words_of("Children's films!")
        ('childrens', 'films')
    """
    return tuple(token.norm for token in tokenize(text) if token.kind != "mark")


_MARK_NAMES: Final = {
    **dict(zip("，。！？；：（）", ",.!?;:()", strict=True)),
    **dict.fromkeys("“”„«»《》「」『』〈〉", '"'),
    **dict.fromkeys("–—―−～~", "-"),
    "／": "/",
    "…": ".",
}


def _joins(text: str, at: int, mark: str) -> bool:
    """Whether a mark stands inside a word, as in "sci-fi"."""
    if mark not in _JOINS or not 0 < at < len(text) - 1:
        return False
    before, after = text[at - 1], text[at + 1]
    return before.isalnum() and after.isalnum() and not (before.isdigit() and after.isdigit())


def _abbreviates(token: Token, at: int) -> bool:
    return token.end == at and token.norm in _ABBREVIATIONS


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
        self.starts: dict[str, int] = {}
        """Words that begin a phrase, and how many words the longest of these has."""

    def add(self, words: tuple[str, ...], value: T) -> None:
        """Put a value under some words; nothing for no words."""
        if words:
            values = self._values.setdefault(words, [])
            if value not in values:
                values.append(value)
            self.starts[words[0]] = max(self.starts.get(words[0], 0), len(words))

    def get(self, words: tuple[str, ...]) -> list[T]:
        """Values under exactly these words."""
        return self._values.get(words, [])

    def longest(self, words: Sequence[str], at: int) -> tuple[int, list[T]] | None:
        """The longest phrase that begins at a place: how many words, and its values."""
        for length in range(min(self.starts.get(words[at], 0), len(words) - at), 0, -1):
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


_TOO_SHORT = 3


def forms(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    """A phrase with its last word in singular and plural; misspelt plurals of -y words too.

    Example:
        >>> sorted(" ".join(form) for form in forms(("love", "story")))
        ['love stories', 'love story', 'love storys']
        >>> sorted(" ".join(form) for form in forms(("dresses",)))
        ['dress', 'dresse', 'dresses']
    """
    if not words:
        return set()
    *start, last = words
    return {(*start, form) for form in _word_forms(last)}


def _word_forms(word: str) -> set[str]:
    found = {word}
    if len(word) < _TOO_SHORT or not word.isascii() or not word.isalpha():
        return found
    if word.endswith("ies"):
        found |= {word[:-3] + "y", word[:-3] + "ys", word[:-1]}
    elif word.endswith("ss") or word.endswith(("x", "ch", "sh", "z")):
        found.add(word + "es")
    elif word.endswith("es"):
        found |= {word[:-1], word[:-2]}
    elif word.endswith("s"):
        found.add(word[:-1])
    elif word.endswith("y") and word[-2] not in "aeiou":
        found |= {word[:-1] + "ies", word + "s"}
    else:
        found.add(word + "s")
    return found


@dataclass(frozen=True, slots=True)
class Span:
    """One thing in a request.

    Attributes:
        kinds: Kinds of cue, or one of ``tag``, ``title``, ``number``, ``column``, ``scenario``,
            ``fact``, ``relation``, ``ordinal``, ``end``, ``comma``, ``dash``, ``quote``, ``mark``,
            ``stop`` and ``word``.
        value: What it is.
        start: First token.
        stop: Place behind the last token.
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
        words: Their words, misspelt ones corrected.
        items: What they are, in order; every token is in one.
        foreign: Whether it is in neither English nor Chinese.
        kinds: Every kind that one of the items has.
        totals: Places of items such as "in total".
        clauses: The number of the clause of each item.
        sentences: The number of the sentence of each item.
    """

    text: str
    tokens: list[Token]
    words: list[str]
    items: list[Span]
    foreign: bool = False
    kinds: frozenset[str] = frozenset()
    totals: tuple[int, ...] = ()
    clauses: tuple[int, ...] = ()
    sentences: tuple[int, ...] = ()

    @classmethod
    def of(cls, text: str, tokens: list[Token], words: list[str], items: list[Span]) -> Scan:
        """A request with the numbers of its clauses and sentences, counted once for all who ask."""
        clause = sentence = 0
        clauses, sentences, totals, kinds = [], [], [], set[str]()
        for place, item in enumerate(items):
            kinds |= item.kinds
            if not _CLOSES_CLAUSE.isdisjoint(item.kinds):
                clause += 1
                sentence += int("end" in item.kinds)
            if "total" in item.kinds:
                totals.append(place)
            clauses.append(clause)
            sentences.append(sentence)
        return cls(
            text,
            tokens,
            words,
            items,
            False,
            frozenset(kinds),
            tuple(totals),
            tuple(clauses),
            tuple(sentences),
        )

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
