"""A directory that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from motet.errors import DataError

__all__ = ["MARK", "write_directory"]

MARK = ".motet-dataset"
"""File in a prepared directory that says what it was prepared from."""


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
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(f"{out} is not empty", "name a new directory, or remove this one")
        out.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that the rename never crosses file systems.
        bench = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            write(bench)
            (bench / MARK).write_text(key + "\n", encoding="utf-8")
            bench.chmod(0o777 & ~_umask())
            _rename(bench, out, key)
        finally:
            shutil.rmtree(bench, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"cannot write {out} ({error.strerror or error})", "make room, or name another directory"
        ) from error
    return out


def _holds(out: Path, key: str) -> bool:
    try:
        return (out / MARK).read_text(encoding="utf-8").strip() == key
    except OSError:
        return False


def _rename(bench: Path, out: Path, key: str) -> None:
    try:
        bench.rename(out)
    except OSError:
        if not _holds(out, key):  # otherwise another process was first, with the same content
            raise


def _umask() -> int:
    # mkdtemp makes a directory that only its owner may read; the mask can only be read by setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
