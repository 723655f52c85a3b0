"""Surveys: their definitions, who was asked, and the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select

from motet.errors import StoreError
from motet.service.store._events import StorePart
from motet.service.store._queries import ids_of, insert_missing, page
from motet.service.store._records import (
    Page,
    check_json,
    check_text,
    check_time,
    from_us,
    new_id,
    now,
    read_json,
    to_us,
)
from motet.service.store._tables import QUESTIONS, SURVEYS

__all__ = ["AskedQuestion", "SurveyRecord", "SurveyStore"]

_MOST_READ: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class SurveyRecord:
    """A survey as it is stored.

    Attributes:
        key: Its name.
        definition: AskedQuestion, kind and the rest, as JSON.
        created: When it was created, in UTC.
        closed: When it was closed, if it was.
    """

    key: str
    definition: Mapping[str, Any]
    created: datetime = field(default_factory=now)
    closed: datetime | None = None

    def __post_init__(self) -> None:
        check_text(self.key, "survey.key")


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A survey that was put to a user, and the answer if there is one.

    Attributes:
        survey: Key of the survey.
        user: The user.
        id: Its id.
        time: When it was put, in UTC.
        list_id: The list that it was put with.
        scenario: The scenario.
        model: Name of the model version.
        value: The answer: 1 to 5 stars, 1 for yes and 0 for no, or the place of the choice, from 0.
        answered: When it was answered last, in UTC.
    """

    survey: str
    user: str
    id: str = field(default_factory=new_id)
    time: datetime = field(default_factory=now)
    list_id: str | None = None
    scenario: str | None = None
    model: str | None = None
    value: int | None = None
    answered: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("survey", "user", "id"):
            check_text(getattr(self, name), f"question.{name}")
        for name in ("list_id", "scenario", "model"):
            if getattr(self, name) is not None:
                check_text(getattr(self, name), f"question.{name}")
        object.__setattr__(self, "time", check_time(self.time, "question.time"))
        if (self.value is None) != (self.answered is None):
            raise StoreError("question.value and question.answered go together", "give both or neither")
        if self.value is not None:
            if isinstance(self.value, bool) or not isinstance(self.value, int) or not 0 <= self.value < 100:
                raise StoreError(f"question.value is {self.value!r}", "give a whole number from 0 to 99")
            object.__setattr__(self, "answered", check_time(self.answered, "question.answered"))


