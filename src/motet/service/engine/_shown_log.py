"""The recommendation log, written by a background thread, and the removal of old records."""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from motet.errors import MotetError, StoreError, StoreUnavailableError
from motet.service.engine._types import ItemAnswer
from motet.service.store import Shown, ShownItem, Store

__all__ = ["Retention", "ShownLog"]

_log: Final = logging.getLogger("motet.service.engine")
_EVERY_S: Final = 3600.0
_FIRST_S: Final = 60.0
_ROWS_AT_ONCE: Final = 1_000


class Retention:
    """Deletes old logged lists, sessions and conversations once an hour, in small batches.

    Args:
        store: The store; its users, items, events and feedback are kept.
        days: Retention in days; 0 keeps everything for ever.
    """

    def __init__(self, store: Store, days: float) -> None:
        self._store, self._days = store, days
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="motet-retention", daemon=True)
        if days > 0:
            self._thread.start()

    def forget(self) -> None:
        """Delete what is too old now."""
        before = datetime.now(UTC) - timedelta(days=self._days)
        while not self._stop.is_set():
            gone = self._store.forget_before(before, most=_ROWS_AT_ONCE)
            if max(gone.shown, gone.states) < _ROWS_AT_ONCE:
                return

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def _run(self) -> None:
        wait_s = _FIRST_S
        while not self._stop.wait(wait_s):
            wait_s = _EVERY_S
            try:
                self.forget()
            except StoreError as error:
                _log.warning("old records are deleted later: %s", error.problem)


_AT_ONCE: Final = 200
_AGAIN_S: Final = 1.0
_GATHER_S: Final = 0.02  # lists of so long share a transaction, which takes the time of several lists


class ShownLog:
    """The recommendation log: one thread writes the lists, so no answer waits for the store.

    While the store is unavailable, lists wait in a queue; those that do not fit are dropped and counted.

    Args:
        store: Where lists are written.
        waiting: Size of the queue.

    Attributes:
        lost: Number of dropped lists.
        written: Number of written lists; those of users deleted meanwhile are in neither number.
    """

    def __init__(self, store: Store, waiting: int) -> None:
        self._store = store
        self._queue: queue.Queue[Shown] = queue.Queue(waiting)
        self._queued, self._done = 0, 0  # numbers of lists so far; they are written in order
        self._urgent = 0  # somebody waits for so many of them
        self._change = threading.Condition()
        self._stop = threading.Event()
        self.lost, self.written = 0, 0
        self._thread = threading.Thread(target=self._run, name="motet-shown", daemon=True)
        self._thread.start()

    def record(
        self,
        items: Sequence[ItemAnswer],
        *,
        user: str | None,
        scenario: str | None,
        model: str,
        began: datetime | None = None,
        placed: Mapping[str, str] | None = None,
    ) -> str:
        """Queue a list for the log; never waits.

        Args:
            items: In the order of the list.
            user: The user; None for an unknown one.
            scenario: The scenario.
            model: Name of the model version.
            began: When its request began; now by default. The list of a user deleted since is not written.
            placed: In a list of two rankings, what placed each item: see :class:`motet.service.store.ShownItem`. By
                which chance an item came to its place is not known of such a list.

        Returns:
            The id of the list.
        """
        list_id = uuid.uuid4().hex
        placed = placed or {}
        shown = (
            ShownItem(
                one.id,
                one.value,
                None if placed else one.propensity or None,
                one.sources,
                one.predictions,
                placed.get(one.id, ""),
            )
            for one in items
        )
        try:
            time = began or datetime.now(UTC)
            known = scenario or None  # an empty one is none
            self._add(Shown(tuple(shown), list_id, user=user, scenario=known, time=time, model=model))
        except MotetError as error:  # an id that the store cannot hold: the answer is sent all the same
            _log.warning("a recommended list was not logged", exc_info=error)  # the message may hold the id
            self.lost += 1
        return list_id

    def _add(self, shown: Shown) -> None:
        with self._change:
            try:
                self._queue.put_nowait(shown)
            except queue.Full:
                self.lost += 1
            else:
                self._queued += 1

    @property
    def waiting(self) -> int:
        """Number of lists that are not written yet."""
        with self._change:
            return self._queued - self._done

    def flush(self, timeout_s: float) -> bool:
        """Wait until the lists queued so far are written; returns whether that was in time."""
        with self._change:
            wanted = self._urgent = self._queued
            self._change.notify_all()
            return self._change.wait_for(lambda: self._done >= wanted, timeout_s)

    def close(self) -> None:
        """Write the queued lists and stop."""
        self.flush(5.0)
        self._stop.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                lists = [self._queue.get(timeout=0.2)]
            except queue.Empty:
                continue
            with self._change:
                self._change.wait_for(lambda: self._urgent > self._done, _GATHER_S)
            while len(lists) < _AT_ONCE and not self._queue.empty():
                lists.append(self._queue.get_nowait())
            self._write(lists)
            with self._change:
                self._done += len(lists)
                self._change.notify_all()

    def _write(self, lists: list[Shown]) -> None:
        while True:
            try:
                self.written += sum(self._store.shown.add(lists))
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
                self.written += sum(self._store.shown.add([one]))
            except StoreError:
                self.lost += 1
