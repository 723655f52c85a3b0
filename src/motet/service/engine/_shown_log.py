"""The recommendation log, written off the path of the answer, and what is removed after a time."""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from motet.errors import MotetError, StoreError, StoreUnavailableError
from motet.service.engine._types import ItemAnswer
from motet.service.store import Shown, ShownItem, Store

__all__ = ["Retention", "ShownLog"]

# What nobody needs any more goes: shown lists, sessions and conversations after some time.

_log: Final = logging.getLogger("motet.service.engine")
_EVERY_S: Final = 3600.0
_FIRST_S: Final = 60.0
_ROWS_AT_ONCE: Final = 1_000


class Retention:
    """Forgets once an hour, a little at a time, beside everything else.

    Args:
        store: Users, items, events and feedback in it stay.
        days: How long the rest is kept; 0 keeps it for ever.
    """

    def __init__(self, store: Store, days: float) -> None:
        self._store, self._days = store, days
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="motet-retention", daemon=True)
        if days > 0:
            self._thread.start()

    def forget(self) -> None:
        """Forget what is too old now."""
        before = datetime.now(UTC) - timedelta(days=self._days)
        while not self._stop.is_set():
            gone = self._store.forget_before(before, most=_ROWS_AT_ONCE)
            if max(gone.shown, gone.states) < _ROWS_AT_ONCE:
                return

    def close(self) -> None:
        """Forget no more."""
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
                _log.warning("what is too old is forgotten later: %s", error.problem)


# Shown lists are recorded off the way of the answer.

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
        written: Lists that were; those of users deleted meanwhile are in neither.
    """

    def __init__(self, store: Store, waiting: int) -> None:
        self._store = store
        self._queue: queue.Queue[Shown] = queue.Queue(waiting)
        self._handed_in, self._done = 0, 0  # lists so far; they are done in the order in which they came
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
    ) -> str:
        """Hand in a list that is about to be shown; never waits.

        Args:
            items: In the order of the list.
            user: Whom it is shown to.
            scenario: Where.
            model: Name of the model that made it.
            began: When its request began; now by default. A user who was deleted since has no list recorded.

        Returns:
            The id of the list.
        """
        list_id = uuid.uuid4().hex
        shown = (
            ShownItem(one.id, one.value, one.propensity or None, one.sources, one.predictions)
            for one in items
        )
        try:
            time = began or datetime.now(UTC)
            self._add(Shown(tuple(shown), list_id, user=user, scenario=scenario, time=time, model=model))
        except MotetError as error:  # an id that no store can hold: the answer goes out all the same
            _log.warning("a shown list was not recorded", exc_info=error)  # its words may hold the id
            self.lost += 1
        return list_id

    def _add(self, shown: Shown) -> None:
        with self._change:
            try:
                self._queue.put_nowait(shown)
            except queue.Full:
                self.lost += 1
            else:
                self._handed_in += 1

    @property
    def waiting(self) -> int:
        """Lists that are not stored yet."""
        with self._change:
            return self._handed_in - self._done

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was handed in so far is stored; whether it was in time. What comes meanwhile is not waited for."""
        with self._change:
            wanted = self._handed_in
            return self._change.wait_for(lambda: self._done >= wanted, timeout_s)

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
