"""The manifest: what a bundle holds, and the hash of each file."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import motet
from motet.errors import BundleError

__all__ = ["FORMAT", "read_manifest", "verify", "write_manifest"]

FORMAT = 1
_NAME = "manifest.json"
_UNHASHED = (_NAME, "report.html")


def write_manifest(directory: Path) -> None:
    """Write the manifest of the files that are there now."""
    files = {
        path.name: {"sha256": _sha256(path), "bytes": path.stat().st_size}
        for path in sorted(directory.iterdir())
        if path.is_file() and path.name not in _UNHASHED
    }
    created = datetime.now(UTC).isoformat(timespec="seconds")
    content = {"format": FORMAT, "motet": motet.__version__, "created": created, "files": files}
    temporary = directory / (_NAME + ".new")
    temporary.write_text(json.dumps(content, indent=1))
    temporary.replace(directory / _NAME)


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read the manifest of a bundle.

    Raises:
        BundleError: If there is none, or it is of a format that this version cannot read.
    """
    path = directory / _NAME
    if not path.is_file():
        raise BundleError(
            f"{directory} is not a bundle: it has no {_NAME}", "name a directory that 'motet train' wrote"
        )
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        files, version, written = dict(content["files"]), int(content["format"]), str(content["motet"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} is damaged ({error})", "copy the bundle again, or train anew") from None
    if version != FORMAT:
        raise BundleError(
            f"{directory} has bundle format {version}, written by motet {written}; this is motet "
            f"{motet.__version__}, which reads format {FORMAT}",
            f"install motet {written}, or train anew",
        )
    for name in files:
        if Path(name).name != name:
            raise BundleError(f"{path} names a file outside the bundle: {name!r}", "do not trust this bundle")
    return content


def verify(directory: Path) -> dict[str, Any]:
    """Check every file against the manifest, and return it.

    Raises:
        BundleError: If a file is missing or is not what it was.
    """
    content = read_manifest(directory)
    for name, expected in content["files"].items():
        path = directory / name
        if not path.is_file():
            raise BundleError(f"{directory} lacks the file {name}", "copy the bundle again, or train anew")
        if path.stat().st_size != expected["bytes"]:
            raise BundleError(
                f"{path} has {path.stat().st_size:,} bytes instead of {expected['bytes']:,}",
                "copy the bundle again, or train anew",
            )
        if _sha256(path) != expected["sha256"]:
            raise BundleError(
                f"{path} is not the file that was written: its hash differs",
                "copy the bundle again, or train anew",
            )
    return content


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
