"""What nobody needs any more goes: shown lists, sessions and conversations after some time."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Final

from motet.errors import StoreError
from motet.store import Store

__all__ = ["Retention"]

_log: Final = logging.getLogger("motet.serving")
_EVERY_S: Final = 3600.0
_FIRST_S: Final = 60.0
_AT_ONCE: Final = 1_000


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
            gone = self._store.forget_before(before, most=_AT_ONCE)
            if max(gone.shown, gone.states) < _AT_ONCE:
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
