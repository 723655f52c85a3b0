"""The manifest: what a bundle holds, and the hash of each file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import motet
from motet.errors import BundleError

__all__ = ["FORMAT", "OPTIONAL_PARTS", "PARTS", "read_manifest", "replace_part", "verify", "write_manifest"]

FORMAT = 5
_WITHOUT_GROWN = 4  # what is written where no id came after the last full training: earlier versions read it
_WITHOUT_ADDED = 3  # and where no task was added
_READABLE = (2, 3, 4, 5)
PARTS = (
    "schema.yaml",
    "encoder.json",
    "vocabularies.parquet",
    "whitening.safetensors",
    "weights.safetensors",
    "users.safetensors",
    "users.parquet",
    "items.safetensors",
    "items.parquet",
    "vectors.safetensors",
    "histories.safetensors",
    "behaviour.safetensors",
    "catalogue.json",
    "catalogue.parquet",
    "metrics.json",
)
"""The files of a bundle; ``report.html`` and the manifest itself are not hashed."""

OPTIONAL_PARTS = (
    "knowledge.parquet",
    "knowledge.safetensors",
    "members.json",
    "members.safetensors",
    "task_members.json",
    "task_members.safetensors",
)
"""Files that are in a bundle only where there is something to write into them."""

_NAME = "manifest.json"
_COPY = "copy the bundle again, or train again"


def write_manifest(directory: Path, facts: Mapping[str, Any] | None = None) -> None:
    """Write the manifest of a complete bundle.

    Args:
        directory: Of the bundle.
        facts: What else it says: ``added``, sizes of the tasks that were added, by task; ``start``, the bundle whose
            weights training began with; ``grown``, whether ids came after the last full training; ``moments``, whether
            its networks are two moments of one training. When left out, what the manifest that is there says.

    Raises:
        BundleError: If the manifest that is there cannot be read.
    """
    if facts is None and (directory / _NAME).is_file():
        facts = read_manifest(directory)
    more = {name: facts[name] for name in ("added", "start", "grown", "moments") if facts and facts.get(name)}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    also = [name for name in OPTIONAL_PARTS if (directory / name).is_file()]
    files = {name: _entry(directory / name) for name in (*PARTS, *also)}
    written = (
        FORMAT
        if more.keys() & {"grown", "moments"}
        else _WITHOUT_GROWN
        if "added" in more
        else _WITHOUT_ADDED
    )
    _write(
        directory,
        {"format": written, "motet": motet.__version__, "created": created, **more, "files": files},
    )


def replace_part(directory: Path, name: str, content: str) -> None:
    """Replace one file of a bundle so that it loads, whenever this is cut off.

    The new file is written beside the old one, then the manifest with its hash, then it takes
    the old one's place; a bundle found between the last two steps is completed by :func:`verify`.
    """
    manifest = read_manifest(directory)
    new = directory / f"{name}.new"
    try:
        new.write_text(content, encoding="utf-8")
        _write(directory, {**manifest, "files": {**manifest["files"], name: _entry(new)}})
        new.replace(directory / name)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise BundleError(
            f"{directory / name} cannot be written ({error.strerror or error})",
            "free some space, or make the directory writable",
        ) from None


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
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, written = int(content["format"]), str(content["motet"])
        files = {str(name): (int(f["bytes"]), str(f["sha256"])) for name, f in content["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise BundleError(f"{path} is damaged ({reason})", _COPY) from None
    if version not in _READABLE:
        raise BundleError(
            f"{directory} has bundle format {version}, written by motet {written}; this is motet "
            f"{motet.__version__}, which reads formats {_READABLE[0]} to {FORMAT}",
            f"install motet {written}, or train again",
        )
    for name in files:
        if name not in PARTS and name not in OPTIONAL_PARTS:
            raise BundleError(
                f"{path} names a file that is no part of a bundle: {name!r}", "do not trust this bundle"
            )
    missing = [name for name in PARTS if name not in files]
    if missing:
        raise BundleError(f"{path} does not list {missing[0]}", _COPY)
    return content


def verify(directory: Path) -> dict[str, Any]:
    """Check every file against the manifest, and return it.

    Raises:
        BundleError: If a file is missing or is not what it was.
    """
    content = read_manifest(directory)
    for name, expected in content["files"].items():
        path, new = directory / name, directory / f"{name}.new"
        if new.is_file() and _entry(new) == expected:
            new.replace(path)  # replace_part was cut off before its last step
        if not path.is_file():
            raise BundleError(f"{directory} lacks the file {name}", _COPY)
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise BundleError(f"{path} has {size:,} bytes instead of {expected['bytes']:,}", _COPY)
        if _sha256(path) != expected["sha256"]:
            raise BundleError(f"{path} is not the file that was written: its hash differs", _COPY)
    return content


def _entry(path: Path) -> dict[str, Any]:
    return {"sha256": _sha256(path), "bytes": path.stat().st_size}


def _write(directory: Path, content: dict[str, Any]) -> None:
    temporary = directory / (_NAME + ".new")
    try:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        temporary.replace(directory / _NAME)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
