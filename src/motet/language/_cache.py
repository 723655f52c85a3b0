"""Vectors kept under a hash of text, model and settings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motet.assets import cache_root
from motet.language._keyed_rows import KeyedRows, RowsInMemory, RowsOnDisk

__all__ = ["VectorCache"]


class VectorCache:
    """Vectors of texts, for any number of encoders, threads and processes; a file for each encoder.

    Args:
        folder: Where it lies; a place in motet's cache by default. It need not exist yet.
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
