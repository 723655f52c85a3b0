"""The learner beside a service: a process that is started again when it ends, and told of drift."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from motet.errors import StoreUnavailableError
from motet.service.learner._learner import ask_for_training
from motet.service.store import Store

__all__ = ["LearnerProcess", "end_with_parent"]

_log: Final = logging.getLogger("motet.service.learner")
_FIRST_S: Final = 1.0
_LONGEST_S: Final = 60.0
_STEADY_S: Final = 120.0
_END_S: Final = 15.0
_DRIFT_S: Final = 300.0
_PARENT_S: Final = 0.5


def end_with_parent(parent: int) -> None:
    """End this process soon after its parent has ended, however that ended: nothing is trained twice.

    Args:
        parent: The process number of the parent.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_S)
        os._exit(1)

    threading.Thread(target=watch, name="motet-parent", daemon=True).start()


class LearnerProcess:
    """Runs ``motet learn`` beside a service.

    Its memory and its processor time are its own. Where it ends it is started again, each time twice as long after, up
    to a minute. Features that drift much make it train, at most once per model.

    Args:
        store: The store of the service.
        command: What starts it.
        environment: Of the process.
        drift: The report of drift; see :meth:`motet.service.monitor.Drift.report`.
        model: Name of the active model.
    """

    def __init__(
        self,
        store: Store,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        drift: Callable[[], list[dict[str, Any]]],
        model: Callable[[], str | None],
    ) -> None:
        self._store, self._command, self._environment = store, command, environment
        self._drift, self._model = drift, model
        self._asked: set[str | None] = set()
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="motet-learner", daemon=True)

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    @property
    def number(self) -> int | None:
        """Its process number; None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def close(self) -> None:
        """End it, and whatever it has started."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_END_S + _FIRST_S)

    def _run(self) -> None:
        pause_s, looked_s = _FIRST_S, time.monotonic()
        while not self._stop.is_set():
            began_s = time.monotonic()
            self._process = subprocess.Popen(self._command, env=dict(self._environment))  # noqa: S603 (our own program)
            while self._process.poll() is None and not self._stop.wait(0.5):
                if time.monotonic() - looked_s > _DRIFT_S:
                    looked_s = time.monotonic()
                    self._tell_of_drift()
            if self._stop.is_set():
                break
            _log.warning("the learner ended with %s; it is started again", self._process.returncode)
            pause_s = _FIRST_S if time.monotonic() - began_s > _STEADY_S else min(_LONGEST_S, 2 * pause_s)
            self._stop.wait(pause_s)
        self._end()

    def _tell_of_drift(self) -> None:
        much = [one for one in self._drift() if one["level"] == "much"]
        model = self._model()
        if not much or model in self._asked:
            return
        try:
            ask_for_training(self._store, "drift", feature=much[0]["feature"], psi=much[0]["psi"])
        except StoreUnavailableError:
            return
        self._asked.add(model)

    def _end(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
