"""Events sent by a benchmark, which of them were acknowledged, and whether a service still has each of them once."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from benchmarks._load import Ask
from benchmarks._service import Service
from benchmarks._traffic import Traffic
from benchmarks._wire import http_request

__all__ = ["Ledger"]

_AGAIN = 0.2  # share of batches that are sent again although they were acknowledged


class Ledger:
    """Records batches of events and which of them were acknowledged.

    Attributes:
        wanted: Statuses that are right.
        bulk: Fewest events of a new batch, most of them with 7,000 characters: a disk is soon full then.
        acknowledged: Ids that were acknowledged.
        sent: Ids that were sent.
        counted_again: Events sent again after their acknowledgement that were taken for new ones.
        refusals: Messages of refusals with their numbers, by status and text.
    """

    def __init__(self, wanted: tuple[int, ...] = (200,)) -> None:
        self.acknowledged: set[str] = set()
        self.sent: set[str] = set()
        self.counted_again = 0
        self.refusals: Counter[str] = Counter()
        self.wanted, self.bulk = wanted, 0
        self._open: list[list[dict[str, Any]]] = []
        self._done: list[list[dict[str, Any]]] = []
        self._lock = threading.Lock()

    def stream(self, traffic: Traffic, name: str) -> Iterator[Ask]:
        """Batches: those that were not acknowledged first, then new ones, and now and then one again."""
        source = traffic.source(name)
        while True:
            yield self._next(traffic, source)

    def _next(self, traffic: Traffic, source: random.Random) -> Ask:
        with self._lock:
            again = bool(self._done) and source.random() < _AGAIN
            if again:
                batch = source.choice(self._done[-50:])
            else:
                batch = self._open.pop() if self._open else self._new(traffic, source)
                self.sent.update(one["id"] for one in batch)

        def on_answer(status: int, body: bytes) -> None:
            self._recorded(batch, status, body, again=again)

        return Ask("events", http_request("POST", "/v1/events", {"events": batch}), self.wanted, on_answer)

    def _new(self, traffic: Traffic, source: random.Random) -> list[dict[str, Any]]:
        events = traffic.some_events(source)
        while len(events) < self.bulk:
            events += [{**one, "context": {"note": "x" * 7_000}} for one in traffic.some_events(source)]
        return events

    def _recorded(self, batch: list[dict[str, Any]], status: int, body: bytes, *, again: bool) -> None:
        with self._lock:
            if status == 200:
                if again:
                    self.counted_again += json.loads(body)["accepted"]
                else:
                    self.acknowledged.update(one["id"] for one in batch)
                    self._done.append(batch)
                return
            if not again:
                self._open.append(batch)
            if status:
                problem = json.loads(body)
                self.refusals[
                    f"{status}: {problem.get('detail', '')[:160]} · cure: {problem.get('cure', '')[:120]}"
                ] += 1

    def check(self, service: Service) -> dict[str, int]:
        """All that a service exports, beside what it acknowledged; and what it knows of users, beside that."""
        status, body = service.answer("GET", "/v1/export/events")
        if status != 200:
            raise RuntimeError(f"the export was answered with {status}")
        rows = [json.loads(line) for line in body.splitlines()]
        there = Counter(row["id"] for row in rows)
        by_user = Counter(row["user"] for row in rows)
        wrong = 0
        for user, count in by_user.most_common(20):
            wrong += service.ask("GET", f"/v1/users/{user}/profile")["live_events"] != count
        return {
            "acknowledged": len(self.acknowledged),
            "there": sum(there.values()),
            "lost": sum(id not in there for id in self.acknowledged),
            "twice": sum(count - 1 for count in there.values()) + self.counted_again,
            "never_sent": sum(id not in self.sent for id in there),
            "users_with_wrong_counts": wrong,
        }
