"""Open the user's files: CSV, TSV and Parquet, one file, a folder or a pattern."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from motet.data._formats import JSON_SUFFIXES, TEXT_SUFFIXES, json_lines, text_form, with_json
from motet.data._text_files import (
    check_header,
    diagnosis,
    line_of,
    paths_of,
    shown_name,
)
from motet.errors import DataError
from motet.schema import Schema, Tables, nearest, require_known

__all__ = [
    "CHUNK_ROWS",
    "Frames",
    "as_frame",
    "as_tables",
    "data_hash",
    "iterate",
    "open_table",
    "read_table",
    "require_columns",
    "unreadable",
]

CHUNK_ROWS = 500_000
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


def data_hash(directory: Path | Frames, schema: Schema) -> str:
    """SHA-256 of the tables that a schema names: of the bytes of files, or of the rows of frames.

    Raises:
        DataError: If a table is not there.
    """
    knowledge = schema.knowledge
    files = [] if knowledge is None else [knowledge.triples, knowledge.links, knowledge.names]
    names = [name for name in (*(getattr(schema.tables, role) for role in _ROLES), *files) if name]
    found = hashlib.sha256()
    for name in names:
        found.update(name.encode())
        if isinstance(directory, Frames):
            frame = directory.open(name).collect()
            found.update(repr(frame.schema).encode())
            found.update(frame.hash_rows().to_numpy().tobytes())
            continue
        for path in paths_of(directory, name):
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


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
        name: A file in it (``.csv``, ``.tsv``, other text, ``.jsonl``, ``.parquet``), a folder of such files, or a pattern.
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
    paths = paths_of(directory, name)
    try:
        if paths[0].suffix in JSON_SUFFIXES:
            table = pl.concat([json_lines(path, name) for path in paths], how="diagonal_relaxed")
            table = _integers_as_text(table, as_text)
        elif paths[0].suffix in TEXT_SUFFIXES:
            forms = [text_form(path, name, tables) for path in paths]
            separator, quote = forms[0].separator, forms[0].quote
            paths = [form.path for form in forms]
            for path in paths:
                check_header(path, name, separator, quote)
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
        if tables is not None and tables.json_columns:
            table = with_json(table, tables.json_columns, name)
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
                    f"say what separates columns: 'tables: {{separator: {{{name}: \"{_mark(known[0])}\"}}}}'",
                )
            raise DataError(f"{name} has no column '{column}' ({why})", nearest(column, known))


def _mark(header: str) -> str:
    """What separates the names in a header that was read as one."""
    found = max(("::", ";", "|", "\t"), key=header.count)
    return "\\t" if found == "\t" else found


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
    paths = paths_of(directory, name)
    if paths[0].suffix in TEXT_SUFFIXES:
        if isinstance(error, pl.exceptions.NoDataError):
            return DataError(f"{name} is empty", "give a table with a header and rows")
        for path in paths:
            form = text_form(path, name, tables)
            whole, separator, quote = form.path, form.separator, form.quote
            wrong = diagnosis(whole, name, separator, quote)
            if wrong is not None:
                return wrong
            if found and (line := line_of(whole, separator, quote, found.group(3), found.group(1))):
                value, kind, column = found.groups()
                kinds = {"i64": "a whole number", "f64": "a number", "bool": "true or false"}
                return DataError(
                    f"{shown_name(path, name)}, line {line}, column '{column}': the value {value[:80]!r} is not "
                    f"{kinds.get(kind, kind)}, as those before it are",
                    "fix the cell, or set 'clean: {unparseable: null}' to read numbers cell by cell and take what "
                    "is none as missing",
                )
    first = said.splitlines()[0] if said else type(error).__name__
    return DataError(
        f"{name} cannot be read: {first[:200]}", "check that the file is whole and of the kind its name says"
    )
