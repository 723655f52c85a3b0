"""Counts by day, for pages and reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, case, func, select

from motet.store._checks import check_time, to_us
from motet.store._database import Database
from motet.store._tables import EVENTS, FEEDBACK, SATISFACTION, SHOWN

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
    """How many of what, by day.

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

    def feedback(self) -> dict[str, int]:
        """Rows of feedback by type."""
        with self._database.reading() as connection:
            rows = connection.execute(select(FEEDBACK.c.type, func.count()).group_by(FEEDBACK.c.type))
            return dict(sorted((type, int(count)) for type, count in rows))

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
