"""Memory settings of the service process: short garbage collections and unused memory returned to the system."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["few_arenas", "no_full_collections", "quiet_memory", "quiet_memory_again"]

_ARENA_MAX: Final = -8  # of mallopt
_ARENAS: Final = 2
_RARELY: Final = 1000  # collections of the middle generation to each full one


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


_delay_lock: Final = threading.Lock()
_delays: list[int] = []  # the threshold to return to, once for each block that runs


@contextmanager
def no_full_collections() -> Iterator[None]:
    """Delay full garbage collections while the block runs.

    A large batch is some hundred thousand objects, none of them garbage. A full collection in its midst visits all of
    them while no other thread runs: 50 to 170 ms in which nobody is answered. They are only made rare, so that the
    service may be busy with large batches for ever.
    """
    with _delay_lock:
        young, middle, old = gc.get_threshold()
        _delays.append(_delays[0] if _delays else old)
        gc.set_threshold(young, middle, max(old, _RARELY))
    try:
        yield
    finally:
        with _delay_lock:
            old = _delays.pop()
            if not _delays:
                gc.set_threshold(*gc.get_threshold()[:2], old)


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
