"""Numbers of the item that are like those of the liked items: the same years, the same price range."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from motet.explain._claim import Basis, Claim
from motet.explain._ground import Ground, Taste
from motet.explain._source import MOST_NAMED, lift, slight, surprise, weight

__all__ = ["LikeNumbers", "window"]

_FEWEST, _LEAST_LIFT, _COMMON = 3, 1.2, 0.5
_DECADE = 10


def window(ground: Ground, column: str, value: float) -> tuple[float, float]:
    """The range that a number is told with: its decade where it is a year, else its quarter of the catalogue.

    Returns:
        Lowest and highest value, both included.
    """
    if ground.is_year(column):
        start = math.floor(value / _DECADE) * _DECADE
        return float(start), float(start + _DECADE - 1)
    edges = ground.quarters(column)
    at = min(int(np.searchsorted(edges[1:-1], value, side="left")), len(edges) - 2)
    low = edges[at] if at == 0 else float(np.nextafter(edges[at], np.inf))
    return float(low), float(edges[at + 1])


class LikeNumbers:
    """n of the m liked items are of the same decade, or of the same range of prices."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        claims: list[Claim] = []
        for column in ground.catalogue.numbers if len(taste.liked) else ():
            value = ground.catalogue.number(item, column)
            if value is None or not math.isfinite(value):
                continue
            low, high = window(ground, column, value)
            values = ground.numbers(column)
            rows = taste.liked[_within(values[taste.liked], low, high)]
            share = float(_within(values, low, high).mean())
            times = lift(len(rows), len(taste.liked), share)
            found, of = len(rows), len(taste.liked)
            if found < _FEWEST or times < _LEAST_LIFT or share > _COMMON or slight(found, of, times):
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

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        column = claim.relation.removeprefix("same_")
        if column not in ground.catalogue.numbers or claim.mentions or not claim.polarity:
            return False
        low, high = claim.number("low"), claim.number("high")
        value = ground.catalogue.number(claim.item, column)
        if value is None or value != claim.number("value") or (low, high) != window(ground, column, value):
            return False

        def inside(row: int) -> bool:
            number = ground.catalogue.number(row, column)
            return number is not None and low <= number <= high

        rows = [int(row) for row in taste.liked if inside(int(row))]
        share = sum(inside(row) for row in range(ground.items)) / ground.items
        return (
            len(rows) == claim.number("found") == claim.support.count >= _FEWEST
            and len(taste.liked) == claim.number("of")
            and lift(len(rows), len(taste.liked), share) == claim.number("times") >= _LEAST_LIFT
            and set(claim.support.rows) <= set(rows)
        )


def _within(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (values >= low) & (values <= high)
    return found
