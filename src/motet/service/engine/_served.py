"""One model with the live state that it makes of the store."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from motet.errors import AssetError, LanguageError, MissingExtraError, MotetError, StoreUnavailableError
from motet.recommend.live import LiveEvent
from motet.service.engine._ingest import ItemColumns, live_event, user_row
from motet.service.engine._live_words import MOST_EVENTS, LiveWords
from motet.service.engine._settings import ModelParts, OpenModel
from motet.service.monitor import Outcomes
from motet.service.store import Change, Event, Item, Store, User

__all__ = ["ServedModel"]

_log: Final = logging.getLogger("motet.service.engine")
_Row = TypeVar("_Row")
_AT_ONCE = 1_000
_EVENTS_AT_ONCE = 5_000
_BACK = "\0back"  # what no id of the store can hold
_GROUPS = 64
_AGAIN_S: Final = 30.0


class ServedModel:
    """A model that is, or could be, active: it follows the store in order.

    Everything that changes what it answers comes from the store, so that a service that was started anew answers as
    the one before did.

    Args:
        name: Of the version.
        path: Its bundle.
        open_model: Opens the bundle.
        store: What it follows.
        outcomes: Is told of events that name a shown list.
        outdated_rows: See :class:`motet.service.engine.EngineSettings`.

    Attributes:
        parts: What answers.
        words: What words are said about.
        read_rows: Title and columns of rows of the live catalogue that were read already: a row never changes.
        refused: Stored events, items and users that the model could not be told, since it was opened.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        open_model: OpenModel,
        store: Store,
        *,
        outcomes: Outcomes | None = None,
        outdated_rows: int = 10_000,
    ) -> None:
        self.name, self.path, self._store = name, path, store
        self._outcomes = outcomes
        self._most_outdated, self._outdated = outdated_rows, 0
        self.parts: ModelParts = open_model(path, self._past)
        self.words = LiveWords(self.parts)
        bundle = self.parts.live.bundle
        self.bundle, self.schema = bundle, bundle.schema
        self._columns = ItemColumns(bundle)
        self._of_bundle = frozenset(bundle.data.user_ids.to_list())
        self._base = {item: row for row, item in enumerate(bundle.data.item_ids.to_list())}
        self._digests: dict[str, str] | None = None
        self._forgotten: set[str] = set()
        self._told_columns: dict[str, frozenset[str]] = {}
        self._waiting: dict[str, set[str]] = {"users": set(), "items": set()}
        self._again_s = 0.0
        self._follow = threading.Lock()
        self.seq, self.changes = 0, 0
        self.read_rows: dict[int, tuple[str, dict[str, Any]]] = {}
        self.refused = {"events": 0, "items": 0, "users": 0, "unknown_items": 0}

    # -- asking --------------------------------------------------------------------------------

    def known_as(self, user: str) -> str:
        """As whom the model knows a user: one who was deleted and came back is new to it."""
        return user + _BACK if user in self._forgotten else user

    def is_of_bundle(self, user: str) -> bool:
        """Whether the model was trained with a user, who was not deleted since."""
        return user in self._of_bundle and user not in self._forgotten

    def row_of_user(self, user: str) -> int:
        """Row of a user in the bundle, −1 for one it does not know."""
        return self.parts.live.history.row(self.known_as(user))

    def is_item_of_bundle(self, item: str) -> bool:
        """Whether the model was trained with an item."""
        return item in self._base

    def holds(self, event: Event) -> bool:
        """Whether the model was trained with an event of the store."""
        live = self.parts.live
        return live.history.holds(live_event(event, self.known_as(event.user)), live.items.now)

    def events_of(self, user: str) -> list[LiveEvent]:
        """The latest events told of a user beyond those of the training; likes while the store is gone."""
        who, live = self.known_as(user), self.parts.live
        try:
            events = self._store.events.of_user(user, MOST_EVENTS)
        except StoreUnavailableError:
            liked, now = live.history.of(who, live.items.now).liked, live.items.now
            return [
                LiveEvent(user=who, item=now.ids[row], at_s=at_s)
                for row, at_s in zip(liked.rows.tolist(), liked.time_s.tolist(), strict=True)
                if math.isfinite(at_s)
            ]
        known = [one for one in reversed(events) if one.seq <= self.seq and not self.holds(one)]
        return [live_event(one, who) for one in known]

    def check_items(self, items: Sequence[Item]) -> None:
        """Refuse items whose fields are not of their columns' kinds.

        Raises:
            DataError: Saying which column.
        """
        with suppress(LanguageError, AssetError, MissingExtraError):  # what is told waits for its encoder
            self.parts.live.items.check([self._columns.row(one) for one in items])

    def check(self, events: Sequence[Event]) -> None:
        """Refuse events whose values are not of their columns' kinds.

        Raises:
            DataError: Saying which.
        """
        self.parts.live.history.reader.read([live_event(one, one.user) for one in events])

    # -- following -----------------------------------------------------------------------------

    @property
    def is_untidy(self) -> bool:
        """Whether most rows of the live catalogue came to count no more since the last :meth:`settle`."""
        now = self.parts.live.items.now
        return now.outdated - self._outdated > max(self._most_outdated, len(now) - now.outdated)

    def settle(self) -> None:
        """Take the rows of the live catalogue as they are: only further ones make it untidy."""
        self._outdated = self.parts.live.items.now.outdated

    def catch_up(self, seq: int = 0) -> None:
        """Take into account all that the store holds, in order.

        Args:
            seq: Nothing is done where events up to this one are taken into account already; 0 looks in any case.

        Raises:
            StoreUnavailableError: If the store cannot be read; what was read counts.
        """
        with self._follow:
            if seq and self.seq >= seq:
                return
            self._ingest_waiting()
            self._catch_up_changes()
            while events := self._store.events.after(self.seq, _EVENTS_AT_ONCE):
                self._add_events(events)
                self.seq = events[-1].seq

    def forget(self, user: str) -> None:
        """Know nothing of a user any more."""
        with self._follow:
            self._forget(user)

    def _forget(self, user: str) -> None:
        self.parts.live.forget_user(user)
        self.parts.live.forget_user(user + _BACK)
        self.parts.forget()
        if user in self._of_bundle:
            self._forgotten.add(user)

    def _catch_up_changes(self) -> None:
        while changes := self._store.changes.after(self.changes, _AT_ONCE):
            self._apply(
                [one for one in changes if one.what == "user"], [one for one in changes if one.what == "item"]
            )
            self.changes = changes[-1].seq

    def _apply(self, users: Sequence[Change], items: Sequence[Change]) -> None:
        if deleted := [one.key for one in users if one.deleted]:
            self.parts.forget()
            known = self._by_digest()
            for digest in deleted:
                if (user := known.get(digest)) is not None:
                    self._forget(user)
        changed = [one.key for one in users if not one.deleted]
        self._ingest_users(list(self._store.users.get_many(changed).values()))
        keys = [one.key for one in items]
        found = self._store.items.get_many(keys)
        gone = [key for key in keys if key not in found]
        if gone:
            self.parts.live.delete_items(gone)
            for key in gone:
                self._told_columns.pop(key, None)
        self._ingest_items(list(found.values()))

    def _by_digest(self) -> dict[str, str]:
        """Everybody of whom anything is known here; of a deleted user the store names no more than a digest."""
        if self._digests is None:
            self._digests = {self._store.users.digest(user): user for user in self._of_bundle}
        live = self.parts.live
        recorded = {user.removesuffix(_BACK) for user in (*live.history.users(), *live.user_encoder.users())}
        return {**self._digests, **{self._store.users.digest(user): user for user in recorded}}

    def _past(self, user: str) -> Sequence[LiveEvent]:
        """The events of a user whom memory no longer holds."""
        events = self._store.events.of_user(user.removesuffix(_BACK), _AT_ONCE)
        return [live_event(one, user) for one in reversed(events) if one.seq <= self.seq]

    def _add_events(self, events: Sequence[Event]) -> None:
        if self._outcomes is not None:
            self._outcomes.add(self.schema, events)
        live = self.parts.live

        def ingest(some: Sequence[Event]) -> None:
            recorded = [live_event(one, self.known_as(one.user)) for one in some]
            self.refused["unknown_items"] += len(live.add_events(recorded).unknown_items)

        self._ingest("events", events, ingest)

    def _ingest_users(self, users: Sequence[User]) -> None:
        rows = [user_row(self.schema, user, self.known_as(user.id)) for user in users]
        self._ingest("users", [row for row in rows if row is not None], self.parts.live.upsert_users)

    def _ingest_items(self, items: Sequence[Item]) -> None:
        """Items of the bundle keep what nothing was said of; any other is what was said of it."""
        live = self.parts.live
        known = [self._said_of_known(one) for one in items if one.id in self._base]
        gone = [row for row in known if live.items.now.row(row[self._columns.key]) < 0]
        back = [{**self._base_row(row[self._columns.key]), **row} for row in gone]
        hidden = frozenset(one.id for one in items if one.is_hidden)
        self._ingest("items", back, partial(live.upsert_items, hidden=hidden))
        said = [row for row in known if row not in gone and len(row) > 1]
        self._ingest("items", said, partial(live.patch_items, hidden=hidden))
        others = [one for one in items if one.id not in self._base]
        others.sort(key=_time_s)
        size = max(1, len(others) // _GROUPS)  # the catalogue takes one time for all rows of a call
        for start in range(0, len(others), size):
            some = others[start : start + size]
            ingest = partial(live.upsert_items, at_s=_time_s(some[0]) or None, hidden=hidden)
            self._ingest("items", [self._columns.row(one) for one in some], ingest)
        for wanted in (True, False):  # those of which nothing else was said
            other = [
                one.id for one in items if one.is_hidden is wanted and live.items.hidden(one.id) is not wanted
            ]
            if other:
                live.hide_items(other, wanted)

    def _said_of_known(self, item: Item) -> dict[str, Any]:
        """What is said of an item of the bundle, and the bundle's own where something was said before and is not now."""
        row, base = self._columns.row(item), self._base_row(item.id)
        before = self._told_columns.get(item.id, frozenset())
        self._told_columns[item.id] = frozenset(row)
        return {**{column: base.get(column) for column in before - set(row)}, **row}

    def _base_row(self, item: str) -> dict[str, Any]:
        catalogue = self.bundle.data.catalogue
        if catalogue is None:
            return {}
        row = catalogue.frame.row(self._base[item], named=True)
        row[self._columns.key] = row.pop("id")
        return row

    def _ingest(self, what: str, rows: Sequence[_Row], ingest: Callable[[Sequence[_Row]], object]) -> None:
        """Tell rows at once; where that fails, one by one, so that a wrong one keeps no other from being told."""
        if not rows:
            return
        try:
            ingest(rows)
        except StoreUnavailableError:
            raise
        except (LanguageError, AssetError, MissingExtraError) as error:
            self._wait(what, rows, error)
        except Exception as error:
            if len(rows) > 1:
                for row in rows:
                    self._ingest(what, [row], ingest)
                return
            self.refused[what] += 1
            _log.warning("the model cannot take one of the stored %s: %s", what, type(error).__name__)

    def _wait(self, what: str, rows: Sequence[Any], error: MotetError) -> None:
        """Tell rows later, whose texts cannot be encoded now: what is to blame is not theirs."""
        _log.warning(
            "%d of the stored %s wait, their texts cannot be encoded: %s", len(rows), what, error.problem
        )
        key = str(self.schema.keys.item if what == "items" else self.schema.keys.user)
        self._waiting[what] |= {str(row[key]).removesuffix(_BACK) for row in rows}
        self._again_s = time.monotonic() + _AGAIN_S

    def _ingest_waiting(self) -> None:
        if any(self._waiting.values()) and time.monotonic() >= self._again_s:
            users = self._store.users.get_many(sorted(self._waiting["users"]))
            items = self._store.items.get_many(sorted(self._waiting["items"]))
            self._waiting = {"users": set(), "items": set()}
            self._ingest_users(list(users.values()))
            self._ingest_items(list(items.values()))


def _time_s(item: Item) -> float:
    return item.timestamp.timestamp() if item.timestamp is not None else 0.0
