"""Vectors kept on disk under a hash of text, model and settings: one SQLite file for each encoder."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.assets import cache_root
from motet.errors import LanguageError

__all__ = ["VectorCache"]

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, crc INTEGER NOT NULL, vector BLOB NOT NULL)"
)
_WAIT_S: Final = 60.0  # for another process that writes
_LOOKUP: Final = 1000  # keys a query
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class VectorCache:
    """A persistent cache of text vectors, for any number of encoders, threads and processes.

    Args:
        folder: Where it lies; a place in motet's cache by default. It need not exist yet.

    Example:
        >>> import tempfile
        >>> cache = VectorCache(Path(tempfile.mkdtemp()))
        >>> cache.put("settings", ["a text"], np.array([[1.0, 2.0]], np.float32))
        >>> cache.get("settings", ["another", "a text"])
        (array([[1., 2.]], dtype=float32), array([False,  True]))
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_root() / "vectors"

    def get(self, settings_key: str, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Look texts up; a row that is not what was once written counts as unknown.

        Args:
            settings_key: Key of the encoder.
            texts: n texts.

        Returns:
            The vectors of the known texts in their order [n', D], and which texts are known [n].
            D is 0 where nothing is known at all.
        """
        keys, path = _keys(settings_key, texts), self._path(settings_key)
        found: dict[bytes, bytes] = {}
        try:
            if path.exists():
                _read(path, keys, found)
        except sqlite3.Error as error:  # what was found so far is right: each row is checked
            _put_aside_if_damaged(path, error)
        known = np.fromiter((key in found for key in keys), np.bool_, len(keys))
        if not found:
            return np.zeros((0, 0), np.float32), known
        cells = b"".join(found[key] for key in keys if key in found)
        return np.frombuffer(cells, "<f4").reshape(np.count_nonzero(known), -1), known

    def put(self, settings_key: str, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep vectors; when this returns they survive a crash.

        Args:
            settings_key: Key of the encoder.
            texts: n texts.
            vectors: Shape [n, D].

        Raises:
            LanguageError: If the cache cannot be written.
        """
        cells = [row.tobytes() for row in np.ascontiguousarray(vectors, "<f4")]
        rows = [(k, _crc(k, cell), cell) for k, cell in zip(_keys(settings_key, texts), cells, strict=True)]
        path = self._path(settings_key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                _write(path, rows)
            except sqlite3.DatabaseError as error:
                if not _put_aside_if_damaged(path, error):
                    raise
                _write(path, rows)
        except (OSError, sqlite3.Error) as error:
            raise LanguageError(
                f"the vector cache {path} cannot be written ({getattr(error, 'strerror', None) or error})",
                "make room, or set MOTET_CACHE to a directory that can be written",
            ) from error

    def _path(self, settings_key: str) -> Path:
        return self.folder / f"{hashlib.sha256(settings_key.encode()).hexdigest()[:32]}.sqlite"


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """A file for one transaction; it is made if it is not there."""
    file = sqlite3.connect(path, timeout=_WAIT_S)
    try:
        with file:
            yield file
    finally:
        file.close()


def _read(path: Path, keys: Sequence[bytes], found: dict[bytes, bytes]) -> None:
    """Add to what was found the vectors of keys, all of one width, that are what was written."""
    with _open(path) as file:
        for start in range(0, len(keys), _LOOKUP):
            some = keys[start : start + _LOOKUP]
            marks = ",".join("?" * len(some))
            rows = file.execute(f"SELECT key, crc, vector FROM vectors WHERE key IN ({marks})", some)  # noqa: S608
            for key, crc, cells in rows:
                width = len(next(iter(found.values()), cells))
                if _crc(key, cells) == crc and len(cells) == width:
                    found[key] = cells


def _write(path: Path, rows: Sequence[tuple[bytes, int, bytes]]) -> None:
    with _open(path) as file:
        file.execute(_TABLE)
        file.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)


def _put_aside_if_damaged(path: Path, error: sqlite3.Error) -> bool:
    """Give a damaged file another name, so that a new one is begun; whether it was damaged."""
    damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
    if damaged:
        with suppress(
            OSError
        ):  # another process has done it, or the next write tells that nothing can be written
            path.replace(path.with_suffix(".damaged"))
            path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
    return damaged


def _crc(key: bytes, vector: bytes) -> int:
    return zlib.crc32(vector, zlib.crc32(key))


def _keys(settings_key: str, texts: Sequence[str]) -> list[bytes]:
    """SHA-256 of settings and each text."""
    start = hashlib.sha256(settings_key.encode() + b"\0")
    digests = []
    for text in texts:
        digest = start.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        digests.append(digest.digest())
    return digests
