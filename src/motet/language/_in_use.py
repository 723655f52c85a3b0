"""Language models are in memory once, however many bundles use them."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

__all__ = ["one_in_use"]

_T = TypeVar("_T")
_IN_USE: Final[WeakValueDictionary[Hashable, Any]] = WeakValueDictionary()
_LOCK: Final = Lock()


def one_in_use(one: _T, *settings: Hashable) -> _T:
    """The model of the same kind and settings that is in use already, or else this one.

    Args:
        one: A model that has loaded no weights yet.
        settings: All that its answers depend on.
    """
    with _LOCK:
        found: _T = _IN_USE.setdefault((type(one), *settings), one)
        return found
