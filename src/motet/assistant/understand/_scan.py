"""Tokens → items: things that are understood, words that are not, and marks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from motet.assistant.understand._lexicon import Lexicon
from motet.assistant.understand._quantities import QUANTITY_STARTS, place_at, quantity_at
from motet.assistant.understand._titles import TitleMatch
from motet.assistant.understand._tokens import Phrases, Scan, Span, Token, tokenize

__all__ = ["TitleUse", "is_foreign", "scan"]

_FEWEST: Final = 2


def is_foreign(tokens: Sequence[Token], places: Iterable[int], lexicon: Lexicon) -> bool:
    """Whether a request is in neither English nor Chinese.

    It is if most of its letters are of another script, or if small words of another language are as many as those of English.

    Args:
        tokens: Of the request.
        places: Of the tokens that are no part of a title.
        lexicon: Knows the small words of English.
    """
    said = [tokens[k].norm for k in places if tokens[k].kind in ("word", "han")]
    other = 0
    for word in said:
        first = word[:1]
        if not (first.isascii() and first.isalpha()):
            other += _is_of_another_script(first)
    if 2 * other > len(said):
        return True
    words = [tokens[k].norm for k in places if tokens[k].kind == "word"]
    if len(words) < _FEWEST or lexicon.other_words.strong.isdisjoint(words):
        return False
    weak = sum(word in lexicon.other_words.weak for word in words)
    english = sum(
        word not in lexicon.other_words.weak and bool(lexicon.stop.get((word,)) or lexicon.cues.get((word,)))
        for word in words
    )
    return weak > english


def _is_of_another_script(character: str) -> bool:
    return not unicodedata.name(character, "").startswith(("LATIN", "CJK"))


_ENDS: Final = frozenset(".;!?:")
_CLOSES: Final = frozenset('.;!?"')  # marks that end a title
_FUZZY_REFERENCES: Final = frozenset({"like", "liked", "seen"})
_INDEFINITE: Final = frozenset({"a", "an", "some"})


class TitleUse:
    """Finds titles in a request; each of their words may also stand for itself.

    Args:
        lexicon: Knows the titles, and what else words may be.
        tokens: Of the request.
        words: Of the tokens, misspelt ones corrected.
        items: What was found so far; grows while the request is read.
        shouts: Whether everything is in capitals.
        last_year: The newest year of the catalogue.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        tokens: list[Token],
        words: list[str],
        items: list[Span],
        *,
        shouts: bool,
        last_year: float,
    ) -> None:
        self.lexicon, self.tokens, self.words, self.items = lexicon, tokens, words, items
        self.raw = [token.norm for token in tokens]
        self.shouts, self.last_year = shouts, last_year

    def at(self, at: int, context: str | None) -> TitleMatch | None:
        titles, tokens = self.lexicon.titles, self.tokens
        longest = titles.starts.get(self.raw[at], 0)
        fuzzy = context in _FUZZY_REFERENCES and self.raw[at] not in _INDEFINITE
        if not longest and not fuzzy:
            return None
        places = []
        for k in range(at, min(at + titles.longest + 2, len(tokens))):
            if tokens[k].kind != "mark":
                places.append(k)
            elif tokens[k].norm in _CLOSES:
                break
        if not places or places[0] != at:
            return None
        words = [self.raw[k] for k in places]
        for length in range(min(len(words), longest), 0, -1):
            found = titles.exact(tuple(words[:length]), short=context is not None)
            if found is not None and self._is_title(places[:length], tuple(words[:length]), context):
                return TitleMatch(found.rows, places[length - 1] + 1 - at, found.exact, found.short)
        return self._almost(at, places, words) if fuzzy else None

    def _almost(self, at: int, places: list[int], words: list[str]) -> TitleMatch | None:
        if all(word in self.lexicon.common for word in words[:1]) and len(words) == 1:
            return None
        until = next(
            (k for k, place in enumerate(places) if k and self._breaks_fuzzy(place, place - at)), len(places)
        )
        best: TitleMatch | None = None
        for length in range(min(until, self.lexicon.titles.longest), 0, -1):
            part = words[:length]
            if length == 1 and (part[0] in self.lexicon.common or self.lexicon.values.get((self.words[at],))):
                continue
            found = self.lexicon.titles.fuzzy(part)
            if found is not None:
                best = TitleMatch(found.rows, places[length - 1] + 1 - at, False, found.short)
                break
        return best

    def _breaks_fuzzy(self, place: int, _: int) -> bool:
        kinds = self.lexicon.cues.get((self.words[place],))
        return bool({"but", "noun", "not"} & set(kinds)) or (self.words[place] in ("from", "with", "without"))

    def _is_title(self, places: list[int], words: tuple[str, ...], context: str | None) -> bool:
        """Whether words that are a title are used as one, and not as the words they are."""
        lexicon, tokens = self.lexicon, self.tokens
        content = [
            k
            for k in places
            if not lexicon.stop.get((self.raw[k],))
            and not lexicon.cues.get((self.raw[k],))
            and len(self.raw[k]) > 1
        ]
        capital = all(tokens[k].capital for k in (content or places)) and not self.shouts
        first = places[0] == 0 or self.tokens[places[0] - 1].norm in _ENDS
        all_digits = all(word.isdigit() for word in words)
        common = lexicon.is_common(words)
        in_chinese = not all_digits and self._beside_han(places)
        if self._names_it(places, words, capital):
            return True
        if all_digits:
            return context in ("like", "seen", "liked") and not self._is_range(places)
        if any(tokens[k].kind == "han" for k in places):
            return True
        if in_chinese:
            return True
        only_cues = len(words) == 1 and bool(
            lexicon.values.get(words) or lexicon.cues.get(words) or lexicon.stop.get(words)
        )
        if context in ("like", "seen", "liked"):
            if only_cues or self._after_article(places[0]):
                return capital and not first and not self._is_own_name(words)
            return capital or not common or context != "like" or self._strong_like(places[0])
        if len(words) == 1:
            if not common:
                return not only_cues
            return capital and not first and context is not None and not self._is_own_name(words)
        if len(words) > 1 and self._is_all(places):
            return not all(lexicon.values.get((word,)) or lexicon.cues.get((word,)) for word in words)
        if capital and (not first or len(content) > 1):
            return not all(lexicon.values.get((word,)) for word in words)
        return len(content) > 2 or (not common and len(words) > 1)

    def _names_it(self, places: list[int], words: tuple[str, ...], capital: bool) -> bool:
        """Whether a title is all that is said ("Heat"), or stands beside another one ("Fargo or Heat")."""
        if self.lexicon.titles.exact(words) is None or self._is_own_name(words):
            return False
        capital = capital and not self.lexicon.cues.get(words)
        if self._is_all(places):
            return capital
        after = places[-1] + 1
        if places[0] == 0 and len(words) > 1 and self.raw[after : after + 1] == ["but"]:
            return True  # "toy story but for adults"
        if not capital:
            return False
        joined = len(self.items) > 1 and self.items[-1].has("or", "and") and "title" in self.items[-2].kinds
        return joined or self._title_follows(after)

    def _title_follows(self, at: int) -> bool:
        """Whether "or" and a title with capitals stand at a place."""
        if self.raw[at : at + 1] not in (["or"], ["and"]) or not self.tokens[at + 1 : at + 2]:
            return False
        if not self.tokens[at + 1].capital:
            return False
        titles = self.lexicon.titles
        stops = range(at + 2, min(at + 2 + titles.longest, len(self.raw) + 1))
        found = [words for stop in stops if titles.exact(words := tuple(self.raw[at + 1 : stop]))]
        return bool(found) and not self.lexicon.values.get(found[-1])

    def _is_all(self, places: list[int]) -> bool:
        """Whether nothing else is said."""
        return sum(token.kind != "mark" for token in self.tokens) == len(places)

    def _is_own_name(self, words: tuple[str, ...]) -> bool:
        return any(said.own for said in self.lexicon.values.get(words))

    def _strong_like(self, at: int) -> bool:
        """Whether "like" follows what it compares ("films like heat"), or says "similar"."""
        for place in range(len(self.items) - 1, -1, -1):
            item = self.items[place]
            if "like" in item.kinds:
                said = " ".join(self.words[item.start : item.stop])
                if said != "like":
                    return True
                before = self.items[place - 1] if place else None
                return (
                    before is None
                    or before.has("noun", "title", "tag", "comma", "end")
                    or (
                        before.has("stop", "word")
                        and str(self.words[before.start]).endswith(("thing", "one", "ones"))
                    )
                )
        return False

    def _after_article(self, at: int) -> bool:
        return at > 0 and self.raw[at - 1] in ("a", "an")

    def _beside_han(self, places: list[int]) -> bool:
        before, after = places[0] - 1, places[-1] + 1
        sides = [self.tokens[k] for k in (before, after) if 0 <= k < len(self.tokens)]
        latin = self.tokens[places[0]].kind == "word"
        return (
            latin
            and bool(sides)
            and all(side.kind in ("han", "mark") for side in sides)
            and any(side.kind == "han" for side in sides)
        )

    def _is_range(self, places: list[int]) -> bool:
        quantity = quantity_at(self.tokens, places[0], self.last_year)
        return quantity is not None and quantity.unit != "none"

    def wins(self, title: TitleMatch, known: Span, at: int, context: str | None) -> bool:
        length = known.stop - known.start
        places = [k for k in range(at, at + title.length) if self.tokens[k].kind != "mark"]
        words = tuple(self.raw[k] for k in places)
        whole = title.length == length and title.exact and not self.shouts
        if whole and all(self.tokens[k].capital for k in places) and self._names_it(places, words, True):
            return True
        if title.length != length:
            return title.length > length
        if known.has("tag", "number", "relation"):
            # "Not Aliens" is the film, though "aliens" may be another word for a tag; "not Western" is the tag.
            if "number" in known.kinds:  # "we loved Seven"
                capital = self.tokens[at].capital and self.tokens[at].kind == "word"
                return capital and context in _FUZZY_REFERENCES
            own = "tag" in known.kinds and known.value[0].own
            return context is not None and self.tokens[at].capital and not own
        return True


