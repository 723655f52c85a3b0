"""Cells side by side: processes with one thread each, which report progress, may die, and end with who started them."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

import torch

from motet.errors import MotetError, TrainingError
from motet.schema import Schema, read_yaml
from motet.training.compare._cell import DataCache, TrainingCell, run_cell

__all__ = ["TimeOver", "run_cells", "work"]

_LOOK_S: Final = 0.2
_WORK: Final = "from motet.training.compare._pool import work; work()"
_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"),
    "1",
)

Event = tuple[TrainingCell, str, Any]
Report = Callable[[int, int, str], None]


class TimeOver(Exception):  # noqa: N818 (no mistake: what is finished by then is compared)
    """The time of the whole run is over."""


def run_cells(
    cells: Sequence[TrainingCell],
    out: Path,
    processes: int,
    *,
    cache: DataCache,
    deadline_s: float | None,
    report: Report,
) -> dict[TrainingCell, MotetError]:
    """Train cells, each into its own file.

    Args:
        cells: What is not finished yet, in order.
        out: Directory of the comparison.
        processes: How many work beside each other; a single one is the calling process, with one thread.
        cache: The data set that this process read last.
        deadline_s: Reading of :func:`time.monotonic` at which cells that are not finished are left.
        report: Called with the cells that are done, those in all, and what is worked at.

    Returns:
        Cells that failed, with the reason; the others go on.

    Raises:
        TimeOver: At the deadline.
    """
    if not cells:
        return {}
    if processes == 1:
        return _here(cells, out, cache, deadline_s, report)
    return _beside(cells, out, processes, deadline_s, report)


def _here(
    cells: Sequence[TrainingCell], out: Path, cache: DataCache, deadline_s: float | None, report: Report
) -> dict[TrainingCell, MotetError]:
    failed: dict[TrainingCell, MotetError] = {}
    with _one_thread():
        for done, cell in enumerate(cells):

            def progress(
                what: str, part: int, total: int, done: int = done, cell: TrainingCell = cell
            ) -> None:
                if deadline_s is not None and time.monotonic() >= deadline_s:
                    raise TimeOver
                report(done, len(cells), f"{cell.name}, {what}")

            try:
                progress("reading", 0, 1)
                run_cell(cell, out, cache, progress)
            except MotetError as error:
                failed[cell] = error
    report(len(cells), len(cells), "done")
    return failed


@contextmanager
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# Several processes: each is driven by a thread of this one, over lines of JSON.


def _beside(
    cells: Sequence[TrainingCell], out: Path, processes: int, deadline_s: float | None, report: Report
) -> dict[TrainingCell, MotetError]:
    todo: queue.SimpleQueue[TrainingCell] = queue.SimpleQueue()
    for cell in cells:
        todo.put(cell)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    drivers = [_Driver(todo, events, out) for _ in range(min(processes, len(cells)))]
    failed: dict[TrainingCell, MotetError] = {}
    done = 0
    try:
        for driver in drivers:
            driver.start()
        while done < len(cells):
            if deadline_s is not None and time.monotonic() >= deadline_s:
                raise TimeOver
            try:
                cell, kind, content = events.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if kind == "progress":
                report(done, len(cells), f"{cell.name}, {content}")
                continue
            done += 1
            if kind == "failed":
                failed[cell] = content
            report(done, len(cells), f"{cell.name}, {kind}")
    finally:
        for driver in drivers:
            driver.end()
    return failed


class _Driver(threading.Thread):
    """Gives cells to a process, one after the other; another takes its place where it dies."""

    def __init__(
        self, todo: queue.SimpleQueue[TrainingCell], events: queue.SimpleQueue[Event], out: Path
    ) -> None:
        super().__init__(daemon=True)
        self.todo, self.events, self.out = todo, events, out
        self.worker: subprocess.Popen[bytes] | None = None
        self.log: IO[bytes] | None = None
        self.over = threading.Event()

    def run(self) -> None:
        """Until no cell is left."""
        while not self.over.is_set():
            try:
                cell = self.todo.get_nowait()
            except queue.Empty:
                return
            try:
                self._give(cell)
                self.events.put((cell, "finished", None))
            except MotetError as error:
                self.events.put((cell, "failed", error))

    def _give(self, cell: TrainingCell) -> None:
        if self.worker is None:
            self.log = TemporaryFile()  # noqa: SIM115 (closed with the process)
            # a session of its own: Ctrl-C reaches the calling process alone, which ends this one
            self.worker = subprocess.Popen(  # noqa: S603 (our own command)
                [sys.executable, "-c", _WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                env={**os.environ, **_ONE_THREAD}, start_new_session=True,
            )  # fmt: skip
        job = {
            "base": cell.base, "method": cell.method, "seed": cell.seed, "trial": cell.trial,
            "schema": cell.schema.to_yaml(), "tables": str(cell.tables), "data_hash": cell.data_hash,
            "out": str(self.out),
        }  # fmt: skip
        worker = self.worker
        assert worker.stdin is not None  # noqa: S101 (they are pipes)
        assert worker.stdout is not None  # noqa: S101
        try:
            worker.stdin.write(json.dumps(job).encode() + b"\n")
            worker.stdin.flush()
            for line in worker.stdout:
                said = json.loads(line)
                if "progress" in said:
                    self.events.put((cell, "progress", said["progress"]))
                elif "error" in said:
                    raise TrainingError(said["error"], said["cure"])
                else:
                    return
        except (BrokenPipeError, ValueError):
            pass
        code, words = worker.wait(), self._last_words()
        self._close()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        raise TrainingError(
            f"the process that trained it {how}{words}",
            "if memory ran out, lower 'processes' or training.batch_size; the same command tries it again",
        )

    def _last_words(self) -> str:
        if self.log is None:
            return ""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def _close(self) -> None:
        worker, self.worker = self.worker, None
        for pipe in () if worker is None else (worker.stdin, worker.stdout, self.log):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def end(self) -> None:
        """End the process, whatever it does; it has nothing left to do where all cells are done."""
        self.over.set()
        while self.worker is not None or self.is_alive():
            if self.worker is not None:
                self.worker.kill()
                self.worker.wait()
            self.join(_LOOK_S)
            if not self.is_alive():
                self._close()


def work() -> None:
    """What a process does: cells from standard input, one JSON line each, until there is no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    torch.set_num_threads(1)

    def say(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    cache, last_s = DataCache(), 0.0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= _LOOK_S:
            last_s = time.monotonic()
            say({"progress": what})

    for line in sys.stdin:
        job = json.loads(line)
        out = Path(job.pop("out"))
        cell = TrainingCell(
            **{**job, "schema": Schema.parse(read_yaml(job["schema"])), "tables": Path(job["tables"])}
        )
        try:
            run_cell(cell, out, cache, progress)
        except MotetError as error:
            say({"error": error.problem, "cure": error.cure})
        else:
            say({"done": True})
