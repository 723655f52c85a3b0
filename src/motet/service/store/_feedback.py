"""Feedback: one row per way, user and item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, select

from motet.errors import StoreError
from motet.service.store._database import Database
from motet.service.store._events import EventWriter, Mode, Said, said_of
from motet.service.store._queries import page
from motet.service.store._records import (
    MOST_SUM,
    MOST_VALUE,
    Event,
    Feedback,
    Page,
    check_json,
    check_number,
    from_us,
    new_id,
    now,
    read_json,
    to_us,
    within,
)
from motet.service.store._tables import FEEDBACK
from motet.service.store._writer import Writer

__all__ = ["FeedbackRows", "feedback_of"]

_KEY = (FEEDBACK.c.type, FEEDBACK.c.user_id, FEEDBACK.c.item_id)


def feedback_of(row: Any) -> Feedback:
    """A row of the table as feedback."""
    return Feedback(
        type=row.type,
        user=row.user_id,
        item=row.item_id,
        value=within(row.value, MOST_SUM),
        time=from_us(row.time),
        updated=from_us(row.updated),
        labels=read_json(row.labels),
        comment=row.comment,
    )


class FeedbackRows:
    """The feedback of a store.

    What is said here is an event as well, so that learning and live history see it.

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
        self, rows: Sequence[Feedback], *, ids: Sequence[str] | None = None, insert_missing: bool = False
    ) -> list[bool]:
        """Add each value to what is there; when this returns it is on disk.

        ``time`` stays that of the first, ``updated`` becomes the latest, labels and comment are replaced where given.

        Args:
            rows: What was said.
            ids: An id for each, by which it counts once however often it is sent; made where missing.
            insert_missing: Whether users and items that are not known are made.

        Returns:
            Of each whether it counted.

        Raises:
            StoreError: If the ids are not as many as the rows, or a row is beyond the limits of an event.
            StoreUnavailableError: If it is not known to be on disk.
        """
        return self._write(rows, "add", ids, insert_missing)

    def put(
        self, rows: Sequence[Feedback], *, ids: Sequence[str] | None = None, insert_missing: bool = False
    ) -> list[bool]:
        """Overwrite what is there; as :meth:`add` otherwise."""
        return self._write(rows, "overwrite", ids, insert_missing)

    def _write(
        self, rows: Sequence[Feedback], mode: Mode, ids: Sequence[str] | None, insert_missing: bool
    ) -> list[bool]:
        if ids is not None and len(ids) != len(rows):
            raise StoreError(f"{len(rows)} rows came with {len(ids)} ids", "give one to each")
        said: list[Said] = []
        for row, id in zip(rows, ids or [new_id() for _ in rows], strict=True):
            check_number(row.value, "feedback.value", -MOST_VALUE, MOST_VALUE)
            event = Event(row.type, row.user, row.item, row.value, row.time, id)
            one = said_of(event, mode, labels=row.labels, comment=row.comment, creates=insert_missing)
            said.append(one)
        return self._writer.write(self._event_writer.write, said) if said else []

    def restore(self, rows: Sequence[Feedback]) -> list[bool]:
        """Put rows of an export in place of what is there, without events; not those from before a deletion.

        Returns:
            Of each whether it was put.
        """
        found = [
            {
                "type": row.type,
                "user_id": row.user,
                "item_id": row.item,
                "value": within(row.value, MOST_SUM),
                "time": to_us(row.time),
                "updated": to_us(row.updated or row.time),
                "labels": check_json(row.labels, "feedback.labels", none=True),
                "comment": row.comment,
            }
            for row in rows
        ]
        return self._writer.write(self._event_writer.restore_feedback, found) if found else []

    def get(self, type: str, user: str, item: str) -> Feedback | None:
        """The feedback of one way, user and item, if there is any."""
        query = select(FEEDBACK).where(
            FEEDBACK.c.type == type, FEEDBACK.c.user_id == user, FEEDBACK.c.item_id == item
        )
        found = self._read(query)
        return found[0] if found else None

    def of_pair(self, user: str, item: str) -> list[Feedback]:
        """What a user did to an item, in every way, ordered by it."""
        where = (FEEDBACK.c.user_id == user, FEEDBACK.c.item_id == item)
        return self._read(select(FEEDBACK).where(*where).order_by(FEEDBACK.c.type))

    def of_user(self, user: str, type: str | None = None) -> list[Feedback]:
        """What a user did to every item, in one way or in all."""
        query = select(FEEDBACK).where(FEEDBACK.c.user_id == user)
        if type is not None:
            query = query.where(FEEDBACK.c.type == type)
        return self._read(query.order_by(FEEDBACK.c.type, FEEDBACK.c.item_id))

    def of_item(self, item: str, type: str | None = None) -> list[Feedback]:
        """What all users did to an item, in one way or in all."""
        query = select(FEEDBACK).where(FEEDBACK.c.item_id == item)
        if type is not None:
            query = query.where(FEEDBACK.c.type == type)
        return self._read(query.order_by(FEEDBACK.c.type, FEEDBACK.c.user_id))

    def page(
        self, n: int = 10, cursor: str = "", *, type: str | None = None, until_now: bool = False
    ) -> Page[Feedback]:
        """All feedback, ordered by way, user and item.

        Args:
            n: Most rows, up to 10,000.
            cursor: Where the page before ended.
            type: One way only.
            until_now: Whether what bears a time to come is left out.
        """
        query = select(FEEDBACK)
        if type is not None:
            query = query.where(FEEDBACK.c.type == type)
        if until_now:
            query = query.where(FEEDBACK.c.time <= to_us(now()))
        of = "feedback" if type is None else f"feedback:{type}"
        with self._database.reading() as connection:
            return page(connection, query, _KEY, feedback_of, of, n, cursor)

    def delete(self, user: str, item: str, type: str | None = None) -> int:
        """Delete what a user did to an item, in one way or in all; the events stay.

        Returns:
            How many rows there were.
        """
        return self._writer.write(_delete, [(user, item, type)])[0]

    def _read(self, query: Select[Any]) -> list[Feedback]:
        with self._database.reading() as connection:
            return [feedback_of(row) for row in connection.execute(query)]


def _delete(connection: Connection, rows: list[tuple[str, str, str | None]]) -> list[int]:
    counts = []
    for user, item, type in rows:
        pair = and_(FEEDBACK.c.user_id == user, FEEDBACK.c.item_id == item)
        where = pair if type is None else and_(pair, FEEDBACK.c.type == type)
        counts.append(connection.execute(FEEDBACK.delete().where(where)).rowcount)
    return counts
