"""Text files in other forms: other separators, no header, JSON lines, cells of JSON."""

from __future__ import annotations

import functools
import itertools
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from motet.data._text_files import as_utf8, converted_copies, quote_of
from motet.errors import DataError
from motet.schema import Tables

__all__ = [
    "JSON_SUFFIXES",
    "TABLE_SUFFIXES",
    "TEXT_SUFFIXES",
    "TextForm",
    "flat",
    "guess_form",
    "json_lines",
    "text_form",
    "with_json",
]

TEXT_SUFFIXES: Final = (".csv", ".tsv", ".dat", ".txt", ".data", ".inter", ".item", ".user")
JSON_SUFFIXES: Final = (".jsonl", ".ndjson")
TABLE_SUFFIXES: Final = (*TEXT_SUFFIXES, *JSON_SUFFIXES, ".parquet", ".pq")
_SEPARATORS: Final = ("::", "\t", ";", "|", ",", " ")
_UNIT: Final = "\x1f"  # of copies of files whose separator is longer than one character
_SAMPLE_LINES: Final = 200
_JSON_ROWS: Final = 10_000
_MOST_FIELDS: Final = 100


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a text file is to be read.

    Attributes:
        path: The file, or a copy in UTF-8, with a header and a separator of one character.
        separator: Between cells.
        quote: Encloses a cell that holds a separator; None where quotes are plain characters.
    """

    path: Path
    separator: str
    quote: str | None


def default_separator(path: Path) -> str:
    """Comma in ``.csv``, a tab in all other text files."""
    return "," if path.suffix == ".csv" else "\t"


def text_form(path: Path, name: str, tables: Tables | None) -> TextForm:
    """How a text file is to be read.

    Args:
        path: The file.
        name: As the schema calls its table.
        tables: Says its encoding, quotes, separator and columns.
    """
    quote = quote_of(name, tables)
    if tables is None:
        return TextForm(path, default_separator(path), quote)
    separator = tables.separator_of(name) or default_separator(path)
    columns = tables.columns.get(name)
    if tables.encoding is not None:
        path = as_utf8(path, tables.encoding)
    if len(separator) > 1 and not tables.says_quote(name):
        quote = None
    if len(separator) == 1 and columns is None:
        return TextForm(path, separator, quote)
    state = path.stat()
    copy = _rewritten(path.resolve(), separator, columns, state.st_size, state.st_mtime_ns)
    return TextForm(copy, _UNIT if len(separator) > 1 else separator, quote)


@functools.cache
def _rewritten(
    path: Path, separator: str, columns: tuple[str, ...] | None, size: int, changed_ns: int
) -> Path:
    """A copy with a header and a separator of one character."""
    place = Path(tempfile.mkdtemp(dir=converted_copies())) / path.name
    unit = _UNIT if len(separator) > 1 else separator
    with (
        path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as source,
        place.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out,
    ):
        if columns is not None:
            out.write(unit.join(columns) + "\n")
        for line in source:
            out.write(line.replace(separator, unit) if len(separator) > 1 else line)
    return place


def guess_form(path: Path, encoding: str | None = None) -> tuple[str, tuple[str, ...] | None]:
    """The separator of a text file, and names for its columns where it has no header.

    The separator is the one of ``::``, tab, ``;``, ``|``, comma and space that divides the first lines into equally
    many cells. A first line with a number where all of the column are numbers is no header, unless it counts its columns
    or years; columns are then called after what they look like.
    """
    source = as_utf8(path, encoding) if encoding is not None else path
    with source.open(encoding="utf-8-sig", errors="replace") as text:
        lines = [line.rstrip("\r\n") for line, _ in zip(text, range(_SAMPLE_LINES), strict=False)]
    lines = [line for line in lines if line]
    own = default_separator(path)
    separator = own
    for one in (own, *(s for s in _SEPARATORS if s != own)):
        counts = {line.count(one) for line in lines}
        if len(counts) == 1 and counts != {0}:
            separator = one
            break
    rows = [line.split(separator) for line in lines]
    if not rows or any(len(row) != len(rows[0]) for row in rows) or _is_header(rows):
        return separator, None
    return separator, _named([[row[at] for row in rows] for at in range(len(rows[0]))])


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line names the columns."""
    first, columns = rows[0], list(zip(*rows, strict=True))
    if all(_is_number(cell) for cell in first):
        return False
    numbers = [float(cells[0]) for cells in columns if all(_is_number(cell) for cell in cells)]
    if not numbers or any(not cell.strip() for cell in first):
        return True
    if len(numbers) > 2 and all(b - a == 1 for a, b in itertools.pairwise(numbers)):
        return True  # a table with a column a year, or numbered ones
    words = [cells for cells in columns if not _is_number(cells[0])]
    again = any(cells[0] in cells[1:] for cells in words)  # a name does not come again below it
    return not again and 2 * len(numbers) < len(first)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", cell) is not None


