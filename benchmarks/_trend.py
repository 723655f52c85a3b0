"""Whether something stays flat: a series of measurements with the line through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Line", "line_through"]


class Line(NamedTuple):
    """A least-squares line.

    Attributes:
        slope: Units of y a unit of x.
        start: Its value at the first x.
        end: Its value at the last x.
    """

    slope: float
    start: float
    end: float

    @property
    def change(self) -> float:
        """Relative change from one end to the other."""
        return self.end / self.start - 1 if self.start else 0.0


def line_through(x: Sequence[float], y: Sequence[float]) -> Line:
    """The line that fits best; level where there are fewer than two points.

    Example:
        >>> line_through([0, 1, 2], [1.0, 3.0, 5.0])
        Line(slope=2.0, start=1.0, end=5.0)
    """
    if len(x) < 2:
        level = float(np.mean(y)) if len(y) else 0.0
        return Line(0.0, level, level)
    slope, at_0 = (round(float(one), 12) for one in np.polyfit(np.asarray(x, float), np.asarray(y, float), 1))
    return Line(slope, at_0 + slope * x[0], at_0 + slope * x[-1])
