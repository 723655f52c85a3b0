"""Export and import."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from motet.errors import StoreError
from motet.schema import require_known
from motet.service.store._database import translated
from motet.service.store._entities import Items, Users
from motet.service.store._events import EventStore, Mode, check_context
from motet.service.store._feedback import FeedbackRows
from motet.service.store._identities import Identity, IdentityStore
from motet.service.store._records import Event, Feedback, Item, Page, User
from motet.service.store._surveys import AskedQuestion, SurveyStore

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "ExportedRecords",
    "Imported",
    "Kind",
    "Record",
    "check_file",
    "export_file",
    "export_lines",
    "import_file",
    "import_lines",
    "plain_of",
    "record_of",
    "records",
]

Kind: TypeAlias = Literal["users", "items", "events", "feedback", "identities", "answers"]
Record: TypeAlias = User | Item | Event | Feedback | Identity | AskedQuestion

RECORDS: Final[Mapping[Kind, type[Record]]] = {
    "users": User,
    "items": Item,
    "events": Event,
    "feedback": Feedback,
    "identities": Identity,
    "answers": AskedQuestion,
}
TIMES: Final = ("time", "timestamp", "updated", "answered")
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
    """A row as a record; null means the default, and an event gets a new place in the order.

    Raises:
        StoreError: If a column is unknown, or a value is wrong.
    """
    made = RECORDS[kind]
    names = [field.name for field in fields(made)]
    given: dict[str, Any] = {}
    for name, value in row.items():
        require_known(name, names, f"the column of {kind}", StoreError)
        if value is not None and name != "seq":
            given[name] = _time(value, f"{kind}.{name}") if name in TIMES else value
    keys = {"identities": ("identity", "user"), "answers": ("id", "survey", "user")}
    required = keys.get(kind, ("id", "type", "user", "item"))
    missing = [name for name in required if name in names and name not in given]
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
                raise StoreError(f"{line}: {name} is not JSON", "write JSON into that column") from None
    return found


def _time(value: object, what: str) -> object:
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        problem = f"{what} is {value[:40]!a}"
        raise StoreError(problem, "write times as 2026-03-01T12:00:00+00:00") from None


@dataclass(frozen=True, slots=True)
class ExportedRecords:
    """The parts of a store that are exported and imported; logged lists, keys and models are not.

    Attributes:
        users: Users.
        items: Items.
        events: Events.
        feedback: Feedback by type, user and item.
        identities: Further ids of users.
        surveys: Surveys with their answers.
    """

    users: Users
    items: Items
    events: EventStore
    feedback: FeedbackRows
    identities: IdentityStore
    surveys: SurveyStore


_AT_ONCE: Final = 1_000
_ROW_GROUP: Final = 10_000
COLUMNS: Final = {
    "users": {"id": "text", "labels": "text", "comment": "text", "time": "time"},
    "items": {
        "id": "text",
        "is_hidden": "truth",
        "categories": "texts",
        "timestamp": "time",
        "labels": "text",
        "comment": "text",
        "fields": "text",
    },
    "events": {
        "seq": "whole",
        "id": "text",
        "type": "text",
        "user": "text",
        "item": "text",
        "value": "number",
        "time": "time",
        "scenario": "text",
        "context": "text",
        "list_id": "text",
        "propensity": "number",
        "identity": "text",
    },
    "feedback": {
        "type": "text",
        "user": "text",
        "item": "text",
        "value": "number",
        "time": "time",
        "updated": "time",
        "labels": "text",
        "comment": "text",
    },
    "identities": {"identity": "text", "user": "text", "time": "time"},
    "answers": {
        "survey": "text",
        "user": "text",
        "id": "text",
        "time": "time",
        "list_id": "text",
        "scenario": "text",
        "model": "text",
        "value": "whole",
        "answered": "time",
    },
}


def _columns_of(kind: Kind) -> pa.Schema:
    """Columns of a Parquet file."""
    import pyarrow as pa  # noqa: PLC0415 (slow to import, only needed here)

    types = {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "truth": pa.bool_(),
        "whole": pa.int64(),
        "number": pa.float64(),
        "time": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema({name: types[what] for name, what in COLUMNS[kind].items()})


def records(exported: ExportedRecords, kind: Kind) -> Iterator[Record]:
    """Every record of a kind, in order: users and items by id, events as they came.

    Records stored during the export are included if their place has not been read yet. Deleted users are left out.
    """
    if kind == "events":
        place = 0
        while events := exported.events.after(place, _AT_ONCE):
            yield from events
            place = events[-1].seq
        return
    pages: dict[str, Callable[[int, str], Page[Any]]] = {
        "users": exported.users.page,
        "items": exported.items.page,
        "feedback": exported.feedback.page,
        "identities": exported.identities.page,
        "answers": exported.surveys.page,
    }
    cursor = ""
    while True:
        page = pages[kind](_AT_ONCE, cursor)
        yield from page.rows
        cursor = page.cursor
        if not cursor:
            return


def export_lines(exported: ExportedRecords, kind: Kind) -> Iterator[bytes]:
    """Every record of a kind as a line of JSON, for a file or an answer that streams."""
    for record in records(exported, kind):
        text = json.dumps(plain_of(record), ensure_ascii=False, default=datetime.isoformat)
        yield text.encode() + b"\n"


def export_file(exported: ExportedRecords, kind: Kind, path: Path) -> int:
    """Write every record of a kind into a file that appears whole or not at all.

    Args:
        exported: The parts of the store.
        kind: ``users``, ``items``, ``events``, ``feedback``, ``identities`` or ``answers``.
        path: Ending in ``.jsonl`` or ``.parquet``; what is there is replaced.

    Returns:
        Number of records.

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
            rows = write(exported, kind, part)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return rows


