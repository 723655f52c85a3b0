"""Events, each written once and folded into feedback in the same transaction, and what is left of deleted users."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, func, select

from motet.errors import StoreError
from motet.service.store._database import Database
from motet.service.store._queries import (
    check_limit,
    chunks,
    ids_of,
    insert_missing,
    known,
    note_changes,
    upsert,
    words_of,
)
from motet.service.store._records import (
    LATEST,
    LONGEST_TYPE,
    MOST_CELLS,
    MOST_SUM,
    MOST_VALUE,
    Event,
    check_json,
    from_us,
    is_cell,
    now,
    read_json,
    to_us,
    within,
)
from motet.service.store._tables import EVENTS, FEEDBACK, IDENTITIES, ITEMS, META, TOMBSTONES, USERS
from motet.service.store._writer import Writer

__all__ = [
    "EventRow",
    "EventStore",
    "EventWriter",
    "Mode",
    "StorePart",
    "Tombstones",
    "check_context",
    "event_of",
    "event_row",
    "fold_feedback",
]


class Tombstones:
    """Tombstones of deleted users, which do not hold their ids.

    A tombstone holds the HMAC-SHA256 of the id with the salt of the store, and the time of the deletion. Testing an id
    needs the store.

    Args:
        salt: The store's salt.
    """

    def __init__(self, salt: bytes) -> None:
        self._salt = salt

    @classmethod
    def of(cls, connection: Connection) -> Tombstones:
        """Read the salt of a store."""
        text = connection.execute(select(META.c.value).where(META.c.key == "salt")).scalar_one()
        return cls(bytes.fromhex(text))

    def digest(self, user: str) -> bytes:
        """The hash of an id."""
        return hmac.digest(self._salt, user.encode(), hashlib.sha256)

    def put(self, connection: Connection, user: str, time_us: int) -> None:
        """Record that a user is deleted."""
        upsert(connection, TOMBSTONES, [{"digest": self.digest(user), "time": time_us, "returned": False}])

    def lift(self, connection: Connection, users: Iterable[str]) -> None:
        """Record that users were added again: new records of them are accepted whatever their time."""
        for some in chunks({self.digest(user) for user in users}):
            lifted = TOMBSTONES.update().where(TOMBSTONES.c.digest.in_(some)).values(returned=True)
            connection.execute(lifted)

    def times(self, connection: Connection, users: Iterable[str]) -> dict[str, int]:
        """Times of deletion in microseconds, for users that were ever deleted."""
        return {user: time for user, (time, _) in self._found(connection, users).items()}

    def late(
        self, connection: Connection, dated: Sequence[tuple[str | None, int | None]], *, ever: bool = False
    ) -> list[bool]:
        """Of each user and time, whether the time is before the deletion of the user.

        Args:
            connection: The connection.
            dated: Users and times in microseconds; None counts as before the deletion unless the user was added again.
            ever: Whether this also holds for users who were added again: true for
                imports, whose rows may be older.
        """
        found = self._found(connection, {user for user, _ in dated if user is not None})

        def is_late(user: str | None, time: int | None) -> bool:
            if user is None or user not in found:
                return False
            deleted, returned = found[user]
            if time is None:
                return not returned
            return time <= deleted and (ever or not returned)

        return [is_late(user, time) for user, time in dated]

    def _found(self, connection: Connection, users: Iterable[str]) -> dict[str, tuple[int, bool]]:
        by_digest = {self.digest(user): user for user in users}
        found = {}
        for some in chunks(by_digest):
            rows = connection.execute(_DELETED, {"some": some})
            found.update({by_digest[bytes(row.digest)]: (int(row.time), row.returned) for row in rows})
        return found


class StorePart:
    """A part of a store, which reads and writes a kind of records.

    Args:
        database: The store's connections.
        writer: The writer of the store.
        tombstones: The deleted users.
    """

    def __init__(self, database: Database, writer: Writer, tombstones: Tombstones) -> None:
        self._database = database
        self._writer = writer
        self._tombstones = tombstones


_DELETED: Final = select(TOMBSTONES).where(TOMBSTONES.c.digest.in_(bindparam("some", expanding=True)))

Mode: TypeAlias = Literal["add", "overwrite", "none"]

LONGEST_CONTEXT: Final = 8_192


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of events and its effect on feedback.

    Attributes:
        row: Values of the columns of ``events``.
        mode: Whether its value is added to the feedback, overwrites it, or leaves it alone.
        labels: Labels of the feedback as JSON; None leaves them, or empties them where it overwrites.
        comment: Comment of the feedback, likewise.
        creates: Whether an unknown user or item is made.
    """

    row: dict[str, Any]
    mode: Mode
    labels: str | None = None
    comment: str = ""
    creates: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """The feedback that it belongs to."""
        return self.row["type"], self.row["user_id"], self.row["item_id"]


