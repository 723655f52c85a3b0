"""The base of every part of a schema: typed, frozen, unknown keys refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from motet.errors import MotetError, SchemaError

__all__ = ["Part", "in_order", "nearest", "require_known"]

_MOST_NAMED = 10


class Part(BaseModel):
    """One part of a schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    """Return a lowest and a highest value unchanged; raise ValueError for Pydantic unless low < high."""
    if not bounds[0] < bounds[1]:
        raise ValueError(f"the range {list(bounds)} is empty. Cure: give the lowest value first")
    return bounds


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is closest to a misspelt one, or list them, the first ten of many.

    Example:
        >>> nearest("mmoee", ["mmoe", "ple"])
        "did you mean 'mmoe'?"
        >>> nearest("zzz", ["mmoe", "ple"])
        'known: mmoe, ple'
        >>> nearest("zzz", [f"item {k:02}" for k in range(30)])[-19:]
        'item 09 and 20 more'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > 2 * _MOST_NAMED else ""
    return "known: " + ", ".join(names[:_MOST_NAMED] if more else names) + more


def require_known(name: str, known: Iterable[str], what: str, error: type[MotetError] = SchemaError) -> None:
    """Raise ``error`` that names the nearest right name unless ``name`` is known."""
    names = list(known)
    if name not in names:
        raise error(f"{what} '{name}' is not known", nearest(name, names))
