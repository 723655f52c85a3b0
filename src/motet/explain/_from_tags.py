"""Tags that the item shares with many of the liked items, and how often items with them were liked."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from motet.explain._claim import Basis, Claim, Mention
from motet.explain._ground import Ground, Taste
from motet.explain._source import MOST_NAMED, lift, slight, surprise, weight

__all__ = ["Rated", "SharedTags"]

_FEWEST, _LEAST_LIFT = 3, 1.2
_COMMON = 0.6  # what most items have says nothing
_MOST_TAGS = 8  # of one item, pairs of which are looked at
_TRIED, _OFTEN, _SELDOM = 5, 0.6, 0.35


class SharedTags:
    """n of the m liked items have a tag of this item, or a pair of its tags, more than the catalogue does."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        if not len(taste.liked):
            return []
        claims = []
        for tags in _sets(ground, item):
            rows = taste.liked[_have(ground, taste.liked, tags)]
            share = _everyone(ground, tags)
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
                    _mentions(ground, tags),
                    (("found", found), ("of", of), ("times", times)),
                    strength,
                    Basis(latest, found),
                )
            )
        return claims

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        wanted = {(mention.column, mention.key) for mention in claim.of("tag")}
        if not wanted or not wanted <= _said_of(ground, claim.item) or not claim.polarity:
            return False
        rows = [int(row) for row in taste.liked if wanted <= _said_of(ground, int(row))]
        everyone = sum(wanted <= _said_of(ground, row) for row in range(ground.items)) / ground.items
        return (
            claim.relation == "shares"
            and len(rows) == claim.number("found") == claim.support.count >= _FEWEST
            and len(taste.liked) == claim.number("of")
            and lift(len(rows), len(taste.liked), everyone) == claim.number("times") >= _LEAST_LIFT
            and set(claim.support.rows) <= set(rows)
        )


class Rated:
    """Of the items with a tag of this item that were tried, most were liked, or few were."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        if ground.task is None or not len(taste.had):
            return []
        usual = len(taste.liked) / len(taste.had)
        claims = []
        for tags in _sets(ground, item):
            if len(tags) > 1:  # "3 of the 5 films that combine romance and drama you rated" is hard to read
                continue
            tried = int(_have(ground, taste.had, tags).sum())
            rows = taste.liked[_have(ground, taste.liked, tags)]
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
                    _mentions(ground, tags),
                    (("found", len(rows)), ("of", tried)),
                    off,
                    Basis(tuple(int(row) for row in rows[::-1][:MOST_NAMED]), len(rows)),
                )
            )
        return claims

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        wanted = {(mention.column, mention.key) for mention in claim.of("tag")}
        if not wanted or not wanted <= _said_of(ground, claim.item) or not len(taste.had):
            return False
        tried = sum(wanted <= _said_of(ground, int(row)) for row in taste.had)
        rows = [int(row) for row in taste.liked if wanted <= _said_of(ground, int(row))]
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


def _sets(ground: Ground, item: int) -> list[tuple[int, ...]]:
    """Tags of an item, and pairs of them, the rarest tags first."""
    tags = ground.tags.of(item)
    tags = tags[np.argsort(ground.tags.counts[tags], kind="stable")][:_MOST_TAGS]
    single = [int(tag) for tag in tags]
    return [(tag,) for tag in single] + list(combinations(single, 2))


def _have(ground: Ground, rows: NDArray[np.int64], tags: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which items have all of some tags, [n]."""
    place = np.zeros(ground.items, bool)
    place[ground.tags.items(tags)] = True
    found: NDArray[np.bool_] = place[rows]
    return found


def _everyone(ground: Ground, tags: tuple[int, ...]) -> float:
    return len(ground.tags.items(tags)) / ground.items


def _mentions(ground: Ground, tags: tuple[int, ...]) -> tuple[Mention, ...]:
    return tuple(Mention("tag", value, column) for column, value in (ground.tags.keys[tag] for tag in tags))


def _said_of(ground: Ground, row: int) -> set[tuple[str, str]]:
    """Tags of an item as the catalogue has them."""
    catalogue = ground.catalogue
    columns = (*catalogue.tags, *catalogue.categories)
    return {(column, value) for column in columns for value in catalogue.values(row, column)}