def check_context(event: Event) -> str:
    """The context of an event as JSON.

    Raises:
        StoreError: If it is too long.
    """
    return check_json(dict(event.context), "event.context", longest=LONGEST_CONTEXT)


def event_row(
    event: Event, mode: Mode, *, labels: Any = None, comment: str = "", creates: bool = False
) -> EventRow:
    """An event as it is written."""
    row = {
        "id": event.id,
        "type": event.type,
        "user_id": event.identity or event.user,
        "item_id": event.item,
        "value": event.value,
        "time": to_us(event.time),
        "scenario": event.scenario,
        "context": check_context(event),
        "list_id": event.list_id,
        "propensity": event.propensity,
    }
    return EventRow(row, mode, check_json(labels, "feedback.labels", none=True), comment, creates)


class EventWriter:
    """Writes events that are new, and their feedback.

    An event whose id is known, or occurs twice in the same call, is left out. So is one from before its user was
    deleted: a late sender cannot bring it back unless the user was added again, and an old export never can.

    Args:
        tombstones: The deleted users.
    """

    def __init__(self, tombstones: Tombstones) -> None:
        self._tombstones = tombstones

    def write(self, connection: Connection, rows: list[EventRow]) -> list[bool]:
        """Write them; of each, whether it was new."""
        return self._write(connection, rows, ever=False)

    def restore(self, connection: Connection, rows: list[EventRow]) -> list[bool]:
        """Write those of an export; of each, whether it was new."""
        return self._write(connection, rows, ever=True)

    def _write(self, connection: Connection, rows: list[EventRow], *, ever: bool) -> list[bool]:
        seen = known(connection, EVENTS.c.id, (one.row["id"] for one in rows))
        dated = [(one.row["user_id"], one.row["time"]) for one in rows]
        late_ones = self._tombstones.late(connection, dated, ever=ever)
        fresh = []
        answers = []
        for one, late in zip(rows, late_ones, strict=True):
            new = not late and one.row["id"] not in seen
            answers.append(new)
            if new:
                seen.add(one.row["id"])
                fresh.append(one)
        if fresh:
            connection.execute(EVENTS.insert(), [one.row for one in fresh])
            fold_feedback(connection, fresh)
            _create(connection, fresh)
        return answers

    def take_over(self, connection: Connection, rows: list[tuple[EventRow, dict[str, Any]]]) -> list[bool]:
        """Write events of another system with the feedback that each stands for, unless the stored one is newer."""
        answers = self._write(connection, [event for event, _ in rows], ever=True)
        # The last of a key: one statement of PostgreSQL may not touch a row twice.
        fresh = {event.key: row for (event, row), new in zip(rows, answers, strict=True) if new}
        upsert(connection, FEEDBACK, list(fresh.values()), _newer)
        return answers

    def restore_feedback(self, connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
        """Overwrite rows of feedback with no event, but for those from before their user was deleted."""
        dated = [(row["user_id"], row["updated"]) for row in rows]
        late = self._tombstones.late(connection, dated, ever=True)
        kept = [not one for one in late]
        upsert(connection, FEEDBACK, [row for row, keep in zip(rows, kept, strict=True) if keep])
        return kept


def fold_feedback(connection: Connection, written: Iterable[EventRow]) -> None:
    """Add to feedback, or overwrite it, in order."""
    by_key: dict[tuple[str, str, str], EventRow] = {}
    updated: dict[tuple[str, str, str], int] = {}
    for one in written:
        if one.mode == "none":
            continue
        before = by_key.get(one.key)
        if before is None or one.mode == "overwrite":
            by_key[one.key] = one
            updated[one.key] = one.row["time"]
            continue
        sum_row = {**before.row, "value": before.row["value"] + one.row["value"]}
        labels = before.labels if one.labels is None else one.labels
        by_key[one.key] = replace(before, row=sum_row, labels=labels, comment=one.comment or before.comment)
        updated[one.key] = max(updated[one.key], one.row["time"])
    rows: dict[str, list[dict[str, Any]]] = {"add": [], "overwrite": []}
    for key, one in by_key.items():
        row = {name: one.row[name] for name in ("type", "user_id", "item_id", "value", "time")}
        row |= {"updated": updated[key], "labels": one.labels, "comment": one.comment}
        rows[one.mode].append(row)
    upsert(connection, FEEDBACK, rows["overwrite"])
    upsert(connection, FEEDBACK, rows["add"], _sum_sqlite if connection.dialect.name == "sqlite" else _sum)


def _newer(new: Any) -> dict[str, Any]:
    is_newer = new.updated >= FEEDBACK.c.updated
    names = ("value", "time", "updated", "labels", "comment")
    return {name: case((is_newer, new[name]), else_=FEEDBACK.c[name]) for name in names}


def _sum_sqlite(new: Any) -> dict[str, Any]:
    return _sum(new, larger=func.max, smaller=func.min)


def _sum(
    new: Any,
    *,
    larger: Callable[..., ColumnElement[Any]] = func.greatest,
    smaller: Callable[..., ColumnElement[Any]] = func.least,
) -> dict[str, Any]:
    return {
        "value": smaller(MOST_SUM, larger(-MOST_SUM, FEEDBACK.c.value + new.value)),
        "updated": larger(FEEDBACK.c.updated, new.updated),
        "labels": func.coalesce(new.labels, FEEDBACK.c.labels),
        "comment": case((new.comment == "", FEEDBACK.c.comment), else_=new.comment),
    }


def _create(connection: Connection, written: list[EventRow]) -> None:
    creating = [one for one in written if one.creates]
    users = {one.row["user_id"] for one in creating}
    items = {one.row["item_id"] for one in creating}
    time = to_us(now())
    if users := users - known(connection, USERS.c.id, users):
        rows = [
            {"id": id, "labels": None, "comment": "", "time": time, "words": words_of(id)} for id in users
        ]
        insert_missing(connection, USERS, rows)
        note_changes(connection, "user", sorted(users))
    if items := items - known(connection, ITEMS.c.id, items):
        plain = {
            "is_hidden": False,
            "categories": "[]",
            "time": time,  # as one that is sent without a time
            "labels": None,
            "comment": "",
            "fields": "{}",
        }
        insert_missing(connection, ITEMS, [{"id": id, **plain, "words": words_of(id)} for id in items])
        note_changes(connection, "item", sorted(items))


def event_of(row: Any) -> Event:
    """A row of the table as an event; of one that is refused today, but was not once, what is within the limits."""
    found = {
        "type": row.type,
        "user": row.owner or row.user_id,
        "item": row.item_id,
        "value": row.value,
        "time": from_us(row.time),
        "id": row.id,
        "scenario": row.scenario,
        "context": read_json(row.context),
        "list_id": row.list_id,
        "propensity": row.propensity,
        "seq": row.seq,
        "identity": row.user_id if row.owner else None,
    }
    try:
        return Event(**found)
    except StoreError:
        cells = ((name, cell) for name, cell in found["context"].items() if is_cell(cell))
        limited = {
            "type": row.type[:LONGEST_TYPE],
            "value": within(row.value, MOST_VALUE),
            "time": min(found["time"], LATEST),
            "context": dict(islice(cells, MOST_CELLS)),
        }
        return Event(**{**found, **limited})


def _events() -> Select[Any]:
    """Events, each with the user of its identity."""
    linked = IDENTITIES.c.identity == EVENTS.c.user_id
    return select(EVENTS, IDENTITIES.c.user_id.label("owner")).outerjoin(IDENTITIES, linked)


_AFTER: Final = (
    _events().where(EVENTS.c.seq > bindparam("after")).order_by(EVENTS.c.seq).limit(bindparam("most"))
)


class EventStore:
    """The events of a store: only ever added to, but for the events of a deleted user.

    Args:
        database: The store's connections.
        writer: What writes.
        event_writer: Writes events with their feedback.
    """

    def __init__(self, database: Database, writer: Writer, event_writer: EventWriter) -> None:
        self._database = database
        self._writer = writer
        self._event_writer = event_writer

    def add(
        self, events: Iterable[Event], *, feedback: Mode = "add", insert_missing: bool = False
    ) -> list[bool]:
        """Write events; when this returns they are on disk.

        Args:
            events: At most the settings' most_rows.
            feedback: Whether each is added to its feedback, overwrites it, or leaves it alone (``none``).
            insert_missing: Whether users and items that are not known are made.

        Returns:
            Of each whether it was new: False where its id is known, or where it is from before the deletion of its
            user, who was not put again.

        Raises:
            StoreError: If a context has more than 8,192 characters as JSON, or these are too many.
            StoreUnavailableError: If they are not known to be on disk; the same call may be sent again.
        """
        rows = [event_row(event, feedback, creates=insert_missing) for event in events]
        return self._writer.write(self._event_writer.write, rows) if rows else []

    def restore(self, events: Iterable[Event], *, feedback: Mode = "add") -> list[bool]:
        """Put events of an export back, except those from before the deletion of their user, even if the user was added again.

        Args:
            events: As for :meth:`add`.
            feedback: As for :meth:`add`.

        Returns:
            Of each whether it was new and is kept.
        """
        rows = [event_row(event, feedback) for event in events]
        return self._writer.write(self._event_writer.restore, rows) if rows else []

    def after(self, seq: int, limit: int = 1000, *, types: Sequence[str] | None = None) -> list[Event]:
        """The events after a place in their order, oldest first.

        With several writers, too, no event appears before a place that was read already.

        Args:
            seq: The place: 0 for the beginning, else the ``seq`` of the last event read.
            limit: Most of them, up to 10,000.
            types: Which types; all by default.
        """
        check_limit(limit)
        query = _AFTER if types is None else _AFTER.where(EVENTS.c.type.in_(types))
        with self._database.reading() as connection:
            rows = connection.execute(query, {"after": seq, "most": limit})
            return [event_of(row) for row in rows]

    def of_user(self, user: str, limit: int = 100, *, types: Sequence[str] | None = None) -> list[Event]:
        """A user's newest events, newest first, those of its identities included.

        Args:
            user: Id of the user.
            limit: Most of them, up to 10,000.
            types: Which types; all by default.
        """
        check_limit(limit)
        query = _events().order_by(EVENTS.c.seq.desc()).limit(limit)
        if types is not None:
            query = query.where(EVENTS.c.type.in_(types))
        with self._database.reading() as connection:
            query = query.where(EVENTS.c.user_id.in_(ids_of(connection, user)))
            return [event_of(row) for row in connection.execute(query)]

    def get(self, id: str) -> Event | None:
        """The event of an id, if there is one."""
        with self._database.reading() as connection:
            row = connection.execute(_events().where(EVENTS.c.id == id)).first()
        return None if row is None else event_of(row)

    def last(self) -> int:
        """The place of the newest event, 0 where there is none."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.max(EVENTS.c.seq), 0))).scalar_one())
