"""Histories of users, as far as requests need them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError, StoreUnavailableError
from motet.models.baselines import LAST
from motet.recommend.live._events import FOUND, EventReader, LiveEvent, ParsedEvent
from motet.recommend.live._snapshot import CatalogueSnapshot
from motet.training import Bundle

__all__ = ["NO_HISTORY", "Added", "LiveHistory", "Recent", "UserHistory"]

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
        place, n = int(np.searchsorted(self.time_s, time_s, side="right")), len(self.rows)
        rows, times = np.empty(n + 1, np.int32), np.empty(n + 1)
        for more, before, new in ((rows, self.rows, row), (times, self.time_s, time_s)):
            more[:place], more[place], more[place + 1 :] = before[:place], new, before[place:]
        return Recent(rows[-last:], times[-last:], self.total + 1)


NOTHING: Final = Recent(np.zeros(0, np.int32), np.zeros(0), 0)


@dataclass(frozen=True, slots=True)
class UserHistory:
    """What one user did; never changed, a further event makes a new one.

    Attributes:
        sequences: Per sequence feature; under :data:`FOUND` what the retrieval task is about.
        liked: The latest items that the user liked, or had anything to do with where nothing says more.
        seen: First rows of items that the user had interactions with, int32 [n].
        live: Events recorded while serving.
    """

    sequences: Mapping[str, Recent]
    liked: Recent
    seen: NDArray[np.int32]
    live: int = 0

    def with_events(self, events: Sequence[tuple[ParsedEvent, int]], last: Mapping[str, int]) -> UserHistory:
        """Further events with the first rows of their items.

        Args:
            events: In any order.
            last: How many events each sequence keeps.
        """
        sequences, liked = dict(self.sequences), self.liked
        for parsed, row in events:
            at_s = parsed.event.at_s
            for name in parsed.held:
                sequences[name] = sequences.get(name, NOTHING).with_event(row, at_s, last[name])
            if parsed.liked is not False:
                liked = liked.with_event(row, at_s, RECENT)
        rows = np.array([row for _, row in events], np.int32)
        seen = np.concatenate([self.seen, rows])[-_MOST_SEEN:]
        return UserHistory(sequences, liked, seen, self.live + len(events))

    def __bool__(self) -> bool:
        return bool(len(self.seen))


NO_HISTORY: Final = UserHistory({}, NOTHING, np.zeros(0, np.int32))


# Live events on top of the histories that the bundle holds.

_USERS: Final = 100_000
_READ: Final = 10_000
_SLACK_S: Final = 1e-3  # times are read in microseconds, and recorded as fractions of seconds


@dataclass(frozen=True, slots=True)
class Added:
    """What became of some events.

    Attributes:
        events: How many count from now on.
        unknown_items: Items that are not in the catalogue; their events count for nothing.
        parsed_events: What each event that counts means, with the first row of its item.
    """

    events: int
    unknown_items: tuple[str, ...]
    parsed_events: tuple[tuple[ParsedEvent, int], ...]


class LiveHistory:
    """The histories of users while events come in.

    Live events follow what the bundle knows, in the order of their times. Memory is bounded: of each user
    the latest events are kept, and users beyond the limit are pushed out, the least recently used first. ``load``
    brings one back who was pushed out; it is not called while memory holds all users. An event that the bundle
    :meth:`holds` counts once.

    Args:
        bundle: With the histories of its users.
        reader: Says what events mean.
        users: Users with live events that are kept, ≥ 1.
        load: Gives all live events of a user who is not kept, but those that are just being added, such as from
            a database. It may raise StoreUnavailableError: until it gives an answer, such a user's history is
            that of the bundle.
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
        self._last = {n: f.history.last for n, f in features.items() if f.history is not None} | {FOUND: LAST}
        self._histories: OrderedDict[str, UserHistory] = OrderedDict()
        self._by_rows: dict[tuple[int, ...], UserHistory] = {}  # what the bundle knows
        self._erased: set[str] = set()
        self._joined: dict[str, tuple[str, ...]] = {}
        self._holds_all = True  # until a user is pushed out
        self._changes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Users that are kept."""
        return len(self._histories)

    def users(self) -> list[str]:
        """Users that are kept."""
        with self._lock:
            return list(self._histories)

    def row(self, user: str) -> int:
        """Row of a user in the bundle; −1 for one it does not know, or that was erased."""
        return -1 if user in self._erased else self._rows.get(user, -1)

    def rows(self, user: str) -> list[int]:
        """Rows in the bundle whose histories are the user's: its own, and those of the ids that :meth:`join` named."""
        every = (self.row(one) for one in (*self._joined.get(user, ()), user))
        return [row for row in every if row >= 0]

    def holds(self, event: LiveEvent, now: CatalogueSnapshot) -> bool:
        """Whether the bundle was trained with an event: not later than its last, of a user and an item it saw together.

        So a model that was trained on what a store holds counts none of it twice when all of it is ingested.
        """
        if not 0 < event.at_s <= self._until_s:
            return False
        item, seen = now.first_rows.get(event.item, -1), self._bundle.seen
        return any(
            item in seen.values[seen.offsets[row] : seen.offsets[row + 1]] for row in self.rows(event.user)
        )

    def add(self, events: Sequence[LiveEvent], now: CatalogueSnapshot) -> Added:
        """Take events into account from the next request on.

        Args:
            events: With their users.
            now: The catalogue.

        Raises:
            DataError: If a cell is not of its column's kind. Nothing is changed then.
        """
        parsed, unknown = self._placed(self._new(events, now), now)
        by_user: dict[str, list[tuple[ParsedEvent, int]]] = {}
        for one in parsed:
            by_user.setdefault(one[0].event.user, []).append(one)
        # before any is kept, as users of one batch may push each other out
        histories = {user: self._found(user, now) for user in by_user}
        with self._lock:
            for user, of_user in by_user.items():
                history = self._histories.get(user, histories[user])
                if history is not None:  # one that cannot be loaded now is loaded later, with these events
                    self._keep(user, history.with_events(of_user, self._last))
            self._changes += 1
        return Added(len(parsed), unknown, tuple(parsed))

    def of(self, user: str, now: CatalogueSnapshot) -> UserHistory:
        """The history of a user, empty for an unknown one."""
        with self._lock:
            history = self._histories.get(user)
            if history is not None:
                self._histories.move_to_end(user)
                return history
            elsewhere, changes = self._load is not None and not self._holds_all, self._changes
        history = self._found(user, now)
        if history is None:
            return self._of_bundle(user)
        with self._lock:
            if elsewhere and changes == self._changes:  # else what was loaded may be out of date
                self._keep(user, history)
        return history

    def after(self, history: UserHistory, events: Sequence[LiveEvent], now: CatalogueSnapshot) -> UserHistory:
        """A history with the further events of a session, which are not kept."""
        if not events:
            return history
        return history.with_events(self._placed(events, now)[0], self._last)

    def forget(self, user: str) -> bool:
        """Drop the live events of a user; returns whether there were any."""
        with self._lock:
            self._changes += 1
            self._joined.pop(user, None)
            return self._histories.pop(user, None) is not None

    def erase(self, user: str) -> bool:
        """Drop all that is known of a user, by the bundle too; returns whether there was anything."""
        with self._lock:
            known = self.row(user) >= 0 or user in self._histories
            self._changes += 1
            self._erased.add(user)
            self._joined.pop(user, None)
            self._histories.pop(user, None)
            return known

    def replace(self, user: str, events: Sequence[LiveEvent], now: CatalogueSnapshot) -> Added:
        """Put other live events in the place of those that a user has, such as after some were taken back.

        Raises:
            DataError: As :meth:`add`.
        """
        parsed, unknown = self._placed(self._new(events, now), now)
        with self._lock:
            self._changes += 1
            self._keep(user, self._of_bundle(user).with_events(parsed, self._last))
        return Added(len(parsed), unknown, tuple(parsed))

    def join(
        self, user: str, others: Sequence[str], events: Sequence[LiveEvent], now: CatalogueSnapshot
    ) -> None:
        """Let what the bundle knows of other ids be known of a user as well, in the place of what was joined before.

        Args:
            user: The user.
            others: Ids of the same person; the bundle's events of the user follow theirs.
            events: All live events of the user under whatever id, which replace the live events so far.
            now: The catalogue.
        """
        with self._lock:
            self._changes += 1
            self._joined.pop(user, None)
            if others:
                self._joined[user] = tuple(others)
        history = self._of_bundle(user).with_events(
            self._readable(self._new(events, now), now) if events else [], self._last
        )
        with self._lock:
            self._changes += 1
            self._keep(user, history)

    def _found(self, user: str, now: CatalogueSnapshot) -> UserHistory | None:
        """The history of a user: kept, loaded, or the bundle's; None where it cannot be loaded now."""
        with self._lock:
            history, holds_all = self._histories.get(user), self._holds_all
        if history is not None:
            return history
        history = self._of_bundle(user)
        if self._load is None or holds_all:
            return history
        try:
            loaded = self._new(self._load(user), now)
        except StoreUnavailableError:
            return None
        return history.with_events(self._readable(loaded, now), self._last)

    def _readable(self, events: Sequence[LiveEvent], now: CatalogueSnapshot) -> list[tuple[ParsedEvent, int]]:
        """What loaded events mean; one that cannot be read must not keep the others from counting."""
        try:
            return self._placed(events, now)[0]
        except DataError:
            if len(events) == 1:
                return []
            return [parsed for event in events for parsed in self._readable([event], now)]

    def _keep(self, user: str, history: UserHistory) -> None:
        """Take a history into memory; with the lock held."""
        self._histories[user] = history
        self._histories.move_to_end(user)
        while len(self._histories) > self._most:
            self._histories.popitem(last=False)
            self._holds_all = False

    def _new(self, events: Sequence[LiveEvent], now: CatalogueSnapshot) -> list[LiveEvent]:
        return [one for one in events if not self.holds(one, now)]

    def _placed(
        self, events: Sequence[LiveEvent], now: CatalogueSnapshot
    ) -> tuple[list[tuple[ParsedEvent, int]], tuple[str, ...]]:
        known = [(event, now.first_rows.get(event.item, -1)) for event in events]
        unknown = tuple(dict.fromkeys(event.item for event, row in known if not 0 <= row < len(now)))
        there = [(event, row) for event, row in known if 0 <= row < len(now)]
        parsed = self.reader.read([event for event, _ in there])
        return [(one, row) for one, (_, row) in zip(parsed, there, strict=True)], unknown

    def _of_bundle(self, user: str) -> UserHistory:
        rows = tuple(self.rows(user))
        kept = self._by_rows.get(rows)
        if kept is None:
            if len(self._by_rows) >= _READ:
                self._by_rows = {}
            self._by_rows[rows] = kept = self._of_rows(rows)
        return kept

    def _of_rows(self, rows: Sequence[int]) -> UserHistory:
        found = [self._of_row(row) for row in rows]
        if len(found) < 2:
            return found[0] if found else NO_HISTORY
        names = dict.fromkeys(name for one in found for name in one.sequences)
        sequences = {name: _in_one([one.sequences[name] for one in found if name in one.sequences], self._last[name]) for name in names}  # fmt: skip
        seen = np.concatenate([one.seen for one in found])
        return UserHistory(sequences, _in_one([one.liked for one in found], RECENT), np.unique(seen))

    def _of_row(self, row: int) -> UserHistory:
        bundle, sequences = self._bundle, {}
        for name, history in bundle.data.histories.items():
            start, stop = history.items.offsets[row : row + 2].tolist()
            kept = history.items.values[max(start, stop - self._last[name]) : stop]
            sequences[name] = Recent(kept, np.full(len(kept), -np.inf), stop - start)
        if row < len(bundle.found):
            start, stop = bundle.found.offsets[row : row + 2].tolist()
            kept = bundle.found.values[max(start, stop - LAST) : stop]
            sequences[FOUND] = Recent(kept, np.full(len(kept), -np.inf), stop - start)
        behaviour, at = bundle.behaviour, bundle.behaviour.events(row)
        liked = behaviour.items.values[at]
        if self.reader.liking is not None:
            liked = liked[behaviour.label(self.reader.liking)[at] > 0]
        liked = liked[-RECENT:]
        seen = bundle.seen.values[bundle.seen.offsets[row] : bundle.seen.offsets[row + 1]]
        return UserHistory(sequences, Recent(liked, np.full(len(liked), -np.inf), len(liked)), seen)


def _in_one(parts: Sequence[Recent], last: int) -> Recent:
    """The latest events of several ids, those of the last id latest: the bundle's have no times here."""
    rows = np.concatenate([one.rows for one in parts])[-last:]
    return Recent(rows, np.full(len(rows), -np.inf), sum(one.total for one in parts))
