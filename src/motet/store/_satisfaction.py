"""Satisfaction: what people answered about a list that they were shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from motet.errors import StoreError
from motet.store._checks import check_json, check_text, check_time, from_us, now, read_json, to_us
from motet.store._database import Database
from motet.store._tables import SATISFACTION, SHOWN
from motet.store._upsert import upsert
from motet.store._writer import Writer

__all__ = ["Answer", "Satisfaction"]

LONGEST_SURVEY = 8_192


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody answered about a list.

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
    """What people answered, one answer a list: the last.

    Args:
        database: The store's connections.
        writer: What writes.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def put(self, answer: Answer) -> bool:
        """Write an answer.

        Returns:
            Whether the list is known; an answer about none is not kept.
        """
        survey = None if answer.survey is None else dict(answer.survey)
        row = {
            "list_id": answer.list_id,
            "rating": answer.rating,
            "survey": check_json(survey, "answer.survey", longest=LONGEST_SURVEY, none=True),
            "time": to_us(answer.time),
        }
        return self._writer.write(_put, [row])[0]

    def get(self, list_id: str) -> Answer | None:
        """The answer about a list, if there is one."""
        with self._database.reading() as connection:
            query = select(SATISFACTION).where(SATISFACTION.c.list_id == list_id)
            row = connection.execute(query).first()
        return None if row is None else Answer(list_id, row.rating, read_json(row.survey), from_us(row.time))


def _put(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    answers = []
    for row in rows:
        query = select(SHOWN.c.user_id, SHOWN.c.scenario).where(SHOWN.c.id == row["list_id"])
        shown = connection.execute(query).first()
        answers.append(shown is not None)
        if shown is not None:
            upsert(connection, SATISFACTION, [{**row, "user_id": shown.user_id, "scenario": shown.scenario}])
    return answers