_REFERENCES: Final = ("like", "liked", "seen", "not", "except", "gt", "lt", "ge", "le")
_REFERENCE_KINDS: Final = frozenset(_REFERENCES)
_CARRY: Final = frozenset({"title", "and", "or", "comma", "also", "stop", "dash", "mark"})
_NO_LETTERS: Final = re.compile("[^A-Za-z]+")
_NUMBER_ORDER: Final = 4.5  # of phrases of one length: behind cues, before columns
_PLACE_STARTS: Final = frozenset(["the", "number", "no", "第", "最", "前"])
_COMPARES: Final = {"›": "gt", "‹": "lt", ">": "gt", "<": "lt", "≥": "ge", "≤": "le", "+": "or_later"}
_ONE: Final = {
    kind: frozenset({kind})
    for kind in (
        "tag", "title", "number", "column", "scenario", "fact", "relation", "ordinal", "end", "comma", "dash", "quote",
        "mark", "stop", "word", "and", "or",
    )
}  # fmt: skip


def scan(text: str, lexicon: Lexicon) -> Scan:
    """Take a request apart, longest known phrase first."""
    found = _Scanner(text, lexicon).run()
    if not is_foreign(found.tokens, _outside_titles(found), lexicon):
        return found
    found = _Scanner(text, lexicon, spelt=False).run()
    items = [
        Span(frozenset({"not"}), item.value, item.start, item.stop)
        if item.stop - item.start == 1 and found.words[item.start] in lexicon.other_words.refusing
        else item
        for item in found.items
    ]
    return replace(Scan.of(found.text, found.tokens, found.words, items), foreign=True)


