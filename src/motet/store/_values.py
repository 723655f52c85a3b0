"""Settings of the service that outlive a restart."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from motet.store._checks import check_json, check_text, read_json
from motet.store._database import Database
from motet.store._tables import SETTINGS
from motet.store._upsert import upsert
from motet.store._writer import Writer

__all__ = ["Values"]


class Values:
    """Named values, each whatever JSON can say.

    Args:
        database: The store's connections.
        writer: What writes.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def put(self, name: str, value: Any) -> None:
        """Write a value in place of the one before."""
        check_text(name, "the name of the value")
        self._writer.write(_put, [{"name": name, "value": check_json(value, f"the value {name!a}")}])

    def get(self, name: str, default: Any = None) -> Any:
        """A value, or the default where there is none."""
        with self._database.reading() as connection:
            text = connection.execute(select(SETTINGS.c.value).where(SETTINGS.c.name == name)).scalar()
        return default if text is None else read_json(text)


def _put(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    upsert(connection, SETTINGS, rows)
    return [True] * len(rows)
