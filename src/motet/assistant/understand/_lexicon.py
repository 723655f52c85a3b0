"""The vocabulary of requests: words of English and Chinese, and what a catalogue can be asked for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

import numpy as np
import yaml
from rapidfuzz import process
from rapidfuzz.distance import OSA

from motet.assistant.understand._quantities import NUMBER_WORDS
from motet.assistant.understand._request import FactWanted, Tag
from motet.assistant.understand._titles import Titles
from motet.assistant.understand._tokens import Phrases, forms, words_of
from motet.data import Catalogue
from motet.graph import KnowledgeGraph
from motet.schema import LANGUAGES

__all__ = [
    "Lexicon",
    "NumberColumn",
    "OtherWords",
    "Role",
    "Spelling",
    "TagWord",
    "common_english",
    "cue_table",
    "number_columns",
    "stop_table",
    "ways_to_say_scenario",
]

_SHORTEST: Final = 4
_LONG: Final = 6  # from here on another letter may stand in a place
_VERY_LONG: Final = 8  # from here on two slips are forgiven


def common_english() -> dict[str, int]:
    """The most frequent words of English, and the rank of each from 0."""
    text = (files("motet.assistant.understand") / "english.txt").read_text(encoding="utf-8")
    return {word: rank for rank, word in enumerate(text.split("\n")[1:]) if word}


class Spelling:
    """Corrects misspelt words.

    A word that is right, in English or in the catalogue, is never changed; the first letter must be
    right, since users seldom miss it; among short words a letter may be missing, doubled or swapped
    with its neighbour, but not be another one ("kiss" is not "kids").

    Args:
        right: Words that requests are read with.
        known: Words that are right as they stand.

    Example:
        >>> Spelling({"horror", "comedy"}, {"sunny"}).corrected("horor")
        'horror'
    """

    def __init__(self, right: Collection[str], known: Collection[str]) -> None:
        self.known = set(known) | set(right)
        """Words that are right as they stand."""
        self._by_letter: dict[str, list[str]] = {}
        for word in sorted(right):
            if len(word) >= _SHORTEST and word.isalpha() and word.isascii():
                self._by_letter.setdefault(word[0], []).append(word)
        self._kept: dict[str, str] = {}

    def allow(self, words: Iterable[str]) -> None:
        """Further words that are right as they stand."""
        for word in words:
            self.known.add(word)

    def corrected(self, word: str) -> str:
        """The word that a misspelt one stands for; the word itself where that is not clear."""
        if len(word) < _SHORTEST or word in self.known or not (word.isalpha() and word.isascii()):
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
        """Whether a letter is missing of a common word, so that it stands for no other: "musicans"."""
        if sorted(word) == sorted(best):
            return False
        letters = "aeiouclnrst"
        return any(
            word[:at] + letter + word[at:] in self.known
            for at in range(1, len(word) + 1)
            for letter in letters
        )

    @staticmethod
    def _is_slip(word: str, right: str) -> bool:
        if len(word) >= _LONG or len(word) != len(right):
            return True
        return sorted(word) == sorted(right)


@cache
def _word_list(language: str) -> Mapping[str, Any]:
    """The words of a language, from the data file of the package; read once."""
    text = (files("motet.assistant.understand") / f"words_{language}.yaml").read_text(encoding="utf-8")
    words: Mapping[str, Any] = yaml.safe_load(text)
    return words


def cue_table() -> Phrases[str]:
    """Kinds of cue under their phrases; a phrase may be of several kinds."""
    table = Phrases[str]()
    for language in LANGUAGES:
        for kind, said in _word_list(language)["cues"].items():
            for phrase in said.split(","):
                table.add(words_of(phrase), kind)
    return table


def stop_table() -> Phrases[str]:
    """Words and phrases that are not searched for."""
    table = Phrases[str]()
    for language in LANGUAGES:
        for word in _word_list(language)["stop"].split():
            table.add(words_of(word), "stop")
    return table


@dataclass(frozen=True, slots=True)
class OtherWords:
    """Small words of other languages than English and Chinese.

    Attributes:
        refusing: Words that refuse what stands behind them.
        strong: Words that are no English.
        weak: All of them, those that are a name or a word of English, too.
    """

    refusing: frozenset[str]
    strong: frozenset[str]
    weak: frozenset[str]

    @classmethod
    def load(cls) -> OtherWords:
        """Read them."""
        lists = {kind: frozenset(said.split()) for kind, said in _word_list("other").items()}
        weak = lists["refusing"] | lists["clear"] | lists["unclear"]
        return cls(lists["refusing"], weak - lists["unclear"], weak)


Role = Literal["year", "money", "minutes", "plain"]

_YEAR: Final = re.compile(r"year|年份|年代|上映|published|released?\b", re.IGNORECASE)
_MONEY: Final = re.compile(r"price|cost|amount|fee\b|usd|eur|价|费用", re.IGNORECASE)
_MINUTES: Final = re.compile(r"run_?time|duration|length|minutes|mins?\b|hours|时长|片长", re.IGNORECASE)
_HOURS: Final = re.compile(r"hours?\b|_h$", re.IGNORECASE)
_SECONDS: Final = re.compile(r"seconds?\b|_s$", re.IGNORECASE)
_FIRST_YEAR, _LAST_YEAR = 1000.0, 2200.0


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A column of numbers, and how it is spoken of.

    Attributes:
        name: Of the column.
        role: What it measures.
        per_minute: Its units in a minute, where it is a length of time.
        quantiles: Its values at 0, 1, … 100 %.
    """

    name: str
    role: Role
    per_minute: float
    quantiles: tuple[float, ...]

    def at(self, share: float) -> float:
        """The value that a share of the items stays below; share in [0, 1]."""
        return self.quantiles[round(100 * share)]


