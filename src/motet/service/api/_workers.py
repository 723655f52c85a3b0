"""What the workers of one service share, and the process that starts them.

Workers are processes that accept connections of one socket and work on one store. What one of them stores counts in the
next answer of every other; the rate of a key or address counts over all of them.
"""

from __future__ import annotations

import hashlib
import logging
import math
import mmap
import os
import secrets
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from motet.errors import RequestError

__all__ = ["MOST_WORKERS", "RateLimit", "SharedState", "Worker", "run_workers"]

_log: Final = logging.getLogger("motet.service.api")

# -- shared memory -------------------------------------------------------------------------------

MOST_WORKERS: Final = 64
_SETS: Final = 2**13  # a power of two
_WAYS: Final = 4
_COUNTER: Final = struct.Struct("<Q")
_BUCKET: Final = struct.Struct("<Qd")  # digest of the key or address, and when its bucket is full again
_SET: Final = struct.Struct("<" + "Qd" * _WAYS)
_RATES_AT: Final = MOST_WORKERS * _COUNTER.size
_SIZE: Final = _RATES_AT + _SETS * _SET.size


class SharedState:
    """Memory that the workers of one service share: whether others stored something, and the rates of keys and addresses.

    A counter is written by its worker alone. A bucket may be written by two at once; then one of the two requests does not
    count.

    Args:
        path: A file of :meth:`make`; memory of this process alone when left out.
        index: Number of the worker, from 0.
        count: How many workers there are.
    """

    def __init__(self, path: Path | None = None, index: int = 0, count: int = 1) -> None:
        self.count = count
        if path is None:
            self._memory = mmap.mmap(-1, _SIZE)
        else:
            with path.open("r+b") as file:
                self._memory = mmap.mmap(file.fileno(), _SIZE)
        self._at, self._alone = index * _COUNTER.size, path is None
        self._lock = threading.Lock()
        self._own: int = _COUNTER.unpack_from(self._memory, self._at)[
            0
        ]  # of a worker that had this number before
        self._seen = self._memory[:_RATES_AT]

    @staticmethod
    def make(path: Path) -> None:
        """Make an empty file."""
        with path.open("xb") as file:
            file.truncate(_SIZE)

    def notify(self) -> None:
        """Tell the other workers that something was stored."""
        if not self._alone:
            with self._lock:
                self._own += 1
                _COUNTER.pack_into(self._memory, self._at, self._own)

    def changed(self) -> bool:
        """Whether another worker stored something since the last call."""
        if self._alone:
            return False
        with self._lock:
            now = self._memory[:_RATES_AT]
            at, end = self._at, self._at + _COUNTER.size
            others = now[:at] + now[end:] != self._seen[:at] + self._seen[end:]
            self._seen = now
        return others

    def bucket(self, who: str, now_s: float) -> tuple[int, float]:
        """Where the bucket of a key or address is, and when it is full again; the fullest of four is given to a new one."""
        digest = int.from_bytes(hashlib.blake2b(who.encode(), digest_size=8).digest(), "little") or 1
        start = _RATES_AT + (digest & (_SETS - 1)) * _SET.size
        cells = _SET.unpack_from(self._memory, start)
        for way in range(_WAYS):
            if cells[2 * way] == digest:
                return start + way * _BUCKET.size, cells[2 * way + 1]
        fullest = min(range(_WAYS), key=lambda way: cells[2 * way + 1])
        at = start + fullest * _BUCKET.size
        _BUCKET.pack_into(self._memory, at, digest, now_s)
        return at, now_s

    def fill(self, at: int, full_s: float) -> None:
        """Say when a bucket is full again."""
        struct.pack_into("<d", self._memory, at + 8, full_s)


class RateLimit:
    """A token bucket for each key or address, kept as the time at which it is full again.

    At most 32,768 buckets are held, four of 8,192 groups each. Where a fifth key of a group comes, the fullest bucket is
    dropped, which makes it full; it usually is by then anyway.

    Args:
        per_s: Tokens added per second, > 0.
        burst: Capacity of a bucket, ≥ 1.
        shared: Where the buckets are; in memory of their own when left out.

    Example:
        >>> limit = RateLimit(1.0, 2)
        >>> [limit.wait_s("ann", now_s=100.0) for _ in range(3)]
        [0.0, 0.0, 1.0]
    """

    def __init__(self, per_s: float, burst: int, shared: SharedState | None = None) -> None:
        self._token_s, self._burst_s = 1 / per_s, burst / per_s
        self._shared = shared or SharedState()

    def wait_s(self, who: str, *, now_s: float | None = None) -> float:
        """Take a token and return 0; or return the seconds until there is one.

        Args:
            who: A key or address.
            now_s: Seconds on a clock that all processes of the machine share, > 0.
        """
        now_s = time.monotonic() if now_s is None else now_s
        at, full_s = self._shared.bucket(who, now_s)
        # a time before the last start of the machine may stand in a file that was kept
        full_s = min(max(full_s, now_s), now_s + self._burst_s) + self._token_s
        wait_s = full_s - self._burst_s - now_s
        if wait_s > 1e-9:
            return wait_s
        self._shared.fill(at, full_s)
        return 0.0


