"""One file of vectors, written once and never changed."""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import time
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEY_BYTES", "PARTIAL", "SUFFIX", "Segment", "open_segment", "write_segment"]

KEY_BYTES: Final = 32
SUFFIX: Final = ".vectors"
PARTIAL: Final = ".partial-"

_HEADER: Final = struct.Struct("<8sQQ32s")  # magic, rows, width, SHA-256 of all that precedes the vectors
_MAGIC: Final = b"MOTETV01"

Keys = NDArray[np.bytes_]


@dataclass(frozen=True, slots=True)
class Segment:
    """An open segment.

    Attributes:
        path: Where it lies.
        keys: One key a row, sorted, dtype S32, shape [n].
        checks: CRC-32 of each row's key and vector, uint32, shape [n].
        vectors: Mapped from the file, float32, shape [m, D]; m < n where the tail is missing.
    """

    path: Path
    keys: Keys
    checks: NDArray[np.uint32]
    vectors: NDArray[np.float32]

    def read(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read some rows.

        Returns:
            Their vectors [n', D], and which of them are what was written.
        """
        present = rows < len(self.vectors)
        found = np.zeros((len(rows), self.vectors.shape[1]), np.float32)
        found[present] = self.vectors[rows[present]]
        right = present & (_checks(self.keys[rows], found) == self.checks[rows])
        return found, right


def open_segment(path: Path) -> Segment | None:
    """Open a segment; None if its head is damaged or it has vanished."""
    try:
        with path.open("rb") as file:
            magic, rows, width, digest = _HEADER.unpack(file.read(_HEADER.size))
            size = os.fstat(file.fileno()).st_size
            head_bytes = rows * (KEY_BYTES + 4)
            if magic != _MAGIC or width < 1 or head_bytes > size:
                return None
            head = file.read(head_bytes)
    except (OSError, struct.error):
        return None
    if hashlib.sha256(struct.pack("<QQ", rows, width) + head).digest() != digest:
        return None
    start = _HEADER.size + head_bytes
    whole = min(rows, (size - start) // (4 * width))
    keys = np.frombuffer(head, f"S{KEY_BYTES}", rows)
    checks = np.frombuffer(head, "<u4", rows, rows * KEY_BYTES)
    try:
        vectors = (
            np.memmap(path, np.dtype("<f4"), "r", start, (whole, width))
            if whole
            else np.zeros((0, width), np.float32)
        )
    except (OSError, ValueError):  # another process has just merged it into a newer one
        return None
    return Segment(path, keys, checks, vectors)


def write_segment(folder: Path, keys: Keys, vectors: NDArray[np.float32]) -> Path:
    """Write a segment and publish it by renaming: it is there whole, or not at all.

    Args:
        folder: An existing directory.
        keys: dtype S32, shape [n].
        vectors: float32, shape [n, D].
    """
    # Sorted once here, so that a lookup is a binary search.
    order = np.argsort(keys, kind="stable")
    keys, vectors = keys[order], np.ascontiguousarray(vectors[order], "<f4")
    head = np.ascontiguousarray(keys).tobytes() + _checks(keys, vectors).astype("<u4").tobytes()
    sizes = struct.pack("<QQ", *vectors.shape)
    digest = hashlib.sha256(sizes + head).digest()
    handle, name = tempfile.mkstemp(prefix=PARTIAL, dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_HEADER.pack(_MAGIC, *vectors.shape, digest) + head)
            file.write(vectors.data)
            file.flush()
            os.fsync(file.fileno())
        # Names sort by time, so a row written again is found before the old one.
        target = folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}{SUFFIX}"
        os.rename(name, target)
        _sync(folder)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def _sync(folder: Path) -> None:
    """Make a rename survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _checks(keys: Keys, vectors: NDArray[np.float32]) -> NDArray[np.uint32]:
    # An S32 scalar loses trailing zero bytes, so the keys are read as plain memory.
    plain = np.ascontiguousarray(keys).tobytes()
    crc32 = zlib.crc32
    return np.fromiter(
        (crc32(row.data, crc32(plain[KEY_BYTES * i : KEY_BYTES * (i + 1)])) for i, row in enumerate(vectors)),
        np.uint32,
        len(vectors),
    )
