"""Work off the event loop: a few threads for each kind, and a queue that has an end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, TypeVar

__all__ = ["Kind", "LateWorkError", "OverloadedError", "Work"]

R = TypeVar("R")
Kind = Literal["model", "fast", "write", "slow", "long", "body"]


class OverloadedError(Exception):
    """So many requests wait already that one more would wait too long."""


class LateWorkError(Exception):
    """An answer took too long; what was begun goes on and is thrown away."""


class _Pool:
    def __init__(self, name: str, workers: int, waiting: int) -> None:
        self.threads = ThreadPoolExecutor(workers, f"motet-{name}")
        self.most, self.now = workers + waiting, 0
        self.lock = threading.Lock()

    def submit(self, call: Callable[[], R]) -> Future[R]:
        with self.lock:
            if self.now >= self.most:
                raise OverloadedError
            self.now += 1
        future = self.threads.submit(call)
        future.add_done_callback(self._done)
        return future

    def _done(self, future: Future[Any]) -> None:
        with self.lock:
            self.now -= 1


class Work:
    """Threads for the model, other fast answers, writes, slow answers, long operations, large bodies: none waits for another.

    The model has one thread. Its steps are short and hold the interpreter between them, so several threads take it
    from each other: eight clients got a third fewer answers from four threads, each at twice the processor time.

    Args:
        workers: Threads for fast answers; writes, which wait for the disk, have four times as many, slow answers and
            long operations half.
        waiting: Calls that may wait, for each kind.
        limit_s: Longest time for a call.
    """

    def __init__(self, workers: int, waiting: int, limit_s: float) -> None:
        self._pools: dict[Kind, _Pool] = {
            "model": _Pool("model", 1, waiting),
            "fast": _Pool("fast", workers, waiting),
            "write": _Pool("write", 4 * workers, waiting),
            "slow": _Pool("slow", max(1, workers // 2), waiting),
            "long": _Pool("long", max(1, workers // 2), waiting),
            "body": _Pool(
                "body", 1, waiting
            ),  # what is made of a large body may need a hundred times a small one
        }
        self._limit_s = limit_s

    async def run(self, kind: Kind, call: Callable[[], R], *, limit_s: float | None = None) -> R:
        """What a call answers, from a thread.

        Raises:
            OverloadedError: If too many calls of the kind wait already.
            LateWorkError: If it takes too long.
        """
        future = self._pools[kind].submit(call)
        try:
            return await asyncio.wait_for(
                asyncio.wrap_future(future), self._limit_s if limit_s is None else limit_s
            )
        except TimeoutError:
            if future.done() and not future.cancelled():
                raise
            raise LateWorkError from None

    def waiting(self) -> dict[str, int]:
        """Calls of each kind that are worked on or wait."""
        return {kind: pool.now for kind, pool in self._pools.items()}

    def close(self) -> None:
        """Take no more work."""
        for pool in self._pools.values():
            pool.threads.shutdown(wait=False, cancel_futures=True)
