"""Open the user's files: CSV, TSV and Parquet, one file, a folder or a pattern."""

from __future__ import annotations

import codecs
import csv
import functools
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from motet.errors import DataError
from motet.schema import Schema, Tables, nearest, require_known

__all__ = [
    "CHUNK_ROWS",
    "Frames",
    "as_frame",
    "as_tables",
    "guess_encoding",
    "iterate",
    "open_table",
    "plain_quotes_help",
    "read_table",
    "require_columns",
    "unreadable",
]

CHUNK_ROWS = 500_000
_SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")
_ROLES: Final = ("interactions", "users", "items")


class Frames:
    """Tables in memory, in the place of a directory of files.

    Args:
        frames: Each by the name that the schema gives it.
    """

    def __init__(self, frames: Mapping[str, pl.DataFrame]) -> None:
        self.frames = dict(frames)

    def open(self, name: str) -> pl.LazyFrame:
        """One of them.

        Raises:
            DataError: If there is none of this name.
        """
        require_known(name, self.frames, "the table", DataError)
        # categories are words here, however they are stored
        return self.frames[name].lazy().with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def as_frame(table: Any, what: str = "the table") -> pl.DataFrame:
    """A Polars frame of a Polars, pandas or Arrow table; columns are shared where the libraries can.

    Args:
        table: The table; the index of one of pandas is left out.
        what: What it is called in an error.

    Raises:
        DataError: If it is something else, or has a type that Polars does not know.
    """
    try:
        if isinstance(table, pl.DataFrame):
            return table
        if isinstance(table, pl.LazyFrame):
            return table.collect()
        home = type(table).__module__.partition(".")[0]
        if home == "pandas":
            frame: pl.DataFrame = pl.from_pandas(table)
            return frame
        if home == "pyarrow":
            converted = pl.from_arrow(table)
            if isinstance(converted, pl.DataFrame):
                return converted
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{what} cannot be read: {reason}", "give each column one type") from None
    raise DataError(
        f"{what} is of the type {type(table).__name__}",
        "give a Polars, pandas or Arrow table, or the path of a directory",
    )


def as_tables(tables: Any, schema: Schema | None = None) -> Path | Frames:
    """What a caller gives as data, in the form that is read.

    Args:
        tables: The path of a directory; one frame of interactions; or frames by ``interactions``, ``users``,
            ``items``, or by the names that the schema gives its files.
        schema: Names the tables; they are called as the caller calls them when left out.

    Raises:
        DataError: If it is none of these, or frames and schema do not name the same tables.
    """
    if isinstance(tables, Frames):
        return tables
    if isinstance(tables, str | Path) or hasattr(tables, "__fspath__"):
        return Path(tables)
    given = dict(tables) if isinstance(tables, Mapping) else {"interactions": tables}
    if not given:
        raise DataError("the mapping of tables is empty", "give {'interactions': frame}")
    frames = {str(name): as_frame(table, f"the table '{name}'") for name, table in given.items()}
    if schema is None:
        return Frames(frames)
    named = {role: getattr(schema.tables, role) for role in _ROLES}
    knowledge = schema.knowledge
    files = [] if knowledge is None else [knowledge.triples, knowledge.links, knowledge.names]
    known = {name for name in (*named.values(), *files) if name is not None}
    found: dict[str, pl.DataFrame] = {}
    for name, frame in frames.items():
        role = named.get(name)
        if name in _ROLES and role is None and name not in known:
            raise DataError(
                f"there is a frame of {name}, and the schema '{schema.name}' has no table of {name}",
                f"say tables: {{{name}: {name}}} in the schema, or leave the frame out",
            )
        if name not in known and role is None:
            require_known(name, {*known, *(r for r in _ROLES if named[r])}, "the table", DataError)
        found[role if role is not None and name not in known else name] = frame
    missing = [name for name in named.values() if name is not None and name not in found]
    if missing:
        role = next(role for role, name in named.items() if name == missing[0])
        raise DataError(
            f"the schema '{schema.name}' has a table of {role}, and there is no frame for it",
            f"give {{'{role}': frame}}",
        )
    return Frames(found)


