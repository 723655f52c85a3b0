"""A request as a row of things that are understood, words that are not, and marks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from motet.requests._foreign import FOREIGN_NOT, is_foreign
from motet.requests._lexicon import Lexicon
from motet.requests._phrases import Phrases
from motet.requests._quantities import Quantity, quantity_at
from motet.requests._titles import TitleMatch
from motet.requests._tokens import Token, tokenize

__all__ = ["Item", "Scan", "scan"]

_ENDS: Final = frozenset(".;!?:")
_REFERENCES: Final = ("like", "liked", "seen", "not", "except", "gt", "lt", "ge", "le")
_FUZZY_REFERENCES: Final = frozenset({"like", "liked", "seen"})
_CARRY: Final = frozenset({"and", "or", "comma", "also", "stop", "dash", "mark"})
_ORDINAL_HAN: Final = re.compile(r"第([一二三四五六七八九十\d]+)[部个本件款首张条]")
_COMPARES: Final = {"›": "gt", "‹": "lt", ">": "gt", "<": "lt", "≥": "ge", "≤": "le", "+": "or_later"}
_LAST_HAN: Final = re.compile(r"最后[一]?[部个本件款首张条]")
_FIRST_OF: Final = re.compile(r"前([一二两三四五六七八九十\d]+)[部个本件款首张条]")
_ONE: Final = {
    kind: frozenset({kind})
    for kind in (
        "tag", "title", "number", "column", "scenario", "fact", "relation", "ordinal", "end", "comma", "dash", "quote",
        "mark", "stop", "word", "and", "or",
    )
}  # fmt: skip
_MEASURES: Final = frozenset("部个本件款首张条只双种场")
_ARTICLES: Final = frozenset({"a", "an", "the", "some"})


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

    def said(self, start: int, stop: int) -> str:
        """The text of some tokens."""
        return self.text[self.tokens[start].start : self.tokens[stop - 1].end] if stop > start else ""


def scan(text: str, lexicon: Lexicon) -> Scan:
    """Take a request apart, longest known phrase first."""
    found = _Scanner(text, lexicon).run()
    if not is_foreign(found.tokens, _outside_titles(found), lexicon):
        return found
    found = _Scanner(text, lexicon, spelt=False).run()
    items = [
        Item(frozenset({"not"}), item.value, item.start, item.stop)
        if item.stop - item.start == 1 and found.words[item.start] in FOREIGN_NOT
        else item
        for item in found.items
    ]
    return Scan(found.text, found.tokens, found.words, items, foreign=True)


def _outside_titles(found: Scan) -> list[int]:
    return [k for item in found.items if not item.has("title", "quote") for k in range(item.start, item.stop)]


class _Scanner:
    def __init__(self, text: str, lexicon: Lexicon, *, spelt: bool = True) -> None:
        self.lexicon = lexicon
        self.tokens = tokenize(text)
        self.raw = [token.norm for token in self.tokens]
        self.words = [
            lexicon.spelling.corrected(token.norm) if token.kind == "word" and spelt else token.norm
            for token in self.tokens
        ]
        letters = [c for c in text if c.isalpha() and c.isascii()]
        self.shouts = len(letters) > 3 and all(c.isupper() for c in letters)
        self.items: list[Item] = []
        self.text = text
        year = lexicon.column("year")
        self.last_year = year.quantiles[-1] if year else 2030.0

    def run(self) -> Scan:
        at = 0
        while at < len(self.tokens):
            item = self._item_at(at)
            self.items.append(item)
            at = item.stop
        return Scan(self.text, self.tokens, self.words, self.items)

    def _item_at(self, at: int) -> Item:
        token = self.tokens[at]
        if token.kind == "mark":
            return self._mark(at)
        context = self._context()
        title = self._title(at, context)
        known = self._known(at)
        if title is not None and (known is None or self._wins(title, known, at, context)):
            return Item(_ONE["title"], title, at, at + title.length)
        return known if known is not None else Item(_ONE["word"], self.words[at], at, at + 1)

    def _mark(self, at: int) -> Item:
        mark = self.raw[at]
        if mark == '"':
            close = next((k for k in range(at + 1, len(self.raw)) if self.raw[k] == '"'), None)
            if close is not None:
                words = tuple(self.raw[k] for k in range(at + 1, close) if self.tokens[k].kind != "mark")
                found = self.lexicon.titles.exact(words, short=True) or self.lexicon.titles.fuzzy(words)
                if found is not None:
                    return Item(_ONE["title"], found, at, close + 1)
                if words:
                    return Item(_ONE["quote"], " ".join(words), at, close + 1)
            return Item(_ONE["mark"], mark, at, at + 1)
        if mark in _ENDS:
            return Item(_ONE["end"], mark, at, at + 1)
        if mark == ",":
            return Item(_ONE["comma"], mark, at, at + 1)
        if mark in _COMPARES:
            return Item(frozenset({_COMPARES[mark]}), mark, at, at + 1)
        if mark == "-" and self._is_minus(at):
            return Item(frozenset({"not"}), mark, at, at + 1)
        if mark in ("、", "/"):
            return Item(_ONE["or" if mark == "/" else "and"], mark, at, at + 1)
        quantity = quantity_at(self.tokens, at, self.last_year)
        if quantity is not None:
            return Item(_ONE["number"], quantity, at, at + quantity.length)
        return Item(_ONE["dash" if mark == "-" else "mark"], mark, at, at + 1)

    def _is_minus(self, at: int) -> bool:
        """Whether a dash means "without", as in a search box: "horror -comedy"."""
        start, end = self.tokens[at].start, self.tokens[at].end
        before = self.text[start - 1] if start else " "
        return before == " " and end < len(self.text) and self.text[end].isalpha() and self.text[start] == "-"

    def _context(self) -> str | None:
        """The cue before here that says what a title would be for: "like", "seen", "not" …."""
        for item in reversed(self.items):
            for kind in _REFERENCES:
                if kind in item.kinds:
                    return kind
            if not item.has("title", *_CARRY):
                return None
        return None

    # -- titles ------------------------------------------------------------------------------------

    def _title(self, at: int, context: str | None) -> TitleMatch | None:
        titles, tokens = self.lexicon.titles, self.tokens
        stop = at
        while stop < len(tokens) and stop - at < titles.longest + 2 and not self._closes(stop):
            stop += 1
        places = [k for k in range(at, stop) if tokens[k].kind != "mark"]
        if not places or places[0] != at:
            return None
        words = [self.raw[k] for k in places]
        for length in range(min(len(words), titles.longest), 0, -1):
            found = titles.exact(tuple(words[:length]), short=context is not None)
            if found is not None and self._is_meant(places[:length], tuple(words[:length]), context):
                return TitleMatch(found.rows, places[length - 1] + 1 - at, found.exact, found.short)
        if context in _FUZZY_REFERENCES and self.raw[at] not in _ARTICLES - {"the"}:
            return self._almost(at, places, words)
        return None

    def _closes(self, at: int) -> bool:
        """Whether a title cannot go on past a token."""
        token = self.tokens[at]
        if token.kind == "mark":
            return token.norm in _ENDS - {":"} or token.norm == '"'
        return False

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

    def _is_meant(self, places: list[int], words: tuple[str, ...], context: str | None) -> bool:
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
        joined = len(self.items) > 1 and self.items[-1].has("or", "and") and self.items[-2].has("title")
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
            if item.has("like"):
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

    def _wins(self, title: TitleMatch, known: Item, at: int, context: str | None) -> bool:
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
            if known.has("number"):  # "we loved Seven"
                capital = self.tokens[at].capital and self.tokens[at].kind == "word"
                return capital and context in _FUZZY_REFERENCES
            own = known.has("tag") and known.value[0].own
            return context is not None and self.tokens[at].capital and not own
        return True

    # -- everything else ---------------------------------------------------------------------------

    def _known(self, at: int) -> Item | None:
        lexicon, words = self.lexicon, self.words
        special = self._special(at)
        if special is not None:
            return special
        found: list[tuple[int, int, Item]] = []
        tables: tuple[tuple[str, Phrases[Any]], ...] = (
            ("tag", lexicon.values),
            ("scenario", lexicon.placements),
            ("fact", lexicon.entities),
            ("relation", lexicon.relations),
            ("cue", lexicon.cues),
            ("column", lexicon.columns),
            ("stop", lexicon.stop),
        )
        for order, (kind, table) in enumerate(tables):
            match = table.longest(words, at)
            if match is not None:
                length, values = match
                if kind == "cue" and length > 1 and self._begins_another(at, length):
                    length, values = 1, table.get((words[at],))
                value: Any = tuple(values)
                kinds = frozenset(values) if kind == "cue" else _ONE[kind]
                if kind == "relation":  # "directed by" is a relation of the graph, and a cue
                    kinds |= frozenset(lexicon.cues.get(tuple(words[at : at + length])))
                found.append((-length, order, Item(kinds, value, at, at + length)))
        quantity = quantity_at(self._right_tokens(at), 0, self.last_year)
        if quantity is not None and quantity.length:
            item = Item(_ONE["number"], quantity, at, at + quantity.length)
            found.append((-quantity.length, 4 if self._is_numeral(quantity, at) else 9, item))
        return min(found, key=lambda entry: entry[:2])[2] if found else None

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

    def _is_numeral(self, quantity: Quantity, at: int) -> bool:
        return quantity.length >= 1 and self.tokens[at].kind != "mark"

    def _right_tokens(self, at: int) -> list[Token]:
        part = []
        for k in range(at, min(at + 12, len(self.tokens))):
            token = self.tokens[k]
            if self.words[k] != token.norm:
                token = Token(self.words[k], token.kind, token.start, token.end, token.capital)
            part.append(token)
        return part

    def _special(self, at: int) -> Item | None:
        """Places in a list that was shown: "the first", "number 2", 第一部."""
        words = self.words
        if words[at] in ("第", "最", "前"):
            joined = "".join(words[at : at + 6])
            for pattern, many in ((_ORDINAL_HAN, False), (_FIRST_OF, True)):
                found = pattern.match(joined)
                if found:
                    inner = found.group(1)
                    token = Token(inner[0], "number" if inner.isdigit() else "han", 0, 1, False)
                    tokens = [token] if inner.isdigit() else self.tokens[at + 1 : at + 1 + len(inner)]
                    number = quantity_at(tokens, 0)
                    if number is None:
                        return None
                    stop = at + 2 + (1 if inner.isdigit() else len(inner))
                    places = tuple(range(int(number.low))) if many else (int(number.low) - 1,)
                    return Item(_ONE["ordinal"], places, at, stop)
            found = _LAST_HAN.match(joined)
            return Item(_ONE["ordinal"], (-1,), at, at + found.end()) if found else None
        start = at + (words[at] == "the")
        if start < len(words) and words[start] in self.lexicon.ordinals:
            if (
                start == at
                and words[start] != "last"
                and at
                and words[at - 1] not in ("the", "and", "or", "not")
            ):
                return None
            stop = start + 1
            if words[start] in ("first", "last") and stop < len(words) and words[stop] in ("two", "three"):
                count = 2 if words[stop] == "two" else 3
                places = tuple(range(count)) if words[start] == "first" else tuple(range(-count, 0))
                return Item(_ONE["ordinal"], places, at, stop + 1)
            while stop < len(words) and words[stop] in ("one", "film", "movie", "item", "product", "book"):
                stop += 1
            return Item(_ONE["ordinal"], (self.lexicon.ordinals[words[start]],), at, stop)
        if words[at] in ("number", "no") and at + 1 < len(words) and self.tokens[at + 1].kind == "number":
            place = float(self.raw[at + 1])
            if place == int(place) and 1 <= place <= 100 and words[at] == "number":
                return Item(_ONE["ordinal"], (int(place) - 1,), at, at + 2)
        return None
