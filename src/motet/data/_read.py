"""Open the user's files: CSV, TSV and Parquet, one file, a folder or a pattern."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import polars as pl

from motet.errors import DataError
from motet.schema import nearest

__all__ = ["CHUNK_ROWS", "iterate", "open_table", "read_table", "require_columns"]

CHUNK_ROWS = 500_000
_SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")


def open_table(
    directory: Path,
    name: str,
    as_text: Collection[str] = (),
    words: Collection[str] = (),
    numbers_as_text: bool = False,
) -> pl.LazyFrame:
    """Open a table without reading its rows.

    Args:
        directory: The data directory.
        name: A file in it (``.csv``, ``.tsv``, ``.parquet``), a folder of such files, or a pattern.
        as_text: Columns read as text whatever they look like: keys.
        words: Columns of CSV files that stay text where they look like whole numbers: 007 is not 7.
        numbers_as_text: Leave numbers of CSV files as text, for a later step that mends them.

    Raises:
        DataError: If there is no such file, or it cannot be read, or it has no columns.
    """
    if not directory.is_dir():
        raise DataError(f"{directory} is not a directory", "name the directory that holds the tables")
    paths = _paths(directory, name)
    try:
        if paths[0].suffix in (".csv", ".tsv"):
            separator = "\t" if paths[0].suffix == ".tsv" else ","
            head = pl.scan_csv(paths[0], separator=separator, infer_schema_length=10_000).collect_schema()
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
                infer_schema_length=10_000,
                schema_overrides=dict.fromkeys(text, pl.String),
            ).with_columns(
                # keys beside gaps are often written as 3.0
                pl.col(column).str.replace(r"^(-?\d+)\.0+$", "$1")
                for column, kind in head.items()
                if column in as_text and kind.is_float()
            )
        else:
            table = pl.scan_parquet(paths)
            schema = table.collect_schema()
            casts = [
                pl.col(column).cast(pl.String)
                for column in as_text
                if column in schema and schema[column].is_integer()  # a whole float becomes a word later
            ]
            table = table.with_columns(casts)
        table.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(name, error) from None
    return table


def iterate(table: pl.LazyFrame, name: str, chunk_rows: int = CHUNK_ROWS) -> Iterator[pl.DataFrame]:
    """Read a table in chunks, in file order, with memory bounded by the chunk.

    Raises:
        DataError: If a cell does not fit its column, or the file is damaged.
    """
    try:
        yield from table.collect_batches(chunk_size=chunk_rows, maintain_order=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(name, error) from None


def read_table(
    directory: Path, name: str, as_text: Collection[str] = (), words: Collection[str] = ()
) -> pl.DataFrame:
    """Read a whole table; arguments and errors as for :func:`open_table`."""
    chunks = list(iterate(open_table(directory, name, as_text, words), name))
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


def _unreadable(name: str, error: Exception) -> DataError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    found = re.search(
        r"could not parse [`']?(.+?)[`']? as (?:dtype )?[`']?(\w+)[`']? at column '([^']+)'", str(error)
    )
    if found:
        value, kind, column = found.groups()
        return DataError(
            f"{name}, column '{column}': the value {value[:80]!r} is not {kind}",
            "mend the cell, or set 'clean: {unparseable: null}' to take such cells as missing",
        )
    if isinstance(error, pl.exceptions.NoDataError):
        return DataError(f"{name} is empty", "give a table with a header and rows")
    return DataError(
        f"{name} cannot be read: {first[:200]}", "check that the file is whole and of the kind its name says"
    )