def open_table(
    directory: Path | Frames,
    name: str,
    as_text: Collection[str] = (),
    words: Collection[str] = (),
    numbers_as_text: bool = False,
    *,
    tables: Tables | None = None,
    infer_rows: int = 10_000,
) -> pl.LazyFrame:
    """Open a table without reading its rows.

    Args:
        directory: The data directory, or frames in its place.
        name: A file in it (``.csv``, ``.tsv``, ``.parquet``), a folder of such files, or a pattern.
        as_text: Columns read as text whatever they look like: keys.
        words: Columns of CSV files that stay text where they look like whole numbers: 007 is not 7.
        numbers_as_text: Leave numbers of CSV files as text, for a later step that parses them.
        tables: Says how text files are encoded and quoted; UTF-8 and double quotes when left out.
        infer_rows: First rows of a CSV file that decide the types of its columns.

    Raises:
        DataError: If there is no such file, or it cannot be read, or it has no columns.
    """
    if isinstance(directory, Frames):
        return _integers_as_text(directory.open(name), as_text)
    if not directory.is_dir():
        raise DataError(f"{directory} is not a directory", "name the directory that holds the tables")
    paths = _paths(directory, name)
    try:
        if paths[0].suffix in (".csv", ".tsv"):
            separator = "\t" if paths[0].suffix == ".tsv" else ","
            quote = _quote(name, tables)
            paths = (
                [_as_utf8(path, tables.encoding) for path in paths] if tables and tables.encoding else paths
            )
            for path in paths:
                _check_header(path, name, separator, quote)
            head = pl.scan_csv(
                paths[0], separator=separator, quote_char=quote, infer_schema_length=infer_rows
            ).collect_schema()
            text = [
                column
                for column, kind in head.items()
                if column in as_text
                or (column in words and kind.is_integer())
                or (numbers_as_text and kind.is_numeric())
            ]
            table = pl.scan_csv(
                paths,
                separator=separator,
                quote_char=quote,
                infer_schema_length=infer_rows,
                schema_overrides=dict.fromkeys(text, pl.String),
            ).with_columns(
                # keys beside gaps are often written as 3.0
                pl.col(column).str.replace(r"^(-?\d+)\.0+$", "$1")
                for column, kind in head.items()
                if column in as_text and kind.is_float()
            )
        else:
            table = _integers_as_text(pl.scan_parquet(paths), as_text)
        table.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(directory, name, error, tables) from None
    return table


def _integers_as_text(table: pl.LazyFrame, columns: Collection[str]) -> pl.LazyFrame:
    schema = table.collect_schema()
    return table.with_columns(
        pl.col(column).cast(pl.String)
        for column in columns
        if column in schema and schema[column].is_integer()  # a whole float becomes a word later
    )


