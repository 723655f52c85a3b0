"""Every distinct text is encoded once: vectors kept under a hash of text, model and settings, on disk or in memory."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from motet.datasets import Progress, cache_root
from motet.errors import LanguageError
from motet.text.encode._encoders import TextEncoder

__all__ = ["KeyedRows", "RowsInMemory", "RowsOnDisk", "VectorCache", "encode_cached"]

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
                "free some space, or set MOTET_CACHE to a directory that can be written",
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


class VectorCache:
    """Vectors of texts, for any number of encoders, threads and processes; a file for each encoder.

    Args:
        folder: Where it is; a place in motet's cache by default. It need not exist yet.
        in_memory: Keep this many vectors in memory instead, and none on disk; 0 for the disk.

    Example:
        >>> import tempfile
        >>> cache = VectorCache(Path(tempfile.mkdtemp()))
        >>> cache.put("settings", ["a text"], np.array([[1.0, 2.0]], np.float32))
        >>> cache.get("settings", ["another", "a text"])
        (array([[1., 2.]], dtype=float32), array([False,  True]))
    """

    def __init__(self, folder: Path | None = None, *, in_memory: int = 0) -> None:
        self.folder = folder or cache_root() / "vectors"
        self._memory = RowsInMemory(in_memory) if in_memory else None

    def get(self, settings_key: str, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Look texts up; a row that is not what was once written counts as unknown.

        Args:
            settings_key: Key of the encoder.
            texts: n texts.

        Returns:
            The vectors of the known texts in their order [n', D], and which texts are known [n].
            D is 0 where nothing is known at all.

        Raises:
            LanguageError: If the cache cannot be read.
        """
        keys = _keys(settings_key, texts)
        found = self._rows(settings_key).get(keys)
        width = len(next(iter(found.values()), b""))
        cells = [found[key] for key in keys if key in found and len(found[key]) == width]
        known = np.fromiter((len(found.get(key, b"")) == width > 0 for key in keys), np.bool_, len(keys))
        return np.frombuffer(b"".join(cells), "<f4").reshape(len(cells), width // 4), known

    def put(self, settings_key: str, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep vectors; on disk, they survive a crash when this returns.

        Args:
            settings_key: Key of the encoder.
            texts: n texts.
            vectors: Shape [n, D].

        Raises:
            LanguageError: If the cache cannot be written.
        """
        cells = [row.tobytes() for row in np.ascontiguousarray(vectors, "<f4")]
        self._rows(settings_key).put(list(zip(_keys(settings_key, texts), cells, strict=True)))

    def forget(self) -> None:
        """Let go of all that is in memory."""
        if self._memory is not None:
            self._memory.clear()

    def _rows(self, settings_key: str) -> KeyedRows:
        if self._memory is not None:
            return self._memory
        return RowsOnDisk(self.folder / f"{hashlib.sha256(settings_key.encode()).hexdigest()[:32]}.sqlite")


def _keys(settings_key: str, texts: Sequence[str]) -> list[bytes]:
    """SHA-256 of settings and each text."""
    start = hashlib.sha256(settings_key.encode() + b"\0")
    digests = []
    for text in texts:
        digest = start.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        digests.append(digest.digest())
    return digests


_log: Final = logging.getLogger("motet.text")
_COMMIT: Final = 1024  # texts that an interruption may cost
_WARNED: Final = set[Path]()


def encode_cached(
    encoder: TextEncoder,
    texts: Sequence[str],
    cache: VectorCache,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Encode texts, asking the encoder only for what the cache does not hold.

    New vectors are committed as they are made, so an interrupted run loses at most its last 1,024
    texts. An empty text is zeros and is never sent. A cache that cannot be read or written costs time, never the
    vectors: the work goes on without it, and that is logged once for each folder.

    Args:
        encoder: Turns texts into vectors.
        texts: n texts, repetitions welcome.
        cache: Where vectors are kept.
        progress: Called with what is going on, the distinct texts done, and the distinct texts in all.

    Returns:
        Shape [n, D], in the order of the texts.

    Raises:
        LanguageError: If the encoder fails or returns what is not a vector a text.
    """
    rows: dict[str, int] = {}
    places = np.array([rows.setdefault(t, len(rows)) if t.strip() else -1 for t in texts], np.int64)
    distinct = list(rows)
    kept: VectorCache | None = cache
    try:
        known_vectors, known = cache.get(encoder.settings_key, distinct)
    except LanguageError as error:
        _warn(cache, error)
        kept, known = None, np.zeros(len(distinct), np.bool_)
    missing = np.flatnonzero(~known)
    if distinct and not len(missing):
        vectors = known_vectors
        if progress is not None:
            progress("encoding text", len(distinct), len(distinct))
    else:
        vectors = np.zeros((len(distinct), encoder.width), np.float32)
        if known.any():
            vectors[known] = known_vectors
        _encode_missing(encoder, distinct, missing, vectors, kept, progress)
    result = np.zeros((len(texts), vectors.shape[1]), np.float32)
    result[places >= 0] = vectors[places[places >= 0]]
    return result


def _encode_missing(
    encoder: TextEncoder,
    distinct: list[str],
    missing: NDArray[np.int64],
    vectors: NDArray[np.float32],
    cache: VectorCache | None,
    progress: Progress | None,
) -> None:
    # Similar lengths in one commit, so that batches are full and hardly padded.
    order = sorted(missing.tolist(), key=lambda row: -len(distinct[row]))
    before = len(distinct) - len(order)
    for start in range(0, len(order), _COMMIT):
        rows = order[start : start + _COMMIT]
        texts = [distinct[row] for row in rows]
        done = before + start

        def report(what: str, count: int, _: int, done: int = done) -> None:
            if progress is not None:
                progress(what, done + count, len(distinct))

        fresh = encoder.encode(texts, report)
        if fresh.shape != (len(texts), vectors.shape[1]) or not np.isfinite(fresh).all():
            raise LanguageError(
                f"the encoder {encoder.name!r} returned an array of shape {fresh.shape} for {len(texts)} "
                f"texts, not finite numbers of shape {(len(texts), vectors.shape[1])}",
                "fix the encoder: one finite vector a text",
            )
        vectors[rows] = fresh
        if cache is None:
            continue
        try:
            cache.put(encoder.settings_key, texts, fresh)
        except LanguageError as error:
            _warn(cache, error)
            cache = None  # a cache that failed may fail slowly: it is not tried again for these texts


def _warn(cache: VectorCache, error: LanguageError) -> None:
    if cache.folder not in _WARNED:
        _WARNED.add(cache.folder)
        _log.warning("texts are encoded again each time: %s", error)
