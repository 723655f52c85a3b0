"""How many events, lists and ratings there are, by day or in shorter steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Column, ColumnElement, case, func, select

from motet.service.store._database import Database
from motet.service.store._records import check_time, from_us, to_us
from motet.service.store._tables import EVENTS, SATISFACTION, SHOWN

__all__ = ["Counts", "DayCount"]

_DAY_US: Final = 86_400_000_000
_FIRST: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many there were of something on a day.

    Attributes:
        day: The day, in UTC.
        of: The type of event, or the scenario of a list; empty where it has none.
        count: How many.
        mean: Mean rating, where ratings were counted and there were any.
    """

    day: date
    of: str
    count: int
    mean: float | None = None


class Counts:
    """How many of what, by day or in shorter steps.

    Args:
        database: The store's connections.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def events(self, start: datetime, end: datetime) -> list[DayCount]:
        """Events by day and type, from a moment to before another."""
        return self._by_day(EVENTS.c.time, EVENTS.c.type, start, end)

    def shown(self, start: datetime, end: datetime) -> list[DayCount]:
        """Shown lists by day and scenario, from a moment to before another."""
        return self._by_day(SHOWN.c.time, SHOWN.c.scenario, start, end)

    def satisfaction(self, start: datetime, end: datetime) -> list[DayCount]:
        """Answers by day and scenario with their mean rating, from a moment to before another."""
        mean = func.avg(SATISFACTION.c.rating)
        return self._by_day(SATISFACTION.c.time, SATISFACTION.c.scenario, start, end, mean)

    def by_type(self) -> dict[str, int]:
        """All events by type; an index with an entry for each event is read."""
        with self._database.reading() as connection:
            rows = connection.execute(select(EVENTS.c.type, func.count()).group_by(EVENTS.c.type))
            return dict(sorted((type, int(count)) for type, count in rows))

    def by_step(
        self, what: Literal["events", "shown"], start: datetime, end: datetime, step: timedelta
    ) -> dict[datetime, int]:
        """Events by their own times, or shown lists, in steps that begin at multiples of a duration.

        Args:
            what: Which.
            start: The first moment that counts.
            end: The first that does not.
            step: Length of a step, at least a second.

        Returns:
            The beginning of each step, with its count; steps without any are left out.
        """
        time = EVENTS.c.time if what == "events" else SHOWN.c.time
        step_us = max(1, round(step.total_seconds())) * 1_000_000
        at = time // step_us
        first, last = to_us(check_time(start, "start")), to_us(check_time(end, "end"))
        query = (
            select(at.label("at"), func.count().label("count"))
            .where(time >= first, time < last)
            .group_by("at")
        )
        with self._database.reading() as connection:
            return {from_us(int(row[0]) * step_us): int(row[1]) for row in connection.execute(query)}

    def _by_day(
        self,
        time: Column[int],
        of: Column[str],
        start: datetime,
        end: datetime,
        mean: ColumnElement[Any] | None = None,
    ) -> list[DayCount]:
        # Whole days from 1970, rounded down also before it.
        shifted = time - case((time < 0, _DAY_US - 1), else_=0)
        day = shifted // _DAY_US
        columns: list[ColumnElement[Any]] = [day.label("day"), of.label("of"), func.count().label("count")]
        if mean is not None:
            columns.append(mean.label("mean"))
        first, last = to_us(check_time(start, "start")), to_us(check_time(end, "end"))
        query = select(*columns).where(time >= first, time < last).group_by("day", "of")
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        found = []
        for row in rows:
            average = row.get("mean")
            on = _FIRST + timedelta(days=int(row["day"]))
            average = None if average is None else float(average)
            found.append(DayCount(on, row["of"] or "", int(row["count"]), average))
        return sorted(found, key=lambda one: (one.day, one.of))
