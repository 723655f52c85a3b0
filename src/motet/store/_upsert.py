"""Rows written where there may be some already; the same for every database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Column, Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["chunks", "insert_missing", "known", "upsert"]

T = TypeVar("T")

_AT_ONCE: Final = 500


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Values in parts that a statement can name."""
    every = list(values)
    for start in range(0, len(every), _AT_ONCE):
        yield every[start : start + _AT_ONCE]


def known(connection: Connection, column: Column[T], values: Iterable[T]) -> set[T]:
    """Which of some values a column holds."""
    found: set[T] = set()
    for some in chunks(dict.fromkeys(values)):
        found.update(connection.execute(select(column).where(column.in_(some))).scalars())
    return found


def _insert(connection: Connection, table: Table) -> Any:
    # The two have no common ancestor that knows on_conflict.
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[dict[str, Any]],
    merge: Callable[[Any], dict[str, Any]] | None = None,
) -> None:
    """Insert rows, and where their primary key is there already, replace.

    Args:
        connection: Where.
        table: Into what.
        rows: Of one and the same set of columns.
        merge: From the new row to what replaces each column; by default its every value.
    """
    if not rows:
        return
    statement = _insert(connection, table)
    keys = [column.name for column in table.primary_key.columns]
    new = statement.excluded
    values = merge(new) if merge else {name: new[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), list(rows))


def insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, but for those whose key is there already."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), list(rows))
