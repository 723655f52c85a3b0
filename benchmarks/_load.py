"""Load from threads of this process, each on a connection of its own, and what came of it."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._service import Service
from benchmarks._wire import Wire

__all__ = ["Answered", "Ask", "Load", "Tally", "quantiles"]


class Ask(NamedTuple):
    """A request.

    Attributes:
        kind: As what it is counted.
        request: Its bytes.
        wanted: Statuses that are right.
        on_answer: Called with status and body of the answer; 0 where there was none.
    """

    kind: str
    request: bytes
    wanted: tuple[int, ...] = (200,)
    on_answer: Callable[[int, bytes], None] | None = None


class Answered(NamedTuple):
    """What became of a request: when it was sent, how long it took, and the status, 0 without an answer."""

    kind: str
    at_s: float
    elapsed_s: float
    status: int
    right: bool


@dataclass(slots=True)
class Tally:
    """Answers of a load.

    Attributes:
        answered: In the order of their ends, for each thread.
        elapsed_s: How long it went on.
        generator_s: Processor seconds that the generator's threads used.
        wrong: Examples of answers that were not right.
    """

    answered: list[Answered] = field(default_factory=list)
    elapsed_s: float = 0.0
    generator_s: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def seconds(self, kind: str | None = None) -> NDArray[np.float64]:
        """How long right answers took, [n]."""
        found = [one.elapsed_s for one in self.answered if one.right and kind in (None, one.kind)]
        return np.array(found, np.float64)

    @property
    def errors(self) -> int:
        """Requests that were not answered as they must be."""
        return sum(not one.right for one in self.answered)

    def statuses(self) -> dict[str, int]:
        """How often each status came, by kind."""
        counts = Counter(f"{one.kind} {one.status}" for one in self.answered)
        return dict(sorted(counts.items()))

    def by_kind(self) -> dict[str, dict[str, float]]:
        """Count, errors, median and p99 of each kind."""
        kinds: dict[str, list[Answered]] = defaultdict(list)
        for one in self.answered:
            kinds[one.kind].append(one)
        found = {}
        for kind, some in sorted(kinds.items()):
            right = np.array([one.elapsed_s for one in some if one.right])
            found[kind] = {
                "requests": len(some),
                "errors": sum(not one.right for one in some),
                **quantiles(right),
            }
        return found

    def summary(self) -> dict[str, Any]:
        """All of them together."""
        n = len(self.answered)
        return {
            "requests": n,
            "errors": self.errors,
            "requests_per_s": n / self.elapsed_s if self.elapsed_s else 0.0,
            "generator_cpu_ms_per_request": self.generator_s * 1e3 / n if n else 0.0,
            "generator_share_of_a_core": self.generator_s / self.elapsed_s if self.elapsed_s else 0.0,
            **quantiles(self.seconds()),
        }


def quantiles(seconds: NDArray[np.float64]) -> dict[str, float]:
    """Median, 99th percentile and largest in milliseconds; nothing of none."""
    if not len(seconds):
        return {}
    median, p99 = np.percentile(seconds, [50, 99]) * 1e3
    return {"median_ms": float(median), "p99_ms": float(p99), "max_ms": float(seconds.max() * 1e3)}


class Load:
    """Threads that send one request after the other, each as soon as the one before is answered.

    Args:
        service: Whom.
        streams: What each thread sends; it ends with its stream.
        pause_s: Time between an answer and the next request of a thread.
    """

    def __init__(self, service: Service, streams: list[Iterator[Ask]], *, pause_s: float = 0.0) -> None:
        self._service, self._pause_s = service, pause_s
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._tally = Tally()
        self._threads = [
            threading.Thread(target=self._run, args=(number, stream), daemon=True)
            for number, stream in enumerate(streams)
        ]
        self._began_s = time.perf_counter()

    def start(self) -> Load:
        """Begin."""
        self._began_s = time.perf_counter()
        for thread in self._threads:
            thread.start()
        return self

    def end(self) -> None:
        """Send nothing any more; :meth:`join` waits for the requests under way."""
        self._stop.set()

    def stop(self) -> Tally:
        """End after the requests under way."""
        self.end()
        return self.join()

    def join(self) -> Tally:
        """Wait for the ends of the streams."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(0.5)  # so that this process can be interrupted
        self._tally.elapsed_s = time.perf_counter() - self._began_s
        return self._tally

    def run(self, seconds: float) -> Tally:
        """Send for some seconds."""
        self.start()
        self._stop.wait(seconds)
        return self.stop()

    @property
    def count(self) -> int:
        """Answers so far."""
        return len(self._tally.answered)

    def _run(self, number: int, stream: Iterator[Ask]) -> None:
        wire = self._service.wire(number)
        answered: list[Answered] = self._tally.answered
        for ask in stream:
            if self._stop.is_set():
                break
            self._one(wire, ask, answered)
            if self._pause_s and self._stop.wait(self._pause_s):
                break
        wire.close()
        with self._lock:
            self._tally.generator_s += time.thread_time()

    def _one(self, wire: Wire, ask: Ask, answered: list[Answered]) -> None:
        began_s = time.perf_counter()
        try:
            status, body = wire.ask(ask.request)
        except OSError as error:
            status, body = 0, repr(error).encode()
        elapsed_s = time.perf_counter() - began_s
        right = status in ask.wanted
        answered.append(Answered(ask.kind, began_s, elapsed_s, status, right))
        if not right and len(self._tally.wrong) < 20:
            self._tally.wrong.append(f"{ask.kind}: {status} {body[:300]!r}")
        if ask.on_answer is not None:
            ask.on_answer(status, body)
