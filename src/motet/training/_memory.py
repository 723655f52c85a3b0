"""Keep freed memory in the process: a training step allocates the same large tensors again and again."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_BYTES = 32 << 20  # the most that glibc takes
_TRIM_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Tell the C library to keep freed blocks of up to 32 MiB, and up to 1 GiB of them.

    By default it maps each large tensor anew and the kernel clears its pages, which on some virtual
    machines takes longer than the arithmetic. Only Linux with glibc has the call; elsewhere nothing
    is done.

    Returns:
        Whether it took effect.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # each call returns 1 if it took effect
    return bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES) & mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES))
