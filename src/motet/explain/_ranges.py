"""Numbers as ranges that have a name: decades of years, fifths of everything else."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["NamedRange", "named_ranges"]

_FIRST_YEAR, _LAST_YEAR = 1800, 2100
_LEAST_SHARE: Final = 0.02  # of the catalogue that an era of its own holds
_PARTS: Final = 5


@dataclass(frozen=True, slots=True)
class NamedRange:
    """Numbers from ``low`` up to, without, ``high``.

    Attributes:
        low: −∞ for the first.
        high: ∞ for the last.
        words: What it is called, by language, without the name of the column.
        era: Whether it is a span of years, whose words need no name of a column.
    """

    low: float
    high: float
    words: dict[str, str]
    era: bool


def named_ranges(values: NDArray[np.float64]) -> list[NamedRange]:
    """Cut the numbers of a catalogue into ranges.

    Whole numbers between 1800 and 2100 are years, cut into decades; early decades of under 2 % of
    the items are one range. Other numbers are cut at their fifths, rounded to two digits.

    Args:
        values: NaN where missing.

    Example:
        >>> [r.words["en"] for r in named_ranges(np.array([1984.0, 1985, 1991, 1999, np.nan]))]
        ['the 1980s', 'the 1990s']
        >>> [r.words["en"] for r in named_ranges(np.arange(100.0))]
        ['under 20', '20 to 40', '40 to 59', '59 to 79', '79 and more']
    """
    known = values[np.isfinite(values)]
    if len(np.unique(known)) < 2:
        return []
    years = (known == known.round()) & (known >= _FIRST_YEAR) & (known <= _LAST_YEAR)
    if years.mean() > 0.98:
        return _eras(known[years])
    edges = np.unique([float(f"{x:.2g}") for x in np.quantile(known, np.arange(1, _PARTS) / _PARTS)])
    bounds = [-np.inf, *edges.tolist(), np.inf]
    return [_range(low, high) for low, high in pairwise(bounds)]


def _eras(years: NDArray[np.float64]) -> list[NamedRange]:
    decades, counts = np.unique(years // 10 * 10, return_counts=True)
    share = np.cumsum(counts) / len(years)
    starts = [int(d) for d in decades[share >= _LEAST_SHARE]]
    ranges = [
        NamedRange(d, d + 10, {"en": f"the {d}s", "zh": f"{d}年代"}, era=True)
        for d in range(starts[0], int(decades[-1]) + 1, 10)
    ]
    if decades[0] < starts[0]:
        words = {"en": f"the time before {starts[0]}", "zh": f"{starts[0]}年以前"}
        ranges.insert(0, NamedRange(-np.inf, starts[0], words, era=True))
    return ranges


def _range(low: float, high: float) -> NamedRange:
    if low == -np.inf:
        words = {"en": f"under {high:g}", "zh": f"低于{high:g}"}
    elif high == np.inf:
        words = {"en": f"{low:g} and more", "zh": f"{low:g}及以上"}
    else:
        words = {"en": f"{low:g} to {high:g}", "zh": f"{low:g}至{high:g}"}
    return NamedRange(low, high, words, era=False)
