"""The numbers of the Operate page, and the same for Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from motet.errors import StoreUnavailableError
from motet.serving._engine import Engine
from motet.serving._stats_answer import DaySatisfaction, StatsAnswer
from motet.serving._work import Work

__all__ = ["Stats"]


class Stats:
    """Gathers numbers from the watch, the store and the engine.

    Args:
        engine: What answers.
        work: What waits.
    """

    def __init__(self, engine: Engine, work: Work) -> None:
        self._engine, self._work = engine, work

    def summary(self, minutes: int) -> StatsAnswer:
        """Everything of the last minutes."""
        engine = self._engine
        found = engine.watch.summary(minutes)
        said: dict[str, dict[str, int]] = found.pop("said")
        return StatsAnswer.model_validate(
            {
                **found,
                "served_by": said.get("served_by", {}),
                "told": said.get("event", {}),
                "feedback": self._feedback(),
                "satisfaction": self.satisfaction(30),
                "drift": engine.drift.report() if engine.model.is_there else [],
                "data_quality": self._quality(said),
                "shadow": engine.shadow.report(),
                "store": {"can_read": engine.store.can_read(), **self._gauges()},
                "model": engine.model.name,
            }
        )

    def satisfaction(self, days: int) -> list[DaySatisfaction]:
        """Answers about shown lists, by day and scenario."""
        end = datetime.now(UTC) + timedelta(days=1)
        try:
            rows = self._engine.store.counts.satisfaction(end - timedelta(days=days + 1), end)
        except StoreUnavailableError:
            return []
        return [
            DaySatisfaction(day=str(one.day), scenario=one.of, count=one.count, mean=one.mean) for one in rows
        ]

    def prometheus(self) -> bytes:
        """Everything as Prometheus reads it."""
        return self._engine.watch.metrics({**self._gauges(), "ready": float(self._engine.is_ready)})

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

    def _quality(self, said: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
        """Shares of what is not as it should be, each with what it is counted over."""
        users, items, events = said.get("user", {}), said.get("item", {}), said.get("event", {})
        rejected = said.get("rejected", {})
        told = sum(events.values())
        found = []
        for name, part, whole in (
            ("unknown users in requests", users.get("unknown", 0), sum(users.values())),
            ("requests without a user", users.get("none", 0), sum(users.values())),
            ("unknown items in events", items.get("unknown", 0), sum(items.values())),
            ("rejected events", rejected.get("event", 0), told + rejected.get("event", 0)),
            (
                "repeated events",
                said.get("repeated", {}).get("event", 0),
                told + said.get("repeated", {}).get("event", 0),
            ),
        ):
            found.append({"check": name, "count": part, "of": whole, "share": part / whole if whole else 0.0})
        if self._engine.model.is_there:
            refused = self._engine.active.refused
            found += [{"check": f"stored {what} that the model cannot take", "count": n, "of": None, "share": None} for what, n in refused.items()]  # fmt: skip
        return found
