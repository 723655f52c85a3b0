"""The answer of ``/v1/stats``."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from motet.errors import StoreUnavailableError
from motet.service.api._problems import title_of
from motet.service.api._work import Work
from motet.service.engine import Engine

__all__ = ["DaySatisfaction", "Stats", "StatsAnswer", "Timeline", "step_of"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Traffic(_Answer):
    """One minute."""

    minute: int = Field(description="When it began, seconds since 1970.")
    routes: dict[str, int] = Field(description="Requests of each route.")


class Latency(_Answer):
    """Latency of a route in milliseconds."""

    n: int = Field(description="Requests.")
    p50: float
    p90: float
    p99: float


class DaySatisfaction(_Answer):
    """Satisfaction with lists on a day."""

    day: str = Field(examples=["2026-01-31"])
    scenario: str
    count: int
    mean: float | None


class Drifted(_Answer):
    """Drift of one feature between the requests and the training data."""

    feature: str = Field(examples=["user.age"])
    psi: float = Field(description="Population stability index.")
    level: Literal["none", "some", "much"] = Field(description="Some from 0.1, much from 0.25.")
    n: int = Field(description="Number of requests or events.")
    expected: list[float] = Field(description="Shares of the feature's bins in training.")
    found: list[float] = Field(description="Shares of the bins in requests or events.")


class Quality(_Answer):
    """The result of one data quality check."""

    check: str
    count: int
    of: int | None = Field(description="The total that it is counted over; null if there is none.")
    share: float | None


class Shadowed(_Answer):
    """Predictions of recommended items against outcomes, for one day, task and scenario."""

    day: str = Field(examples=["2026-01-31"])
    task: str
    scenario: str
    n: int
    auc: float | None = Field(description="Null for numbers, and if there are too few outcomes.")
    calibration: float | None = Field(description="Mean prediction over mean outcome.")
    rmse: float | None = Field(None, description="Only for numbers.")


class StoreNumbers(_Answer):
    """Counters of the store."""

    can_read: bool
    store_transactions: int
    store_rows: int
    store_failed: int
    store_refused: int
    store_waiting: int
    shown_waiting: int
    shown_lost: int
    work_waiting: int


class StatsAnswer(_Answer):
    """Traffic, times, errors, feedback, drift, quality and shadow evaluation."""

    traffic: list[Traffic] = Field(
        description="The last minutes, oldest first; minutes without requests are left out."
    )
    latency_ms: dict[str, Latency] = Field(description="Of each route.")
    errors: dict[str, int] = Field(description="Answers of each status from 400.")
    served_by: dict[str, int] = Field(description="Lists by source.")
    ingested: dict[str, int] = Field(description="Events ingested in the last minutes, by type.")
    told: dict[str, int] = Field(
        description="The old name of `ingested`, until 0.3.", json_schema_extra={"deprecated": True}
    )
    feedback: dict[str, int] = Field(description="Events of each type that the store holds.")
    satisfaction: list[DaySatisfaction]
    drift: list[Drifted] = Field(description="Largest first; features with too few values are left out.")
    data_quality: list[Quality]
    shadow: list[Shadowed]
    store: StoreNumbers
    model: str | None = Field(description="The active version.")
    workers: int = Field(
        description="Processes that answer. All numbers but `feedback` and `satisfaction` are of the one that was asked; "
        "`/metrics` has those of all."
    )


class TimelineStep(_Answer):
    """What happened in one step of time. Null stands where nothing is recorded, which is not the same as 0."""

    time: int = Field(description="When it began, seconds since 1970.")
    requests: int | None = Field(description="Answered by this process; null before it began to count.")
    errors: int | None = Field(description="Those of them with a status from 400.")
    p50_ms: float | None = Field(description="Median latency in milliseconds; null without requests.")
    p99_ms: float | None
    events: int | None = Field(
        description="Events in the store, by their own times; null if it cannot be read."
    )
    lists: int | None = Field(description="Lists in the store; null if it cannot be read.")


class RouteCount(_Answer):
    """Requests of one route."""

    route: str
    requests: int
    errors: int = Field(description="With a status from 400.")
    latency_ms: Latency
    by_step: list[int] = Field(description="Requests in each step.")


class FailureCount(_Answer):
    """Errors of one route with one status for one cause."""

    route: str = Field(examples=["POST /v1/recommend"])
    status: int
    title: str = Field(description="The title of the problem.", examples=["the request is wrong"])
    cause: str = Field(
        description="A word for the cause, or the type of the error.", examples=["invalid_request"]
    )
    count: int
    last: datetime
    request_id: str = Field(description="Of the latest; the log of the service has it too.")


class Timeline(_Answer):
    """Requests, errors, latency, events and lists over time."""

    minutes: int
    step_s: int = Field(description="Length of a step in seconds; the last one is under way.")
    since: datetime = Field(description="When this process began to count requests.")
    kept_minutes: int = Field(description="How long it keeps the counts of requests, in minutes.")
    workers: int = Field(
        description="Processes that answer; requests and errors are of the one that was asked."
    )
    steps: list[TimelineStep] = Field(description="Oldest first.")
    routes: list[RouteCount] = Field(description="The busiest first.")
    failures: list[FailureCount] = Field(description="The latest first.")


_STEPS_MIN: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)
_MOST_STEPS: Final = 100
_LONG_MIN: Final = 1_440  # counts over more than a day read much of the store
_FRESH_S: Final = 30.0
_SLOW_S: Final = 0.1  # what takes longer is counted again only when it is no longer fresh


def step_of(minutes: int) -> int:
    """The shortest step, in minutes, of which at most a hundred make up a time.

    Example:
        >>> [step_of(minutes) for minutes in (15, 60, 1_440, 10_080, 43_200)]
        [1, 1, 15, 120, 720]
    """
    return next((step for step in _STEPS_MIN if minutes <= step * _MOST_STEPS), _STEPS_MIN[-1])


class Stats:
    """Gathers numbers from the watch, the store and the engine.

    Args:
        engine: The engine.
        work: The thread pools.
        workers: Processes that answer for the service.
    """

    def __init__(self, engine: Engine, work: Work, workers: int = 1) -> None:
        self._engine, self._work, self._workers = engine, work, workers
        self._recorded: dict[int, tuple[float, dict[str, dict[datetime, int]]]] = {}
        self._by_type: dict[str, int] = {}
        self._by_type_until_s = 0.0

    def summary(self, minutes: int) -> StatsAnswer:
        """All numbers of the last minutes."""
        engine = self._engine
        found = engine.watch.summary(minutes)
        kinds: dict[str, dict[str, int]] = found.pop("kinds")
        return StatsAnswer.model_validate(
            {
                **found,
                "served_by": kinds.get("served_by", {}),
                "ingested": kinds.get("event", {}),
                "told": kinds.get("event", {}),
                "feedback": self._feedback(),
                "satisfaction": self.satisfaction(30),
                "drift": engine.drift.report() if engine.model.is_there else [],
                "data_quality": self._quality(kinds),
                "shadow": engine.shadow.report(),
                "store": {"can_read": engine.store.can_read(), **self._gauges()},
                "model": engine.model.name,
                "workers": self._workers,
            }
        )

    def timeline(self, minutes: int) -> Timeline:
        """What happened in the last minutes, in at most a hundred steps; longer ago than the process only from the store."""
        step = step_of(minutes)
        found = self._engine.watch.timeline(minutes, step)
        recorded = self._of_store(minutes, step, found["steps"][0]["time"])
        for one in found["steps"]:
            at = datetime.fromtimestamp(one["time"], UTC)
            for name in ("events", "lists"):
                one[name] = recorded[name].get(at, 0) if name in recorded else None
        for one in found["failures"]:
            one["title"] = title_of(one["status"])
        watch = self._engine.watch
        return Timeline.model_validate(
            {
                **found,
                "minutes": minutes,
                "step_s": 60 * step,
                "since": watch.since,
                "kept_minutes": watch.kept_minutes,
                "workers": self._workers,
            }
        )

    def _of_store(self, minutes: int, step: int, start_s: int) -> dict[str, dict[datetime, int]]:
        """Events and lists of each step; nothing if the store cannot be read."""
        at_s, known = self._recorded.get(minutes, (-math.inf, {}))
        if minutes >= _LONG_MIN and time.monotonic() - at_s < _FRESH_S:
            return known
        start = datetime.fromtimestamp(start_s, UTC)
        end, length = datetime.now(UTC) + timedelta(minutes=1), timedelta(minutes=step)
        counts = self._engine.store.counts
        try:
            known = {
                "events": counts.by_step("events", start, end, length),
                "lists": counts.by_step("shown", start, end, length),
            }
        except StoreUnavailableError:
            return {}
        if minutes >= _LONG_MIN:
            self._recorded = {minutes: (time.monotonic(), known)}
        return known

    def satisfaction(self, days: int) -> list[DaySatisfaction]:
        """Satisfaction by day and scenario."""
        end = datetime.now(UTC) + timedelta(days=1)
        try:
            rows = self._engine.store.counts.satisfaction(end - timedelta(days=days + 1), end)
        except StoreUnavailableError:
            return []
        return [
            DaySatisfaction(day=str(one.day), scenario=one.of, count=one.count, mean=one.mean) for one in rows
        ]

    def prometheus(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return self._engine.watch.metrics(self.gauges())

    def gauges(self) -> dict[str, float]:
        """Present values of the gauges of this process."""
        return {**self._gauges(), "ready": float(self._engine.is_ready)}

    def _gauges(self) -> dict[str, float]:
        written, log = self._engine.store.written, self._engine.shown_log
        return {
            "store_transactions": written.transactions,
            "store_rows": written.rows,
            "store_failed": written.failed,
            "store_refused": written.refused,
            "store_waiting": written.waiting,
            "shown_waiting": log.waiting,
            "shown_lost": log.lost,
            "work_waiting": sum(self._work.waiting().values()),
        }

    def _feedback(self) -> dict[str, int]:
        began_s = time.monotonic()
        if began_s < self._by_type_until_s:
            return self._by_type
        try:
            self._by_type = self._engine.store.counts.by_type()
        except StoreUnavailableError:
            return {}
        is_large = time.monotonic() - began_s > _SLOW_S
        self._by_type_until_s = began_s + _FRESH_S if is_large else 0.0
        return self._by_type

    def _quality(self, kinds: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
        """Data quality checks: count, total and share of each."""
        users, items, events = kinds.get("user", {}), kinds.get("item", {}), kinds.get("event", {})
        rejected = kinds.get("rejected", {})
        recorded = sum(events.values())
        found = []
        for name, part, whole in (
            ("unknown users in requests", users.get("unknown", 0), sum(users.values())),
            ("requests without a user", users.get("none", 0), sum(users.values())),
            ("unknown items in events", items.get("unknown", 0), sum(items.values())),
            ("rejected events", rejected.get("event", 0), recorded + rejected.get("event", 0)),
            (
                "repeated events",
                kinds.get("repeated", {}).get("event", 0),
                recorded + kinds.get("repeated", {}).get("event", 0),
            ),
        ):
            found.append({"check": name, "count": part, "of": whole, "share": part / whole if whole else 0.0})
        if self._engine.model.is_there:
            refused = self._engine.active.refused
            found += [{"check": f"stored {what} that the model cannot use", "count": n, "of": None, "share": None} for what, n in refused.items()]  # fmt: skip
        return found
