"""Shown lists: what was put before whom, with what was foretold of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from motet.errors import StoreError
from motet.store._checks import (
    check_json,
    check_number,
    check_text,
    check_time,
    from_us,
    new_id,
    now,
    read_json,
    to_us,
)
from motet.store._cursors import check_limit
from motet.store._database import Database
from motet.store._tables import SHOWN
from motet.store._tombstones import Tombstones
from motet.store._upsert import chunks, insert_missing
from motet.store._writer import Writer

__all__ = ["Shown", "ShownItem", "ShownLists"]


@dataclass(frozen=True, slots=True)
class ShownItem:
    """One place of a shown list.

    Attributes:
        item: Id of the item.
        score: What it was ranked by.
        propensity: With what probability it was put there, in (0, 1]; None where that is not known.
        sources: What proposed it.
        predictions: The model's prediction by task.
    """

    item: str
    score: float = 0.0
    propensity: float | None = None
    sources: tuple[str, ...] = ()
    predictions: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_text(self.item, "shown.items.item")
        object.__setattr__(self, "score", check_number(self.score, "shown.items.score"))
        object.__setattr__(self, "sources", tuple(self.sources))
        if self.propensity is not None:
            propensity = check_number(self.propensity, "shown.items.propensity", 0.0, 1.0)
            object.__setattr__(self, "propensity", propensity)


@dataclass(frozen=True, slots=True)
class Shown:
    """A list that was shown.

    Attributes:
        items: Its items; the first has rank 1.
        id: Its id; made where missing.
        user: Who saw it, if that is known.
        session: In which session, if in one.
        scenario: Where.
        time: When what it answers began, in UTC; now by default. Of who was deleted since, nothing is written.
        model: Name of the model version that ranked it.
    """

    items: tuple[ShownItem, ...]
    id: str = field(default_factory=new_id)
    user: str | None = None
    session: str | None = None
    scenario: str | None = None
    time: datetime = field(default_factory=now)
    model: str | None = None

    def __post_init__(self) -> None:
        check_text(self.id, "shown.id")
        for name in ("user", "session", "scenario", "model"):
            if getattr(self, name) is not None:
                check_text(getattr(self, name), f"shown.{name}")
        object.__setattr__(self, "items", tuple(self.items))
        object.__setattr__(self, "time", check_time(self.time, "shown.time"))

    def rank(self, item: str) -> int | None:
        """The rank of an item, from 1; None where it was not shown."""
        return next((rank for rank, one in enumerate(self.items, 1) if one.item == item), None)


class ShownLists:
    """The shown lists of a store.

    Args:
        database: The store's connections.
        writer: What writes.
        tombstones: Who was deleted.
    """

    def __init__(self, database: Database, writer: Writer, tombstones: Tombstones) -> None:
        self._database = database
        self._writer = writer
        self._tombstones = tombstones

    def add(self, lists: Sequence[Shown]) -> list[bool]:
        """Write lists; one whose id is known already is left as it is.

        Returns:
            Of each whether it is there now: False where its user was deleted since its time, and may have come back.
        """
        return self._writer.write(self._add, [_row(one) for one in lists]) if lists else []

    def _add(self, connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
        told = [(row["user_id"], row["time"]) for row in rows]
        late = self._tombstones.late(connection, told, ever=True)
        kept = [not one for one in late]
        insert_missing(connection, SHOWN, [row for row, keep in zip(rows, kept, strict=True) if keep])
        return kept

    def get(self, id: str) -> Shown | None:
        """The list of an id, if there is one."""
        return self.get_many([id]).get(id)

    def get_many(self, ids: Sequence[str]) -> dict[str, Shown]:
        """Lists by id; those not known, or forgotten, are not in it."""
        found = {}
        with self._database.reading() as connection:
            for some in chunks(dict.fromkeys(ids)):
                for row in connection.execute(select(SHOWN).where(SHOWN.c.id.in_(some))):
                    found[row.id] = _shown_of(row)
        return found

    def of_user(self, user: str, limit: int = 10) -> list[Shown]:
        """The lists that a user saw, newest first."""
        query = select(SHOWN).where(SHOWN.c.user_id == user)
        query = query.order_by(SHOWN.c.time.desc(), SHOWN.c.id).limit(check_limit(limit))
        with self._database.reading() as connection:
            return [_shown_of(row) for row in connection.execute(query)]


def _row(one: Shown) -> dict[str, Any]:
    places = [[i.item, i.score, i.propensity, list(i.sources), dict(i.predictions)] for i in one.items]
    if len({i.item for i in one.items}) < len(places):
        raise StoreError(f"the list {one.id} shows an item twice", "show each once")
    return {
        "id": one.id,
        "user_id": one.user,
        "session_id": one.session,
        "scenario": one.scenario,
        "time": to_us(one.time),
        "model": one.model,
        "items": check_json(places, "shown.items"),
    }


def _shown_of(row: Any) -> Shown:
    places = (ShownItem(*place) for place in read_json(row.items))
    return Shown(
        tuple(places), row.id, row.user_id, row.session_id, row.scenario, from_us(row.time), row.model
    )
