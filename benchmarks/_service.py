"""The service as a process of its own: started, asked, killed, and always stopped by its process id."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import psutil

from benchmarks._wire import Wire, http_request

__all__ = ["Service", "end_on_signals", "motet_serve"]

_PATIENCE_S = 120.0
_PLACE = re.compile(rb" on http://127\.0\.0\.1:(\d+)")


def motet_serve(bundle: Path | None, store: str | Path, *arguments: str, log: Path | None = None) -> Service:
    """``motet serve BUNDLE --port 0``, not started yet.

    Args:
        bundle: The directory of a bundle; without one, the service trains itself.
        store: Path or URL of its store.
        arguments: Further arguments of the command.
        log: Where its log goes; nowhere when left out.
    """
    served = [] if bundle is None else [str(bundle)]
    return Service(["motet", "serve", *served, "--port", "0", "--store", str(store), *arguments], log=log)


class Service:
    """A module of Python that serves HTTP, as a child.

    Args:
        module: Its name and arguments; it says "... on http://127.0.0.1:PORT" as soon as it listens.
        log: Where its log goes; nowhere when left out.

    Attributes:
        port: Where it listens.
        ready_s: Seconds from the start to the first answer that it is ready.
    """

    def __init__(self, module: Sequence[str], *, log: Path | None = None) -> None:
        self._command = [sys.executable, "-m", *module]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self.ready_s = 0, 0.0

    def start(self) -> Self:
        """Start it, and wait until it says that it is ready."""
        began_s = time.perf_counter()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        where = os.devnull if self._log is None else self._log
        with Path(where).open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, env=environment
            )
        self.port = self._said_port(self._process)
        until_s = time.monotonic() + _PATIENCE_S
        while self.status("/v1/health/ready") != 200:
            if time.monotonic() > until_s:
                raise RuntimeError("the service does not become ready")
            time.sleep(0.01)
        self.ready_s = time.perf_counter() - began_s
        return self

    def _said_port(self, process: subprocess.Popen[bytes]) -> int:
        assert process.stdout is not None
        watch = threading.Timer(_PATIENCE_S, process.kill)
        watch.start()
        try:
            for line in process.stdout:
                if found := _PLACE.search(line):
                    return int(found.group(1))
        finally:
            watch.cancel()
        raise RuntimeError(f"the service ended with {process.wait()} before it answered: {self._command}")

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def rss_bytes(self) -> int:
        """Memory of the process that is resident."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def cpu_s(self) -> float:
        """Processor time of the process so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def limit_file_bytes(self, most: int | None) -> None:
        """Let no file that it writes grow beyond a size, as on a disk that is full; None lifts the limit."""
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (hard if most is None else most, hard))

    def wire(self, number: int = 0, timeout_s: float = 60.0) -> Wire:
        """A connection to it, from a loopback address of its own: a client each, as the rate limit sees it."""
        return Wire(self.port, f"127.0.0.{1 + number % 250}", timeout_s)

    def ask(self, method: str, path: str, content: Any = None, *, timeout_s: float = 600.0) -> Any:
        """One request on a connection of its own, and what its JSON holds; raises unless it succeeds."""
        status, body = self.answer(method, path, content, timeout_s=timeout_s)
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {path} was answered with {status}: {body[:500]!r}")
        return json.loads(body)

    def answer(
        self, method: str, path: str, content: Any = None, *, timeout_s: float = 600.0
    ) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        with self.wire(249, timeout_s) as wire:
            return wire.ask(http_request(method, path, content))

    def status(self, path: str) -> int:
        """Status of a GET; 0 without an answer."""
        try:
            return self.answer("GET", path, timeout_s=10.0)[0]
        except OSError:
            return 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it by its process id, and wait; returns its exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            code = self._process.wait(60.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def end_on_signals() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that what it started is stopped."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
