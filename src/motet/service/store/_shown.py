"""The recommendation log, satisfaction, sessions and conversations, and the deletion of old ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, select, tuple_

from motet.errors import StoreError
from motet.schema import require_known
from motet.service.store._database import Database
from motet.service.store._events import StorePart
from motet.service.store._queries import check_limit, chunks, ids_of, insert_missing, upsert
from motet.service.store._records import (
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
from motet.service.store._tables import SATISFACTION, SHOWN, STATES
from motet.service.store._writer import Writer

__all__ = [
    "Forgotten",
    "Satisfaction",
    "Shown",
    "ShownItem",
    "ShownLists",
    "State",
    "StateKind",
    "States",
    "SurveyAnswer",
    "forget_before",
    "shown_of",
]


@dataclass(frozen=True, slots=True)
class ShownItem:
    """One item of a logged list.

    Attributes:
        item: Id of the item.
        score: What it was ranked by.
        propensity: With what probability it was put there, in (0, 1]; None where that is not known.
        sources: What proposed it.
        predictions: The model's prediction by task.
        variant: In a list of two rankings the experiment and the variant whose ranking placed it, ``KEY:VARIANT``; else
            empty.
    """

    item: str
    score: float = 0.0
    propensity: float | None = None
    sources: tuple[str, ...] = ()
    predictions: Mapping[str, Any] = field(default_factory=dict)
    variant: str = ""

    def __post_init__(self) -> None:
        check_text(self.item, "shown.items.item")
        check_text(self.variant, "shown.items.variant", empty=True)
        object.__setattr__(self, "score", check_number(self.score, "shown.items.score"))
        object.__setattr__(self, "sources", tuple(self.sources))
        if self.propensity is not None:
            propensity = check_number(self.propensity, "shown.items.propensity", 0.0, 1.0)
            object.__setattr__(self, "propensity", propensity)


@dataclass(frozen=True, slots=True)
class Shown:
    """A list of the recommendation log.

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
        """The rank of an item, from 1; None if it is not in the list."""
        return next((rank for rank, one in enumerate(self.items, 1) if one.item == item), None)


