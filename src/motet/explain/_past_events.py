"""What one user did, for a profile: of the bundle, and told since."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motet.explain._told import Told

__all__ = ["PastEvents"]

_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class PastEvents:
    """Events of one user, oldest first.

    Attributes:
        items: Rows of their items, int64 [n].
        time_us: When, microseconds since 1970, [n].
        aged_us: The same on the clock by which events age, [n].
        likes: 1 for a like, 0 for none, NaN where it was not said, [n].
    """

    items: NDArray[np.int64]
    time_us: NDArray[np.int64]
    aged_us: NDArray[np.int64]
    likes: NDArray[np.float64]

    def with_told(self, told: Told, half_life_days: float | None) -> PastEvents:
        """Further events, in their places by time.

        Args:
            told: They.
            half_life_days: The clock stands still in a pause between these events and those, but for so many days.
        """
        time = told.time_us
        if half_life_days is None:
            time = np.zeros(len(told), np.int64)
        aged = time
        if len(self.time_us) and len(told) and half_life_days is not None:
            pause = int(time.min() - self.time_us.max())
            aged = time - max(0, pause - round(half_life_days * _DAY_US))
        items, times = np.concatenate([self.items, told.items]), np.concatenate([self.time_us, time])
        clock, likes = np.concatenate([self.aged_us, aged]), np.concatenate([self.likes, told.likes])
        order = np.argsort(times, kind="stable")
        return PastEvents(items[order], times[order], clock[order], likes[order])