def iterate(
    table: pl.LazyFrame,
    directory: Path | Frames,
    name: str,
    tables: Tables | None,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[pl.DataFrame]:
    """Read a table in chunks, in file order, with memory bounded by the chunk.

    Raises:
        DataError: If a cell does not fit its column, or the file is damaged.
    """
    try:
        yield from table.collect_batches(chunk_size=chunk_rows, maintain_order=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(directory, name, error, tables) from None


def read_table(
    directory: Path | Frames,
    name: str,
    as_text: Collection[str] = (),
    words: Collection[str] = (),
    *,
    tables: Tables | None = None,
) -> pl.DataFrame:
    """Read a whole table; arguments and errors as for :func:`open_table`."""
    opened = open_table(directory, name, as_text, words, tables=tables)
    chunks = list(iterate(opened, directory, name, tables))
    if not chunks or not sum(len(chunk) for chunk in chunks):
        raise DataError(f"{name} has no rows", "give a table with rows")
    return pl.concat(chunks)


def require_columns(table: pl.LazyFrame, columns: Collection[str], name: str, why: str) -> None:
    """Raise an error that names the nearest column unless all columns are there."""
    known = table.collect_schema().names()
    for column in columns:
        if column not in known:
            if len(known) == 1 and any(mark in known[0] for mark in ";\t|"):
                raise DataError(
                    f"{name} has one column only, {known[0][:80]!r}",
                    "separate columns by commas, or by tabs in .tsv",
                )
            raise DataError(f"{name} has no column '{column}' ({why})", nearest(column, known))


def _paths(directory: Path, name: str) -> list[Path]:
    place = directory / name
    if place.is_dir():
        paths = sorted(path for path in place.iterdir() if path.suffix in _SUFFIXES)
    elif place.is_file():
        paths = [place]
    else:
        paths = sorted(directory.glob(name)) if not Path(name).is_absolute() else []
    if not paths:
        there = sorted(path.name for path in directory.iterdir())
        raise DataError(
            f"{place} does not exist", nearest(name, there) if there else "the directory is empty"
        )
    if len({path.suffix for path in paths}) > 1 or paths[0].suffix not in _SUFFIXES:
        raise DataError(
            f"{place} is not a table motet reads ({', '.join(sorted({p.suffix for p in paths}))})",
            "give CSV, TSV or Parquet, all files of one kind",
        )
    return paths


def _quote(name: str, tables: Tables | None) -> str | None:
    """The quote character of a table; None where quotes are plain characters."""
    said = tables.quote if tables is not None else None
    if isinstance(said, dict):
        said = said.get(name)
    return '"' if said is None else None if said == "none" else said


# -- text files that are not UTF-8 -------------------------------------------------------------

_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_CHARACTERS = 1 << 20


@functools.cache
def _converted() -> tempfile.TemporaryDirectory[str]:
    """Where converted files are kept until the process ends."""
    return tempfile.TemporaryDirectory(prefix="motet-utf8-")


def _as_utf8(path: Path, encoding: str) -> Path:
    """The file itself if it is UTF-8, else a converted copy."""
    if _bad_byte(path) is None:
        return path
    state = path.stat()
    return _copy_as_utf8(path.resolve(), encoding, state.st_size, state.st_mtime_ns)


@functools.cache
def _copy_as_utf8(path: Path, encoding: str, size: int, changed_ns: int) -> Path:
    place = Path(tempfile.mkdtemp(dir=_converted().name)) / path.name
    try:
        with (
            path.open(encoding=encoding, newline="") as source,
            place.open("w", encoding="utf-8", newline="") as out,
        ):
            while text := source.read(_CHARACTERS):
                out.write(text)
    except UnicodeError as error:
        place.unlink(missing_ok=True)
        raise DataError(
            f"{path.name} is not {encoding} ({error})",
            f"set 'tables: {{encoding: {_guessed_encoding(path)}}}', or save the file as UTF-8",
        ) from None
    return place


def _bad_byte(path: Path) -> tuple[int, int, bytes] | None:
    """Line (from 1), place in it and content of the first line that is not UTF-8."""
    with path.open("rb") as file:
        if file.read(2) in _BYTE_ORDER_MARKS:
            file.seek(0)
            return 1, 0, file.readline()
        file.seek(0)
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return number, error.start, line
    return None


def guess_encoding(path: Path) -> str | None:
    """The likely encoding of a text file; None if it is UTF-8.

    What has a byte order mark is UTF-16. Bytes above 127 that nearly all come in pairs and decode as
    Chinese are GB 18030; anything else is taken for a Western code page.
    """
    return None if _bad_byte(path) is None else _guessed_encoding(path)


def _guessed_encoding(path: Path) -> str:
    with path.open("rb") as file:
        sample = file.read(_CHARACTERS)
    if sample[:2] in _BYTE_ORDER_MARKS:
        return _BYTE_ORDER_MARKS[sample[:2]]
    high = re.findall(rb"[\x80-\xff]+", sample)
    paired = sum(len(run) for run in high if len(run) % 2 == 0)
    for encoding in ("gb18030", "cp1252"):
        if encoding == "gb18030" and paired < 0.9 * sum(map(len, high)):
            continue
        try:
            codecs.getincrementaldecoder(encoding)().decode(sample)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


# -- what is wrong with a text file ------------------------------------------------------------


def _check_header(path: Path, name: str, separator: str, quote: str | None) -> None:
    """Refuse a header that is not UTF-8, or that names a column twice: Polars would rename it silently."""
    header = _header(path, separator, quote)
    if any("\ufffd" in column for column in header) and (bad := _bad_byte(path)) is not None:
        raise _not_utf8(path, name, separator, quote, *bad)
    for column in header:
        if header.count(column) > 1:
            at = [str(place + 1) for place, other in enumerate(header) if other == column]
            raise DataError(
                f"{_shown(path, name)}, line 1: {len(at)} columns have the name '{column}' ({', '.join(at)})",
                "give each column a name of its own",
            )


def _rows(lines: Iterator[str] | object, separator: str, quote: str | None) -> Iterator[list[str]]:
    style = {"quoting": csv.QUOTE_NONE} if quote is None else {"quotechar": quote}
    return csv.reader(lines, delimiter=separator, strict=True, **style)  # type: ignore[arg-type]


def _shown(path: Path, name: str) -> str:
    """The name of a file for messages: as the schema has it, with the file's own name where that differs."""
    return name if Path(name).name == path.name else f"{name} ({path.name})"


def _not_utf8(
    path: Path, name: str, separator: str, quote: str | None, number: int, at: int, line: bytes
) -> DataError:
    encoding = _guessed_encoding(path)
    place, value = "", ""
    if encoding != "utf-16" and b"\0" in line:
        return DataError(
            f"{_shown(path, name)}, line {number}: the file is not text",
            "check that the file is whole and of the kind its name says",
        )
    if encoding != "utf-16":
        column = _column_at(path, separator, quote, line[:at].decode("utf-8", "replace"), number)
        place = f", column {column}" if column else ""
        start = max(0, at - 10)
        around = line[start : at + 10].decode(encoding, "replace").strip()
        value = f" (byte 0x{line[at]:02x} in {around!r} as {encoding})"
    return DataError(
        f"{_shown(path, name)}, line {number}{place}: the file is not UTF-8{value}",
        f"set 'tables: {{encoding: {encoding}}}', or save the file as UTF-8",
    )


def _header(path: Path, separator: str, quote: str | None) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
            return next(_rows(text, separator, quote), [])
    except csv.Error:
        return []


def _column_at(path: Path, separator: str, quote: str | None, before: str, number: int) -> str:
    """Name of the column in which some text of a line ends, in quotes; its number where it has no name."""
    if quote is not None:  # separators in quotes divide nothing
        before = re.sub(f"{re.escape(quote)}[^{re.escape(quote)}]*{re.escape(quote)}", "", before)
    column = before.count(separator)
    header = _header(path, separator, quote) if number > 1 else []
    return f"'{header[column]}'" if column < len(header) else str(column + 1)


def _diagnosis(path: Path, name: str, separator: str, quote: str | None) -> DataError | None:
    """What is wrong with a text file that Polars could not read, and where."""
    bad = _bad_byte(path)
    if bad is not None:
        return _not_utf8(path, name, separator, quote, *bad)
    columns = len(_header(path, separator, quote))
    start, record = 1, ""
    with path.open(encoding="utf-8-sig", newline="") as text:

        def lines() -> Iterator[str]:
            nonlocal record
            for line in text:
                record = (record + line)[-_CHARACTERS:] if record else line
                yield line

        rows = _rows(lines(), separator, quote)
        while True:
            record = ""
            try:
                row = next(rows)
            except StopIteration:
                return None
            except csv.Error as error:
                return _stray_quote(path, name, separator, str(quote), start, record, str(error))
            if len(row) > columns:
                return DataError(
                    f"{_shown(path, name)}, line {start}: {len(row)} fields where the header has {columns} "
                    f"({record.strip()[:80]!r})",
                    _plain_quotes(path, name, separator, quote)
                    or "put a value that holds the separator in double quotes, or remove the surplus fields",
                )
            start = rows.line_num + 1  # type: ignore[attr-defined]


def _stray_quote(
    path: Path, name: str, separator: str, quote: str, line: int, record: str, reason: str
) -> DataError:
    q, s = re.escape(quote), re.escape(separator)
    at = 0
    while found := re.compile(f"(?:{q}(?:[^{q}]|{q}{q})*{q}|(?!{q})[^{s}]*){s}").match(record, at):
        at = found.end()
    rest = record[at:].split("\n", 1)[0]
    column = _column_at(path, separator, quote, record[:at], line)
    closed = re.compile(f"{q}(?:[^{q}\\n]|{q}{q})*{q}").match(record, at)
    cell = rest.split(separator, 1)[0].strip()
    written = f"{quote}{cell.replace(quote, quote * 2)}{quote}"
    what = (
        f"the quotes of {cell[:80]!r} do not enclose the whole value"
        if closed is not None
        else f"a quote is opened and never closed, before {cell[:80]!r}"
    )
    return DataError(
        f"{_shown(path, name)}, line {line}, column {column}: {what}",
        _plain_quotes(path, name, separator, quote) or f"write the value as {written[:120]} in the file",
    )


def _plain_quotes(path: Path, name: str, separator: str, quote: str | None) -> str:
    """The cure that takes quotes as plain characters, if every row then has as many fields as the header."""
    if quote is None:
        return ""
    with path.open(encoding="utf-8-sig", newline="") as text:
        try:
            rows = _rows(text, separator, None)
            columns = len(next(rows, []))
            if any(len(row) not in (0, columns) for row in rows):
                return ""
        except csv.Error:
            return ""
    return f"set 'tables: {{quote: {{{_yaml_word(name)}: none}}}}' to take quotes as plain characters"


def _yaml_word(name: str) -> str:
    return (
        name
        if re.fullmatch(r"[\w./-]+", name)
        else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )


def plain_quotes_help(directory: Path, name: str, encoding: str | None) -> bool:
    """Whether a CSV or TSV file is broken by quotes, and whole once they are plain characters."""
    path = directory / name if encoding is None else _as_utf8(directory / name, encoding)
    separator = "\t" if path.suffix == ".tsv" else ","
    return _diagnosis(path, name, separator, '"') is not None and bool(
        _plain_quotes(path, name, separator, '"')
    )


def unreadable(
    directory: Path | Frames, name: str, error: Exception, tables: Tables | None = None
) -> DataError:
    """The error of a table that Polars could not read: what is wrong, where, and what helps."""
    if isinstance(directory, Frames):
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return DataError(f"the table {name} cannot be read: {reason}", "give each column one type")
    said = str(error).strip()
    found = re.search(
        r"could not parse [`']?(.+?)[`']? as (?:dtype )?[`']?(\w+)[`']? at column '([^']+)'", said, re.DOTALL
    )
    paths = _paths(directory, name)
    if paths[0].suffix in (".csv", ".tsv"):
        if isinstance(error, pl.exceptions.NoDataError):
            return DataError(f"{name} is empty", "give a table with a header and rows")
        separator, quote = "\t" if paths[0].suffix == ".tsv" else ",", _quote(name, tables)
        for path in paths:
            whole = _as_utf8(path, tables.encoding) if tables is not None and tables.encoding else path
            wrong = _diagnosis(whole, name, separator, quote)
            if wrong is not None:
                return wrong
            if found and (line := _line_of(whole, separator, quote, found.group(3), found.group(1))):
                value, kind, column = found.groups()
                kinds = {"i64": "a whole number", "f64": "a number", "bool": "true or false"}
                return DataError(
                    f"{_shown(path, name)}, line {line}, column '{column}': the value {value[:80]!r} is not "
                    f"{kinds.get(kind, kind)}, as those before it are",
                    "fix the cell, or set 'clean: {unparseable: null}' to read numbers cell by cell and take what "
                    "is none as missing",
                )
    first = said.splitlines()[0] if said else type(error).__name__
    return DataError(
        f"{name} cannot be read: {first[:200]}", "check that the file is whole and of the kind its name says"
    )


def _line_of(path: Path, separator: str, quote: str | None, column: str, value: str) -> int:
    """First line with a value in a column; 0 if there is none."""
    header = _header(path, separator, quote)
    if column not in header:
        return 0
    at = header.index(column)
    with path.open(encoding="utf-8-sig", newline="") as text:
        rows, start = _rows(text, separator, quote), 1
        for row in rows:
            if start > 1 and at < len(row) and row[at] == value:
                return start
            start = rows.line_num + 1  # type: ignore[attr-defined]
    return 0
