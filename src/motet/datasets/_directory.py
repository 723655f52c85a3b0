"""A directory that appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from motet.assets import workshop
from motet.errors import DataError

__all__ = ["MARK", "write_directory"]

MARK = ".motet-dataset"
"""File in a prepared directory that says what it was prepared from, and lists its files."""


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
    if out.absolute() == Path.cwd():
        raise DataError(f"{out} is the working directory", "name a directory that does not exist yet")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(f"{out} is not empty", "name a new directory, or remove this one")
        with workshop(out.parent) as bench:
            whole = bench / "whole"
            whole.mkdir()
            write(whole)
            names = sorted(str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file())
            (whole / MARK).write_text("\n".join([key, *names, ""]), encoding="utf-8")
            _rename(whole, out, key)
    except (OSError, pl.exceptions.PolarsError) as error:  # Polars has its own error for a full disk
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise DataError(f"cannot write {out} ({reason})", "make room, or name another directory") from error
    return out


def _holds(out: Path, key: str) -> bool:
    try:
        made_from, *names = (out / MARK).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    if made_from != key:
        return False
    for name in names:
        if not (out / name).is_file():
            raise DataError(f"{out} is damaged: {name} is gone", f"run 'rm -r {out}' and fetch it again")
    return True


def _rename(whole: Path, out: Path, key: str) -> None:
    try:
        whole.rename(out)
    except OSError:
        if not _holds(out, key):  # otherwise another process was first, with the same content
            raise
