"""What one user did, as far as a request needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.recommend._live._event_reader import Meant

__all__ = ["NO_PAST", "Past", "Recent"]

RECENT: Final = 50
_MOST_SEEN: Final = 10_000


@dataclass(frozen=True, slots=True)
class Recent:
    """The latest events of one kind, oldest first.

    Attributes:
        rows: First rows of the items, int32 [n].
        time_s: Seconds since 1970; −∞ for what the bundle knows, [n].
        total: How many there were in all, ≥ n.
    """

    rows: NDArray[np.int32]
    time_s: NDArray[np.float64]
    total: int

    def with_event(self, row: int, time_s: float, last: int) -> Recent:
        """One event more, in its place by time, and the latest ``last`` kept; one at 0 is the latest of all."""
        if not time_s:
            time_s = float(self.time_s[-1]) if len(self.time_s) else -np.inf
        place = int(np.searchsorted(self.time_s, time_s, side="right"))
        rows = np.insert(self.rows, place, row)[-last:]
        times = np.insert(self.time_s, place, time_s)[-last:]
        return Recent(rows.astype(np.int32), times, self.total + 1)


NOTHING: Final = Recent(np.zeros(0, np.int32), np.zeros(0), 0)


@dataclass(frozen=True, slots=True)
class Past:
    """What one user did; never changed, a further event makes a new one.

    Attributes:
        sequences: Per sequence feature.
        liked: The latest items that the user liked, or had anything to do with where nothing says more.
        seen: First rows of items that the user had interactions with, int32 [n].
        live: Events told while serving.
    """

    sequences: Mapping[str, Recent]
    liked: Recent
    seen: NDArray[np.int32]
    live: int = 0

    def with_events(self, events: Sequence[tuple[Meant, int]], last: Mapping[str, int]) -> Past:
        """Further events with the first rows of their items.

        Args:
            events: In any order.
            last: How many events each sequence keeps.
        """
        sequences, liked = dict(self.sequences), self.liked
        for meant, row in events:
            at_s = meant.event.at_s
            for name in meant.held:
                sequences[name] = sequences.get(name, NOTHING).with_event(row, at_s, last[name])
            if meant.liked is not False:
                liked = liked.with_event(row, at_s, RECENT)
        rows = np.array([row for _, row in events], np.int32)
        seen = np.concatenate([self.seen, rows])[-_MOST_SEEN:]
        return Past(sequences, liked, seen, self.live + len(events))

    def __bool__(self) -> bool:
        return bool(len(self.seen))


NO_PAST: Final = Past({}, NOTHING, np.zeros(0, np.int32))
