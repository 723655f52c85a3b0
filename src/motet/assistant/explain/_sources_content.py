"""Claims from what items are: properties, tags, numbers and words that an item shares with liked ones."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from motet.assistant.explain._catalogue_tables import words_of
from motet.assistant.explain._claim import (
    LEAST_COSINE,
    MOST_NAMED,
    Basis,
    Claim,
    Mention,
    lift,
    slight,
    surprise,
    weight,
)
from motet.assistant.explain._evidence import EvidenceIndex, Taste

__all__ = ["LikeNumbers", "Properties", "Rated", "SharedTags", "SharedWords", "window"]

_TAGS, _PARTS = 4, 5


class Properties:
    """The item is of these kinds and of this year; each category and each other number is a claim of its own."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        catalogue = evidence.catalogue
        kinds = tuple(
            Mention("tag", value, column)
            for column in catalogue.tags
            for value in catalogue.values(item, column)[:_TAGS]
        )
        numbers = [
            (column, value)
            for column in catalogue.numbers
            if (value := catalogue.number(item, column)) is not None and math.isfinite(value)
        ]
        years = [(column, value) for column, value in numbers if evidence.is_year(column)][:1]
        parts: list[tuple[tuple[Mention, ...], tuple[tuple[str, float], ...]]] = []
        if kinds or years:
            parts.append((kinds, tuple(years)))
        for column in catalogue.categories:
            parts += [((Mention("tag", value, column),), ()) for value in catalogue.values(item, column)]
        parts += [((), (number,)) for number in numbers if number not in years]
        return [
            Claim("is", item, -1, "is", True, mentions, numbers, 0.05 - 0.001 * place, Basis())
            for place, (mentions, numbers) in enumerate(parts[:_PARTS])
        ]

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        catalogue = evidence.catalogue
        return (
            claim.polarity
            and claim.relation == "is"
            and bool(claim.mentions or claim.numbers)
            and all(
                mention.column in (*catalogue.tags, *catalogue.categories)
                and mention.key in catalogue.values(claim.item, mention.column)
                for mention in claim.mentions
            )
            and all(
                column in catalogue.numbers and catalogue.number(claim.item, column) == value
                for column, value in claim.numbers
            )
        )


_FEWEST, _LEAST_LIFT = 3, 1.2
_COMMON = 0.6  # what most items have says nothing
_MOST_TAGS = 8  # of one item, pairs of which are looked at
_TRIED, _OFTEN, _SELDOM = 5, 0.6, 0.35


class SharedTags:
    """n of the m liked items have a tag of this item, or a pair of its tags, more than the catalogue does."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        if not len(taste.liked):
            return []
        claims = []
        for tags in _sets(evidence, item):
            rows = taste.liked[_have(evidence, taste.liked, tags)]
            share = _everyone(evidence, tags)
            found, of = len(rows), len(taste.liked)
            times = lift(found, of, share)
            if found < _FEWEST or times < _LEAST_LIFT or share > _COMMON or slight(found, of, times):
                continue
            # a pair says more than each of its tags, if it is there as often as to mean something
            strength = surprise(found, of, share) * weight(found, of) * (1.0 if len(tags) == 1 else 0.95)
            latest = tuple(int(row) for row in rows[::-1][:MOST_NAMED])
            claims.append(
                Claim(
                    "tags",
                    item,
                    taste.user,
                    "shares",
                    True,
                    _mentions(evidence, tags),
                    (("found", found), ("of", of), ("times", times)),
                    strength,
                    Basis(latest, found),
                )
            )
        return claims

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        wanted = {(mention.column, mention.key) for mention in claim.of("tag")}
        if not wanted or not wanted <= _said_of(evidence, claim.item) or not claim.polarity:
            return False
        rows = [int(row) for row in taste.liked if wanted <= _said_of(evidence, int(row))]
        everyone = sum(wanted <= _said_of(evidence, row) for row in range(evidence.items)) / evidence.items
        return (
            claim.relation == "shares"
            and len(rows) == claim.number("found") == claim.support.count >= _FEWEST
            and len(taste.liked) == claim.number("of")
            and lift(len(rows), len(taste.liked), everyone) == claim.number("times") >= _LEAST_LIFT
            and set(claim.support.rows) <= set(rows)
        )


class Rated:
    """Of the items with a tag of this item that were tried, most were liked, or few were."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        if evidence.task is None or not len(taste.had):
            return []
        usual = len(taste.liked) / len(taste.had)
        claims = []
        for tags in _sets(evidence, item):
            if len(tags) > 1:  # "3 of the 5 films that combine romance and drama you rated" is hard to read
                continue
            tried = int(_have(evidence, taste.had, tags).sum())
            rows = taste.liked[_have(evidence, taste.liked, tags)]
            share = len(rows) / max(tried, 1)
            polarity = share >= _OFTEN and share > usual
            against = share <= _SELDOM and share < usual
            if tried < _TRIED or not (polarity or against):
                continue
            off = (
                surprise(len(rows), tried, usual)
                if polarity
                else surprise(tried - len(rows), tried, 1 - usual)
            )
            claims.append(
                Claim(
                    "rate",
                    item,
                    taste.user,
                    "liked_when_tried",
                    polarity,
                    _mentions(evidence, tags),
                    (("found", len(rows)), ("of", tried)),
                    off,
                    Basis(tuple(int(row) for row in rows[::-1][:MOST_NAMED]), len(rows)),
                )
            )
        return claims

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        wanted = {(mention.column, mention.key) for mention in claim.of("tag")}
        if not wanted or not wanted <= _said_of(evidence, claim.item) or not len(taste.had):
            return False
        tried = sum(wanted <= _said_of(evidence, int(row)) for row in taste.had)
        rows = [int(row) for row in taste.liked if wanted <= _said_of(evidence, int(row))]
        if tried < _TRIED or (len(rows), tried) != (claim.number("found"), claim.number("of")):
            return False
        share, usual = len(rows) / tried, len(taste.liked) / len(taste.had)
        right = share >= max(_OFTEN, usual) if claim.polarity else share <= min(_SELDOM, usual)
        return (
            right
            and claim.relation == "liked_when_tried"
            and claim.support.count == len(rows)
            and set(claim.support.rows) <= set(rows)
        )


