"""Cursors: where a page ended, as a text that says nothing to anybody else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, literal, tuple_

from motet.errors import StoreError
from motet.store._records import Page

__all__ = ["page", "read_cursor", "write_cursor"]

T = TypeVar("T")

MOST: Final = 10_000


def write_cursor(of: str, key: Sequence[str]) -> str:
    """Write the key of the last row of a page.

    Example:
        >>> read_cursor("users", write_cursor("users", ["ann"]), 1)
        ['ann']
    """
    text = json.dumps([of, *key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(of: str, cursor: str, length: int) -> list[str]:
    """Read what :func:`write_cursor` wrote.

    Raises:
        StoreError: If it is no cursor, or one of another list.
    """
    wrong = StoreError(f"the cursor {cursor[:80]!a} is none of {of}", "hand in a cursor as it was answered")
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
    """Refuse a length of a page that is none.

    Raises:
        StoreError: If it is below 1 or above 10,000.
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST:
        raise StoreError(f"a page of {n!r} rows was asked for", f"ask for 1 to {MOST}")
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
    """Read a page of a list in the order of a key: what is stored meanwhile neither repeats nor skips a row.

    Args:
        connection: Where from.
        query: The rows, in no order.
        key: Columns that order them, together unique.
        make: From a row to a record.
        of: The name of the list.
        n: Most rows.
        cursor: Where the page before ended; empty for the first.

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
