"""How long work says where it is."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "silent"]

Progress = Callable[[str, int, int], None]
"""Called with what is going on, how much is done, and how much there is to do."""


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""