class SurveyStore(StorePart):
    """The surveys of a store."""

    def create(self, record: SurveyRecord) -> bool:
        """Write a new survey; False if there is one of that name, which is left as it is."""
        definition = check_json(dict(record.definition), "survey.definition")
        row = {"key": record.key, "definition": definition, "created": to_us(record.created), "closed": None}
        return self._writer.write(_create, [row])[0]

    def get(self, key: str) -> SurveyRecord | None:
        """The survey of a name, if there is one."""
        with self._database.reading() as connection:
            row = connection.execute(select(SURVEYS).where(SURVEYS.c.key == key)).first()
        return None if row is None else _record_of(row)

    def all(self, *, is_open: bool = False) -> list[SurveyRecord]:
        """Surveys, oldest first; open ones alone if wanted."""
        query = select(SURVEYS).order_by(SURVEYS.c.created, SURVEYS.c.key)
        if is_open:
            query = query.where(SURVEYS.c.closed.is_(None))
        with self._database.reading() as connection:
            return [_record_of(row) for row in connection.execute(query)]

    def close(self, key: str) -> bool:
        """Close a survey: nobody is asked any more; whether it was open."""
        return self._writer.write(_close, [(key, to_us(now()))])[0]

    def ask(self, surveys: Sequence[tuple[str, timedelta]], question: AskedQuestion) -> AskedQuestion | None:
        """Put the first survey to a user that may be put to it now.

        Args:
            surveys: Keys, each with the time in which a user is asked nothing else, of any survey.
            question: Whom to ask, and where; its survey is not looked at.

        Returns:
            The question as it was stored; None where the user was asked too short a time ago, or is deleted.
        """
        found = [(key, int(pause / timedelta(microseconds=1))) for key, pause in surveys]
        (key,) = self._writer.write(self._ask, [(found, _row(question))])
        if key is None:
            return None
        return AskedQuestion(
            key, question.user, question.id, question.time, question.list_id, question.scenario, question.model
        )  # fmt: skip

    def _ask(
        self, connection: Connection, asked: list[tuple[list[tuple[str, int]], dict[str, Any]]]
    ) -> list[str | None]:
        answers = []
        for surveys, row in asked:
            latest = select(func.max(QUESTIONS.c.time))
            latest = latest.where(QUESTIONS.c.user_id.in_(ids_of(connection, row["user_id"])))
            last = connection.execute(latest).scalar()
            (is_late,) = self._tombstones.late(connection, [(row["user_id"], row["time"])], ever=True)
            free = (key for key, pause in surveys if last is None or row["time"] - last >= pause)
            key = None if is_late else next(free, None)
            if key is not None:
                connection.execute(QUESTIONS.insert(), {**row, "survey": key})
            answers.append(key)
        return answers

    def question(self, id: str) -> AskedQuestion | None:
        """The question of an id, if there is one."""
        with self._database.reading() as connection:
            row = connection.execute(select(QUESTIONS).where(QUESTIONS.c.id == id)).first()
        return None if row is None else _question_of(row)

    def answer(self, id: str, value: int) -> bool:
        """Write the answer to a question, in place of an earlier one; whether there is such a question."""
        return self._writer.write(_answer, [(id, value, to_us(now()))])[0]

    def questions(self, survey: str) -> list[AskedQuestion]:
        """All questions of a survey, in order of time.

        Raises:
            StoreError: If there are more than a million.
        """
        query = select(QUESTIONS).where(QUESTIONS.c.survey == survey)
        query = query.order_by(QUESTIONS.c.time, QUESTIONS.c.id).limit(_MOST_READ + 1)
        with self._database.reading() as connection:
            found = [_question_of(row) for row in connection.execute(query)]
        if len(found) > _MOST_READ:
            raise StoreError(
                f"the survey has more than {_MOST_READ:,} questions", "lower its share next time"
            )
        return found

    def page(self, n: int = 10, cursor: str = "") -> Page[AskedQuestion]:
        """All questions, ordered by id."""
        with self._database.reading() as connection:
            key = (QUESTIONS.c.id,)
            return page(connection, select(QUESTIONS), key, _question_of, "questions", n, cursor)

    def restore(self, questions: Sequence[AskedQuestion]) -> list[bool]:
        """Put questions of an export back, but for those from before the deletion of their user.

        Returns:
            Of each whether it is kept.
        """
        return self._writer.write(self._restore, [_row(one) for one in questions]) if questions else []

    def _restore(self, connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
        late = self._tombstones.late(connection, [(row["user_id"], row["time"]) for row in rows], ever=True)
        insert_missing(connection, QUESTIONS, [row for row, gone in zip(rows, late, strict=True) if not gone])
        return [not gone for gone in late]


def _row(one: AskedQuestion) -> dict[str, Any]:
    return {
        "id": one.id,
        "survey": one.survey,
        "user_id": one.user,
        "time": to_us(one.time),
        "list_id": one.list_id,
        "scenario": one.scenario,
        "model": one.model,
        "value": one.value,
        "answered": None if one.answered is None else to_us(one.answered),
    }


def _question_of(row: Any) -> AskedQuestion:
    answered = None if row.answered is None else from_us(row.answered)
    at = from_us(row.time)
    return AskedQuestion(row.survey, row.user_id, row.id, at, row.list_id, row.scenario, row.model, row.value, answered)  # fmt: skip


def _record_of(row: Any) -> SurveyRecord:
    closed = None if row.closed is None else from_us(row.closed)
    return SurveyRecord(row.key, read_json(row.definition), from_us(row.created), closed)


def _create(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    answers = []
    for row in rows:
        there = connection.execute(select(SURVEYS.c.key).where(SURVEYS.c.key == row["key"])).first()
        if there is None:
            connection.execute(SURVEYS.insert(), [row])
        answers.append(there is None)
    return answers


def _close(connection: Connection, rows: list[tuple[str, int]]) -> list[bool]:
    answers = []
    for key, time_us in rows:
        one = SURVEYS.update().where(SURVEYS.c.key == key, SURVEYS.c.closed.is_(None))
        answers.append(connection.execute(one.values(closed=time_us)).rowcount > 0)
    return answers


def _answer(connection: Connection, rows: list[tuple[str, int, int]]) -> list[bool]:
    answers = []
    for id, value, time_us in rows:
        one = QUESTIONS.update().where(QUESTIONS.c.id == id).values(value=value, answered=time_us)
        answers.append(connection.execute(one).rowcount > 0)
    return answers
