"""Ctrl-C between two steps instead of within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["held_interrupts"]


@contextmanager
def held_interrupts() -> Iterator[Callable[[], bool]]:
    """Hold back the first Ctrl-C until the block asks for it; a second one interrupts at once.

    Yields:
        A function that says whether there was one. Whoever asks saves its work and raises
        ``KeyboardInterrupt``. An interrupt that nobody asked for is raised when the block ends.

    Outside the main thread, where Python delivers no signals, it never says so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    held = False

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal held
        held = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: held
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt
