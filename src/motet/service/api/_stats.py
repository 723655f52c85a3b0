"""The answer of ``/v1/stats``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from motet.errors import StoreUnavailableError
from motet.service.api._work import Work
from motet.service.engine import Engine

__all__ = ["DaySatisfaction", "Stats", "StatsAnswer"]


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


class Stats:
    """Gathers numbers from the watch, the store and the engine.

    Args:
        engine: The engine.
        work: The thread pools.
    """

    def __init__(self, engine: Engine, work: Work) -> None:
        self._engine, self._work = engine, work

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
            }
        )

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
        try:
            return self._engine.store.counts.feedback()
        except StoreUnavailableError:
            return {}

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
