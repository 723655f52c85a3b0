"""Users and their histories."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from motet.errors import RequestError, StoreError, StoreUnavailableError
from motet.service.engine._active import ActiveModel
from motet.service.engine._catalogue import CatalogueView
from motet.service.engine._served import ServedModel
from motet.service.engine._types import (
    ConflictError,
    HistoryAnswer,
    HistoryEvent,
    IdentitiesView,
    IdentityView,
    UsersPage,
    UserView,
)
from motet.service.store import Identity, Store, User

__all__ = ["LiveUsers"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_EVENTS = 10_000


class LiveUsers:
    """Users: those of the bundle and those of the store.

    Args:
        store: Users and events that were ingested.
        model: The active model, with the users of its bundle.
    """

    def __init__(self, store: Store, model: ActiveModel) -> None:
        self._store, self._model = store, model
        self._sorted: WeakKeyDictionary[ServedModel, list[str]] = WeakKeyDictionary()

    def put(self, users: Sequence[User]) -> list[bool]:
        """Insert or replace users; returns of each whether it is new to the store."""
        new = self._store.users.put([self._own(user) for user in users])
        self._model.follow_now()
        return new

    def patch(self, id: str, *, labels: Any = None, comment: str | None = None) -> bool:
        """Change what is given of a user; whether there is one."""
        id = self._store.identities.resolve(id)
        if not self._store.users.patch(id, labels=labels, comment=comment):
            if not self._model.served.is_of_bundle(id):
                return False
            self._store.users.put([User(id, labels, comment or "")])
        self._model.follow_now()
        return True

    def get(self, id: str) -> UserView | None:
        """A user, by its id or that of an identity; None for one not known."""
        id = self._store.identities.resolve(id)
        stored = self._store.users.get(id)
        served = self._model.served
        if stored is None and not served.is_of_bundle(id):
            return None
        return _view(served, id, stored)

    def page(self, n: int = 20, after: str = "", text: str = "") -> UsersPage:
        """Some users, ordered by id.

        Args:
            n: Most users.
            after: The last id of the page before; empty for the first page.
            text: Only users with it in their id, labels or comment.
        """
        served = self._model.served
        wanted = text.strip().lower()
        own = self._ids(served)
        start = bisect_right(own, after) if after else 0
        ids: list[str] = []
        is_linked = self._store.identities.is_linked
        for id in own[start:]:
            if served.is_of_bundle(id) and wanted in id.lower() and not is_linked(id):
                ids.append(id)
                if len(ids) > n:
                    break
        stored = self._stored(after, n, text)
        ids = sorted({*ids, *stored})
        some, more = ids[:n], len(ids) > n
        found = self._store.users.get_many(some)
        users = tuple(_view(served, id, found.get(id)) for id in some)
        return UsersPage(users=users, cursor=some[-1] if more else "")

    def history(self, user: str, n: int = 20, cursor: str = "") -> HistoryAnswer:
        """Events of a user, newest first: those ingested while serving, then those of the training data.

        Raises:
            RequestError: If it is not a cursor of a history.
        """
        skip = _read_cursor(cursor)
        served = self._model.served
        recorded = [one for one in self._store.events.of_user(user, _MOST_EVENTS) if not served.holds(one)]
        stored = recorded[skip : skip + n + 1]
        events = [
            HistoryEvent(
                type=one.type,
                item=one.item,
                title=one.item,
                value=one.value,
                time=one.time,
                scenario=one.scenario,
                id=one.id,
                identity=one.identity,
                source="store",
            )
            for one in stored
        ]
        if len(events) <= n and served.is_of_bundle(user):
            events += _of_bundle(served, user, max(0, skip - len(recorded)), n + 1 - len(events))
        titles = CatalogueView(served).titles([one.item for one in events])
        events = [one.model_copy(update={"title": title}) for one, title in zip(events, titles, strict=True)]
        more = _write_cursor(skip + n) if len(events) > n else ""
        return HistoryAnswer(user=user, events=tuple(events[:n]), cursor=more)

    # -- identities ----------------------------------------------------------------------------

    def identities(self, user: str) -> IdentitiesView:
        """The identities of the user that an id belongs to."""
        of = self._store.identities.of_user(user)
        owner = of[0].user if of else user
        return IdentitiesView(user=owner, identities=tuple(IdentityView(id=one.identity, linked=one.time) for one in of))  # fmt: skip

    def link(self, user: str, identity: str) -> bool:
        """Link an identity to a user: from the next request on what is recorded under it is the user's.

        Returns:
            Whether it was not linked to this user before.

        Raises:
            ConflictError: If it is the user's own id, is linked to another user, has identities itself, or the user
                has too many already.
        """
        Identity(identity, user)  # a wrong id is no conflict
        try:
            new = self._store.identities.link(user, identity)
        except StoreUnavailableError:
            raise
        except StoreError as error:
            raise ConflictError(error.problem, error.cure) from None
        self._follow()
        return new

    def unlink(self, user: str, identity: str) -> bool:
        """Let an identity be a user of its own again; returns whether it was linked to the user."""
        gone = self._store.identities.unlink(user, identity)
        self._follow()
        return gone

    def _follow(self) -> None:
        self._store.identities.follow()
        self._model.follow_now()

    def _own(self, user: User) -> User:
        id = self._store.identities.resolve(user.id)
        return user if id == user.id else replace(user, id=id)

    def _ids(self, served: ServedModel) -> list[str]:
        if served not in self._sorted:
            self._sorted[served] = sorted(served.bundle.data.user_ids.to_list())
        return self._sorted[served]

    def _stored(self, after: str, n: int, text: str) -> list[str]:
        users = self._store.users
        found: list[str] = []
        cursor = users.after(after) if after else ""
        page = (
            users.search(text.strip(), n + 1, cursor, linked=False)
            if text.strip()
            else users.page(n + 1, cursor, linked=False)
        )
        found += [one.id for one in page.rows]
        return found


def _view(served: ServedModel, id: str, stored: User | None) -> UserView:
    return UserView(
        id=id,
        labels=stored.labels if stored is not None else None,
        comment=stored.comment if stored is not None else "",
        time=stored.time if stored is not None else None,
        known=served.is_of_bundle(id),
    )


def _of_bundle(served: ServedModel, user: str, skip: int, n: int) -> list[HistoryEvent]:
    """The latest events of a user that the bundle knows, newest first."""
    bundle = served.bundle
    behaviour = bundle.behaviour
    spans = [behaviour.events(row) for row in served.rows_of_user(user)]
    rows = np.concatenate([np.arange(at.start, at.stop) for at in spans])
    if len(spans) > 1 and bundle.schema.keys.time is not None:
        rows = rows[np.argsort(behaviour.time[rows], kind="stable")]
    rows = rows[::-1][skip : skip + n]
    ids = bundle.data.item_ids
    timed = bundle.schema.keys.time is not None
    events = []
    for row in rows.tolist():
        labels = {
            task: float(label)
            for task, label in zip(behaviour.tasks, behaviour.labels[row].tolist(), strict=True)
            if not math.isnan(label)
        }
        item = str(ids[int(behaviour.items.values[row])])
        time = _EPOCH + timedelta(microseconds=int(behaviour.time[row])) if timed else None
        events.append(
            HistoryEvent(
                type="", item=item, title=item, value=None, time=time, labels=labels, source="bundle"
            )
        )
    return events


def _write_cursor(skip: int) -> str:
    return str(skip)


def _read_cursor(cursor: str) -> int:
    if not cursor:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 9:
        raise RequestError(
            f"the cursor {cursor[:40]!a} is not one of a history", "send a cursor as it was answered"
        )
    return int(cursor)