def _jsonl(exported: ExportedRecords, kind: Kind, path: Path) -> int:
    rows = 0
    with path.open("wb") as file:
        for line in export_lines(exported, kind):
            file.write(line)
            rows += 1
    return rows


def _parquet(exported: ExportedRecords, kind: Kind, path: Path) -> int:
    import pyarrow as pa  # noqa: PLC0415 (slow to import, only needed here)
    import pyarrow.parquet as pq  # noqa: PLC0415 (slow to import, only needed here)

    schema = _columns_of(kind)
    rows = 0
    waiting: list[dict[str, Any]] = []
    with pq.ParquetWriter(path, schema) as file:
        for record in records(exported, kind):
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


_AT_ONCE_OF_IMPORT: Final = 1_000
LONGEST_LINE: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import.

    Attributes:
        rows: Rows read.
        new: Rows that were not in the store. Rows of deleted users from before their deletion do not count, even
            if the user was added again.
    """

    rows: int
    new: int


def import_lines(
    exported: ExportedRecords, kind: Kind, lines: Iterable[bytes], *, feedback: Mode = "add"
) -> Imported:
    """Read lines of JSON, a record each.

    Args:
        exported: Where to.
        kind: ``users``, ``items``, ``events``, ``feedback``, ``identities`` or ``answers``.
        lines: The lines; empty ones are left out.
        feedback: What events do to feedback: ``none`` where feedback is read as well.

    Raises:
        StoreError: If a line is wrong: it is named, and what stood before it may be written already. The
            corrected lines may be read again from the first: nothing counts twice.
        StoreUnavailableError: If the store cannot write; read them again from the first.
    """
    return _write(exported, kind, _from_lines(kind, lines), feedback)


def import_file(exported: ExportedRecords, kind: Kind, path: Path, *, feedback: Mode = "add") -> Imported:
    """Read a file that ends in ``.jsonl`` or ``.parquet``; as :func:`import_lines` otherwise.

    Raises:
        StoreError: If the file is not there, of another kind, or a row in it is wrong.
    """
    return _write(exported, kind, _from_file(kind, path), feedback)


def check_file(kind: Kind, path: Path) -> int:
    """Read a file as :func:`import_file` does, and write nothing.

    Returns:
        How many records there are.

    Raises:
        StoreError: As there.
    """
    return sum(1 for _ in _from_file(kind, path))


def _from_file(kind: Kind, path: Path) -> Iterator[Record]:
    if not path.is_file():
        raise StoreError(f"the file {path} is not there", "name one that is")
    if path.suffix == ".jsonl":
        with path.open("rb") as file:
            # Never more than the longest line in memory, whatever the file is.
            yield from _from_lines(kind, iter(lambda: file.readline(LONGEST_LINE + 1), b""))
    elif path.suffix == ".parquet":
        yield from _from_parquet(kind, path)
    else:
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
            raise StoreError(f"line {number} is not JSON ({error})", "write a record a line") from None
        if not isinstance(row, dict):
            raise StoreError(f"line {number} is not an object", "write a record a line")
        yield _record(kind, row, f"line {number}")


def _from_parquet(kind: Kind, path: Path) -> Iterator[Record]:
    import pyarrow as pa  # noqa: PLC0415 (slow to import, only needed here)
    import pyarrow.parquet as pq  # noqa: PLC0415 (slow to import, only needed here)

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_AT_ONCE_OF_IMPORT):
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


def _write(exported: ExportedRecords, kind: Kind, found: Iterator[Record], feedback: Mode) -> Imported:
    rows = new = 0
    while some := list(islice(found, _AT_ONCE_OF_IMPORT)):
        rows += len(some)
        new += sum(_put(exported, kind, some, feedback))
    return Imported(rows, new)


def _put(exported: ExportedRecords, kind: Kind, some: Sequence[Record], feedback: Mode) -> list[bool]:
    if kind == "users":
        return exported.users.restore(cast(Sequence[User], some))
    if kind == "items":
        return exported.items.put(cast(Sequence[Item], some))
    if kind == "events":
        return exported.events.restore(cast(Sequence[Event], some), feedback=feedback)
    if kind == "identities":
        return exported.identities.restore(cast(Sequence[Identity], some))
    if kind == "answers":
        return exported.surveys.restore(cast(Sequence[AskedQuestion], some))
    return exported.feedback.restore(cast(Sequence[Feedback], some))
