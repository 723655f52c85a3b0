"""The small words before a number that make it a limit, and where they stand."""

from __future__ import annotations

from typing import Final

from motet.requests._item import Item, Scan

__all__ = ["LIMITS", "before_number", "is_total", "limit_at"]

LIMITS: Final = ("gt", "lt", "ge", "le")
"""Kinds of cue that limit a number."""

_SKIP: Final = ("stop", "year_word", "from", "column", "only", "pos")


def before_number(items: list[Item], at: int) -> int:
    """Place of the cue before a number, or of what else stands there."""
    place = at - 1
    while (
        place >= 0
        and items[place].has(*_SKIP)
        and not items[place].has(*LIMITS, "between", "early", "late", "mid")
    ):
        place -= 1
    if place >= 0 and items[place].has("early", "late", "mid"):
        return before_number(items, place)
    return max(place, 0)


def limit_at(items: list[Item], at: int) -> str | None:
    """The kind of limit that an item is; None for none."""
    return next((kind for kind in ("between", *LIMITS) if items[at].has(kind)), None)


def is_total(scan: Scan, at: int) -> bool:
    """Whether "in total" stands in the sentence of a number."""
    return scan.total_near(at, scan.sentences) is not None