def _outside_titles(found: Scan) -> list[int]:
    return [k for item in found.items if not item.has("title", "quote") for k in range(item.start, item.stop)]


class _Scanner:
    def __init__(self, text: str, lexicon: Lexicon, *, spelt: bool = True) -> None:
        self.lexicon = lexicon
        self.tokens = tokenize(text)
        self.raw = [token.norm for token in self.tokens]
        self.words = [
            lexicon.spelling.corrected(token.norm)
            if spelt and token.kind == "word" and token.norm not in lexicon.spelling.known
            else token.norm
            for token in self.tokens
        ]
        letters = _NO_LETTERS.sub("", text)
        shouts = len(letters) > 3 and letters.isupper()
        self.tables: tuple[tuple[str, Phrases[Any]], ...] = (
            ("tag", lexicon.values),
            ("scenario", lexicon.placements),
            ("fact", lexicon.entities),
            ("relation", lexicon.relations),
            ("cue", lexicon.cues),
            ("column", lexicon.columns),
            ("stop", lexicon.stop),
        )
        self.items: list[Span] = []
        self.context: str | None = None
        self.text = text
        year = lexicon.column("year")
        self.last_year = year.quantiles[-1] if year else 2030.0
        self.titles = TitleUse(
            lexicon, self.tokens, self.words, self.items, shouts=shouts, last_year=self.last_year
        )

    def run(self) -> Scan:
        at = 0
        while at < len(self.tokens):
            item = self._item_at(at)
            self.items.append(item)
            # The last cue that says what a title would be for: "like", "seen", "not" ….
            if not _REFERENCE_KINDS.isdisjoint(item.kinds):
                self.context = next(kind for kind in _REFERENCES if kind in item.kinds)
            elif _CARRY.isdisjoint(item.kinds):
                self.context = None
            at = item.stop
        return Scan.of(self.text, self.tokens, self.words, self.items)

    def _item_at(self, at: int) -> Span:
        token = self.tokens[at]
        if token.kind == "mark":
            return self._mark(at)
        context = self.context
        title = self.titles.at(at, context)
        known = self._known(at)
        if title is not None and (known is None or self.titles.wins(title, known, at, context)):
            return Span(_ONE["title"], title, at, at + title.length)
        return known if known is not None else Span(_ONE["word"], self.words[at], at, at + 1)

    def _mark(self, at: int) -> Span:
        mark = self.raw[at]
        if mark == '"':
            close = next((k for k in range(at + 1, len(self.raw)) if self.raw[k] == '"'), None)
            if close is not None:
                words = tuple(self.raw[k] for k in range(at + 1, close) if self.tokens[k].kind != "mark")
                found = self.lexicon.titles.exact(words, short=True) or self.lexicon.titles.fuzzy(words)
                if found is not None:
                    return Span(_ONE["title"], found, at, close + 1)
                if words:
                    return Span(_ONE["quote"], " ".join(words), at, close + 1)
            return Span(_ONE["mark"], mark, at, at + 1)
        if mark in _ENDS:
            return Span(_ONE["end"], mark, at, at + 1)
        if mark == ",":
            return Span(_ONE["comma"], mark, at, at + 1)
        if mark in _COMPARES:
            return Span(frozenset({_COMPARES[mark]}), mark, at, at + 1)
        if mark == "-" and self._is_minus(at):
            return Span(frozenset({"not"}), mark, at, at + 1)
        if mark in ("、", "/"):
            return Span(_ONE["or" if mark == "/" else "and"], mark, at, at + 1)
        quantity = quantity_at(self.tokens, at, self.last_year)
        if quantity is not None:
            return Span(_ONE["number"], quantity, at, at + quantity.length)
        return Span(_ONE["dash" if mark == "-" else "mark"], mark, at, at + 1)

    def _is_minus(self, at: int) -> bool:
        """Whether a dash means "without", as in a search box: "horror -comedy"."""
        start, end = self.tokens[at].start, self.tokens[at].end
        before = self.text[start - 1] if start else " "
        return before == " " and end < len(self.text) and self.text[end].isalpha() and self.text[start] == "-"

    # -- everything else ---------------------------------------------------------------------------

    def _known(self, at: int) -> Span | None:
        lexicon, words = self.lexicon, self.words
        word = words[at]
        if word in _PLACE_STARTS or word in lexicon.ordinals:
            special = place_at(self.tokens, words, at, lexicon.ordinals)
            if special is not None:
                return special
        found: list[tuple[int, float, Span]] = []
        for order, (kind, table) in enumerate(self.tables):
            if word not in table.starts:
                continue
            match = table.longest(words, at)
            if match is not None:
                length, values = match
                if kind == "cue" and length > 1 and self._begins_another(at, length):
                    length, values = 1, table.get((words[at],))
                value: Any = tuple(values)
                kinds = frozenset(values) if kind == "cue" else _ONE[kind]
                if kind == "relation":  # "directed by" is a relation of the graph, and a cue
                    kinds |= frozenset(lexicon.cues.get(tuple(words[at : at + length])))
                found.append((-length, order, Span(kinds, value, at, at + length)))
        quantity = None
        if word in QUANTITY_STARTS or word[0].isdigit() or self.tokens[at].kind == "decade":
            quantity = quantity_at(self._right_tokens(at), 0, self.last_year)
        if quantity is not None and quantity.length:
            item = Span(_ONE["number"], quantity, at, at + quantity.length)
            found.append((-quantity.length, _NUMBER_ORDER, item))
        # Of the longest, the first in order; no two have the same order.
        return min(found)[2] if found else None

    def _begins_another(self, at: int, length: int) -> bool:
        """Whether "and before" does not end a limit but begins the next: "after 1970 and before 1980"."""
        words, after = self.words, at + length
        if words[at] not in ("and", "or") or after >= len(words):
            return False
        if words[after] == "than":
            return True
        if words[after - 1] not in ("before", "after"):
            return False
        quantity = quantity_at(self._right_tokens(after), 0, self.last_year)
        if quantity is not None:
            return quantity.unit == "year"
        title = self.lexicon.titles
        stops = range(after + 1, min(after + title.longest, len(words)) + 1)
        return self.tokens[after].capital and any(title.exact(tuple(self.raw[after:stop])) for stop in stops)

    def _right_tokens(self, at: int) -> list[Token]:
        part = []
        for k in range(at, min(at + 12, len(self.tokens))):
            token = self.tokens[k]
            if self.words[k] != token.norm:
                token = Token(self.words[k], token.kind, token.start, token.end, token.capital)
            part.append(token)
        return part
