"""Where data of a Gorse comes from: its REST API, the files of its dashboard, its dump, its database."""

from __future__ import annotations

import csv
import gzip
import json
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, Literal, TypeAlias, get_args

from sqlalchemy import Engine, exc, inspect, make_url, text

from motet.errors import DataError, RequestError
from motet.schema import nearest
from motet.service.gorse._shapes import message_parts, message_time, write_time

__all__ = [
    "AT_ONCE",
    "GorseDirectory",
    "GorseDump",
    "GorseKind",
    "GorseRow",
    "GorseRows",
    "GorseService",
    "GorseSource",
    "GorseTables",
]

GorseKind: TypeAlias = Literal["users", "items", "feedback"]

AT_ONCE: Final = 1_000
LONGEST_LINE: Final = 4_000_000
_LONGEST_PAGE: Final = 256_000_000
_COLUMNS: Final[Mapping[GorseKind, tuple[str, ...]]] = {
    "users": ("UserId", "Labels", "Comment"),
    "items": ("ItemId", "IsHidden", "Categories", "Timestamp", "Labels", "Comment"),
    "feedback": (
        "FeedbackType", "UserId", "ItemId", "Value", "Timestamp", "Updated", "Labels", "Comment",
    ),
}  # fmt: skip
_NEEDED: Final[Mapping[GorseKind, tuple[str, ...]]] = {
    "users": ("UserId",),
    "items": ("ItemId",),
    "feedback": ("FeedbackType", "UserId", "ItemId"),
}
_OTHER_NAMES: Final = {"description": "comment"}  # of an item, in the files of Gorse 0.4
_LEFT_OUT: Final = ("subscribe", "version", "namespace")  # no part of the API any more


@dataclass(frozen=True, slots=True)
class GorseRow:
    """A user, an item or a piece of feedback as Gorse names its parts, not checked yet.

    Attributes:
        place: Where it stands, for people: ``items.csv, line 12``.
        content: Its parts by name, such as ``ItemId``.
        wrong: Why there are no parts, where the row cannot be read.
        columns: What the place calls a part, where it is not ``ItemId``.
    """

    place: str
    content: Any
    wrong: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GorseRows:
    """Some rows, in order.

    Attributes:
        rows: The rows.
        done: How far this is, in rows or bytes.
        total: How far it is in all; None where nobody knows.
        cursor: Where the next rows begin, for sources that can go on there.
        unit: What ``done`` and ``total`` count.
    """

    rows: tuple[GorseRow, ...]
    done: int
    total: int | None
    cursor: str = ""
    unit: Literal["rows", "bytes"] = "rows"


class GorseSource(ABC):
    """Data of a Gorse.

    Attributes:
        where: What it is, for people, without passwords.
        rereadable: Whether it can be read twice with the same result, so that all rows are checked before one is written.
    """

    where: str
    rereadable: bool = True

    @abstractmethod
    def read(self, kind: GorseKind, cursor: str = "") -> Iterator[GorseRows]:
        """All rows of a kind, from a cursor on where the source knows cursors.

        Raises:
            DataError: If it cannot be read.
            RequestError: If a Gorse does not answer, or refuses.
        """


# -- files of the dashboard ------------------------------------------------------------------------


