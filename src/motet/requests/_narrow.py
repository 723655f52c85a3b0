"""Limits of one column put together."""

from __future__ import annotations

from typing import Final

from motet.requests._item import Scan
from motet.requests._limit_words import before_number
from motet.requests._reading import Reading
from motet.requests._request import Range

__all__ = ["choice_said", "narrow"]

_LIMITED: Final = ("number", "title", "old", "new", "cheap", "dear")


def narrow(
    reading: Reading,
    column: str,
    low: float | None,
    high: float | None,
    *,
    total: bool = False,
    choice: str = "",
) -> None:
    """Narrow what is known of a column; a later span wins where both cannot be.

    "Before 1950 and after 1990" contradicts itself: both limits stay, and nothing keeps them. "Before
    1950 or after 1990" is no range, and neither half of it may be dropped: it is told as unmet.

    Args:
        reading: Takes the limit.
        column: That is limited.
        low: Lowest value.
        high: Highest value.
        total: Whether the sum over all items is limited.
        choice: Both limits as they were said, where "or" joins this one to the one before.
    """
    limits = reading.total if total else reading.ranges
    reading.clashes.pop(column, None)
    known = limits.get(column)
    if known is not None:
        low_too = known.low if low is None else low
        high_too = known.high if high is None else high
        if low_too is None or high_too is None or low_too <= high_too:
            low, high = low_too, high_too
        elif None in (low, high) and None in (known.low, known.high):
            del limits[column]
            if choice:
                reading.unmet.append(choice)
            else:
                reading.clashes[column] = (known, Range(column=column, low=low, high=high))
            return
    if low is not None and high is not None and low > high:
        return
    limits[column] = Range(column=column, low=low, high=high)


def choice_said(scan: Scan, start: int, stop: int) -> str:
    """Two limits as they were said, where "or" joins one to the one before; else empty.

    Args:
        scan: The request.
        start: Place of the first item of the second limit.
        stop: One past its last item.
    """
    items, place, joined = scan.items, start, scan.items[start].has("or")
    while place > 0 and not items[place - 1].has(*_LIMITED, "end"):
        place -= 1
        joined = joined or items[place].has("or")
    if not joined or place == 0 or items[place - 1].has("end"):
        return ""
    return scan.said(items[before_number(items, place - 1)].start, items[stop - 1].stop)
