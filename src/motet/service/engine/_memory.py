"""Memory settings of the service process: short garbage collections and unused memory returned to the system."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from typing import Final

__all__ = ["few_arenas", "quiet_memory", "quiet_memory_again"]

_ARENA_MAX: Final = -8  # of mallopt
_ARENAS: Final = 2


def few_arenas() -> None:
    """Limit the arenas of the allocator; call it before threads start.

    By default glibc makes up to eight arenas per core, and each keeps the most memory that its threads ever needed:
    with forty threads a service held a fifth more memory after a quarter of an hour.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # only glibc has it
        if set_option is not None:
            set_option(_ARENA_MAX, _ARENAS)


def quiet_memory() -> None:
    """Collect garbage, then exclude all live objects from later collections.

    A full collection visits every object of the bundle and the libraries, hundreds of thousands, while no other
    thread runs: requests would wait for hundreds of milliseconds.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def quiet_memory_again() -> None:
    """Do the same after another model was loaded; does nothing unless :func:`quiet_memory` was called before.

    Memory of a dropped model is returned to the system, as the allocator would keep most of it.
    """
    if not gc.get_freeze_count():
        return
    quiet_memory()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only glibc has it
        if trim is not None:
            trim(0)