def _sets(evidence: EvidenceIndex, item: int) -> list[tuple[int, ...]]:
    """Tags of an item, and pairs of them, the rarest tags first."""
    tags = evidence.tags.of(item)
    tags = tags[np.argsort(evidence.tags.counts[tags], kind="stable")][:_MOST_TAGS]
    single = [int(tag) for tag in tags]
    return [(tag,) for tag in single] + list(combinations(single, 2))


def _have(evidence: EvidenceIndex, rows: NDArray[np.int64], tags: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which items have all of some tags, [n]."""
    place = np.zeros(evidence.items, bool)
    place[evidence.tags.items(tags)] = True
    found: NDArray[np.bool_] = place[rows]
    return found


def _everyone(evidence: EvidenceIndex, tags: tuple[int, ...]) -> float:
    return len(evidence.tags.items(tags)) / evidence.items


def _mentions(evidence: EvidenceIndex, tags: tuple[int, ...]) -> tuple[Mention, ...]:
    return tuple(Mention("tag", value, column) for column, value in (evidence.tags.keys[tag] for tag in tags))


def _said_of(evidence: EvidenceIndex, row: int) -> set[tuple[str, str]]:
    """Tags of an item as the catalogue has them."""
    catalogue = evidence.catalogue
    columns = (*catalogue.tags, *catalogue.categories)
    return {(column, value) for column in columns for value in catalogue.values(row, column)}


_FEWEST_NUMBERS, _LEAST_LIFT_OF_NUMBER, _COMMON_NUMBER = 3, 1.2, 0.5
_DECADE = 10


def window(evidence: EvidenceIndex, column: str, value: float) -> tuple[float, float]:
    """The range that a number is said with: its decade where it is a year, else its quarter of the catalogue.

    Returns:
        Lowest and highest value, both included.
    """
    if evidence.is_year(column):
        start = math.floor(value / _DECADE) * _DECADE
        return float(start), float(start + _DECADE - 1)
    edges = evidence.quarters(column)
    at = min(int(np.searchsorted(edges[1:-1], value, side="left")), len(edges) - 2)
    low = edges[at] if at == 0 else float(np.nextafter(edges[at], np.inf))
    return float(low), float(edges[at + 1])


class LikeNumbers:
    """n of the m liked items are of the same decade, or of the same range of prices."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        claims: list[Claim] = []
        for column in evidence.catalogue.numbers if len(taste.liked) else ():
            value = evidence.catalogue.number(item, column)
            if value is None or not math.isfinite(value):
                continue
            low, high = window(evidence, column, value)
            values = evidence.numbers(column)
            rows = taste.liked[_within(values[taste.liked], low, high)]
            share = float(_within(values, low, high).mean())
            times = lift(len(rows), len(taste.liked), share)
            found, of = len(rows), len(taste.liked)
            if (
                found < _FEWEST_NUMBERS
                or times < _LEAST_LIFT_OF_NUMBER
                or share > _COMMON_NUMBER
                or slight(found, of, times)
            ):
                continue
            numbers = (("found", found), ("of", of), ("times", times))
            claims.append(
                Claim(
                    "number",
                    item,
                    taste.user,
                    f"same_{column}",
                    True,
                    (),
                    (("value", value), ("low", low), ("high", high), *numbers),
                    0.9 * surprise(found, of, share) * weight(found, of),
                    Basis(tuple(int(row) for row in rows[::-1][:MOST_NAMED]), len(rows)),
                )
            )
        return claims

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        column = claim.relation.removeprefix("same_")
        if column not in evidence.catalogue.numbers or claim.mentions or not claim.polarity:
            return False
        low, high = claim.number("low"), claim.number("high")
        value = evidence.catalogue.number(claim.item, column)
        if value is None or value != claim.number("value") or (low, high) != window(evidence, column, value):
            return False

        def inside(row: int) -> bool:
            number = evidence.catalogue.number(row, column)
            return number is not None and low <= number <= high

        rows = [int(row) for row in taste.liked if inside(int(row))]
        share = sum(inside(row) for row in range(evidence.items)) / evidence.items
        return (
            len(rows) == claim.number("found") == claim.support.count >= _FEWEST_NUMBERS
            and len(taste.liked) == claim.number("of")
            and lift(len(rows), len(taste.liked), share) == claim.number("times") >= _LEAST_LIFT_OF_NUMBER
            and set(claim.support.rows) <= set(rows)
        )


def _within(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (values >= low) & (values <= high)
    return found


_RARE = 0.02  # share of the catalogue that may have a word that is said
_WORDS = 2  # that one claim names
# "Seven" and "The Magnificent Seven" have nothing in common
_COUNTS = frozenset("one two three four five six seven eight nine ten first second third last new".split())  # noqa: SIM905
_TITLE_ROWS, _TEXT_ROWS = 1, 2  # liked items that must share it


class SharedWords:
    """A rare word stands in the item's text and in those of liked items."""

    def find(self, evidence: EvidenceIndex, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        claims: list[Claim] = []
        for column, fewest in _columns(evidence) if len(taste.liked) else ():
            table = evidence.words(column)
            shared: list[tuple[float, str, tuple[int, ...]]] = []
            liked = set(taste.liked.tolist())
            for word in words_of(evidence.text(item, column)):
                having = table.rows.get(word, ())
                if len(having) > max(fewest + 1, _RARE * evidence.items):
                    continue
                rows = tuple(row for row in having if row in liked)
                if len(rows) >= fewest:
                    shared.append((table.weight(word, evidence.items), word, rows))
            if not shared:
                continue
            shared.sort(key=lambda one: (-one[0], one[1]))
            # words that stand together in the same items are said together: "Star" and "Trek"
            weight, _, rows = shared[0]
            named = [word for _, word, others in shared if set(others) == set(rows)][:_WORDS]
            having_it = set(rows)
            if column == evidence.catalogue.title and len(named) == 1:
                # "Batman" says something, "Mighty Aphrodite" and "Mighty Morphin Power Rangers" have nothing in common
                alike = evidence.vectors[list(rows)] @ evidence.vectors[item] >= LEAST_COSINE
                having_it = {row for row, is_alike in zip(rows, alike, strict=True) if is_alike}
            latest = tuple(row for row in taste.liked[::-1].tolist() if row in having_it)[:MOST_NAMED]
            if not latest or (len(latest) == len(named) == 1 and named[0] in _COUNTS):
                continue
            strength = min(0.8, 0.12 * weight / 2 + 0.1 * len(rows) + 0.1 * (len(named) - 1))
            claims.append(
                Claim(
                    "words",
                    item,
                    taste.user,
                    f"words_of_{column}",
                    True,
                    tuple(Mention("word", word, column) for word in named)
                    + tuple(Mention("liked", evidence.item_id(row), row=row) for row in latest),
                    (("found", len(rows)),),
                    strength,
                    Basis(latest, len(rows), (round(weight, 4),)),
                )
            )
        return claims

    def holds(self, evidence: EvidenceIndex, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        column = claim.relation.removeprefix("words_of_")
        fewest = dict(_columns(evidence)).get(column)
        words = {mention.key for mention in claim.of("word")}
        named = claim.of("liked")
        if fewest is None or not words or not named or not claim.polarity:
            return False

        def has(row: int) -> bool:
            return words <= set(words_of(evidence.text(row, column)))

        rows = [int(row) for row in taste.liked if has(int(row))]
        everyone = sum(has(row) for row in range(evidence.items))
        return (
            has(claim.item)
            and fewest <= len(rows) == claim.number("found") == claim.support.count
            and {mention.row for mention in named} <= set(rows)
            and all(mention.key == evidence.item_id(mention.row) for mention in named)
            and everyone <= max(fewest + 1, _RARE * evidence.items)
        )


def _columns(evidence: EvidenceIndex) -> list[tuple[str, int]]:
    """Columns of words, and how many liked items must share a word of each."""
    title = [(evidence.catalogue.title, _TITLE_ROWS)] if evidence.catalogue.title else []
    return [*title, *((column, _TEXT_ROWS) for column in evidence.catalogue.texts)]
