"""Rounds of the garbage collector that stop every request for long, avoided."""

from __future__ import annotations

import gc

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
    """The same after a model was loaded, which also frees one that was dropped; nothing unless it was done before."""
    if gc.get_freeze_count():
        quiet_memory()