class ShownLists(StorePart):
    """The recommendation log of a store."""

    def add(self, lists: Sequence[Shown]) -> list[bool]:
        """Write lists; one with a known id is left unchanged.

        Returns:
            Of each whether it is stored: False if its user was deleted after its time.
        """
        return self._writer.write(self._add, [_row(one) for one in lists]) if lists else []

    def _add(self, connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
        dated = [(row["user_id"], row["time"]) for row in rows]
        late = self._tombstones.late(connection, dated, ever=True)
        kept = [not one for one in late]
        insert_missing(connection, SHOWN, [row for row, keep in zip(rows, kept, strict=True) if keep])
        return kept

    def get(self, id: str) -> Shown | None:
        """The list of an id, if there is one."""
        return self.get_many([id]).get(id)

    def get_many(self, ids: Sequence[str]) -> dict[str, Shown]:
        """Lists by id; unknown and deleted ones are left out."""
        found = {}
        with self._database.reading() as connection:
            for some in chunks(dict.fromkeys(ids)):
                for row in connection.execute(select(SHOWN).where(SHOWN.c.id.in_(some))):
                    found[row.id] = shown_of(row)
        return found

    def after(self, last: Shown | None, limit: int = 500) -> list[Shown]:
        """Lists in order of time, from after one of them on; from the oldest on when left out."""
        query = select(SHOWN).order_by(SHOWN.c.time, SHOWN.c.id).limit(check_limit(limit))
        query = query.where(_after(last)) if last is not None else query
        with self._database.reading() as connection:
            return [shown_of(row) for row in connection.execute(query)]

    def of_user(self, user: str, limit: int = 10) -> list[Shown]:
        """The lists of a user and its identities, newest first."""
        query = select(SHOWN).order_by(SHOWN.c.time.desc(), SHOWN.c.id).limit(check_limit(limit))
        with self._database.reading() as connection:
            query = query.where(SHOWN.c.user_id.in_(ids_of(connection, user)))
            return [shown_of(row) for row in connection.execute(query)]


def _after(one: Shown) -> ColumnElement[bool]:
    time = to_us(one.time)
    return or_(SHOWN.c.time > time, and_(SHOWN.c.time == time, SHOWN.c.id > one.id))


def _row(one: Shown) -> dict[str, Any]:
    places = [
        [
            i.item,
            i.score,
            i.propensity,
            list(i.sources),
            dict(i.predictions),
            *([i.variant] if i.variant else []),
        ]
        for i in one.items
    ]
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


def shown_of(row: Any) -> Shown:
    """A row of the table as a list."""
    places = (ShownItem(*place) for place in read_json(row.items))
    return Shown(
        tuple(places), row.id, row.user_id, row.session_id, row.scenario, from_us(row.time), row.model
    )


LONGEST_SURVEY = 8_192


@dataclass(frozen=True, slots=True)
class SurveyAnswer:
    """Satisfaction with a list.

    Attributes:
        list_id: Id of the shown list.
        rating: From 1, not at all satisfied, to 5; None where only a survey was answered.
        survey: Answers of a short survey by question.
        time: When, in UTC; now by default.
    """

    list_id: str
    rating: int | None = None
    survey: Mapping[str, Any] | None = None
    time: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        check_text(self.list_id, "answer.list_id")
        rating = self.rating
        if rating is not None and (isinstance(rating, bool) or rating not in (1, 2, 3, 4, 5)):
            raise StoreError(f"answer.rating is {rating!r}", "give a whole number from 1 to 5")
        if rating is None and self.survey is None:
            raise StoreError("the answer has no rating and no survey", "give one of them")
        if self.survey is not None and not isinstance(self.survey, Mapping):
            raise StoreError(f"answer.survey is a {type(self.survey).__name__}", "give an object")
        object.__setattr__(self, "time", check_time(self.time, "answer.time"))


class Satisfaction:
    """Satisfaction: the last answer of each list.

    Args:
        database: The store's connections.
        writer: What writes.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def put(self, answer: SurveyAnswer) -> bool:
        """Write an answer.

        Returns:
            Whether the list is known; otherwise nothing is stored.
        """
        survey = None if answer.survey is None else dict(answer.survey)
        row = {
            "list_id": answer.list_id,
            "rating": answer.rating,
            "survey": check_json(survey, "answer.survey", longest=LONGEST_SURVEY, none=True),
            "time": to_us(answer.time),
        }
        return self._writer.write(_put, [row])[0]

    def get(self, list_id: str) -> SurveyAnswer | None:
        """The answer about a list, if there is one."""
        with self._database.reading() as connection:
            query = select(SATISFACTION).where(SATISFACTION.c.list_id == list_id)
            row = connection.execute(query).first()
        return (
            None
            if row is None
            else SurveyAnswer(list_id, row.rating, read_json(row.survey), from_us(row.time))
        )


def _put(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    answers = []
    for row in rows:
        query = select(SHOWN.c.user_id, SHOWN.c.scenario).where(SHOWN.c.id == row["list_id"])
        shown = connection.execute(query).first()
        answers.append(shown is not None)
        if shown is not None:
            upsert(connection, SATISFACTION, [{**row, "user_id": shown.user_id, "scenario": shown.scenario}])
    return answers


StateKind: TypeAlias = Literal["session", "conversation"]


@dataclass(frozen=True, slots=True)
class State:
    """The state of a session or a conversation.

    Attributes:
        kind: Of which.
        id: Its id.
        state: Whatever JSON can say.
        user: Whose it is, if that is known.
        time: When what it comes from began, in UTC; now by default. Of who was deleted since, nothing is written.
    """

    kind: StateKind
    id: str
    state: Any
    user: str | None = None
    time: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        require_known(self.kind, get_args(StateKind), "the kind of state", StoreError)
        check_text(self.id, "state.id")
        if self.user is not None:
            check_text(self.user, "state.user")
        object.__setattr__(self, "time", check_time(self.time, "state.time"))


class States(StorePart):
    """The sessions and conversations of a store."""

    def put(self, state: State) -> bool:
        """Write a state in place of the one before; False where its user was deleted since its time.

        That holds for a user who came back as well: the state is of who was there before.
        """
        row = {
            "kind": state.kind,
            "id": state.id,
            "user_id": state.user,
            "state": check_json(state.state, "state.state"),
            "time": to_us(state.time),
        }
        return self._writer.write(self._put, [row])[0]

    def _put(self, connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
        dated = [(row["user_id"], row["time"]) for row in rows]
        late = self._tombstones.late(connection, dated, ever=True)
        kept = [not one for one in late]
        upsert(connection, STATES, [row for row, keep in zip(rows, kept, strict=True) if keep])
        return kept

    def get(self, kind: StateKind, id: str) -> State | None:
        """The state of an id, if there is one."""
        with self._database.reading() as connection:
            query = select(STATES).where(STATES.c.kind == kind, STATES.c.id == id)
            row = connection.execute(query).first()
        if row is None:
            return None
        return State(kind, id, read_json(row.state), row.user_id, from_us(row.time))

    def delete(self, kind: StateKind, id: str) -> bool:
        """Delete a state; whether there was one."""
        return self._writer.write(_delete, [(kind, id)])[0]


def _delete(connection: Connection, keys: list[tuple[StateKind, str]]) -> list[bool]:
    answers = []
    for kind, id in keys:
        statement = STATES.delete().where(STATES.c.kind == kind, STATES.c.id == id)
        answers.append(connection.execute(statement).rowcount > 0)
    return answers


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
        (some,) = writer.write(_delete_forget, [(table, before_us, wanted)])
        total += some
        if some < wanted:
            break
    return total


def _delete_forget(connection: Connection, rows: list[tuple[Table, int, int]]) -> list[int]:
    counts = []
    for table, before_us, wanted in rows:
        key = list(table.primary_key.columns)
        old = select(*key).where(table.c.time < before_us).order_by(table.c.time).limit(wanted)
        keys = connection.execute(old).all()
        if keys:
            connection.execute(table.delete().where(tuple_(*key).in_([tuple(one) for one in keys])))
        counts.append(len(keys))
    return counts
