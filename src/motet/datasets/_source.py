"""A data set that is one call away."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from motet.assets import ASSETS, Progress
from motet.schema import Schema

__all__ = ["DatasetSource", "copy_texts"]


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A named data set: how its tables are made, its schema and its datasheet.

    Attributes:
        name: Name, as in ``motet datasets fetch NAME``.
        summary: What it is, in one line.
        write_tables: Writes the Parquet tables into a directory.
        asset: Name in :data:`motet.assets.ASSETS` of the files it is made from; None if simulated.
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
