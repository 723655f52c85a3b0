"""Counters and latencies per route and minute, and logs as JSON lines."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import traceback
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as Total
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["JsonLines", "ListFigures", "Watch", "log_as_json"]

_EXTRA: Final = ("request_id", "method", "route", "status", "cause", "elapsed_ms", "key")


class JsonLines(logging.Formatter):
    """One line of JSON a record.

    Of an error it holds the type and the place, never the message: it may contain user data.
    """

    def format(self, record: logging.LogRecord) -> str:
        """A record as a line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _EXTRA if getattr(record, name, None) is not None}
        if record.exc_info and record.exc_info[0] is not None:
            frames = traceback.extract_tb(record.exc_info[2])[-8:]
            line["error"] = record.exc_info[0].__name__
            line["at"] = [
                f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames
            ]
        return json.dumps(line, ensure_ascii=False)


def log_as_json(level: int = logging.INFO) -> None:
    """Write motet's and the server's logs to standard error as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("motet", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


# -- counters ----------------------------------------------------------------------------------

_BY_WORKERS: Final = (
    "PROMETHEUS_MULTIPROC_DIR"  # set where several workers answer; read by prometheus_client, too
)
_MINUTES: Final = 1_440
_FIRST_MS: Final = 0.1
_STEP: Final = 1.1
_BUCKETS: Final = 140  # up to 0.1 · 1.1¹³⁹ ms, about a minute
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class _Failures:
    """Answers of one route with one status for one cause."""

    n: int = 0
    last_s: float = 0.0
    request_id: str = ""

    def add(self, n: int, last_s: float, request_id: str) -> None:
        self.n += n
        if last_s >= self.last_s:
            self.last_s, self.request_id = last_s, request_id


_Where = tuple[str, int, str]  # route, status, cause


@dataclass(slots=True)
class _Minute:
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    times: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: dict[_Where, _Failures] = field(default_factory=dict)

    def copy(self) -> _Minute:
        return _Minute(
            Counter(self.counts),
            {route: times.copy() for route, times in self.times.items()},
            Counter(self.kinds),
            {where: replace(one) for where, one in self.failures.items()},
        )


@dataclass(slots=True)
class ListFigures:
    """Lists of one version of the model: how many, how many of them failed or lack something, and how long they took.

    Attributes:
        lists: Lists that were asked for.
        failed: Those of them that failed, or of which something was left out.
        times: Their times, in the buckets of :class:`Watch`.
    """

    lists: int = 0
    failed: int = 0
    times: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BUCKETS, np.int64))

    def add(self, elapsed_ms: float, *, failed: bool) -> None:
        """Count a list."""
        self.lists += 1
        self.failed += failed
        self.times[_bucket(elapsed_ms)] += 1

    def plain(self) -> dict[str, Any]:
        """Plain values, of which :meth:`sum_of` makes figures again."""
        some = np.flatnonzero(self.times).tolist()
        return {
            "lists": self.lists,
            "failed": self.failed,
            "times": {str(at): int(self.times[at]) for at in some},
        }

    @classmethod
    def sum_of(cls, plain: Iterable[Mapping[str, Any]]) -> ListFigures:
        """The figures of several processes together."""
        found = cls()
        for one in plain:
            found.lists += int(one["lists"])
            found.failed += int(one["failed"])
            for at, n in one["times"].items():
                found.times[int(at)] += int(n)
        return found

    def p90_ms(self) -> float:
        """Nine of ten lists took up to this, in milliseconds; 0 without lists."""
        return _quantiles(self.times)["p90"] if self.lists else 0.0


def _bucket(elapsed_ms: float) -> int:
    return int(np.clip(np.log(max(elapsed_ms, _FIRST_MS) / _FIRST_MS) / np.log(_STEP), 0, _BUCKETS - 1))


class Watch:
    """Counts requests and answers, for one day in memory and for Prometheus.

    Times are kept in buckets 10 % wide, so a quantile is exact to 5 %.

    Attributes:
        since: When it began to count, in UTC.
    """

    kept_minutes: Final = _MINUTES
    """Minutes that are kept."""

    def __init__(self) -> None:
        self.since = datetime.now(UTC)
        self._minutes: OrderedDict[int, _Minute] = OrderedDict()
        self._lock = threading.Lock()
        self.registry = CollectorRegistry()
        self._requests = Total("motet_requests", "Requests by route and status.", ["method", "route", "status"], registry=self.registry)  # fmt: skip
        self._seconds = Histogram("motet_request_seconds", "Time of an answer.", ["route"], buckets=_SECONDS, registry=self.registry)  # fmt: skip
        self._kinds = Total("motet_said", "Events and answers by kind.", ["kind", "what"], registry=self.registry)  # fmt: skip
        self._gauges = {
            name: Gauge(
                f"motet_{name}",
                what,
                registry=self.registry,
                multiprocess_mode="livemin" if name == "ready" else "livesum",
            )
            for name, what in {
                "store_transactions": "Transactions on disk since the start.",
                "store_rows": "Rows in them.",
                "store_failed": "Writes that failed.",
                "store_refused": "Writes that were refused because too many waited.",
                "store_waiting": "Rows that wait to be written.",
                "shown_waiting": "Recommended lists that wait to be logged.",
                "shown_lost": "Recommended lists that were not logged.",
                "work_waiting": "Requests that are worked on or wait.",
                "ready": "1 if a model is active and the store can be read.",
            }.items()
        }

    def request(
        self,
        method: str,
        route: str,
        status: int,
        elapsed_ms: float,
        *,
        cause: str = "",
        request_id: str = "",
    ) -> None:
        """Count an answered request.

        Args:
            method: Its method.
            route: The template of its path.
            status: Of the answer.
            elapsed_ms: How long it took, in milliseconds.
            cause: Why the status is 400 or more: one of a few words.
            request_id: Found in the log of the service.
        """
        bucket = _bucket(elapsed_ms)
        with self._lock:
            minute = self._minute()
            minute.counts[route, status] += 1
            if status >= 400:
                where = f"{method} {route}", status, cause or "other"
                minute.failures.setdefault(where, _Failures()).add(1, time.time(), request_id)
            if route not in minute.times:
                minute.times[route] = np.zeros(_BUCKETS, np.int64)
            minute.times[route][bucket] += 1
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(elapsed_ms / 1e3)

    def count(self, kind: str, what: str, n: int = 1) -> None:
        """Count an event or an answer, such as the source of a list.

        Args:
            kind: ``served_by``, ``model``, ``event``, ``rejected``, ``user`` or ``item``.
            what: One of a few values of the kind.
            n: Number to add.
        """
        if n <= 0:
            return
        with self._lock:
            self._minute().kinds[kind, what] += n
        self._kinds.labels(kind, what).inc(n)

    def metrics(self, values: dict[str, float]) -> bytes:
        """All metrics in the Prometheus text format.

        Args:
            values: Present values of the gauges.
        """
        self.set_gauges(values)
        if _BY_WORKERS not in os.environ:
            return generate_latest(self.registry)
        of_all = CollectorRegistry()
        MultiProcessCollector(of_all)  # type: ignore[no-untyped-call]
        return generate_latest(of_all)

    def set_gauges(self, values: Mapping[str, float]) -> None:
        """Set the present values of the gauges; with several workers, metrics are sums over them."""
        for name, value in values.items():
            self._gauges[name].set(value)

    def summary(self, minutes: int) -> dict[str, Any]:
        """Traffic, latencies, errors and counts by kind of the last minutes."""
        now = int(time.time() // 60)
        with self._lock:
            kept = [(at, one) for at, one in self._minutes.items() if at > now - minutes]
            traffic = []
            times: dict[str, NDArray[np.int64]] = {}
            errors: Counter[str] = Counter()
            kinds: Counter[tuple[str, str]] = Counter()
            for at, one in kept:
                by_route: Counter[str] = Counter()
                for (route, status), n in one.counts.items():
                    by_route[route] += n
                    if status >= 400:
                        errors[str(status)] += n
                traffic.append({"minute": at * 60, "routes": dict(by_route)})
                for route, counts in one.times.items():
                    times[route] = times.get(route, 0) + counts
                kinds.update(one.kinds)
        return {
            "traffic": traffic,
            "latency_ms": {route: _quantiles(counts) for route, counts in sorted(times.items())},
            "errors": dict(sorted(errors.items())),
            "kinds": {
                kind: {what: n for (k, what), n in sorted(kinds.items()) if k == kind}
                for kind in {kind for kind, _ in kinds}
            },
        }

    def timeline(self, minutes: int, step: int) -> dict[str, Any]:
        """Requests, errors and latency of the last minutes in steps, by route, and errors by cause.

        Args:
            minutes: How far back.
            step: Minutes of a step; steps begin at multiples of it.

        Returns:
            ``steps``, oldest first, the last one under way; ``routes``, the busiest first; ``failures``, the latest
            first. Steps that ended before the watch began have None in place of counts.
        """
        with self._lock:  # what is over does not change any more
            kept = list(self._minutes.items())
            if kept:
                kept[-1] = (kept[-1][0], kept[-1][1].copy())
        last = int(time.time() // 60) // step
        steps = -(-minutes // step)
        first = last - steps + 1
        began = int(self.since.timestamp() // 60) // step
        totals: list[NDArray[np.int64]] = [np.zeros(_BUCKETS, np.int64) for _ in range(steps)]
        requests, errors = np.zeros(steps, np.int64), np.zeros(steps, np.int64)
        routes: dict[str, _Route] = {}
        failures: dict[_Where, _Failures] = {}
        for at, minute in kept:
            place = at // step - first
            if not 0 <= place < steps:
                continue
            for (route, status), n in minute.counts.items():
                one = routes.setdefault(route, _Route(np.zeros(steps, np.int64)))
                one.requests[place] += n
                requests[place] += n
                if status >= 400:
                    one.errors += n
                    errors[place] += n
            for route, times in minute.times.items():
                totals[place] += times
                routes[route].times += times
            for where, found in minute.failures.items():
                failures.setdefault(where, _Failures()).add(found.n, found.last_s, found.request_id)
        return {
            "steps": [
                {
                    "time": (first + at) * step * 60,
                    "requests": int(requests[at]) if first + at >= began else None,
                    "errors": int(errors[at]) if first + at >= began else None,
                    "p50_ms": _quantiles(totals[at])["p50"] if totals[at].any() else None,
                    "p99_ms": _quantiles(totals[at])["p99"] if totals[at].any() else None,
                }
                for at in range(steps)
            ],
            "routes": [
                {
                    "route": name,
                    "requests": int(one.requests.sum()),
                    "errors": one.errors,
                    "latency_ms": _quantiles(one.times),
                    "by_step": one.requests.tolist(),
                }
                for name, one in sorted(routes.items(), key=lambda pair: (-pair[1].requests.sum(), pair[0]))
            ],
            "failures": [
                {
                    "route": route,
                    "status": status,
                    "cause": cause,
                    "count": one.n,
                    "last": datetime.fromtimestamp(one.last_s, UTC),
                    "request_id": one.request_id,
                }
                for (route, status, cause), one in sorted(failures.items(), key=lambda pair: -pair[1].last_s)
            ],
        }

    def _minute(self) -> _Minute:
        at = int(time.time() // 60)
        if at not in self._minutes:
            self._minutes[at] = _Minute()
            while len(self._minutes) > _MINUTES:
                self._minutes.popitem(last=False)
        return self._minutes[at]


@dataclass(slots=True)
class _Route:
    requests: NDArray[np.int64]
    errors: int = 0
    times: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BUCKETS, np.int64))


def _quantiles(counts: NDArray[np.int64]) -> dict[str, float]:
    below = np.cumsum(counts)
    total = int(below[-1])
    found: dict[str, float] = {"n": total}
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        bucket = int(np.searchsorted(below, share * total))
        found[name] = round(_FIRST_MS * _STEP ** (bucket + 0.5), 3)
    return found
