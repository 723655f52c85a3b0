"""Vectors kept on disk under a hash of text, model and settings.

Every commit is a file of its own, published by a rename: nothing is ever locked or half-written,
any number of processes may add at once, and a lookup is a binary search and one gather.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.assets import cache_root
from motet.errors import LanguageError
from motet.language._segment import KEY_BYTES, PARTIAL, SUFFIX, Segment, open_segment, write_segment

__all__ = ["VectorCache"]

_MOST_SEGMENTS: Final = 64
_STALE_S: Final = 24 * 3600.0

Keys = NDArray[np.bytes_]


class VectorCache:
    """A persistent cache of text vectors, for any number of encoders and processes.

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
        self._open: dict[Path, Segment] = {}

    def get(self, settings_key: str, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Look texts up; a row that is not what was once written counts as unknown.

        Args:
            settings_key: Key of the encoder.
            texts: n texts.

        Returns:
            The vectors of the known texts in their order [n', D], and which texts are known [n].
            D is 0 where nothing is known at all.
        """
        keys = _keys(settings_key, texts)
        known = np.zeros(len(texts), np.bool_)
        found: NDArray[np.float32] | None = None
        for segment in reversed(self._segments(settings_key)):
            wanted = np.flatnonzero(~known)
            if not len(wanted):
                break
            rows = np.minimum(np.searchsorted(segment.keys, keys[wanted]), len(segment.keys) - 1)
            hit = segment.keys[rows] == keys[wanted]
            vectors, right = segment.read(rows[hit])
            if found is None:
                found = np.zeros((len(texts), vectors.shape[1]), np.float32)
            good = wanted[hit][right]
            found[good] = vectors[right]
            known[good] = True
        if found is None:
            return np.zeros((0, 0), np.float32), known
        return found[known] if not known.all() else found, known

    def put(self, settings_key: str, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep vectors; when this returns they survive a crash.

        Args:
            settings_key: Key of the encoder.
            texts: n texts.
            vectors: Shape [n, D].

        Raises:
            LanguageError: If the cache cannot be written.
        """
        if not len(texts):
            return
        folder = self._place(settings_key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_segment(folder, _keys(settings_key, texts), vectors)
            if len(list(folder.glob(f"*{SUFFIX}"))) > _MOST_SEGMENTS:
                self._merge(settings_key)
        except OSError as error:
            raise LanguageError(
                f"the vector cache {folder} cannot be written ({error.strerror or error})",
                "make room, or set MOTET_CACHE to a directory that can be written",
            ) from error

    def _place(self, settings_key: str) -> Path:
        return self.folder / hashlib.sha256(settings_key.encode()).hexdigest()[:32]

    def _segments(self, settings_key: str) -> list[Segment]:
        """The segments of one encoder, oldest first; what other processes wrote is seen too."""
        segments = []
        paths = sorted(self._place(settings_key).glob(f"*{SUFFIX}"))
        for gone in [p for p in self._open if p.parent == self._place(settings_key) and p not in paths]:
            del self._open[gone]
        for path in paths:
            segment = self._open.get(path) or open_segment(path)
            if segment is not None and len(segment.keys):
                self._open[path] = segment
                segments.append(segment)
        return segments

    def _merge(self, settings_key: str) -> None:
        """Make many small segments one, which is written before they are removed."""
        segments = self._segments(settings_key)
        newest: dict[int, list[tuple[Keys, NDArray[np.float32]]]] = {}
        for segment in segments:
            vectors, right = segment.read(np.arange(len(segment.keys)))
            newest.setdefault(vectors.shape[1], []).append((segment.keys[right], vectors[right]))
        for parts in newest.values():
            keys = np.concatenate([part[0] for part in parts])
            vectors = np.concatenate([part[1] for part in parts])
            # The first of equals is kept, so look from the newest row backwards.
            _, first = np.unique(keys[::-1], return_index=True)
            rows = len(keys) - 1 - first
            write_segment(self._place(settings_key), keys[rows], vectors[rows])
        for segment in segments:
            self._open.pop(segment.path, None)
            segment.path.unlink(missing_ok=True)
        for leftover in self._place(settings_key).glob(f"{PARTIAL}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > _STALE_S:
                    leftover.unlink()


def _keys(settings_key: str, texts: Sequence[str]) -> Keys:
    """SHA-256 of settings and text, dtype S32, shape [n]."""
    start = hashlib.sha256(settings_key.encode() + b"\0")
    digests = bytearray()
    for text in texts:
        digest = start.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        digests += digest.digest()
    return np.frombuffer(bytes(digests), f"S{KEY_BYTES}", len(texts))
