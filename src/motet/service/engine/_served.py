"""A loaded model with its live state, which follows the store."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from motet.errors import AssetError, LanguageError, MissingExtraError, MotetError, StoreUnavailableError
from motet.recommend.live import LiveEvent
from motet.service.engine._ingest import ItemColumns, live_event, user_row
from motet.service.engine._settings import ModelParts, OpenModel
from motet.service.engine._text_index import MOST_EVENTS, LiveTextIndex
from motet.service.monitor import Outcomes
from motet.service.store import Change, Event, Item, Store, User

__all__ = ["ServedModel"]

_log: Final = logging.getLogger("motet.service.engine")
_Row = TypeVar("_Row")
_AT_ONCE = 1_000
_EVENTS_AT_ONCE = 5_000
_BACK = "\0back"  # no id of the store contains NUL
_GROUPS = 64
_AGAIN_S: Final = 30.0
_MOST_REASONS: Final = 1_000


class KeptReasons:
    """Sentences of the latest explained lists; a further event of a user makes another history, and so other sentences."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[object, dict[str, str]]] = OrderedDict()
        self._lock = threading.Lock()
        self.round = 0  # rises with each deletion of a user

    def get(self, what: Hashable) -> dict[str, str] | None:
        """The reasons by item of a list; None if they are not kept."""
        with self._lock:
            kept = self._kept.get(what)
            return None if kept is None else dict(kept[1])

    def add(self, what: Hashable, history: object, reasons: dict[str, str], round: int) -> None:
        """Keep reasons, unless a user was deleted since their round.

        Args:
            what: User, history, catalogue, items, language and tone.
            history: The history, which so stays alive: no other gets its id.
            reasons: By item.
            round: When they were begun.
        """
        with self._lock:
            if round == self.round:
                self._kept[what] = history, dict(reasons)
            while len(self._kept) > _MOST_REASONS:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Drop all, as a user was deleted."""
        with self._lock:
            self.round += 1
            self._kept.clear()


class ServedModel:
    """A model that is, or could be, active: it follows the store in order.

    All live state comes from the store, so a restarted service gives the same answers.

    Args:
        name: Name of the version.
        path: Directory of its bundle.
        open_model: Opens the bundle.
        store: The store that it follows.
        outcomes: Receives events that name a recommended list.
        outdated_rows: See :class:`motet.service.engine.EngineSettings`.

    Attributes:
        parts: The recommender, the assistant and the profiler.
        text_index: Texts and evidence of the live catalogue.
        read_rows: Cache of title and columns by row of the live catalogue; a row never changes.
        kept_reasons: Sentences of the latest explained lists.
        refused: Counts of stored events, items and users that the model could not ingest since it was opened.
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
        self.parts: ModelParts = open_model(path, self._stored_events)
        self.text_index = LiveTextIndex(self.parts)
        bundle = self.parts.live.bundle
        self.bundle, self.schema = bundle, bundle.schema
        self._columns = ItemColumns(bundle)
        self._of_bundle = frozenset(bundle.data.user_ids.to_list())
        self._base = {item: row for row, item in enumerate(bundle.data.item_ids.to_list())}
        self._digests: dict[str, str] | None = None
        self._forgotten: set[str] = set()
        self._identities = store.identities
        self._owners: dict[str, str] = {}  # identities as far as the change log was followed
        self._sent_columns: dict[str, frozenset[str]] = {}
        self._waiting: dict[str, set[str]] = {"users": set(), "items": set()}
        self._again_s = 0.0
        self._follow = threading.Lock()
        self.seq, self.changes = 0, 0
        self.read_rows: dict[int, tuple[str, dict[str, Any]]] = {}
        self.kept_reasons = KeptReasons()
        self.refused = {"events": 0, "items": 0, "users": 0, "unknown_items": 0}

    # -- queries -------------------------------------------------------------------------------

    def known_as(self, user: str) -> str:
        """The id inside the model of the user that an id belongs to.

        It is the first of the user's ids that is in the training data, or else the user's own. One that was deleted and
        added again is a new user to the model.
        """
        own, *others = self._identities.group(user)
        if others and not self._is_trained(own):
            own = next(filter(self._is_trained, others), own)
        return own + _BACK if own in self._forgotten else own

    def _is_trained(self, id: str) -> bool:
        return id in self._of_bundle and id not in self._forgotten

    def is_of_bundle(self, user: str) -> bool:
        """Whether a user, or an identity of it, is in the training data and was not deleted since."""
        return self.known_as(user) in self._of_bundle

    def rows_of_user(self, user: str) -> list[int]:
        """Rows in the bundle of a user and its identities, the user's own last."""
        return self.parts.live.history.rows(self.known_as(user))

    def is_item_of_bundle(self, item: str) -> bool:
        """Whether an item is in the training data."""
        return item in self._base

    def holds(self, event: Event) -> bool:
        """Whether an event of the store is in the training data."""
        live = self.parts.live
        return live.history.holds(live_event(event, self.known_as(event.user)), live.items.now)

    def events_of(self, user: str) -> list[LiveEvent]:
        """The latest events of a user outside the training data; only likes in memory while the store is unavailable."""
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
        with suppress(
            LanguageError, AssetError, MissingExtraError
        ):  # these items wait until the encoder works
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
        """Whether most rows of the live catalogue became outdated since the last :meth:`settle`."""
        now = self.parts.live.items.now
        return now.outdated - self._outdated > max(self._most_outdated, len(now) - now.outdated)

    def settle(self) -> None:
        """Accept the present outdated rows: only further ones make the catalogue untidy."""
        self._outdated = self.parts.live.items.now.outdated

    def catch_up(self, seq: int = 0, *, until: int | None = None) -> None:
        """Ingest everything that the store holds and the model has not seen, in order.

        Args:
            seq: Return at once if events up to this one are ingested already; 0 always reads the store.
            until: ``seq`` of the last event to ingest; all when left out.

        Raises:
            StoreUnavailableError: If the store cannot be read; what was read until then is ingested.
        """
        with self._follow:
            if seq and self.seq >= seq:
                return
            self._ingest_waiting()
            self._catch_up_changes()
            while until is None or self.seq < until:
                # numbers rise, some are left out: no more events than numbers
                most = _EVENTS_AT_ONCE if until is None else min(_EVENTS_AT_ONCE, until - self.seq)
                found = self._store.events.after(self.seq, most)
                events = [one for one in found if until is None or one.seq <= until]
                if not events:
                    return
                self._add_events(events)
                self.seq = events[-1].seq
                if len(found) < most:  # there were no more, so that no other query is needed
                    return

    def catch_up_to(self, seq: int) -> None:
        """Ingest changed items and users, and events up to a number alone: the model as it was then.

        Raises:
            StoreUnavailableError: If the store cannot be read.
        """
        with self._follow:
            self._catch_up_changes()
            while self.seq < seq and (
                events := self._store.events.after(self.seq, min(_EVENTS_AT_ONCE, seq - self.seq))
            ):
                events = [one for one in events if one.seq <= seq]
                if not events:
                    return
                self._add_events(events)
                self.seq = events[-1].seq

    def forget(self, user: str) -> None:
        """Delete all live state of a user."""
        with self._follow:
            self._forget(user)

    def _forget(self, user: str) -> None:
        self.parts.live.forget_user(user)
        self.parts.live.forget_user(user + _BACK)
        self.parts.forget()
        self.kept_reasons.clear()
        self._owners = {one: owner for one, owner in self._owners.items() if user not in (one, owner)}
        if user in self._of_bundle:
            self._forgotten.add(user)

    def _catch_up_changes(self) -> None:
        while changes := self._store.changes.after(self.changes, _AT_ONCE):
            by_kind = {what: [one for one in changes if one.what == what] for what in ("user", "item")}
            linked = [one for one in changes if one.what == "identity"]
            if linked:
                self._identities.follow()
            self._apply(by_kind["user"], by_kind["item"])
            self._relink([one.key for one in linked if not one.deleted])
            self.changes = changes[-1].seq

    def _apply(self, users: Sequence[Change], items: Sequence[Change]) -> None:
        if deleted := [one.key for one in users if one.deleted]:
            self.parts.forget()
            self.kept_reasons.clear()
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
                self._sent_columns.pop(key, None)
        self._ingest_items(list(found.values()))

    def _by_digest(self) -> dict[str, str]:
        """Users of the live state by digest: the store names a deleted user only by the digest."""
        if self._digests is None:
            self._digests = {self._store.users.digest(user): user for user in self._of_bundle}
        live = self.parts.live
        recorded = {user.removesuffix(_BACK) for user in (*live.history.users(), *live.user_encoder.users())}
        recorded |= {*self._owners, *self._owners.values()}
        return {**self._digests, **{self._store.users.digest(user): user for user in recorded}}

    def _relink(self, identities: Sequence[str]) -> None:
        """Gather anew what is known of the users that identities were linked to or unlinked from."""
        owners = {one: self._identities.resolve(one) for one in identities}
        users = {*owners, *owners.values(), *(self._owners.get(one, one) for one in owners)}
        whole = [user for user in sorted(users) if not self._identities.is_linked(user)]
        events = {user: self._stored_events(self.known_as(user)) if self.seq else [] for user in whole}
        live = self.parts.live
        for user in users:
            live.history.forget(user)
        for user in whole:
            who, ids = self.known_as(user), self._identities.group(user)
            trained = [one for one in ids if self._is_trained(one) and one != who]
            live.join_users(who, trained, events[user])
        self._ingest_users(list(self._store.users.get_many(whole).values()))
        self._owners = {one: user for one, user in {**self._owners, **owners}.items() if one != user}

    def _stored_events(self, user: str) -> Sequence[LiveEvent]:
        """Events of a user whose history is not in memory, read from the store."""
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
        rows = [
            user_row(self.schema, user, self.known_as(user.id))
            for user in users
            if not self._identities.is_linked(user.id)
        ]
        self._ingest("users", [row for row in rows if row is not None], self.parts.live.upsert_users)

    def _ingest_items(self, items: Sequence[Item]) -> None:
        """Ingest items: one of the bundle keeps the columns that were not sent, any other has only those that were."""
        live = self.parts.live
        known = [self._patch_of_known(one) for one in items if one.id in self._base]
        gone = [row for row in known if live.items.now.row(row[self._columns.key]) < 0]
        back = [{**self._base_row(row[self._columns.key]), **row} for row in gone]
        hidden = frozenset(one.id for one in items if one.is_hidden)
        self._ingest("items", back, partial(live.upsert_items, hidden=hidden))
        patches = [row for row in known if row not in gone and len(row) > 1]
        self._ingest("items", patches, partial(live.patch_items, hidden=hidden))
        others = [one for one in items if one.id not in self._base]
        others.sort(key=_time_s)
        # An item without a time is of unknown age: were it new at each start, it would be the newest ever again.
        undated = sum(one.timestamp is None for one in others)
        size = max(1, len(others) // _GROUPS)  # a call has one time for all its rows
        for part in (others[:undated], others[undated:]):
            for start in range(0, len(part), size):
                some = part[start : start + size]
                ingest = partial(live.upsert_items, at_s=_time_s(some[0]), hidden=hidden)
                self._ingest("items", [self._columns.row(one) for one in some], ingest)
        for wanted in (True, False):  # items of which nothing else changed
            other = [
                one.id for one in items if one.is_hidden is wanted and live.items.hidden(one.id) is not wanted
            ]
            if other:
                live.hide_items(other, wanted)

    def _patch_of_known(self, item: Item) -> dict[str, Any]:
        """Columns that were sent for an item of the bundle; a column that was sent before but not now gets the bundle's value back."""
        row, base = self._columns.row(item), self._base_row(item.id)
        before = self._sent_columns.get(item.id, frozenset())
        self._sent_columns[item.id] = frozenset(row)
        return {**{column: base.get(column) for column in before - set(row)}, **row}

    def _base_row(self, item: str) -> dict[str, Any]:
        catalogue = self.bundle.data.catalogue
        if catalogue is None:
            return {}
        row = catalogue.frame.row(self._base[item], named=True)
        row[self._columns.key] = row.pop("id")
        return row

    def _ingest(self, what: str, rows: Sequence[_Row], ingest: Callable[[Sequence[_Row]], object]) -> None:
        """Ingest rows at once; if that fails, one by one, so that a bad row does not block the others."""
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
            _log.warning("the model cannot use one of the stored %s: %s", what, type(error).__name__)

    def _wait(self, what: str, rows: Sequence[Any], error: MotetError) -> None:
        """Ingest rows later whose texts cannot be encoded now: the encoder failed, not the rows."""
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
    return item.timestamp.timestamp() if item.timestamp is not None else -math.inf
