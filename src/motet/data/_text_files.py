"""Text files as they are: their encoding, quotes and fields, and what is wrong where they cannot be read."""

from __future__ import annotations

import codecs
import csv
import functools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from motet.errors import DataError
from motet.schema import Tables, nearest

__all__ = [
    "as_utf8",
    "check_header",
    "converted_copies",
    "diagnosis",
    "guess_encoding",
    "line_of",
    "paths_of",
    "plain_quotes_help",
    "quote_of",
    "shown_name",
]

_SUFFIXES = (
    *(".csv", ".tsv", ".dat", ".txt", ".data", ".inter", ".item", ".user"),
    *(".jsonl", ".ndjson", ".parquet", ".pq"),
)


def paths_of(directory: Path, name: str) -> list[Path]:
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
            "give CSV, TSV, other text, JSON lines or Parquet, all files of one kind",
        )
    return paths


def quote_of(name: str, tables: Tables | None) -> str | None:
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


def converted_copies() -> str:
    """Directory of converted files, which goes when the process ends."""
    return _converted().name


def as_utf8(path: Path, encoding: str) -> Path:
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


def check_header(path: Path, name: str, separator: str, quote: str | None) -> None:
    """Refuse a header that is not UTF-8, or that names a column twice: Polars would rename it silently."""
    header = _header(path, separator, quote)
    if any("\ufffd" in column for column in header) and (bad := _bad_byte(path)) is not None:
        raise _not_utf8(path, name, separator, quote, *bad)
    for column in header:
        if header.count(column) > 1:
            at = [str(place + 1) for place, other in enumerate(header) if other == column]
            raise DataError(
                f"{shown_name(path, name)}, line 1: {len(at)} columns have the name '{column}' ({', '.join(at)})",
                "give each column a name of its own",
            )


def _rows(lines: Iterator[str] | object, separator: str, quote: str | None) -> Iterator[list[str]]:
    style = {"quoting": csv.QUOTE_NONE} if quote is None else {"quotechar": quote}
    return csv.reader(lines, delimiter=separator, strict=True, **style)  # type: ignore[arg-type]


def shown_name(path: Path, name: str) -> str:
    """The name of a file for messages: as the schema has it, with the file's own name where that differs."""
    return name if Path(name).name == path.name else f"{name} ({path.name})"


def _not_utf8(
    path: Path, name: str, separator: str, quote: str | None, number: int, at: int, line: bytes
) -> DataError:
    encoding = _guessed_encoding(path)
    place, value = "", ""
    if encoding != "utf-16" and b"\0" in line:
        return DataError(
            f"{shown_name(path, name)}, line {number}: the file is not text",
            "check that the file is whole and of the kind its name says",
        )
    if encoding != "utf-16":
        column = _column_at(path, separator, quote, line[:at].decode("utf-8", "replace"), number)
        place = f", column {column}" if column else ""
        start = max(0, at - 10)
        around = line[start : at + 10].decode(encoding, "replace").strip()
        value = f" (byte 0x{line[at]:02x} in {around!r} as {encoding})"
    return DataError(
        f"{shown_name(path, name)}, line {number}{place}: the file is not UTF-8{value}",
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


def diagnosis(path: Path, name: str, separator: str, quote: str | None) -> DataError | None:
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
                    f"{shown_name(path, name)}, line {start}: {len(row)} fields where the header has {columns} "
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
        f"{shown_name(path, name)}, line {line}, column {column}: {what}",
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


def plain_quotes_help(path: Path, name: str, separator: str) -> bool:
    """Whether a text file is broken by quotes, and whole once they are plain characters."""
    return diagnosis(path, name, separator, '"') is not None and bool(
        _plain_quotes(path, name, separator, '"')
    )


def line_of(path: Path, separator: str, quote: str | None, column: str, value: str) -> int:
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
