"""Where files are kept, and whether they are whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from motet.errors import AssetError

__all__ = [
    "MANIFEST",
    "OFFLINE_VARIABLE",
    "cache_root",
    "check",
    "is_offline",
    "place",
    "publish",
    "sha256_of",
    "workshop",
]


OFFLINE_VARIABLE = "MOTET_OFFLINE"
"""Environment variable that forbids every call that leaves the machine."""

MANIFEST = "manifest.json"
_PARTIAL = ".motet-partial-"
_STALE_S = 24 * 3600.0


def cache_root() -> Path:
    """Directory that fetched and prepared files are kept in; it need not exist yet.

    ``$MOTET_CACHE``, else ``$XDG_CACHE_HOME/motet``, else ``~/.cache/motet``.
    """
    own = os.environ.get("MOTET_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    base = Path(shared) if os.path.isabs(shared) else Path.home() / ".cache"
    return base / "motet"


def is_offline() -> bool:
    """Whether ``MOTET_OFFLINE`` forbids calls that leave the machine.

    Everything but nothing, 0, false, no and off means yes: a misspelt value must not open the network.
    """
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off")


def place(package: str, version: str, sha256: str, members: Mapping[str, str]) -> Path:
    """Directory of some files of a wheel."""
    # The wanted members are part of the key, so that asking for more of a wheel is another entry.
    wanted = json.dumps([sha256, sorted(members.items())]).encode()
    key = hashlib.sha256(wanted).hexdigest()[:12]
    return cache_root() / "assets" / f"{package}-{version}-{key}"


@contextmanager
def workshop(parent: Path) -> Iterator[Path]:
    """A temporary directory in ``parent``, so that what is made in it can be renamed to its place.

    It is removed at the end, and so is what processes that were killed left there a day ago or earlier.

    Args:
        parent: Directory; made if it does not exist.

    Raises:
        OSError: If it cannot be made or written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent)
    bench = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=parent))
    try:
        yield bench
    finally:
        shutil.rmtree(bench, ignore_errors=True)


def _sweep(directory: Path) -> None:
    for path in directory.glob(f"{_PARTIAL}*"):
        with suppress(FileNotFoundError):  # its owner has just finished
            if time.time() - path.stat().st_mtime > _STALE_S:
                shutil.rmtree(path, ignore_errors=True)


def publish(unpacked: Path, target: Path) -> None:
    """Put a complete directory in its place, unless another process was first."""
    try:
        unpacked.rename(target)
    except OSError:
        if not target.is_dir():  # otherwise another process was first, with the same files
            raise


def check(directory: Path, members: Mapping[str, str]) -> None:
    """Refuse a directory whose files are not those that were unpacked."""

    def damaged(why: str) -> AssetError:
        return AssetError(
            f"the cache {directory} is damaged: {why}", f"run 'rm -r {directory}' and fetch again"
        )

    try:
        files = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["files"]
        expected = {n: (f["sha256"], int(f["bytes"]), int(f["mtime_ns"])) for n, f in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise damaged(f"{MANIFEST} cannot be read") from None
    for name in members:
        if name not in expected:
            raise damaged(f"{MANIFEST} does not list {name}")
        digest, size_bytes, mtime_ns = expected[name]
        path = directory / name
        try:
            status = path.stat()
            if status.st_size != size_bytes:
                raise damaged(f"{name} has {status.st_size} bytes, not {size_bytes}")
            if status.st_mtime_ns != mtime_ns and sha256_of(path) != digest:
                raise damaged(f"{name} has been changed")
        except OSError as error:
            raise damaged(f"{name}: {error.strerror}") from None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
