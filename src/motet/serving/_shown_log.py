"""Shown lists are recorded off the way of the answer."""

from __future__ import annotations

import queue
import threading
import time
from typing import Final

from motet.errors import StoreError, StoreUnavailableError
from motet.store import Shown, Store

__all__ = ["ShownLog"]

_AT_ONCE: Final = 200
_AGAIN_S: Final = 1.0


class ShownLog:
    """One thread that stores the lists that others hand in; no answer waits for it.

    While the store is gone, lists wait; those for whom there is no room are counted and not recorded.

    Args:
        store: Where to.
        waiting: Lists that may wait.

    Attributes:
        lost: Lists that were not recorded.
        written: Lists that were.
    """

    def __init__(self, store: Store, waiting: int) -> None:
        self._store = store
        self._queue: queue.Queue[Shown] = queue.Queue(waiting)
        self._stop = threading.Event()
        self.lost, self.written = 0, 0
        self._thread = threading.Thread(target=self._run, name="motet-shown", daemon=True)
        self._thread.start()

    def add(self, shown: Shown) -> None:
        """Hand a list in; never waits."""
        try:
            self._queue.put_nowait(shown)
        except queue.Full:
            self.lost += 1

    @property
    def waiting(self) -> int:
        """Lists that are not stored yet."""
        return self._queue.unfinished_tasks

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was handed in is stored; whether it was in time."""
        until_s = time.monotonic() + timeout_s
        while self._queue.unfinished_tasks:
            if time.monotonic() > until_s:
                return False
            time.sleep(0.002)
        return True

    def close(self) -> None:
        """Store what waits, and stop."""
        self.flush(5.0)
        self._stop.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                lists = [self._queue.get(timeout=0.2)]
            except queue.Empty:
                continue
            while len(lists) < _AT_ONCE and not self._queue.empty():
                lists.append(self._queue.get_nowait())
            self._write(lists)
            for _ in lists:
                self._queue.task_done()

    def _write(self, lists: list[Shown]) -> None:
        while True:
            try:
                self._store.shown.add(lists)
                self.written += len(lists)
                return
            except StoreUnavailableError:
                if self._stop.wait(_AGAIN_S):
                    self.lost += len(lists)
                    return
            except StoreError:
                self._write_each(lists)
                return

    def _write_each(self, lists: list[Shown]) -> None:
        for one in lists:
            try:
                self._store.shown.add([one])
                self.written += 1
            except StoreError:
                self.lost += 1