def number_columns(catalogue: Catalogue) -> Mapping[str, NumberColumn]:
    """Every column of numbers that holds one, with its role."""
    found = {}
    for name in catalogue.numbers:
        values = catalogue.frame[name].drop_nulls().drop_nans().to_numpy()
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        quantiles = tuple(float(q) for q in np.quantile(values, np.linspace(0, 1, 101), method="nearest"))
        said = " ".join([name, *catalogue.columns.get(name, {}).values()])
        found[name] = NumberColumn(name, _role(said, quantiles), _per_minute(name), quantiles)
    return found


def _role(said: str, quantiles: tuple[float, ...]) -> Role:
    if quantiles[0] >= _FIRST_YEAR and quantiles[-1] <= _LAST_YEAR and _YEAR.search(said):
        return "year"
    if _MONEY.search(said):
        return "money"
    if _MINUTES.search(said):
        return "minutes"
    return "plain"


def _per_minute(name: str) -> float:
    if _HOURS.search(name):
        return 1 / 60
    return 60.0 if _SECONDS.search(name) else 1.0


_AROUND: Final = ("in the {}", "for the {}", "on the {}", "at the {}", "at {}", "on {}", "in {}", "for {}")


def ways_to_say_scenario(scenario: str) -> list[str]:
    """Phrases that name a placement; never its bare name if that is a word such as "day" or "home".

    Example:
        >>> ways_to_say_scenario("night")[0], ways_to_say_scenario("checkout_page")[0]
        ('at night', 'in the checkout page')
    """
    said = scenario.replace("_", " ").strip()
    times = [_word_list(language)["scenarios"].get(said.casefold(), "") for language in LANGUAGES]
    if any(times):
        return [phrase.strip() for phrases in times for phrase in phrases.split(",")]
    if not said.isascii():
        return [said]
    return [around.format(said) for around in _AROUND]


_COMMON = 12_000
_LONGEST_VALUE = 6  # words; a longer category is a sentence, which no request holds


@dataclass(frozen=True, slots=True)
class TagWord:
    """A way to say a tag.

    Attributes:
        tag: The tag.
        own: Whether it is said by its own name, not by another word for it.
    """

    tag: Tag
    own: bool


