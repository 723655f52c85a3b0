"""Group commit: the rows of concurrent callers are written in one transaction."""

from __future__ import annotations

import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import Connection

from motet.errors import MotetError, StoreError, StoreUnavailableError
from motet.service.store._database import Database

__all__ = ["Act", "WriteCounts", "Writer"]

P = TypeVar("P")
R = TypeVar("R")

_AGAIN_S: Final = 1.0

Act: TypeAlias = Callable[[Connection, list[P]], list[R]]


@dataclass(slots=True)
class WriteCounts:
    """Write counters of a store since it was opened.

    Attributes:
        transactions: Transactions on disk.
        rows: Rows in them, as handed in.
        failed: Calls that failed.
        refused: Calls that were refused because too many waited.
        waiting: Rows that wait now.
    """

    transactions: int = 0
    rows: int = 0
    failed: int = 0
    refused: int = 0
    waiting: int = 0


@dataclass(slots=True)
class _Call:
    act: Act[Any, Any]
    rows: list[Any]
    done: Future[list[Any]]


class Writer:
    """A thread that writes the rows of all callers.

    It writes all queued calls in one transaction and answers each caller after the commit. Adjacent calls with the same
    ``act`` are written together, so a hundred callers with one event each cost as much as one with a hundred. If a
    transaction fails because of the rows of one caller, each call is tried alone; if the database fails, all callers get
    the error.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self.counts = WriteCounts()
        self._database = database
        self._settings = database.settings
        self._calls: deque[_Call] = deque()
        self._wake = threading.Condition()
        self._alone = threading.Lock()
        self._closed = False
        self._log = threading.Lock()
        self._log_tried_s: float | None = None  # when emptying the log was last tried, if it must be repeated
        self._thread: threading.Thread | None = None
        if self._settings.group_commit:
            self._thread = threading.Thread(target=self._run, name="motet-store-writer", daemon=True)
            self._thread.start()

    def submit(self, act: Act[P, R], rows: Sequence[P]) -> Future[list[R]]:
        """Queue rows.

        Args:
            act: Writes rows on a connection and returns one result for each.
            rows: Any number of rows, at most the settings' most_rows.

        Returns:
            The result of ``act`` for each row, once it is on disk.

        Raises:
            StoreError: If these are too many rows for one call.
            StoreUnavailableError: If too many wait already, or the store is closed.
        """
        done: Future[list[R]] = Future()
        if len(rows) > self._settings.most_rows:
            problem = f"one call holds {len(rows)} rows"
            raise StoreError(problem, f"send at most {self._settings.most_rows} at once")
        call = _Call(act, list(rows), done)
        with self._wake:
            if self._closed:
                raise StoreUnavailableError("the store is closed", "open it again")
            if self.counts.waiting + len(rows) > self._settings.most_waiting:
                self.counts.refused += 1
                problem = f"{self.counts.waiting} rows wait to be written already"
                raise StoreUnavailableError(problem, "send it again a little later")
            self.counts.waiting += len(rows)
            if self._thread is not None:
                self._calls.append(call)
                self._wake.notify()
                return done
        with self._alone:
            done.set_running_or_notify_cancel()
            self._write([call])
        self._retry_log()
        return done

    def write(self, act: Act[P, R], rows: Sequence[P]) -> list[R]:
        """Queue rows and wait until they are on disk.

        Raises:
            StoreError: If the rows are wrong.
            StoreUnavailableError: If they may not be on disk.
        """
        try:
            return self.submit(act, rows).result(self._settings.answer_s)
        except TimeoutError:
            problem = f"no acknowledgement within {self._settings.answer_s:g} s: it may be written or not"
            raise StoreUnavailableError(
                problem, "send it again with the same ids: nothing counts twice"
            ) from None

    def empty_log(self) -> None:
        """Empty the write-ahead log; while a reader uses it, this is tried again every second and at the end."""
        with self._log:
            self._log_tried_s = None if self._database.empty_log() else time.monotonic()

    def _retry_log(self) -> None:
        tried_s = self._log_tried_s
        if tried_s is not None and time.monotonic() - tried_s >= _AGAIN_S:
            self.empty_log()

    def close(self) -> None:
        """Write the queued calls and stop."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        if self._log_tried_s is not None:
            self.empty_log()

    def _run(self) -> None:
        expected = 1
        while (calls := self._next(expected)) is not None:
            expected = max(1, len(calls))
            # Calls cancelled before this are not written; from here on a call cannot be cancelled.
            wanted = [call for call in calls if call.done.set_running_or_notify_cancel()]
            given_up = sum(len(call.rows) for call in calls) - sum(len(call.rows) for call in wanted)
            with self._wake:
                self.counts.waiting -= given_up
            if wanted:
                self._write(wanted)
            del calls, wanted  # free their rows before waiting for the next calls
            self._retry_log()

    def _next(self, expected: int) -> list[_Call] | None:
        """Wait up to a second for calls, and a little longer for as many as expected; None once the store is closed."""
        with self._wake:
            self._wake.wait_for(lambda: self._calls or self._closed, _AGAIN_S)
            # The callers of the last transaction were just answered and may send more.
            if self._calls and len(self._calls) < expected:
                self._wake.wait_for(
                    lambda: len(self._calls) >= expected or self._closed, self._settings.gather_s
                )
            if self._calls:
                return self._taken()
            return None if self._closed else []

    def _taken(self) -> list[_Call]:
        calls = [self._calls.popleft()]
        rows = len(calls[0].rows)
        while self._calls and rows + len(self._calls[0].rows) <= self._settings.most_rows:
            rows += len(self._calls[0].rows)
            calls.append(self._calls.popleft())
        return calls

    def _write(self, calls: list[_Call]) -> None:
        try:
            answers = self._transaction(calls)
        except StoreUnavailableError as error:
            self._fail(calls, error)
        except Exception as error:
            if len(calls) > 1:
                for call in calls:
                    self._write([call])
            else:
                self._fail(calls, error)
        else:
            self._count(calls, failed=False)
            for call, answer in zip(calls, answers, strict=True):
                call.done.set_result(answer)

    def _transaction(self, calls: list[_Call]) -> list[list[Any]]:
        answers: list[list[Any]] = []
        with self._database.writing() as connection:
            for act, some in groupby(calls, key=lambda call: call.act):
                group = list(some)
                results = act(connection, [row for call in group for row in call.rows])
                start = 0
                for call in group:
                    answers.append(results[start : start + len(call.rows)])
                    start += len(call.rows)
        return answers

    def _fail(self, calls: list[_Call], error: Exception) -> None:
        self._count(calls, failed=True)
        for call in calls:
            # Each caller gets an error of its own: a shared one would mix their tracebacks.
            own = copy.copy(error) if isinstance(error, MotetError) else error
            own.__cause__ = error.__cause__
            call.done.set_exception(own)

    def _count(self, calls: list[_Call], *, failed: bool) -> None:
        rows = sum(len(call.rows) for call in calls)
        with self._wake:
            self.counts.waiting -= rows
            if failed:
                self.counts.failed += len(calls)
            else:
                self.counts.transactions += 1
                self.counts.rows += rows
