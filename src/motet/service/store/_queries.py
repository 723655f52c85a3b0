"""Shared queries: upserts, pages with cursors, text search, and the log of changes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Final, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from motet.errors import StoreError
from motet.service.store._database import Database
from motet.service.store._records import Change, Page, check_text
from motet.service.store._tables import CHANGES, IDENTITIES

__all__ = [
    "Changes",
    "chunks",
    "forget_changes",
    "ids_of",
    "insert_missing",
    "known",
    "matching",
    "note_changes",
    "page",
    "read_cursor",
    "upsert",
    "words_of",
    "write_cursor",
]

T = TypeVar("T")
Merge = Callable[[Any], dict[str, Any]]

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
        found.update(connection.execute(_known(column), {"some": some}).scalars())
    return found


# Building a statement takes longer than running it for one row: those of every event are built once.


@cache
def _known(column: Column[Any]) -> Select[Any]:
    return select(column).where(column.in_(bindparam("some", expanding=True)))


@cache
def _insert(dialect: str, table: Table) -> Any:
    # The two have no common ancestor that knows on_conflict.
    return (sqlite if dialect == "sqlite" else postgresql).insert(table)


@cache
def _upsert(dialect: str, table: Table, columns: tuple[str, ...], merge: Merge | None) -> Any:
    statement = _insert(dialect, table)
    keys = [column.name for column in table.primary_key.columns]
    new = statement.excluded
    values = merge(new) if merge else {name: new[name] for name in columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=values)


@cache
def _insert_missing(dialect: str, table: Table) -> Any:
    return _insert(dialect, table).on_conflict_do_nothing()


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[dict[str, Any]],
    merge: Merge | None = None,
) -> None:
    """Insert rows, or replace those with the same primary key.

    Args:
        connection: The connection.
        table: The table.
        rows: Rows with the same columns.
        merge: Maps the new row to the new value of each column, a function of a module; by default all values are
            replaced.
    """
    if rows:
        connection.execute(_upsert(connection.dialect.name, table, tuple(rows[0]), merge), list(rows))


def insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, except those whose key exists."""
    if rows:
        connection.execute(_insert_missing(connection.dialect.name, table), list(rows))


MOST: Final = 10_000


def write_cursor(of: str, key: Sequence[str]) -> str:
    """Encode the key of the last row of a page.

    Example:
        >>> read_cursor("users", write_cursor("users", ["ann"]), 1)
        ['ann']
    """
    text = json.dumps([of, *key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(of: str, cursor: str, length: int) -> list[str]:
    """Decode a cursor of :func:`write_cursor`.

    Raises:
        StoreError: If it is not a cursor of this list.
    """
    wrong = StoreError(f"the cursor {cursor[:80]!a} is not one of {of}", "send a cursor as it was answered")
    try:
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(found, list) or len(found) != length + 1 or found[0] != of:
        raise wrong
    if not all(isinstance(part, str) and "\0" not in part for part in found):
        raise wrong
    try:
        "".join(found).encode()
    except UnicodeEncodeError:
        raise wrong from None
    return [str(part) for part in found[1:]]


def check_limit(n: int) -> int:
    """Check the length of a page.

    Raises:
        StoreError: If it is below 1 or above 10,000.
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST:
        raise StoreError(f"a page of {n!r} rows was requested", f"request 1 to {MOST}")
    return n


def page(
    connection: Connection,
    query: Select[Any],
    key: Sequence[ColumnElement[str]],
    make: Callable[[Any], T],
    of: str,
    n: int,
    cursor: str,
) -> Page[T]:
    """Read a page in the order of a key, so that concurrent writes neither repeat nor skip a row.

    Args:
        connection: The connection.
        query: The rows, unordered.
        key: Columns that order them, together unique.
        make: Makes a record of a row.
        of: The name of the list.
        n: Most rows.
        cursor: Cursor of the page before; empty for the first.

    Raises:
        StoreError: If cursor or n is wrong.
    """
    check_limit(n)
    if cursor:
        after = read_cursor(of, cursor, len(key))
        if len(key) == 1:
            query = query.where(key[0] > after[0])
        else:
            query = query.where(tuple_(*key) > tuple_(*[literal(part) for part in after]))
    rows = connection.execute(query.order_by(*key).limit(n + 1)).all()
    if len(rows) <= n:
        return Page(tuple(make(row) for row in rows), "")
    last = rows[n - 1]._mapping
    return Page(tuple(make(row) for row in rows[:n]), write_cursor(of, [last[part.name] for part in key]))


_LONGEST: Final = 20_000
_LONGEST_QUERY: Final = 256


def words_of(*values: Any) -> str:
    r"""All texts in some values, case-folded, one per line, for the search.

    Example:
        >>> words_of("p1", {"title": "Green TEA", "tags": ["hot"]}, "")
        'p1\ngreen tea\nhot'
    """
    found: list[str] = []
    todo = list(reversed(values))
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            if value:
                found.append(" ".join(value.casefold().split()))
        elif isinstance(value, dict):
            todo += reversed(list(value.values()))
        elif isinstance(value, list | tuple):
            todo += reversed(value)
    return "\n".join(found)[:_LONGEST].replace("\0", "")


def matching(words: Column[str], text: str, *, prefix: bool = False) -> ColumnElement[bool]:
    """Condition that the texts of a row contain a text, anywhere or at the beginning of one of them.

    Args:
        words: The column that :func:`words_of` filled.
        text: The text to find; ``%`` and ``_`` have no special meaning.
        prefix: Whether it must be at the beginning.

    Raises:
        StoreError: If the text is empty or longer than 256 characters.
    """
    check_text(text, "the searched text", longest=_LONGEST_QUERY)
    sought = " ".join(text.casefold().split())
    if not prefix:
        return words.contains(sought, autoescape=True)
    return or_(words.startswith(sought, autoescape=True), words.contains("\n" + sought, autoescape=True))


def ids_of(connection: Connection, id: str) -> list[str]:
    """The user that an id belongs to, then its identities in the order of their linking: where its records are."""
    links = IDENTITIES.c
    owner = connection.execute(select(links.user_id).where(links.identity == id)).scalar() or id
    query = select(links.identity).where(links.user_id == owner).order_by(links.time, links.identity)
    return [owner, *connection.execute(query).scalars()]


def note_changes(connection: Connection, what: str, keys: Iterable[str], *, deleted: bool = False) -> None:
    """Log that users, items or identities changed, within the same transaction; a newer entry replaces older ones."""
    for some in chunks(dict.fromkeys(keys)):
        forget_changes(connection, what, some)
        connection.execute(CHANGES.insert(), [{"what": what, "key": key, "deleted": deleted} for key in some])


def forget_changes(connection: Connection, what: str, keys: list[str]) -> None:
    """Delete the log entries of some users, items or identities."""
    connection.execute(CHANGES.delete().where(CHANGES.c.what == what, CHANGES.c.key.in_(keys)))


_CHANGES_AFTER: Final = (
    select(CHANGES).where(CHANGES.c.seq > bindparam("after")).order_by(CHANGES.c.seq).limit(bindparam("most"))
)


class Changes:
    """The log of changes, in order.

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
        with self._database.reading() as connection:
            rows = connection.execute(_CHANGES_AFTER, {"after": seq, "most": limit})
            return [Change(row.seq, row.what, row.key, row.deleted) for row in rows]

    def last(self) -> int:
        """The place of the newest change, 0 where there is none."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.max(CHANGES.c.seq), 0))).scalar_one())
