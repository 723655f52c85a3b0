"""What a catalogue can be asked for: its values, titles, numbers, placements and graph, by the words for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from motet.data import Catalogue
from motet.knowledge import KnowledgeGraph
from motet.requests._cues import cue_table, ordinals, stop_table
from motet.requests._inflect import forms
from motet.requests._phrases import Phrases
from motet.requests._quantities import NUMBER_WORDS
from motet.requests._request import FactWanted, Tag
from motet.requests._roles import NumberColumn, Role, number_columns
from motet.requests._scenarios import ways_to_say_scenario
from motet.requests._spelling import Spelling, common_english
from motet.requests._titles import Titles
from motet.requests._tokens import words_of

__all__ = ["Lexicon", "TagWord"]

_COMMON = 12_000
_LONGEST_VALUE = 6  # words; a longer category is a sentence, which nobody says


@dataclass(frozen=True, slots=True)
class TagWord:
    """A way to say a tag.

    Attributes:
        tag: What is meant.
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
        self.ordinals = ordinals()
        self.common = common_english()
        self.ids: list[str] = catalogue.frame["id"].to_list()
        self.titles = Titles(
            catalogue.frame[catalogue.title].to_list() if catalogue.title is not None else ()
        )
        self.numbers: Mapping[str, NumberColumn] = number_columns(catalogue)
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
        """Further items, and some that were told anew or taken away; others may read requests meanwhile.

        Args:
            catalogue: All items, those of before in their places.
            changed: Rows of items that are new or were told anew, in order.
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
        return next((column for column in self.numbers.values() if column.role == role), None)

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
        for (
            tag
        ) in tags:  # own names first: where two values share a word, a name wins over another word for it
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
