"""What is forgotten after a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Table, select, tuple_

from motet.store._checks import check_time, to_us
from motet.store._tables import SHOWN, STATES
from motet.store._writer import Writer

__all__ = ["Forgotten", "forget_before"]

_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was forgotten.

    Attributes:
        shown: Shown lists with their predictions.
        states: Sessions and conversations.
    """

    shown: int
    states: int


def forget_before(writer: Writer, time: datetime) -> Forgotten:
    """Delete shown lists with their predictions, sessions and conversations older than a time.

    Events, feedback and answers about lists stay. A thousand rows at a time, so that others write in between.

    Args:
        writer: What writes.
        time: The first moment that is kept.
    """
    before_us = to_us(check_time(time, "time"))
    return Forgotten(*(_forget(writer, table, before_us) for table in (SHOWN, STATES)))


def _forget(writer: Writer, table: Table, before_us: int) -> int:
    total = 0
    while True:
        (some,) = writer.write(_delete, [(table, before_us)])
        total += some
        if some < _AT_ONCE:
            return total


def _delete(connection: Connection, rows: list[tuple[Table, int]]) -> list[int]:
    counts = []
    for table, before_us in rows:
        key = list(table.primary_key.columns)
        old = select(*key).where(table.c.time < before_us).order_by(table.c.time).limit(_AT_ONCE)
        keys = connection.execute(old).all()
        if keys:
            connection.execute(table.delete().where(tuple_(*key).in_([tuple(one) for one in keys])))
        counts.append(len(keys))
    return counts