class Lexicon:
    """The words with which a catalogue is asked.

    Args:
        catalogue: Titles, tags, categories and numbers of the items, and other words for them.
        scenarios: Placements that a request may name.
        graph: Its named entities can be asked for.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"id": ["1"], "title": ["Heat"], "kind": [["Crime"]]})
        >>> shop = Catalogue(frame, "title", ("kind",), (), (), (), {}, {})
        >>> Lexicon(shop).tag("crimes")
        Tag(column='kind', value='Crime')
    """

    def __init__(
        self, catalogue: Catalogue, *, scenarios: Iterable[str] = (), graph: KnowledgeGraph | None = None
    ) -> None:
        self.catalogue = catalogue
        self.scenarios = tuple(scenarios)
        self.cues = cue_table()
        self.stop = stop_table()
        self.ordinals: Mapping[str, int] = _word_list("en")["ordinals"]
        self.other_words = OtherWords.load()
        self.common = common_english()
        self.ids: list[str] = catalogue.frame["id"].to_list()
        self.titles = Titles(
            catalogue.frame[catalogue.title].to_list() if catalogue.title is not None else ()
        )
        self.numbers: Mapping[str, NumberColumn] = number_columns(catalogue)
        self._roles = {column.role: column for column in reversed(list(self.numbers.values()))}
        self.values = self._values()
        self.columns = self._columns()
        self.placements = self._placements()
        self.relations = Phrases[str]()
        self.entities = Phrases[FactWanted]()
        if graph is not None:
            self._take_graph(graph)
        right = self.cues.vocabulary() | self.values.vocabulary() | self.columns.vocabulary()
        right |= self.stop.vocabulary() | self.placements.vocabulary() | set(self.ordinals) | NUMBER_WORDS
        self.spelling = Spelling(right, self.common.keys() | self.titles.vocabulary)

    def take(self, catalogue: Catalogue, changed: Sequence[int], gone: Sequence[int] = ()) -> None:
        """Take in items that were added, changed or removed; other threads may read requests meanwhile.

        Args:
            catalogue: All items, those of before in their places.
            changed: Rows of items that are new or changed, in order.
            gone: Rows of items whose titles name nothing any more.
        """
        before, self.catalogue = self.catalogue, catalogue
        frame = catalogue.frame[list(changed)]
        self.ids += [""] * (len(catalogue) - len(self.ids))
        for row, item in zip(changed, frame["id"].to_list(), strict=True):
            self.ids[row] = item
            self._rows[item] = row
        self._retitle(before, catalogue, changed, gone)
        for column in (*catalogue.tags, *catalogue.categories):
            cells = frame[column].explode() if column in catalogue.tags else frame[column]
            for value in sorted(cells.drop_nulls().unique().to_list()):
                for form in _forms_of(value):
                    self.values.add(form, TagWord(Tag(column=column, value=value), True))

    def _retitle(
        self, before: Catalogue, catalogue: Catalogue, changed: Sequence[int], gone: Sequence[int]
    ) -> None:
        if catalogue.title is None:
            return
        old = [row for row in dict.fromkeys([*changed, *gone]) if row < len(before)]
        was = dict(zip(old, before.frame[catalogue.title][old].to_list(), strict=True))
        self.titles.drop({row: title for row, title in was.items() if title})
        there = [row for row in changed if row not in set(gone)]
        now = dict(zip(there, catalogue.frame[catalogue.title][there].to_list(), strict=True))
        self.titles.put({row: title for row, title in now.items() if title})
        self.spelling.allow(word for title in now.values() if title for word in words_of(title))

    def tag(self, words: str) -> Tag | None:
        """The tag or category that some words name, None if there is none."""
        found = self.values.get(words_of(words))
        return found[0].tag if found else None

    def row(self, item: str) -> int | None:
        """Row of an item's id; None where there is no such item."""
        return self._rows.get(item)

    def column(self, role: Role) -> NumberColumn | None:
        """The first column of numbers that plays a role."""
        return self._roles.get(role)

    def is_common(self, words: tuple[str, ...]) -> bool:
        """Whether words are only common English, so that they name something by accident."""
        return all(word in self.common or word.isdigit() for word in words)

    def _values(self) -> Phrases[TagWord]:
        self._rows = {item: row for row, item in enumerate(self.ids)}
        catalogue, table = self.catalogue, Phrases[TagWord]()
        tags: list[Tag] = []
        for column in (*catalogue.tags, *catalogue.categories):
            cells = catalogue.frame[column]
            cells = cells.explode() if column in catalogue.tags else cells
            tags += [
                Tag(column=column, value=value)
                for value in sorted(cells.drop_nulls().unique().to_list())
                if value
            ]
        # own names first: where two values share a word, a name wins over another word for it
        for tag in tags:
            for form in _forms_of(tag.value):
                table.add(form, TagWord(tag, True))
        for tag in tags:
            for said in catalogue.words.get(tag.value, {}).values():
                for phrase in said:
                    for form in forms(words_of(phrase)):
                        if not table.get(form) or table.get(form)[0].tag != tag:
                            table.add(form, TagWord(tag, False))
        return table

    def _columns(self) -> Phrases[str]:
        table = Phrases[str]()
        catalogue = self.catalogue
        for column in (*catalogue.numbers, *catalogue.tags, *catalogue.categories):
            for said in {column.replace("_", " "), *catalogue.columns.get(column, {}).values()}:
                for form in forms(words_of(said)):
                    table.add(form, column)
        return table

    def _placements(self) -> Phrases[str]:
        table = Phrases[str]()
        for scenario in self.scenarios:
            for phrase in ways_to_say_scenario(scenario):
                table.add(words_of(phrase), scenario)
        return table

    def _take_graph(self, graph: KnowledgeGraph) -> None:
        """Names of entities that are no items themselves, and words of relations."""
        for relation, said in graph.words.items():
            for phrase in said.values():
                self.relations.add(words_of(phrase), relation)
        for row, name in enumerate(graph.names.to_list()):
            if not name or graph.entity_item[row] >= 0:
                continue
            words = words_of(str(name))
            if 0 < len(words) <= _LONGEST_VALUE and not (len(words) == 1 and self.is_common(words)):
                fact = FactWanted(entity=str(graph.index.words[row]), words=str(name))
                self.entities.add(words, fact)


def _forms_of(value: str) -> list[tuple[str, ...]]:
    """The ways to say a tag or category by its own name."""
    words = words_of(value)
    ways = [way for way in (words, ("".join(words),)) if 0 < len(way) <= _LONGEST_VALUE and "".join(way)]
    return [form for way in ways for form in forms(way)]
