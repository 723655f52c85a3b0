"""A copy of a store that goes on being written."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from motet.errors import StoreError
from motet.store._database import Database
from motet.store._failures import translated

__all__ = ["backup"]


def backup(database: Database, path: Path) -> None:
    """Copy an SQLite store as it is at one moment, while it is read and written.

    The copy appears whole, or not at all.

    Args:
        database: The store's connections.
        path: Where the copy goes; what is there is replaced.

    Raises:
        StoreError: If the store is PostgreSQL, which has tools of its own; the cure names the command.
        StoreUnavailableError: If there is no room.
    """
    if database.path is None:
        name = database.url.database or "NAME"
        command = f"pg_dump --format=custom --file=store.dump {name}"
        raise StoreError("a PostgreSQL store is not copied from here", f"run {command}")
    if path.resolve() == database.path.resolve():
        raise StoreError(f"the backup {path} would replace the store itself", "name another file")
    if not path.parent.is_dir():
        raise StoreError(f"the directory {path.parent} of the backup is not there", "make it")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with translated(str(path)):
            with (
                closing(sqlite3.connect(database.path, timeout=database.settings.patience_s)) as source,
                closing(sqlite3.connect(part)) as copy,
            ):
                # In one step: in several, every write of another process would make it begin again.
                source.backup(copy, pages=-1)
                copy.execute("PRAGMA journal_mode=DELETE")
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    finally:
        part.unlink(missing_ok=True)
