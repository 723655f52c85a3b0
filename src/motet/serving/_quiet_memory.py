"""Rounds of the garbage collector that stop every request for long, avoided."""

from __future__ import annotations

import ctypes
import gc
import sys

__all__ = ["quiet_memory", "quiet_memory_again"]


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