class GorseDirectory(GorseSource):
    """``users``, ``items`` and ``feedback``, each as lines of JSON or as CSV; one that is missing is empty."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._files: dict[GorseKind, Path] = {}
        for kind in get_args(GorseKind):
            found = [path / f"{kind}{ending}" for ending in (".jsonl", ".csv")]
            there = [one for one in found if one.is_file()]
            if len(there) > 1:
                raise DataError(f"{path} has {found[0].name} and {found[1].name}", "move one of them away")
            if there:
                self._files[kind] = there[0]
        if not self._files:
            raise DataError(
                f"{path} has no users, items or feedback as .jsonl or .csv",
                "export them in Gorse's dashboard, and name the directory where they are",
            )

    def read(self, kind: GorseKind, cursor: str = "") -> Iterator[GorseRows]:
        """The rows of a file."""
        path = self._files.get(kind)
        if path is None:
            return
        total = path.stat().st_size
        with path.open("rb") as file:
            rows = _lines(path.name, file) if path.suffix == ".jsonl" else _cells(kind, path.name, file)
            for some in _batches(rows):
                yield GorseRows(some, min(file.tell(), total), total, unit="bytes")


def _batches(rows: Iterable[GorseRow]) -> Iterator[tuple[GorseRow, ...]]:
    found = iter(rows)
    while some := tuple(islice(found, AT_ONCE)):
        yield some


def _lines(name: str, file: IO[bytes]) -> Iterator[GorseRow]:
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
        place = f"{name}, line {number}"
        if len(line) > LONGEST_LINE:
            raise DataError(f"{place} is longer than {LONGEST_LINE:,} bytes", "write a record a line")
        if not line.strip():
            continue
        try:
            yield GorseRow(place, json.loads(line))
        except (ValueError, RecursionError) as error:
            yield GorseRow(place, None, f"is not JSON ({getattr(error, 'msg', error)})")


def _cells(kind: GorseKind, name: str, file: IO[bytes]) -> Iterator[GorseRow]:
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader(_decoded(name, file), strict=True)
    line = 1
    try:
        names = _names(kind, name, next(reader, []))
        columns = {part: cell for cell, part in names.items() if part}
        parts = list(names.values())
        line = reader.line_num + 1
        for cells in reader:
            place, line = f"{name}, line {line}", reader.line_num + 1
            if not cells:
                continue
            if len(cells) != len(parts):
                yield GorseRow(place, None, f"has {len(cells)} cells and not {len(parts)}")
                continue
            found = {part: _cell(part, cell) for part, cell in zip(parts, cells, strict=True) if part}
            yield GorseRow(place, found, columns=columns)
    except csv.Error as error:
        raise DataError(f"{name}, line {line} is no CSV ({error})", "close its quotes") from None


def _decoded(name: str, file: IO[bytes]) -> Iterator[str]:
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{name}, line {number} is no UTF-8", "save the file as UTF-8") from None


def _names(kind: GorseKind, name: str, header: list[str]) -> dict[str, str]:
    """What each column of a header is called in the API; empty for one that is left out."""
    known = {part.casefold(): part for part in _COLUMNS[kind]}
    found: dict[str, str] = {}
    for cell in header:
        plain = cell.strip().replace("_", "").casefold()
        plain = _OTHER_NAMES.get(plain, plain)
        if plain not in known and plain not in _LEFT_OUT:
            cure = nearest(cell, _COLUMNS[kind]) or "name it as Gorse does, or take it out"
            raise DataError(f"{name} has the column '{cell[:80]}', which Gorse does not have", cure)
        found[cell] = known.get(plain, "")
    missing = [part for part in _NEEDED[kind] if part not in found.values()]
    if missing:
        raise DataError(
            f"{name} has no column {missing[0]}",
            f"begin it with a line of names: {','.join(_COLUMNS[kind])}",
        )
    if len(found) < len(header):
        raise DataError(f"{name} has a column twice", "take one of them out")
    return found


def _cell(part: str, cell: str) -> Any:
    if part in ("Labels", "Categories"):
        return _listed(cell)
    if part == "Value":
        try:
            return float(cell) if cell else None
        except ValueError:
            return cell
    if part == "IsHidden":
        return {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False, "": None}.get(
            cell.strip().casefold(), cell
        )
    return cell


def _listed(cell: str) -> Any:
    """Labels of Gorse 0.5, which are JSON, or of Gorse 0.4, which are names between bars."""
    if not cell:
        return None
    if cell[0] in '[{"' or cell == "null":
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            pass
    return cell.split("|")


# -- the dump of Gorse 0.5 -------------------------------------------------------------------------


class GorseDump(GorseSource):
    """The stream of ``GET /api/dump``: sizes in 8 bytes and messages of protocol buffers, a kind after the other."""

    USERS: Final = struct.pack("<q", -1)
    _SIZE: Final = struct.Struct("<q")
    _KINDS: Final[Mapping[int, GorseKind]] = {-1: "users", -2: "items", -3: "feedback"}
    # Parts by their number in the messages.
    _PARTS: Final[Mapping[GorseKind, Mapping[int, str]]] = {
        "users": {1: "UserId", 2: "Labels", 3: "Comment"},
        "items": {2: "ItemId", 3: "IsHidden", 4: "Categories", 5: "Timestamp", 6: "Labels", 7: "Comment"},
        "feedback": {
            2: "FeedbackType", 3: "UserId", 4: "ItemId", 5: "Value", 6: "Timestamp", 7: "Comment", 8: "Updated",
            9: "Labels",
        },
    }  # fmt: skip

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    def read(self, kind: GorseKind, cursor: str = "") -> Iterator[GorseRows]:
        """The rows of a kind, in the order of the file."""
        total = self._path.stat().st_size
        with self._path.open("rb") as raw:
            is_packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = gzip.GzipFile(fileobj=raw) if is_packed else raw
            for some in _batches(self._rows(kind, file)):
                yield GorseRows(some, min(raw.tell(), total), total, unit="bytes")

    def _rows(self, kind: GorseKind, file: Any) -> Iterator[GorseRow]:
        at: GorseKind | None = None
        number = 0
        while size := self._SIZE.unpack(self._exactly(file, 8))[0]:
            if size < 0:
                if size not in self._KINDS:
                    raise DataError(f"{self._path.name} is no dump of a Gorse", "take GET /api/dump again")
                at, number = self._KINDS[size], 0
                continue
            message, number = self._exactly(file, size), number + 1
            if at != kind:
                continue
            place = f"{self._path.name}, {kind}, record {number}"
            try:
                yield GorseRow(place, self._content(kind, message))
            except (ValueError, OverflowError, struct.error) as error:
                yield GorseRow(place, None, f"cannot be read ({error})")

    def _exactly(self, file: Any, size: int) -> bytes:
        problem = ""
        try:
            found: bytes = file.read(size) if size <= LONGEST_LINE else b""
        except (OSError, EOFError) as error:
            found, problem = b"", f" ({error})"
        if len(found) < size:
            raise DataError(
                f"{self._path.name} breaks off in the middle{problem}",
                "take GET /api/dump again, and see that it ends without an error",
            )
        return found

    def _content(self, kind: GorseKind, message: bytes) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, value in message_parts(message):
            part = self._PARTS[kind].get(number)
            if part == "Categories":
                found.setdefault(part, []).append(bytes(value).decode())
            elif part in ("Timestamp", "Updated"):
                found[part] = message_time(value)
            elif part == "IsHidden":
                found[part] = bool(value)
            elif part == "Value":
                found[part] = struct.unpack("<d", value)[0]
            elif part == "Labels":
                found[part] = json.loads(value) if value else None
            elif part is not None:
                found[part] = bytes(value).decode()
        return found


# -- the database ----------------------------------------------------------------------------------


class GorseTables(GorseSource):
    """The tables of a data store in SQLite or PostgreSQL, in one snapshot a kind."""

    def __init__(self, engine: Engine, prefix: str, name: str = "") -> None:
        self._engine, self._prefix = engine, prefix
        self.where = name or engine.url.render_as_string(hide_password=True)

    def read(self, kind: GorseKind, cursor: str = "") -> Iterator[GorseRows]:
        """The rows of a table."""
        try:
            yield from self._read(kind)
        except (exc.SQLAlchemyError, OSError) as error:
            said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            raise DataError(
                f"{self.where} cannot be read ({said})",
                "see that it is Gorse's data store, that it runs, and that its address is right",
            ) from None
        finally:
            self._engine.dispose()

    def _read(self, kind: GorseKind) -> Iterator[GorseRows]:
        table = f"{self._prefix}{kind}"
        shape = inspect(self._engine)
        if table not in (there := shape.get_table_names()):
            cure = f"there are {', '.join(sorted(there)[:8]) or 'no tables'}; name Gorse's --table-prefix, or its data store"
            raise DataError(f"{self.where} has no table '{table}'", cure)
        names = {
            column["name"]: column["name"].replace("_", "").casefold() for column in shape.get_columns(table)
        }
        known = {part.casefold(): part for part in _COLUMNS[kind]}
        columns = {known[plain]: name for name, plain in names.items() if plain in known}
        if missing := [part for part in _NEEDED[kind] if part not in columns]:
            raise DataError(
                f"the table '{table}' of {self.where} has no column for {missing[0]}",
                "name Gorse's data store; a store of motet is read by motet store import",
            )
        quote = self._engine.dialect.identifier_preparer.quote
        wanted = [
            f"CAST({quote(name)} AS TEXT)" if part in ("Labels", "Categories") else quote(name)
            for part, name in columns.items()
        ]
        with self._engine.connect() as connection:
            total = int(connection.execute(text(f"SELECT count(*) FROM {quote(table)}")).scalar_one())  # noqa: S608
            query = text(f"SELECT {', '.join(wanted)} FROM {quote(table)}")  # noqa: S608 (names of its own tables)
            found = connection.execution_options(stream_results=True, max_row_buffer=AT_ONCE).execute(query)
            number = 0
            with closing(found):
                for some in found.partitions(AT_ONCE):
                    rows = []
                    for values in some:
                        number += 1
                        content = {part: _value(part, one) for part, one in zip(columns, values, strict=True)}
                        rows.append(
                            GorseRow(f"{self.where}, table {table}, row {number}", content, columns=columns)
                        )
                    yield GorseRows(tuple(rows), number, max(total, number))


def _value(part: str, value: Any) -> Any:
    if part in ("Labels", "Categories") and isinstance(value, str):
        return _listed(value)
    if isinstance(value, datetime):
        return write_time(value if value.tzinfo else value.replace(tzinfo=UTC))
    if part == "IsHidden" and isinstance(value, int):
        return bool(value)
    if part in ("Timestamp", "Updated") and isinstance(value, str):
        return value.partition(" m=")[0]  # of Go's own clock, which SQLite files hold
    return value


# -- a running Gorse -------------------------------------------------------------------------------


class GorseService(GorseSource):
    """The REST API of a running Gorse, a page at a time; it may change while it is read."""

    rereadable = False
    _TRIES: Final = 6
    _AGAIN: Final = (429, 500, 502, 503, 504)

    def __init__(self, address: str, key: str) -> None:
        self._address, self._key = address.removesuffix("/api"), key
        shown = make_url(self._address)
        self.where = shown.set(database=None).render_as_string(hide_password=True)

    def read(self, kind: GorseKind, cursor: str = "") -> Iterator[GorseRows]:
        """The pages of a kind from a cursor on."""
        import httpx  # noqa: PLC0415 (only where a Gorse is asked)

        headers = {"X-API-Key": self._key} if self._key else {}
        done = page = 0
        with httpx.Client(base_url=self._address, headers=headers, timeout=60.0) as client:
            while True:
                answer = self._page(client, kind, cursor)
                some, page = answer.get(kind.capitalize()) or [], page + 1
                after = answer.get("Cursor") or ""
                if not isinstance(some, list) or not isinstance(after, str) or (after and after == cursor):
                    raise RequestError(
                        f"{self.where}/api/{kind} does not answer as Gorse does",
                        "name the address of a Gorse",
                    )
                place = f"{self.where}/api/{kind}, page {page}"
                if cursor:
                    place += f" (cursor={cursor})"
                done += len(some)
                rows = tuple(GorseRow(f"{place}, row {k}", one) for k, one in enumerate(some, 1))
                yield GorseRows(rows, done, None if after else done, after)
                cursor = after
                if not cursor:
                    return

    def _page(self, client: Any, kind: GorseKind, cursor: str) -> dict[str, Any]:
        import httpx  # noqa: PLC0415

        problem = ""
        for attempt in range(self._TRIES):
            if attempt:
                time.sleep(min(10.0, 0.25 * 2**attempt))
            try:
                parameters = {"n": AT_ONCE, "cursor": cursor}
                with client.stream("GET", f"/api/{kind}", params=parameters) as answer:
                    status, body = answer.status_code, b""
                    for part in answer.iter_bytes():
                        body += part
                        if len(body) > _LONGEST_PAGE:
                            raise RequestError(
                                f"{self.where}/api/{kind} sends more than {_LONGEST_PAGE:,} bytes for "
                                f"{AT_ONCE:,} rows", "import the files of the dashboard instead",
                            )  # fmt: skip
            except httpx.HTTPError as error:
                problem = f"{self.where} does not answer ({type(error).__name__})"
                continue
            if status == 200:
                return self._read_page(kind, body)
            said = body[:200].decode("utf-8", "replace").strip()
            problem = f"{self.where} refuses GET /api/{kind} ({status}: {said})"
            if status in (401, 403):
                raise RequestError(
                    problem, "put Gorse's [server] api_key into a file, and name it with --key-file"
                )
            if status not in self._AGAIN:
                cure = (
                    "begin again with --from-start"
                    if cursor
                    else "name the address of a Gorse: http://host:8088"
                )
                raise RequestError(problem, cure)
        raise RequestError(problem, "see that Gorse runs there; then run the same again, which goes on")

    def _read_page(self, kind: GorseKind, body: bytes) -> dict[str, Any]:
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise RequestError(
                f"{self.where}/api/{kind} does not answer as Gorse does",
                "name the address of a Gorse: http://host:8088",
            )
        return found
