"""What is forgotten after a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Table, select, tuple_

from motet.errors import StoreError
from motet.store._checks import check_time, to_us
from motet.store._tables import SHOWN, STATES
from motet.store._writer import Writer

__all__ = ["Forgotten", "forget_before"]

_AT_ONCE: Final = 20  # lists of a hundred items with their predictions: hundredths of a second


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was forgotten.

    Attributes:
        shown: Shown lists with their predictions.
        states: Sessions and conversations.
    """

    shown: int
    states: int


def forget_before(writer: Writer, time: datetime, most: int | None = None) -> Forgotten:
    """Delete shown lists with their predictions, sessions and conversations older than a time.

    Users, items, events, feedback and answers about lists stay. A few rows at a time, so that others write in between.

    Args:
        writer: What writes.
        time: The first moment that is kept.
        most: Most rows of each kind in this call; all that there are by default.

    Raises:
        StoreError: If ``most`` is below 1.
        StoreUnavailableError: If the store cannot write now; what was deleted before is.
    """
    before_us = to_us(check_time(time, "time"))
    if most is not None and most < 1:
        raise StoreError(f"most is {most}", "give at least 1")
    return Forgotten(*(_forget(writer, table, before_us, most) for table in (SHOWN, STATES)))


def _forget(writer: Writer, table: Table, before_us: int, most: int | None) -> int:
    total = 0
    while most is None or total < most:
        wanted = _AT_ONCE if most is None else min(_AT_ONCE, most - total)
        (some,) = writer.write(_delete, [(table, before_us, wanted)])
        total += some
        if some < wanted:
            break
    return total


def _delete(connection: Connection, rows: list[tuple[Table, int, int]]) -> list[int]:
    counts = []
    for table, before_us, wanted in rows:
        key = list(table.primary_key.columns)
        old = select(*key).where(table.c.time < before_us).order_by(table.c.time).limit(wanted)
        keys = connection.execute(old).all()
        if keys:
            connection.execute(table.delete().where(tuple_(*key).in_([tuple(one) for one in keys])))
        counts.append(len(keys))
    return counts
