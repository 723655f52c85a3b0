"""A store brought to the newest version, step by step, under a lock."""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy import Connection, inspect, select

from motet.errors import StoreError
from motet.store._database import Database
from motet.store._steps import STEPS, statements
from motet.store._tables import META

__all__ = ["NEWEST", "migrate"]

NEWEST: Final = len(STEPS)


def migrate(database: Database, to: int = NEWEST) -> int:
    """Bring a store to a version; a new one is made.

    All steps are one transaction: a store is at its old version or at the new one, whatever happens.

    Args:
        database: Its connections.
        to: The version to reach.

    Returns:
        The version that it had before, 0 for a new one.

    Raises:
        StoreError: If the store is of a newer version, or is no store of motet.
        StoreUnavailableError: If it cannot be reached or written.
    """
    with database.writing() as connection:
        had = _version(connection, database.where)
        if had > to:
            problem = (
                f"the store {database.where} has version {had}, and this motet knows versions up to {to}"
            )
            raise StoreError(problem, "use the newer motet that made it, or restore a backup made before")
        if had == 0:
            connection.exec_driver_sql(
                "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)"
                if database.dialect == "sqlite"
                else 'CREATE TABLE meta (key TEXT COLLATE "C" NOT NULL PRIMARY KEY, value TEXT NOT NULL)'
            )
            salt = {"key": "salt", "value": secrets.token_hex(32)}
            connection.execute(META.insert(), [{"key": "version", "value": "0"}, salt])
        for step in range(had, to):
            for statement in statements(step, database.dialect):
                connection.exec_driver_sql(statement)
        if had < to:
            connection.execute(META.update().where(META.c.key == "version").values(value=str(to)))
    database.remember_file()
    return had


def _version(connection: Connection, where: str) -> int:
    tables = set(inspect(connection).get_table_names())
    if "meta" not in tables:
        if clash := tables & {"users", "items", "events", "feedback", "keys", "models"}:
            problem = f"the database {where} holds other tables ({', '.join(sorted(clash))})"
            raise StoreError(problem, "give the store a database of its own")
        return 0
    value = connection.execute(select(META.c.value).where(META.c.key == "version")).scalar()
    if value is None or not value.isdecimal():
        raise StoreError(f"the database {where} is no store of motet", "give the store a database of its own")
    return int(value)