# -- processes -----------------------------------------------------------------------------------

_PLACE: Final = "MOTET_WORKER"
_STEADY_S: Final = 10.0
_MOST_FAILED: Final = 3
_END_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker is told by the process that starts it.

    Attributes:
        index: Its number, from 0.
        count: How many there are.
        parent: Process number of what started it.
        socket_number: File number of the socket, which it inherits.
        home: Directory of what they share.
    """

    index: int
    count: int
    parent: int
    socket_number: int
    home: Path

    @classmethod
    def of_environment(cls) -> Self | None:
        """Read what :func:`run_workers` has put there; None in a process that was started by hand."""
        text = os.environ.get(_PLACE)
        if text is None:
            return None
        index, count, parent, number, home = text.split(":", 4)
        return cls(int(index), int(count), int(parent), int(number), Path(home))

    def listening(self) -> socket.socket:
        """The socket that all workers listen on."""
        return socket.socket(fileno=self.socket_number)

    @property
    def shared(self) -> Path:
        """File of the shared memory."""
        return self.home / "shared"

    @property
    def secret(self) -> str:
        """What the workers' pages show to the API of another worker."""
        return (self.home / "secret").read_text()


def run_workers(
    command: Sequence[str],
    own: Sequence[Sequence[str]],
    place: socket.socket,
    *,
    ready: Callable[[str], object],
) -> None:
    """Start workers, start one again that ends, and end them all with this process.

    The first one starts alone, as it may migrate the store or write a first model.

    Args:
        command: What starts one; it prints a line when it answers.
        own: Further arguments of each, 1 to 64.
        place: The socket, from :func:`motet.service.api.listen`.
        ready: Called with the line of the first worker when all answer.

    Raises:
        RequestError: If a worker ends again and again within seconds of its start.
    """
    ending = threading.Event()
    workers: list[_Process] = []

    def end(number: int, frame: Any) -> None:
        ending.set()
        for one in workers:  # also one that is starting, which the loop below waits for
            one.terminate()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    place.listen(2048)
    with tempfile.TemporaryDirectory(prefix="motet-workers-") as home:  # for the owner alone
        SharedState.make(Path(home) / "shared")
        (Path(home) / "secret").write_text(secrets.token_urlsafe(32))
        (Path(home) / "metrics").mkdir()
        workers += [
            _Process([*command, *more], _environment(index, len(own), place, home), place)
            for index, more in enumerate(own)
        ]
        try:
            said = workers[0].start(ending)
            for one in workers[1:]:
                one.launch()
            for one in workers[1:]:
                one.start(ending)
            if not ending.is_set():
                ready(said)
            while not ending.wait(0.2):
                for one in workers:
                    if one.has_ended:
                        _log.warning("worker %d ended with %s; it is started again", one.process_id, one.code)
                        one.start(ending)
        finally:
            for one in workers:
                one.terminate()
            until_s = time.monotonic() + _END_S
            for one in workers:
                one.wait(until_s)
            for number, handler in before.items():
                signal.signal(number, handler)


def _environment(index: int, count: int, place: socket.socket, home: str) -> dict[str, str]:
    told = f"{index}:{count}:{os.getpid()}:{place.fileno()}:{home}"
    # read by prometheus_client: metrics are those of all workers
    return {**os.environ, _PLACE: told, "PROMETHEUS_MULTIPROC_DIR": f"{home}/metrics"}


class _Process:
    """One worker."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], place: socket.socket) -> None:
        self._command, self._environment, self._place = command, environment, place
        self._process: subprocess.Popen[str] | None = None
        self._began_s, self._failed = -math.inf, 0

    @property
    def process_id(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def code(self) -> int | None:
        return self._process.returncode if self._process is not None else None

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def launch(self) -> subprocess.Popen[str]:
        """Begin to start it."""
        self._failed = self._failed + 1 if time.monotonic() - self._began_s < _STEADY_S else 0
        if self._failed >= _MOST_FAILED:
            raise RequestError(
                f"a worker ended with {self.code} {_MOST_FAILED} times within seconds of its start",
                "read its message above, or serve with one worker to see more",
            )
        self._began_s = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 (our own program)
            self._command,
            env=dict(self._environment),
            pass_fds=[self._place.fileno()],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches this process alone, which ends the others
        )
        return self._process

    def start(self, ending: threading.Event) -> str:
        """Start it, where that has not begun; returns its line when it answers."""
        while not ending.is_set():
            process = self._process
            if process is None or process.poll() is not None:
                process = self.launch()
            assert process.stdout is not None  # noqa: S101 (it is a pipe)
            line = process.stdout.readline()
            if line:
                self._began_s = time.monotonic()
                threading.Thread(target=_drain, args=[process.stdout], daemon=True).start()
                return line.rstrip("\n")
            process.wait()
            if process.returncode == 2:  # a mistake, which it has explained
                raise SystemExit(2)
        return ""

    def terminate(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, until_s: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _drain(stream: Any) -> None:
    for _ in stream:
        pass
