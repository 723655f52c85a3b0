"""What a sentence names outright: items by their titles, tags and categories by their words.

This is the plain reading that cold start needs. Whole requests, with ranges, typos and scenarios,
are read elsewhere, and can be handed over as mentions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import Catalogue
from motet.schema import article_first, split_article

__all__ = ["MentionReader", "Mentions"]

_TOKEN: Final = re.compile(
    r"[^\W_\u3400-\u9fff]+(?:['’][^\W\d_]+)?|[\u3400-\u9fff]|[.!?;。！？；,，、\"“”《》]"
)
_LONGEST: Final = 12  # words of a title
_ENDS: Final = frozenset(".!?;。！？；")
_PUNCTUATION: Final = _ENDS | frozenset(',，、"“”《》')
# fmt: off
_NEGATIONS: Final = frozenset({
    "no", "not", "never", "without", "hate", "hated", "dislike", "disliked", "except", "nothing", "avoid", "don't",
    "dont", "didn't", "didnt", "doesn't", "isn't", "can't", "cannot", "won't", "neither", "nor",
    "不", "没", "讨", "别", "无", "非", "勿", "除",
})
_TURNS: Final = frozenset({"but", "however", "though", "instead", "rather", "yet", "但", "却", "而"})
_LIKINGS: Final = frozenset({
    "like", "liked", "love", "loved", "enjoy", "enjoyed", "adore", "prefer", "want", "wanted", "爱", "喜", "想",
})
# A title in small letters is one where something to like is named, not in "a present for my family".
_INTRODUCE: Final = _LIKINGS | {
    ",", "，", "、", "and", "or", "&", "seen", "watched", "saw", "watch", "both", "和", "与", "看",
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Mentions:
    """What is named.

    Attributes:
        liked: Rows of items that are named as liked.
        disliked: Rows of items that are named as disliked.
        wanted: Columns and values of tags and categories that are wanted.
        unwanted: Those that are not wanted.
    """

    liked: tuple[int, ...] = ()
    disliked: tuple[int, ...] = ()
    wanted: tuple[tuple[str, str], ...] = ()
    unwanted: tuple[tuple[str, str], ...] = ()


class MentionReader:
    """Finds titles and words of tags in sentences, in English and Chinese.

    A title counts if it stands in quotes, or in capitals as titles do, or has three words or more,
    or follows a word of liking or a comma; of items with one title, the one with most events is
    meant. A negation reaches to the end of the sentence, to a "but", or to the next word of liking.

    Args:
        catalogue: Titles, tags and categories, with other words for them.
        events: Number of events of each item, [I].
    """

    def __init__(self, catalogue: Catalogue, events: NDArray[np.int64]) -> None:
        self._titles = _titles(catalogue, events)
        self._tags = _tags(catalogue)
        self._last_tag = max((len(words) for words in self._tags), default=0)

    def read(self, sentence: str) -> Mentions:
        """Find what a sentence names.

        Example:
            >>> frame = pl.DataFrame({"id": ["1", "2"], "title": ["Toy Story", "Thing, The"],
            ...                       "genres": [["Comedy"], ["Horror"]]})
            >>> films = Catalogue(frame, "title", ("genres",), (), (), (), {}, {"Comedy": {"en": ("funny",)}})
            >>> MentionReader(films, np.array([1, 1])).read("Funny like Toy Story, but no horror, not The Thing")
            Mentions(liked=(0,), disliked=(1,), wanted=(('genres', 'Comedy'),), unwanted=(('genres', 'Horror'),))
        """
        raw = [match.group() for match in _TOKEN.finditer(unicodedata.normalize("NFKC", sentence))]
        words = [_plain(token) for token in raw]
        found: dict[str, dict[object, None]] = {
            name: {} for name in ("liked", "disliked", "wanted", "unwanted")
        }
        negated, since, at = False, 0, 0
        while at < len(words):
            word = words[at]
            item, length = self._title_at(raw, words, at)
            if item is not None:
                found["disliked" if negated else "liked"][item] = None
                at += length
                continue
            tags, length = self._tag_at(words, at)
            for tag in tags:
                found["unwanted" if negated else "wanted"][tag] = None
            if tags:
                at += length
                continue
            if word in _NEGATIONS:
                negated, since = True, at
            elif raw[at] in _ENDS or word in _TURNS or (word in _LIKINGS and at - since > 2):
                negated = False
            at += 1
        for good, bad in (("liked", "disliked"), ("wanted", "unwanted")):
            for name in found[bad]:
                found[good].pop(name, None)
        return Mentions(**{name: tuple(values) for name, values in found.items()})  # type: ignore[arg-type]

    def _title_at(self, raw: list[str], words: list[str], at: int) -> tuple[int | None, int]:
        for length in range(min(_LONGEST, len(words) - at), 0, -1):
            item = self._titles.get(tuple(words[at : at + length]))
            if item is not None and _looks_like_a_title(raw, at, length):
                return item, length
        return None, 0

    def _tag_at(self, words: list[str], at: int) -> tuple[tuple[tuple[str, str], ...], int]:
        for length in range(min(self._last_tag, len(words) - at), 0, -1):
            part = tuple(words[at : at + length])
            for form in (part, (*part[:-1], part[-1].removesuffix("s"))):
                if form in self._tags:
                    return self._tags[form], length
        return (), 0


def _looks_like_a_title(raw: list[str], at: int, length: int) -> bool:
    before = raw[at - 1] if at else "."
    after = raw[at + length] if at + length < len(raw) else "."
    part = raw[at : at + length]
    if before in '"“《' and after in '"”》':
        return True
    if any(token.isdigit() for token in part) and length == 1:
        return False
    chinese = sum("\u3400" <= token <= "\u9fff" for token in part)
    if chinese:
        return chinese >= 3 or _plain(before) in _INTRODUCE
    if length >= 3:
        return True
    capital = all(token[:1].isupper() or len(token) <= 3 for token in part) and part[0][:1].isupper()
    if length == 1 and len(part[0]) < 3:
        return False
    if capital:
        return length > 1 or before not in _ENDS
    return length > 1 and _plain(before) in _INTRODUCE


def _titles(catalogue: Catalogue, events: NDArray[np.int64]) -> dict[tuple[str, ...], int]:
    titles: dict[tuple[str, ...], int] = {}
    if catalogue.title is None:
        return titles
    names = catalogue.frame[catalogue.title].to_list()
    for row in np.argsort(-events, kind="stable").tolist():
        for form in _forms(names[row] or ""):
            if form:
                titles.setdefault(form, row)
    return titles


def _forms(title: str) -> list[tuple[str, ...]]:
    """Ways to write a title: as it stands, with the article in front, without it, without brackets."""
    forms = [title]
    for name in (title, re.sub(r"\s*\([^)]*\)", "", title)):
        forms.append(name)
        if parts := split_article(name):
            forms += [article_first(name), parts[1]]
    return list(dict.fromkeys(_words(form) for form in forms))


def _tags(catalogue: Catalogue) -> dict[tuple[str, ...], tuple[tuple[str, str], ...]]:
    found: dict[tuple[str, ...], dict[tuple[str, str], None]] = {}
    for column in (*catalogue.tags, *catalogue.categories):
        cells = catalogue.frame[column]
        values = cells.explode() if cells.dtype == pl.List else cells
        for value in values.drop_nulls().unique().sort().to_list():
            said = [value, *(w for words in _of(catalogue.words, value).values() for w in words)]
            for form in map(_words, said):
                if form:
                    found.setdefault(form, {})[column, value] = None
    return {form: tuple(values) for form, values in found.items()}


def _of(words: Mapping[str, Mapping[str, tuple[str, ...]]], value: str) -> Mapping[str, tuple[str, ...]]:
    return words.get(value, {})


def _words(text: str) -> tuple[str, ...]:
    tokens = (match.group() for match in _TOKEN.finditer(unicodedata.normalize("NFKC", text)))
    return tuple(_plain(token) for token in tokens if token not in _PUNCTUATION)


def _plain(token: str) -> str:
    """Small letters, without accents and with one kind of apostrophe."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", token) if not unicodedata.combining(c))
    return bare.casefold().replace("’", "'")
