"""A request as a row of things that are understood, words that are not, and marks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from motet.requests._foreign import FOREIGN_NOT, is_foreign
from motet.requests._item import Item, Scan
from motet.requests._lexicon import Lexicon
from motet.requests._phrases import Phrases
from motet.requests._places import place_at
from motet.requests._quantities import Quantity, quantity_at
from motet.requests._title_use import TitleUse
from motet.requests._tokens import Token, tokenize

__all__ = ["scan"]

_ENDS: Final = frozenset(".;!?:")
_REFERENCES: Final = ("like", "liked", "seen", "not", "except", "gt", "lt", "ge", "le")
_CARRY: Final = frozenset({"and", "or", "comma", "also", "stop", "dash", "mark"})
_COMPARES: Final = {"›": "gt", "‹": "lt", ">": "gt", "<": "lt", "≥": "ge", "≤": "le", "+": "or_later"}
_ONE: Final = {
    kind: frozenset({kind})
    for kind in (
        "tag", "title", "number", "column", "scenario", "fact", "relation", "ordinal", "end", "comma", "dash", "quote",
        "mark", "stop", "word", "and", "or",
    )
}  # fmt: skip
_MEASURES: Final = frozenset("部个本件款首张条只双种场")


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
    return replace(Scan.of(found.text, found.tokens, found.words, items), foreign=True)


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
        shouts = len(letters) > 3 and all(c.isupper() for c in letters)
        self.items: list[Item] = []
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
            self._follow(item)
            at = item.stop
        return Scan.of(self.text, self.tokens, self.words, self.items)

    def _item_at(self, at: int) -> Item:
        token = self.tokens[at]
        if token.kind == "mark":
            return self._mark(at)
        context = self.context
        title = self.titles.at(at, context)
        known = self._known(at)
        if title is not None and (known is None or self.titles.wins(title, known, at, context)):
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

    def _follow(self, item: Item) -> None:
        """Keep the last cue that says what a title would be for: "like", "seen", "not" …."""
        kind = next((kind for kind in _REFERENCES if kind in item.kinds), None)
        if kind is not None or not item.has("title", *_CARRY):
            self.context = kind

    # -- everything else ---------------------------------------------------------------------------

    def _known(self, at: int) -> Item | None:
        lexicon, words = self.lexicon, self.words
        special = place_at(self.tokens, words, at, lexicon.ordinals)
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
