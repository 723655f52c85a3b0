"""A counter of changes, so that a live catalogue can follow the store."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from motet.store._cursors import check_limit
from motet.store._database import Database
from motet.store._records import Change
from motet.store._tables import CHANGES
from motet.store._upsert import chunks

__all__ = ["Changes", "forget_changes", "note_changes"]


def note_changes(connection: Connection, what: str, keys: Iterable[str], *, deleted: bool = False) -> None:
    """Note that users or items were changed, in the transaction that changes them; the newest note replaces others."""
    for some in chunks(dict.fromkeys(keys)):
        forget_changes(connection, what, some)
        connection.execute(CHANGES.insert(), [{"what": what, "key": key, "deleted": deleted} for key in some])


def forget_changes(connection: Connection, what: str, keys: list[str]) -> None:
    """Take out what was noted of some users or items."""
    connection.execute(CHANGES.delete().where(CHANGES.c.what == what, CHANGES.c.key.in_(keys)))


class Changes:
    """What was changed, in order.

    Args:
        database: The store's connections.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, seq: int, limit: int = 1000) -> list[Change]:
        """The changes after a place in their order, oldest first.

        Args:
            seq: The place; 0 for the beginning.
            limit: Most of them, up to 10,000.
        """
        check_limit(limit)
        query = select(CHANGES).where(CHANGES.c.seq > seq).order_by(CHANGES.c.seq).limit(limit)
        with self._database.reading() as connection:
            return [Change(row.seq, row.what, row.key, row.deleted) for row in connection.execute(query)]

    def last(self) -> int:
        """The place of the newest change, 0 where there is none."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.max(CHANGES.c.seq), 0))).scalar_one())
