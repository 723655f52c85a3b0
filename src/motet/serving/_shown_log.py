"""Shown lists are recorded off the way of the answer."""

from __future__ import annotations

import logging
import queue
import threading
import time
import uuid
from collections.abc import Sequence
from typing import Final

from motet.errors import MotetError, StoreError, StoreUnavailableError
from motet.serving._answers import ItemAnswer
from motet.store import Shown, ShownItem, Store

__all__ = ["ShownLog"]

_log: Final = logging.getLogger("motet.serving")
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

    def record(
        self, items: Sequence[ItemAnswer], *, user: str | None, scenario: str | None, model: str
    ) -> str:
        """Hand in a list that is about to be shown; never waits.

        Args:
            items: In the order of the list.
            user: Whom it is shown to.
            scenario: Where.
            model: Name of the model that made it.

        Returns:
            The id of the list.
        """
        list_id = uuid.uuid4().hex
        shown = (
            ShownItem(one.id, one.value, one.propensity or None, one.sources, one.predictions)
            for one in items
        )
        try:
            self._add(Shown(tuple(shown), list_id, user=user, scenario=scenario, model=model))
        except MotetError as error:  # an id that no store can hold: the answer goes out all the same
            _log.warning("a shown list was not recorded", exc_info=error)  # its words may hold the id
            self.lost += 1
        return list_id

    def _add(self, shown: Shown) -> None:
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
