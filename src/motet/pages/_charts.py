"""Small charts: numbers to points of an inline picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Area", "area"]

WIDTH: Final = 240
HEIGHT: Final = 48
_MARGIN: Final = 2


@dataclass(frozen=True, slots=True)
class Area:
    """A line with the area below it, as attributes of an SVG picture of 240 by 48.

    Attributes:
        line: Points of the line; empty where there is nothing to draw.
        fill: The same, closed at the foot.
        top: The largest value.
        last: The latest value.
    """

    line: str
    fill: str
    top: float
    last: float


def area(values: Sequence[float], *, top: float | None = None) -> Area:
    """A chart of some values, oldest first.

    Args:
        values: Not negative.
        top: Value at the upper edge; the largest of them where left out.

    Example:
        >>> area([0, 2]).line
        '0.0,46.0 240.0,2.0'
    """
    if len(values) < 2:
        return Area("", "", max(values, default=0), values[-1] if values else 0)
    high = max(top if top is not None else 0, *values) or 1
    step = WIDTH / (len(values) - 1)
    points = [
        f"{place * step:.1f},{HEIGHT - _MARGIN - value / high * (HEIGHT - 2 * _MARGIN):.1f}"
        for place, value in enumerate(values)
    ]
    line = " ".join(points)
    return Area(line, f"0,{HEIGHT} {line} {WIDTH},{HEIGHT}", max(values), values[-1])
