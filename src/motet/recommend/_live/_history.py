"""What users did a second ago, on top of what the bundle knows of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from motet.bundle import Bundle
from motet.errors import DataError, StoreUnavailableError
from motet.recommend._live._event import LiveEvent
from motet.recommend._live._event_reader import EventReader, Meant
from motet.recommend._live._items_now import ItemsNow
from motet.recommend._live._past import NO_PAST, RECENT, Past, Recent

__all__ = ["Added", "LiveHistory"]

_USERS: Final = 100_000
_SLACK_S: Final = 1e-3  # times are read in microseconds, and told as fractions of seconds


@dataclass(frozen=True, slots=True)
class Added:
    """What became of some events.

    Attributes:
        events: How many count from now on.
        unknown_items: Items that are not in the catalogue; their events count for nothing.
        meant: What each event that counts means, with the first row of its item.
    """

    events: int
    unknown_items: tuple[str, ...]
    meant: tuple[tuple[Meant, int], ...]


class LiveHistory:
    """The pasts of users while they go on.

    Live events follow what the bundle knows, in the order of their times. Memory is bounded: of each user
    the latest events are kept, and users beyond the limit are pushed out, those first of whom nothing was
    heard or asked for the longest time. ``load`` brings one back who was pushed out; it is not called while memory
    holds everybody. An event that the bundle :meth:`holds` counts once.

    Args:
        bundle: Whose users have a past already.
        reader: Says what events mean.
        users: Users with live events that are kept, ≥ 1.
        load: Gives all live events of a user who is not kept, but those that are just being added, such as from
            a database. It may raise StoreUnavailableError: until it gives an answer, such a user's past is what
            the bundle knows.
    """

    def __init__(
        self,
        bundle: Bundle,
        reader: EventReader,
        *,
        users: int = _USERS,
        load: Callable[[str], Sequence[LiveEvent]] | None = None,
    ) -> None:
        self._bundle, self.reader, self._most, self._load = bundle, reader, users, load
        self._rows = {user: row for row, user in enumerate(bundle.data.user_ids.to_list())}
        timed = len(bundle.behaviour.time) and bundle.schema.keys.time is not None
        self._until_s = float(bundle.behaviour.time.max()) / 1e6 + _SLACK_S if timed else -np.inf
        features = bundle.schema.features.user
        self._last = {n: f.history.last for n, f in features.items() if f.history is not None}
        self._pasts: OrderedDict[str, Past] = OrderedDict()
        self._erased: set[str] = set()
        self._holds_all = True  # until a user is pushed out
        self._changes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Users that are kept."""
        return len(self._pasts)

    def users(self) -> list[str]:
        """Users that are kept."""
        with self._lock:
            return list(self._pasts)

    def row(self, user: str) -> int:
        """Row of a user in the bundle; −1 for one it does not know, or that was erased."""
        return -1 if user in self._erased else self._rows.get(user, -1)

    def holds(self, event: LiveEvent, now: ItemsNow) -> bool:
        """Whether the bundle was trained with an event: not later than its last, of a user and an item it saw together.

        So a model that was trained on what a store holds counts none of it twice when it is told all of it.
        """
        if not 0 < event.at_s <= self._until_s:
            return False
        row, item, seen = self.row(event.user), now.first_rows.get(event.item, -1), self._bundle.seen
        return row >= 0 and item in seen.values[seen.offsets[row] : seen.offsets[row + 1]]

    def add(self, events: Sequence[LiveEvent], now: ItemsNow) -> Added:
        """Take events into account from the next request on.

        Args:
            events: With their users.
            now: The catalogue.

        Raises:
            DataError: If a cell is not of its column's kind. Nothing is changed then.
        """
        meant, unknown = self._placed(self._new(events, now), now)
        by_user: dict[str, list[tuple[Meant, int]]] = {}
        for one in meant:
            by_user.setdefault(one[0].event.user, []).append(one)
        # before any is kept, as those of one batch may push each other out
        pasts = {user: self._found(user, now) for user in by_user}
        with self._lock:
            for user, theirs in by_user.items():
                past = self._pasts.get(user, pasts[user])
                if past is not None:  # who cannot be loaded now is loaded later, with these events
                    self._keep(user, past.with_events(theirs, self._last))
            self._changes += 1
        return Added(len(meant), unknown, tuple(meant))

    def of(self, user: str, now: ItemsNow) -> Past:
        """The past of a user, empty for one of whom nothing is known."""
        with self._lock:
            past = self._pasts.get(user)
            if past is not None:
                self._pasts.move_to_end(user)
                return past
            elsewhere, changes = self._load is not None and not self._holds_all, self._changes
        past = self._found(user, now)
        if past is None:
            return self._of_bundle(user)
        with self._lock:
            if elsewhere and changes == self._changes:  # else what was loaded may be out of date
                self._keep(user, past)
        return past

    def after(self, past: Past, events: Sequence[LiveEvent], now: ItemsNow) -> Past:
        """A past with the further events of a session, which are not kept."""
        if not events:
            return past
        return past.with_events(self._placed(events, now)[0], self._last)

    def forget(self, user: str) -> bool:
        """Drop the live events of a user; returns whether there were any."""
        with self._lock:
            self._changes += 1
            return self._pasts.pop(user, None) is not None

    def erase(self, user: str) -> bool:
        """Drop all that is known of a user, by the bundle too; returns whether there was anything."""
        with self._lock:
            known = self.row(user) >= 0 or user in self._pasts
            self._changes += 1
            self._erased.add(user)
            self._pasts.pop(user, None)
            return known

    def replace(self, user: str, events: Sequence[LiveEvent], now: ItemsNow) -> Added:
        """Put other live events in the place of those that a user has, such as after some were taken back.

        Raises:
            DataError: As :meth:`add`.
        """
        meant, unknown = self._placed(self._new(events, now), now)
        with self._lock:
            self._changes += 1
            self._keep(user, self._of_bundle(user).with_events(meant, self._last))
        return Added(len(meant), unknown, tuple(meant))

    def _found(self, user: str, now: ItemsNow) -> Past | None:
        """The past of a user: kept, loaded, or the bundle's; None where it cannot be loaded now."""
        with self._lock:
            past, holds_all = self._pasts.get(user), self._holds_all
        if past is not None:
            return past
        past = self._of_bundle(user)
        if self._load is None or holds_all:
            return past
        try:
            loaded = self._new(self._load(user), now)
        except StoreUnavailableError:
            return None
        return past.with_events(self._readable(loaded, now), self._last)

    def _readable(self, events: Sequence[LiveEvent], now: ItemsNow) -> list[tuple[Meant, int]]:
        """What loaded events mean; one that cannot be read must not keep the others from counting."""
        try:
            return self._placed(events, now)[0]
        except DataError:
            if len(events) == 1:
                return []
            return [meant for event in events for meant in self._readable([event], now)]

    def _keep(self, user: str, past: Past) -> None:
        """Take a past into memory; with the lock held."""
        self._pasts[user] = past
        self._pasts.move_to_end(user)
        while len(self._pasts) > self._most:
            self._pasts.popitem(last=False)
            self._holds_all = False

    def _new(self, events: Sequence[LiveEvent], now: ItemsNow) -> list[LiveEvent]:
        return [one for one in events if not self.holds(one, now)]

    def _placed(
        self, events: Sequence[LiveEvent], now: ItemsNow
    ) -> tuple[list[tuple[Meant, int]], tuple[str, ...]]:
        known = [(event, now.first_rows.get(event.item, -1)) for event in events]
        unknown = tuple(dict.fromkeys(event.item for event, row in known if not 0 <= row < len(now)))
        there = [(event, row) for event, row in known if 0 <= row < len(now)]
        meant = self.reader.read([event for event, _ in there])
        return [(one, row) for one, (_, row) in zip(meant, there, strict=True)], unknown

    def _of_bundle(self, user: str) -> Past:
        row = self.row(user)
        if row < 0:
            return NO_PAST
        bundle, sequences = self._bundle, {}
        for name, history in bundle.data.histories.items():
            start, stop = history.items.offsets[row : row + 2].tolist()
            kept = history.items.values[max(start, stop - self._last[name]) : stop]
            sequences[name] = Recent(kept, np.full(len(kept), -np.inf), stop - start)
        behaviour, at = bundle.behaviour, bundle.behaviour.events(row)
        liked = behaviour.items.values[at]
        if self.reader.liking is not None:
            liked = liked[behaviour.label(self.reader.liking)[at] > 0]
        liked = liked[-RECENT:]
        seen = bundle.seen.values[bundle.seen.offsets[row] : bundle.seen.offsets[row + 1]]
        return Past(sequences, Recent(liked, np.full(len(liked), -np.inf), len(liked)), seen)
