"""Events: what happened, once each, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import func, select

from motet.errors import StoreError
from motet.store._checks import (
    LATEST,
    LONGEST_TYPE,
    MOST_CELLS,
    MOST_VALUE,
    from_us,
    is_cell,
    read_json,
    within,
)
from motet.store._cursors import check_limit
from motet.store._database import Database
from motet.store._fold import Fold, Mode, said_of
from motet.store._records import Event
from motet.store._tables import EVENTS
from motet.store._writer import Writer

__all__ = ["Events", "event_of"]


def event_of(row: Any) -> Event:
    """A row of the table as an event; of one that is refused today, but was not once, what is within the limits."""
    found = {
        "type": row.type,
        "user": row.user_id,
        "item": row.item_id,
        "value": row.value,
        "time": from_us(row.time),
        "id": row.id,
        "scenario": row.scenario,
        "context": read_json(row.context),
        "list_id": row.list_id,
        "propensity": row.propensity,
        "seq": row.seq,
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


class Events:
    """The events of a store: only ever added to, but for the events of a deleted user.

    Args:
        database: The store's connections.
        writer: What writes.
        fold: Writes events with their feedback.
    """

    def __init__(self, database: Database, writer: Writer, fold: Fold) -> None:
        self._database = database
        self._writer = writer
        self._fold = fold

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
            user, who was not put anew.

        Raises:
            StoreError: If a context has more than 8,192 characters as JSON, or these are too many.
            StoreUnavailableError: If they are not known to be on disk; the same call may be sent again.
        """
        said = [said_of(event, feedback, creates=insert_missing) for event in events]
        return self._writer.write(self._fold.write, said) if said else []

    def restore(self, events: Iterable[Event], *, feedback: Mode = "add") -> list[bool]:
        """Put events of an export back, but for those from before their user's deletion, whoever came back since.

        Args:
            events: As for :meth:`add`.
            feedback: As for :meth:`add`.

        Returns:
            Of each whether it was new and is kept.
        """
        said = [said_of(event, feedback) for event in events]
        return self._writer.write(self._fold.restore, said) if said else []

    def after(self, seq: int, limit: int = 1000, *, types: Sequence[str] | None = None) -> list[Event]:
        """The events after a place in their order, oldest first.

        No event ever appears before a place that was read already, whoever writes.

        Args:
            seq: The place: 0 for the beginning, else the ``seq`` of the last event read.
            limit: Most of them, up to 10,000.
            types: Which types; all by default.
        """
        check_limit(limit)
        query = select(EVENTS).where(EVENTS.c.seq > seq).order_by(EVENTS.c.seq).limit(limit)
        if types is not None:
            query = query.where(EVENTS.c.type.in_(types))
        with self._database.reading() as connection:
            return [event_of(row) for row in connection.execute(query)]

    def of_user(self, user: str, limit: int = 100, *, types: Sequence[str] | None = None) -> list[Event]:
        """A user's newest events, newest first.

        Args:
            user: Id of the user.
            limit: Most of them, up to 10,000.
            types: Which types; all by default.
        """
        check_limit(limit)
        query = select(EVENTS).where(EVENTS.c.user_id == user).order_by(EVENTS.c.seq.desc()).limit(limit)
        if types is not None:
            query = query.where(EVENTS.c.type.in_(types))
        with self._database.reading() as connection:
            return [event_of(row) for row in connection.execute(query)]

    def get(self, id: str) -> Event | None:
        """The event of an id, if there is one."""
        with self._database.reading() as connection:
            row = connection.execute(select(EVENTS).where(EVENTS.c.id == id)).first()
        return None if row is None else event_of(row)

    def last(self) -> int:
        """The place of the newest event, 0 where there is none."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.max(EVENTS.c.seq), 0))).scalar_one())
