"""Memory of a service: no rounds of the garbage collector that stop every request, nothing kept that nobody needs."""

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
    """Let threads share what the allocator holds; to be called before they begin.

    By itself glibc gives each thread a place of its own, eight for each core, and each keeps what its thread once
    needed: with forty threads a service held a fifth more after a quarter of an hour.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
        if set_option is not None:
            set_option(_ARENA_MAX, _ARENAS)


def quiet_memory() -> None:
    """Take all that lives now out of the rounds of the garbage collector, after a last one.

    A full round looks at every object that a bundle and the libraries hold, hundreds of thousands, while nothing else
    runs: hundreds of milliseconds in the middle of somebody's request.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def quiet_memory_again() -> None:
    """The same after a model was loaded beside others; nothing unless it was done before.

    What a dropped model held goes back to the system: the allocator would keep most of it for threads that may never
    want it.
    """
    if not gc.get_freeze_count():
        return
    quiet_memory()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
        if trim is not None:
            trim(0)
