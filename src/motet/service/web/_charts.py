"""Charts with axes, as attributes of SVG pictures: lines over time, with gaps where nothing is recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from babel.dates import format_date

from motet.service.web._shown import number

__all__ = ["Chart", "Curve", "by_day", "chart_of", "nice_scale", "time_marks"]

WIDTH: Final = 1000
HEIGHT: Final = 100
_DIVISIONS: Final = 5
_MINUTE_S: Final = 60
_DAY_S: Final = 86_400
# the longest time of each distance between marks on the time axis, in seconds
_MARKS_S: Final = (
    (10, 2),
    (30, 5),
    (60, 10),
    (150, 30),
    (300, 60),
    (600, 120),
    (1_800, 300),
    (4_000, 900),
    (8_000, 1_800),
    (20_000, 3_600),
    (40_000, 7_200),
    (60_000, 10_800),
    (100_000, 21_600),
    (180_000, 43_200),
    (400_000, _DAY_S),
    (700_000, 2 * _DAY_S),
)
_MOST_MARKS: Final = 6  # on a longer axis
_EDGE: Final = 0.04


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart.

    Attributes:
        name: What it shows, for readers.
        values: One for each step, oldest first; None where nothing is known.
        lines: Points of its unbroken parts, in a picture of 1,000 by 100.
        dots: Points that stand alone, each twice: a line without length, which round ends make a dot.
        voice: Number of its colour.
    """

    name: str
    values: tuple[float | None, ...]
    lines: tuple[str, ...]
    dots: tuple[str, ...]
    voice: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over a common time axis.

    Attributes:
        curves: The lines.
        band: Points of the area between two lines; empty without one.
        heights: Labels of the vertical axis from the top down, evenly spaced.
        grid: Height of each of them, 0 to 100 from the top.
        zero: Height of 0 where it is not the foot; None otherwise.
        marks: Labels of the time axis: place in per cent, anchor, text.
        unknown: Width of the time at the beginning of which nothing is recorded, 0 to 1,000.
        rows: Beginning of each step with the value of each line, the latest first, for a table.
        summary: What a reader hears who does not see the picture.
    """

    curves: tuple[Curve, ...]
    band: str
    heights: tuple[str, ...]
    grid: tuple[float, ...]
    zero: float | None
    marks: tuple[tuple[float, str, str], ...]
    unknown: float
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    summary: str

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(curve.lines or curve.dots for curve in self.curves)


def nice_scale(low: float, high: float, *, whole: bool = False) -> tuple[float, ...]:
    """Round values from below a smallest to above a largest one, evenly spaced, at most seven.

    Args:
        low: The smallest value.
        high: The largest value.
        whole: Whether there are whole numbers only.

    Example:
        >>> nice_scale(0, 37), nice_scale(0, 2, whole=True), nice_scale(-0.1, 0.3)
        ((0.0, 10.0, 20.0, 30.0, 40.0), (0.0, 1.0, 2.0), (-0.1, 0.0, 0.1, 0.2, 0.3))
    """
    span = high - low
    if span <= 0:
        span = abs(high) or 1.0
    rough = span / _DIVISIONS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in (1, 2, 2.5, 5, 10) if one * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first, last = math.floor(low / step + 1e-9), math.ceil(max(high, low + span / 2) / step - 1e-9)
    return tuple(round(at * step, 12) for at in range(first, max(last, first + 1) + 1))


def time_marks(start_s: float, end_s: float, language: str) -> tuple[tuple[float, str, str], ...]:
    """Round moments of a time axis in UTC: place in per cent, anchor of the text, and text.

    Args:
        start_s: Where it begins, in seconds since 1970.
        end_s: Where it ends.
        language: Of dates.

    Example:
        >>> time_marks(0, 3_600, "en")[1], time_marks(0, 7 * 86_400, "zh")[1]
        ((25.0, 'middle', '00:15'), (28.57, 'middle', '1/3'))
    """
    length = end_s - start_s
    days = math.ceil(length / _DAY_S / _MOST_MARKS)
    apart = next((apart for most, apart in _MARKS_S if length <= most), days * _DAY_S)
    found = []
    at = math.ceil(start_s / apart) * apart
    while at <= end_s:
        share = (at - start_s) / length
        moment = datetime.fromtimestamp(at, UTC)
        is_day = at % _DAY_S == 0 and length > _DAY_S / 2
        clock = f"{moment:%H:%M:%S}" if apart < _MINUTE_S else f"{moment:%H:%M}"
        anchor = "start" if share < _EDGE else "end" if share > 1 - _EDGE else "middle"
        found.append((round(100 * share, 2), anchor, _date(moment, language) if is_day else clock))
        at += apart
    if not found:  # within two seconds
        found.append((0.0, "start", f"{datetime.fromtimestamp(start_s, UTC):%H:%M:%S}"))
    return tuple(found)


def _date(moment: datetime, language: str) -> str:
    pattern, locale = ("M/d", "zh_Hans") if language == "zh" else ("d MMM", "en_GB")
    return format_date(moment, pattern, locale=locale)


def chart_of(
    lines: Sequence[tuple[str, Sequence[float | None]]],
    start_s: float,
    step_s: float,
    language: str,
    *,
    first_voice: int = 0,
    whole: bool = False,
    top: float | None = None,
    band: bool = False,
) -> Chart:
    """Draw lines over time.

    Args:
        lines: Name and values of each, one for each step; None where nothing is known: there the line is broken.
        start_s: Beginning of the first step, in seconds since 1970.
        step_s: Length of a step in seconds.
        language: Of dates.
        first_voice: Number of the first colour.
        whole: Whether values are whole numbers.
        top: Smallest upper end of the vertical axis.
        band: Whether the lines are the low end, the middle and the high end of an interval: the area between is filled,
            and only the middle is drawn.

    Example:
        >>> chart = chart_of([("calls", [None, 0, 4])], 0, 60, "en", whole=True)
        >>> chart.curves[0].lines, chart.heights, round(chart.unknown)
        (('500.0,100.0 833.3,0.0',), ('4', '3', '2', '1', '0'), 333)
    """
    steps = max((len(values) for _, values in lines), default=0)
    known = [value for _, values in lines for value in values if value is not None]
    scale = nice_scale(min(0.0, *known, 0.0), max(top or 0.0, *known, 0.0) or 1.0, whole=whole)
    low, span = scale[0], scale[-1] - scale[0]

    def y(value: float) -> float:
        return round(HEIGHT * (1 - (value - low) / span), 1)

    def points(values: Sequence[float | None]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        parts: list[list[str]] = [[]]
        for at, value in enumerate(values):
            if value is None:
                parts.append([])
            else:
                parts[-1].append(f"{WIDTH * (at + 0.5) / steps:.1f},{y(value):.1f}")
        lines = tuple(" ".join(part) for part in parts if len(part) > 1)
        return lines, tuple(f"{part[0]} {part[0]}" for part in parts if len(part) == 1)

    curves = tuple(
        Curve(name, tuple(values), *points(values), (first_voice + at) % 6)
        for at, (name, values) in enumerate(lines)
    )
    filled = ""
    if band and len(curves) == 3:
        ends = [" ".join(curve.lines) for curve in curves]
        filled = f"{ends[2]} {' '.join(reversed(ends[0].split()))}"
    recorded = [at for at in range(steps) if any(values[at] is not None for _, values in lines)]
    end_s = start_s + steps * step_s
    return Chart(
        curves=curves,
        band=filled,
        heights=tuple(number(value) for value in reversed(scale)),
        grid=tuple(y(value) for value in reversed(scale)),
        zero=y(0.0) if low < 0 else None,
        marks=time_marks(start_s, end_s, language) if steps else (),
        unknown=round(WIDTH * (recorded[0] if recorded else steps) / max(1, steps), 1),
        rows=tuple(
            (_moment(start_s + at * step_s), tuple(_cell(values[at]) for _, values in lines))
            for at in reversed(recorded)
        ),
        summary="; ".join(_said(name, values) for name, values in lines),
    )


def _moment(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M}"


def _cell(value: float | None) -> str:
    return "–" if value is None else number(round(value, 3))


def _said(name: str, values: Sequence[float | None]) -> str:
    some = [value for value in values if value is not None]
    return f"{name} {_cell(min(some))}–{_cell(max(some))}" if some else f"{name} –"


def by_day(
    days: Sequence[tuple[str, float]], language: str, name: str, *, top: float, last: str, count: int = 30
) -> Chart:
    """A value of each day, with gaps where a day has none.

    Args:
        days: Days as ISO dates, with their values.
        language: Of dates.
        name: What the values are.
        top: Smallest upper end of the axis.
        last: The last day.
        count: Days.
    """
    end = datetime.fromisoformat(last).replace(tzinfo=UTC).timestamp()
    start = end - (count - 1) * _DAY_S
    known: dict[Any, float] = dict(days)
    values = [
        known.get(f"{datetime.fromtimestamp(start + at * _DAY_S, UTC):%Y-%m-%d}") for at in range(count)
    ]
    return chart_of([(name, values)], start, _DAY_S, language, top=top)
