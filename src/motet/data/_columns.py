"""Columns that grow chunk by chunk, in memory or, where they would not fit, in a file."""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["ColumnWriter", "Spill", "release"]


class Spill:
    """Where columns go that should not stay in memory.

    Args:
        directory: A directory for their files, or None to keep everything in memory.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)

    def writer(self, dtype: DTypeLike, width: int | None = None) -> ColumnWriter:
        """A new column of numbers, or of rows of ``width`` numbers."""
        return ColumnWriter(dtype, width, self.directory)


def release(*arrays: NDArray[Any] | None) -> None:
    """Let go of the pages of memory-mapped columns; what they hold stays in their files."""
    for array in arrays:
        if isinstance(array, np.memmap):
            array._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


class ColumnWriter:
    """Appends arrays, then gives them back as one, memory-mapped if they went to a file.

    Example:
        >>> column = Spill().writer(np.int32)
        >>> column.append(np.array([1, 2])); column.append(np.array([3]))
        >>> column.finish()
        array([1, 2, 3], dtype=int32)
    """

    def __init__(self, dtype: DTypeLike, width: int | None, directory: Path | None) -> None:
        self._dtype = np.dtype(dtype)
        self._width = width
        self._parts: list[NDArray[Any]] = []
        self._rows = 0
        self._file = (
            tempfile.NamedTemporaryFile(dir=directory, suffix=".column", delete=False)  # noqa: SIM115
            if directory is not None
            else None
        )

    def append(self, values: NDArray[Any]) -> None:
        """Add rows at the end."""
        part = np.ascontiguousarray(values, self._dtype)
        self._rows += len(part)
        if self._file is None:
            self._parts.append(part)
        else:
            part.tofile(self._file)

    def finish(self) -> NDArray[Any]:
        """All rows, shape [n] or [n, width]."""
        shape = (self._rows,) if self._width is None else (self._rows, self._width)
        if self._file is None:
            parts = self._parts or [np.empty((0, *shape[1:]), self._dtype)]
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._file.close()
        if not self._rows or self._width == 0:
            return np.empty(shape, self._dtype)
        return np.memmap(self._file.name, self._dtype, "r+", shape=shape)
