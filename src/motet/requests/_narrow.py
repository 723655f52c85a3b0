"""Limits of one column put together."""

from __future__ import annotations

from motet.requests._reading import Reading
from motet.requests._request import Range

__all__ = ["narrow"]


def narrow(
    reading: Reading, column: str, low: float | None, high: float | None, *, total: bool = False
) -> None:
    """Narrow what is known of a column; the later limit wins where both cannot be.

    "Before 1950 or after 1990" is no range, and neither half of it may be dropped: it is told as unmet.
    """
    limits = reading.total if total else reading.ranges
    known = limits.get(column)
    if known is not None:
        low_too = known.low if low is None else low
        high_too = known.high if high is None else high
        if low_too is None or high_too is None or low_too <= high_too:
            low, high = low_too, high_too
        elif None in (low, high) and None in (known.low, known.high):
            reading.unmet.append(f"{column} ≤ {high_too:g}, ≥ {low_too:g}")
            del limits[column]
            return
    if low is not None and high is not None and low > high:
        return
    limits[column] = Range(column=column, low=low, high=high)
