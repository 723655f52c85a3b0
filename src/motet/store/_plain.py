"""Records as plain rows, as files hold them, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from motet.errors import StoreError
from motet.schema import require_known
from motet.store._records import Event, Feedback, Item, User

__all__ = ["Kind", "Record", "plain_of", "record_of"]

Kind: TypeAlias = Literal["users", "items", "events", "feedback"]
Record: TypeAlias = User | Item | Event | Feedback

RECORDS: Final[Mapping[Kind, type[Record]]] = {
    "users": User,
    "items": Item,
    "events": Event,
    "feedback": Feedback,
}
TIMES: Final = ("time", "timestamp", "updated")
JSON: Final = ("labels", "fields", "context")


def plain_of(record: Record) -> dict[str, Any]:
    """A record as a row, times as datetimes."""
    found = {field.name: getattr(record, field.name) for field in fields(record)}
    for name in ("fields", "context"):
        if name in found:
            found[name] = dict(found[name])
    if "categories" in found:
        found["categories"] = list(found["categories"])
    return found


def record_of(kind: Kind, row: Mapping[str, Any]) -> Record:
    """A row as a record; what is null has its default, and the place of an event is given anew.

    Raises:
        StoreError: If a column is not known, or a value is wrong.
    """
    made = RECORDS[kind]
    names = [field.name for field in fields(made)]
    given: dict[str, Any] = {}
    for name, value in row.items():
        require_known(name, names, f"the column of {kind}", StoreError)
        if value is not None and name != "seq":
            given[name] = _time(value, f"{kind}.{name}") if name in TIMES else value
    missing = [name for name in ("id", "type", "user", "item") if name in names and name not in given]
    if missing:
        raise StoreError(f"a row of {kind} has no '{missing[0]}'", "give one to each row")
    return made(**given)


def read_columns(row: Mapping[str, Any], line: str) -> dict[str, Any]:
    """A row of a table in which JSON is text."""
    found = dict(row)
    for name in JSON:
        if isinstance(found.get(name), str):
            try:
                found[name] = json.loads(found[name])
            except (ValueError, RecursionError):
                raise StoreError(f"{line}: {name} is no JSON", "write JSON into that column") from None
    return found


def _time(value: object, what: str) -> object:
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        problem = f"{what} is {value[:40]!a}"
        raise StoreError(problem, "write times as 2026-03-01T12:00:00+00:00") from None
