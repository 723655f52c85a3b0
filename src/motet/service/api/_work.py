"""Thread pools: work off the event loop, in a bounded queue for each kind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, TypeVar

__all__ = ["Kind", "LateWorkError", "OverloadedError", "Work"]

R = TypeVar("R")
Kind = Literal["model", "fast", "write", "slow", "long", "body"]


class OverloadedError(Exception):
    """The queue of this kind of work is full."""


class LateWorkError(Exception):
    """An answer took too long; the call goes on and its result is dropped."""


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
    """One thread pool each for the model, other fast answers, writes, slow answers, long operations and large bodies.

    No kind waits for another. The model has one thread: its steps are short and hold the GIL in between, so several
    threads slow each other down. Eight clients got a third fewer answers from four threads, at twice the processor
    time for each.

    Args:
        workers: Threads for fast answers; writes, which wait for the disk, have four times as many; slow answers
            and long operations have half.
        waiting: Calls that may wait, for each kind.
        limit_s: Longest time for a call.
        refresh: Called before each call, in its thread.
    """

    def __init__(
        self, workers: int, waiting: int, limit_s: float, *, refresh: Callable[[], object] | None = None
    ) -> None:
        self._pools: dict[Kind, _Pool] = {
            "model": _Pool("model", 1, waiting),
            "fast": _Pool("fast", workers, waiting),
            "write": _Pool("write", 4 * workers, waiting),
            "slow": _Pool("slow", max(1, workers // 2), waiting),
            "long": _Pool("long", max(1, workers // 2), waiting),
            "body": _Pool("body", 1, waiting),  # one: a parsed large body may need much memory
        }
        self._limit_s, self._refresh = limit_s, refresh

    async def run(self, kind: Kind, call: Callable[[], R], *, limit_s: float | None = None) -> R:
        """Run a call in a thread and return its result.

        Raises:
            OverloadedError: If too many calls of the kind wait already.
            LateWorkError: If it takes too long.
        """
        future = self._pools[kind].submit(
            call if self._refresh is None else partial(self._after_refresh, call)
        )
        try:
            return await asyncio.wait_for(
                asyncio.wrap_future(future), self._limit_s if limit_s is None else limit_s
            )
        except TimeoutError:
            if future.done() and not future.cancelled():
                raise
            raise LateWorkError from None

    def _after_refresh(self, call: Callable[[], R]) -> R:
        assert self._refresh is not None  # noqa: S101 (submitted where there is one)
        self._refresh()
        return call()

    def waiting(self) -> dict[str, int]:
        """Number of calls of each kind that run or wait."""
        return {kind: pool.now for kind, pool in self._pools.items()}

    def close(self) -> None:
        """Stop the threads and cancel the queued calls."""
        for pool in self._pools.values():
            pool.threads.shutdown(wait=False, cancel_futures=True)
