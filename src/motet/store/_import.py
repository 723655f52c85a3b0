"""Everything in: JSON lines or Parquet, a few rows in memory at a time; twice is once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from motet.errors import StoreError
from motet.store._fold import Mode, check_context
from motet.store._plain import Kind, Record, read_columns, record_of
from motet.store._records import Event, Feedback, Item, User
from motet.store._told import Told

__all__ = ["Imported", "import_file", "import_lines"]

_AT_ONCE: Final = 1_000
LONGEST_LINE: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        rows: Rows read.
        new: Of events, those that were not known; of users and items, those that were not there.
            Rows of deleted users from before their deletion are not, whether or not they came back since.
    """

    rows: int
    new: int


def import_lines(told: Told, kind: Kind, lines: Iterable[bytes], *, feedback: Mode = "add") -> Imported:
    """Read lines of JSON, a record each.

    Args:
        told: Where to.
        kind: ``users``, ``items``, ``events`` or ``feedback``.
        lines: The lines; empty ones are left out.
        feedback: What events do to feedback: ``none`` where feedback is read as well.

    Raises:
        StoreError: If a line is wrong: it is named, and what stood before it may be written already. The
            mended lines may be read again from the first: nothing counts twice.
        StoreUnavailableError: If the store cannot write; read them again from the first.
    """
    return _write(told, kind, _from_lines(kind, lines), feedback)


def import_file(told: Told, kind: Kind, path: Path, *, feedback: Mode = "add") -> Imported:
    """Read a file that ends in ``.jsonl`` or ``.parquet``; as :func:`import_lines` otherwise.

    Raises:
        StoreError: If the file is not there, of another kind, or a row in it is wrong.
    """
    if not path.is_file():
        raise StoreError(f"the file {path} is not there", "name one that is")
    if path.suffix == ".jsonl":
        with path.open("rb") as file:
            # Never more than the longest line in memory, whatever the file is.
            return import_lines(
                told, kind, iter(lambda: file.readline(LONGEST_LINE + 1), b""), feedback=feedback
            )
    if path.suffix == ".parquet":
        return _write(told, kind, _from_parquet(kind, path), feedback)
    raise StoreError(f"the file {path.name} is of no known kind", "end it in .jsonl or .parquet")


def _from_lines(kind: Kind, lines: Iterable[bytes]) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_LINE:
            raise StoreError(f"line {number} is longer than {LONGEST_LINE} bytes", "write a record a line")
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"line {number} is no JSON ({error})", "write a record a line") from None
        if not isinstance(row, dict):
            raise StoreError(f"line {number} is no object", "write a record a line")
        yield _record(kind, row, f"line {number}")


def _from_parquet(kind: Kind, path: Path) -> Iterator[Record]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_AT_ONCE):
                for row in batch.to_pylist():
                    number += 1
                    yield _record(kind, read_columns(row, f"row {number}"), f"row {number}")
    except pa.ArrowException as error:
        raise StoreError(f"the file {path} cannot be read ({error})", "give a Parquet file") from error


def _record(kind: Kind, row: dict[str, Any], line: str) -> Record:
    try:
        record = record_of(kind, row)
        if isinstance(record, Event):
            check_context(record)
        return record
    except StoreError as error:
        raise StoreError(f"{line}: {error.problem}", error.cure) from None


def _write(told: Told, kind: Kind, found: Iterator[Record], feedback: Mode) -> Imported:
    rows = new = 0
    while some := list(islice(found, _AT_ONCE)):
        rows += len(some)
        new += sum(_put(told, kind, some, feedback))
    return Imported(rows, new)


def _put(told: Told, kind: Kind, some: Sequence[Record], feedback: Mode) -> list[bool]:
    if kind == "users":
        return told.users.restore(cast(Sequence[User], some))
    if kind == "items":
        return told.items.put(cast(Sequence[Item], some))
    if kind == "events":
        return told.events.restore(cast(Sequence[Event], some), feedback=feedback)
    return told.feedback.restore(cast(Sequence[Feedback], some))
