"""Bytes under keys, on disk or in memory: what the caches of vectors and of answers lie in."""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar

from motet.errors import LanguageError

__all__ = ["KeyedRows", "RowsInMemory", "RowsOnDisk"]

_T = TypeVar("_T")
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, crc INTEGER NOT NULL, cells BLOB NOT NULL)"
)
_PATIENCE_S: Final = 60.0  # for another process that writes
_AT_ONCE: Final = 500
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class KeyedRows(Protocol):
    """Bytes under keys."""

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The rows that are there."""

    def put(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep (key, bytes); the latest of one key counts."""


class RowsOnDisk:
    """An SQLite file for any number of threads and processes.

    What :meth:`put` has written survives a crash. A row that is not what was once written counts as unknown. A file
    that is damaged stays as it is, and the next one beside it, numbered from 1, takes its place: were it moved, those
    who have it open would take the journal of the new file for theirs.

    Args:
        path: The first file; it need not exist yet.
        error: What is raised where it cannot be used.

    Example:
        >>> import tempfile
        >>> rows = RowsOnDisk(Path(tempfile.mkdtemp()) / "rows.sqlite")
        >>> rows.put([(b"k", b"cells")]); rows.get([b"k", b"other"])
        {b'k': b'cells'}
    """

    def __init__(self, path: Path, error: type[LanguageError] = LanguageError) -> None:
        self.path, self._error = path, error

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The rows that are there, and as they were written.

        Raises:
            LanguageError: If the file cannot be read.
        """
        return self._with(lambda file: _found(file, keys)) if keys and self._newest().is_file() else {}

    def put(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep (key, bytes).

        Raises:
            LanguageError: If the file cannot be written.
        """
        if rows:
            self._with(lambda file: _keep(file, rows))

    def _with(self, act: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            newest = self._newest()
            try:
                with _open(newest) as file:
                    return act(file)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    raise
                with _open(self._after(newest)) as file:
                    return act(file)
        except (OSError, sqlite3.Error) as error:
            raise self._error(
                f"the cache {self.path} cannot be used ({getattr(error, 'strerror', None) or error})",
                "make room, or set MOTET_CACHE to a directory that can be written",
            ) from error

    def _newest(self) -> Path:
        newest = self.path
        while (after := self._after(newest)).is_file():
            newest = after
        return newest

    def _after(self, path: Path) -> Path:
        number = 0 if path == self.path else int(path.suffix[1:])
        return self.path.with_name(f"{self.path.name}.{number + 1}")


class RowsInMemory:
    """The latest rows, gone with the process.

    Args:
        most: Rows that are kept: those asked for or put last.
    """

    def __init__(self, most: int) -> None:
        self._most, self._rows = most, OrderedDict[bytes, bytes]()
        self._lock = threading.Lock()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The rows that are there."""
        with self._lock:
            found = {key: self._rows[key] for key in keys if key in self._rows}
            for key in found:
                self._rows.move_to_end(key)
            return found

    def put(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep (key, bytes)."""
        with self._lock:
            for key, cells in rows:
                self._rows[key] = cells
                self._rows.move_to_end(key)
            while len(self._rows) > self._most:
                self._rows.popitem(last=False)

    def clear(self) -> None:
        """Keep nothing of what there was."""
        with self._lock:
            self._rows.clear()


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    # for each act: a connection must not cross a fork or a thread
    with closing(sqlite3.connect(path, timeout=_PATIENCE_S)) as file, file:
        file.execute(_TABLE)
        yield file


def _found(file: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        rows = file.execute(f"SELECT key, crc, cells FROM rows WHERE key IN ({marks})", some)  # noqa: S608
        found.update(
            (key, cells) for key, crc, cells in rows if isinstance(cells, bytes) and _crc(key, cells) == crc
        )
    return found


def _keep(file: sqlite3.Connection, rows: Sequence[tuple[bytes, bytes]]) -> None:
    checked = [(key, _crc(key, cells), cells) for key, cells in rows]
    file.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", checked)


def _crc(key: bytes, cells: bytes) -> int:
    return zlib.crc32(cells, zlib.crc32(key))