_FIRST_TIME, _LAST_TIME = 5e8, 5e12
_HIGHEST_RATING = 100


def _named(columns: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Names for the columns of a log without a header: user and item first, then ratings and times by their values.

    A table whose rows are numbered, or told from one another by a first column beside titles, is no log.
    """
    first = columns[0]
    is_numbered = all(_is_number(cell) for cell in first) and all(
        float(b) - float(a) == 1 for a, b in itertools.pairwise(first)
    )
    has_titles = len(columns) > 1 and len(set(first)) == len(first) and sum(" " in c for c in columns[1]) > len(first) / 2  # fmt: skip
    if len(first) > 2 and (is_numbered or has_titles):
        return tuple(f"column_{at}" for at in range(1, len(columns) + 1))
    names = ["user", "item"][: len(columns)]
    for at, cells in enumerate(columns[2:], 3):
        numbers = [float(cell) for cell in cells if _is_number(cell)]
        if numbers and min(numbers) >= _FIRST_TIME and max(numbers) <= _LAST_TIME and "time" not in names:
            names.append("time")
        elif (
            len(numbers) == len(cells)
            and "rating" not in names
            and 1 < len(set(numbers)) <= 11
            and max(numbers) <= _HIGHEST_RATING
        ):
            names.append("rating")
        elif len(numbers) == len(cells) and "count" not in names and 0 <= min(numbers) <= 1:
            names.append("count")
        else:
            names.append(f"column_{at}")
    return tuple(names)


# JSON: a list is a list, an object gives a column for each of its fields.


def json_lines(path: Path, name: str) -> pl.LazyFrame:
    """A file of JSON lines as a table.

    Raises:
        DataError: If a line is not an object.
    """
    try:
        return flat(pl.read_ndjson(path, infer_schema_length=None).lazy())
    except pl.exceptions.PolarsError:
        with path.open(encoding="utf-8", errors="replace") as text:
            for number, line in enumerate(text, 1):
                try:
                    found = json.loads(line) if line.strip() else {}
                except json.JSONDecodeError as error:
                    raise DataError(
                        f"{name}, line {number}: no JSON ({error.msg} at character {error.pos + 1})",
                        "write one object a line",
                    ) from None
                if not isinstance(found, dict):
                    raise DataError(
                        f"{name}, line {number}: {type(found).__name__} where an object is needed",
                        'write one object a line, such as {"user": "u1", "item": "i1"}',
                    ) from None
        raise


def with_json(table: pl.LazyFrame, columns: Sequence[str], name: str) -> pl.LazyFrame:
    """A table with columns whose cells are JSON read.

    Raises:
        DataError: If a cell is no JSON.
    """
    known = table.collect_schema()
    for column in (column for column in columns if column in known and known[column] == pl.String):
        cells = table.select(pl.col(column).drop_nulls()).head(_JSON_ROWS).collect()[column]
        cells = cells.filter(cells.str.strip_chars() != "")
        for cell in cells:
            try:
                json.loads(cell)
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{name}, column '{column}': {cell[:60]!r} is no JSON ({error.msg})",
                    "fix the cell, or take the column out of tables.json_columns",
                ) from None
        if not len(cells):
            continue
        kind = cells.str.json_decode(infer_schema_length=None).dtype
        text = pl.when(pl.col(column).str.strip_chars() == "").then(None).otherwise(pl.col(column))
        table = table.with_columns(text.str.json_decode(kind).alias(column))
    return flat(table)


def flat(table: pl.LazyFrame) -> pl.LazyFrame:
    """A table whose objects are columns of their own: ``labels`` with a field ``topic`` becomes ``labels_topic``."""
    for _ in range(_MOST_FIELDS):
        structs = [(n, kind) for n, kind in table.collect_schema().items() if isinstance(kind, pl.Struct)]
        if not structs:
            return table
        column, kind = structs[0]
        fields: Any = [field.name for field in kind.fields]
        parts = [pl.col(column).struct.field(field).alias(f"{column}_{field}") for field in fields]
        table = table.with_columns(parts).drop(column)
    return table
