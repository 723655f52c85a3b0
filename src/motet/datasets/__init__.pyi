from ._assets import (
    ASSETS,
    OFFLINE_VARIABLE,
    Asset,
    Progress,
    cache_root,
    fetch_asset,
    is_offline,
    package_files,
    workshop,
)
from ._generate import generate
from ._known import DATASETS, fetch, film_numbers, link_films, load
from ._stream import DatasetStream
from ._world import SyntheticWorld, Truth

__all__ = [
    "ASSETS",
    "DATASETS",
    "OFFLINE_VARIABLE",
    "Asset",
    "DatasetStream",
    "Progress",
    "SyntheticWorld",
    "Truth",
    "cache_root",
    "fetch",
    "fetch_asset",
    "film_numbers",
    "generate",
    "is_offline",
    "link_films",
    "load",
    "package_files",
    "workshop",
]
