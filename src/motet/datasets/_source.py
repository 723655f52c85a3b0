"""Data sets that are fetched by name, into a directory that is written whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from motet.datasets._assets import ASSETS, Progress, workshop
from motet.errors import DataError
from motet.schema import Schema

__all__ = ["MARK", "DatasetSource", "copy_texts", "write_directory"]

MARK = ".motet-dataset"
"""File in a prepared directory that says what it was prepared from, and lists its files."""


def write_directory(out: Path, key: str, write: Callable[[Path], None]) -> Path:
    """Fill a temporary directory and rename it, unless ``out`` holds the same thing already.

    Args:
        out: Where it goes; must be absent, empty, or prepared from the same ``key``.
        key: What the content is made from.
        write: Fills the directory that it is given.

    Returns:
        ``out``.

    Raises:
        DataError: If ``out`` holds something else, or cannot be written.
    """
    if _holds(out, key):
        return out
    if out.absolute() == Path.cwd():
        raise DataError(f"{out} is the working directory", "name a directory that does not exist yet")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(f"{out} is not empty", "name a new directory, or remove this one")
        with workshop(out.parent) as bench:
            whole = bench / "whole"
            whole.mkdir()
            write(whole)
            names = sorted(str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file())
            (whole / MARK).write_text("\n".join([key, *names, ""]), encoding="utf-8")
            _rename(whole, out, key)
    except (OSError, pl.exceptions.PolarsError) as error:  # Polars has its own error for a full disk
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise DataError(
            f"cannot write {out} ({reason})", "free some space, or name another directory"
        ) from error
    return out


def _holds(out: Path, key: str) -> bool:
    try:
        made_from, *names = (out / MARK).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    if made_from != key:
        return False
    for name in names:
        if not (out / name).is_file():
            raise DataError(f"{out} is damaged: {name} is gone", f"run 'rm -r {out}' and fetch it again")
    return True


def _rename(whole: Path, out: Path, key: str) -> None:
    try:
        whole.rename(out)
    except OSError:
        if not _holds(out, key):  # otherwise another process was first, with the same content
            raise


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A named data set: how its tables are made, its schema and its datasheet.

    Attributes:
        name: Name, as in ``motet datasets fetch NAME``.
        summary: What it is, in one line.
        write_tables: Writes the Parquet tables into a directory.
        asset: Name in :data:`motet.datasets.ASSETS` of the files it is made from; None if simulated.
        revision: Counts changes of the tables, so that a cache of older ones is not used.
    """

    name: str
    summary: str
    write_tables: Callable[[Path, Progress | None], None]
    asset: str | None
    revision: int = 1

    @property
    def schema(self) -> Schema:
        """The schema that goes with the tables."""
        return Schema.load(packaged(f"{self.name}.yaml"))

    @property
    def datasheet(self) -> str:
        """Source, licence, columns and known flaws, in Markdown."""
        return packaged(f"{self.name}.md").read_text(encoding="utf-8")

    @property
    def key(self) -> str:
        """A hash of what the prepared directory is made from."""
        parts = [self.name, str(self.revision), self.datasheet]
        parts += [packaged(f"{self.name}.yaml").read_text(encoding="utf-8")]
        parts += [ASSETS[self.asset].sha256] if self.asset is not None else []
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def prepare(self, directory: Path, progress: Progress | None = None) -> None:
        """Write the tables, ``schema.yaml`` and ``DATASHEET.md`` into an existing directory."""
        self.write_tables(directory, progress)
        copy_texts(self.name, directory)


def copy_texts(name: str, directory: Path) -> None:
    """Write the schema and the datasheet of a data set into a directory."""
    # Copied as text, so that the comments for a newcomer stay.
    for ending, target in (("yaml", "schema.yaml"), ("md", "DATASHEET.md")):
        text = packaged(f"{name}.{ending}").read_text(encoding="utf-8")
        (directory / target).write_text(text, encoding="utf-8")


def packaged(name: str) -> Path:
    """Path of a file that is shipped beside this module."""
    return Path(__file__).with_name(name)
