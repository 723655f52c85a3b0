"""Everything out again: JSON lines or Parquet, in order, a few rows in memory at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from motet.errors import StoreError
from motet.store._failures import translated
from motet.store._plain import JSON, Kind, Record, plain_of
from motet.store._records import Page
from motet.store._told import Told

__all__ = ["export_file", "export_lines", "records"]

_AT_ONCE: Final = 1_000
_ROW_GROUP: Final = 10_000
_TIME: Final = pa.timestamp("us", tz="UTC")

COLUMNS: Final = {
    "users": {"id": pa.string(), "labels": pa.string(), "comment": pa.string(), "time": _TIME},
    "items": {
        "id": pa.string(),
        "is_hidden": pa.bool_(),
        "categories": pa.list_(pa.string()),
        "timestamp": _TIME,
        "labels": pa.string(),
        "comment": pa.string(),
        "fields": pa.string(),
    },
    "events": {
        "seq": pa.int64(),
        "id": pa.string(),
        "type": pa.string(),
        "user": pa.string(),
        "item": pa.string(),
        "value": pa.float64(),
        "time": _TIME,
        "scenario": pa.string(),
        "context": pa.string(),
        "list_id": pa.string(),
        "propensity": pa.float64(),
    },
    "feedback": {
        "type": pa.string(),
        "user": pa.string(),
        "item": pa.string(),
        "value": pa.float64(),
        "time": _TIME,
        "updated": _TIME,
        "labels": pa.string(),
        "comment": pa.string(),
    },
}


def records(told: Told, kind: Kind) -> Iterator[Record]:
    """Every record of a kind, in order: users and items by id, events as they came.

    What is stored meanwhile is in it where the reading has not passed its place. Deleted users are in none of them.
    """
    if kind == "events":
        place = 0
        while events := told.events.after(place, _AT_ONCE):
            yield from events
            place = events[-1].seq
        return
    pages: dict[str, Callable[[int, str], Page[Any]]] = {
        "users": told.users.page,
        "items": told.items.page,
        "feedback": told.feedback.page,
    }
    cursor = ""
    while True:
        page = pages[kind](_AT_ONCE, cursor)
        yield from page.rows
        cursor = page.cursor
        if not cursor:
            return


def export_lines(told: Told, kind: Kind) -> Iterator[bytes]:
    """Every record of a kind as a line of JSON, for a file or an answer that streams."""
    for record in records(told, kind):
        text = json.dumps(plain_of(record), ensure_ascii=False, default=datetime.isoformat)
        yield text.encode() + b"\n"


def export_file(told: Told, kind: Kind, path: Path) -> int:
    """Write every record of a kind into a file that appears whole or not at all.

    Args:
        told: Where from.
        kind: ``users``, ``items``, ``events`` or ``feedback``.
        path: Ending in ``.jsonl`` or ``.parquet``; what is there is replaced.

    Returns:
        How many there were.

    Raises:
        StoreError: If the file's ending is another, or its directory is not there.
        StoreUnavailableError: If there is no room.
    """
    write = {".jsonl": _jsonl, ".parquet": _parquet}.get(path.suffix)
    if write is None:
        raise StoreError(f"the file {path.name} is of no known kind", "end it in .jsonl or .parquet")
    if not path.parent.is_dir():
        raise StoreError(f"the directory {path.parent} of the export is not there", "make it")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with translated(str(path)):
            rows = write(told, kind, part)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return rows


def _jsonl(told: Told, kind: Kind, path: Path) -> int:
    rows = 0
    with path.open("wb") as file:
        for line in export_lines(told, kind):
            file.write(line)
            rows += 1
    return rows


def _parquet(told: Told, kind: Kind, path: Path) -> int:
    schema = pa.schema(COLUMNS[kind])
    rows = 0
    waiting: list[dict[str, Any]] = []
    with pq.ParquetWriter(path, schema) as file:
        for record in records(told, kind):
            row = plain_of(record)
            for name in JSON:
                if row.get(name) is not None:
                    row[name] = json.dumps(row[name], ensure_ascii=False)
            waiting.append(row)
            rows += 1
            if len(waiting) == _ROW_GROUP:
                file.write_table(pa.Table.from_pylist(waiting, schema))
                waiting = []
        if waiting:
            file.write_table(pa.Table.from_pylist(waiting, schema))
    return rows
