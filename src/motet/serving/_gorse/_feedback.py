"""Feedback, as Gorse has it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Body, Header, Query
from pydantic import Field

from motet.serving._gorse._needs import Needs
from motet.serving._gorse._route import MOST, Adder, Count, Id, Words
from motet.serving._gorse._shapes import FeedbackIn, FeedbackOut, FeedbackPage, Row, feedback_out
from motet.serving._gorse._times import read_time
from motet.store import Feedback, Page

__all__ = ["add_feedback"]

_Told = Annotated[list[FeedbackIn], Field(fail_fast=True), Body(max_length=MOST)]
_Cursor = Annotated[Words, Query(max_length=4096)]
_Once = Annotated[
    str | None,
    Header(
        min_length=1, max_length=255, description="The same request sent again counts once under one key."
    ),
]


def add_feedback(add: Adder, needs: Needs) -> None:
    """Add what is asked and told of feedback; see :func:`add_users`."""
    rows = needs.store.feedback

    def page(n: int, cursor: str, type: str | None = None) -> FeedbackPage:
        found: Page[Feedback] = Page((), cursor)
        if n:
            found = rows.page(min(n, MOST), cursor, type=type, until_now=True)
        return FeedbackPage(cursor=found.cursor, feedback=tuple(map(feedback_out, found.rows)))

    def tell(told: list[FeedbackIn], mode: Literal["add", "put"], once: str | None) -> Row:
        found = [feedback_of(one, needs) for one in told]
        needs.tell(found, mode, None if once is None else _ids(once, mode, found))
        return Row(row_affected=len(told))

    @add.post("/feedback", "Tell feedback; a value is added to the one that is there.")
    def insert_feedback(told: _Told, idempotency_key: _Once = None) -> Row:
        return tell(told, "add", idempotency_key)

    @add.put("/feedback", "Tell feedback; what is there is overwritten.")
    def put_feedback(told: _Told, idempotency_key: _Once = None) -> Row:
        return tell(told, "put", idempotency_key)

    @add.get("/feedback", "Feedback up to now, ordered by type, user and item.")
    def get_feedback(n: Count = 10, cursor: _Cursor = "") -> FeedbackPage:
        return page(n, cursor)

    @add.get("/feedback/{type}", "Feedback of one type up to now.")
    def get_typed(type: Id, n: Count = 10, cursor: _Cursor = "") -> FeedbackPage:
        return page(n, cursor, type)

    @add.get("/feedback/{user}/{item}", "What a user did to an item.")
    def get_pair(user: Id, item: Id) -> tuple[FeedbackOut, ...]:
        return tuple(map(feedback_out, rows.of_pair(user, item)))

    @add.delete("/feedback/{user}/{item}", "Delete what a user did to an item.")
    def delete_pair(user: Id, item: Id) -> Row:
        return Row(row_affected=rows.delete(user, item))

    @add.get("/feedback/{type}/{user}/{item}", "What a user did to an item in one way.")
    def get_one(type: Id, user: Id, item: Id) -> FeedbackOut | dict[str, str]:
        found = rows.get(type, user, item)
        return {} if found is None else feedback_out(found)

    @add.delete("/feedback/{type}/{user}/{item}", "Delete it.")
    def delete_one(type: Id, user: Id, item: Id) -> Row:
        return Row(row_affected=rows.delete(user, item, type))

    @add.get("/user/{user}/feedback", "What a user did, up to now.")
    def of_user(user: Id) -> tuple[FeedbackOut, ...]:
        return _until_now(rows.of_user(user))

    @add.get("/user/{user}/feedback/{type}", "What a user did in one way, up to now.")
    def of_user_typed(user: Id, type: Id) -> tuple[FeedbackOut, ...]:
        return _until_now(rows.of_user(user, type))

    @add.get("/item/{item}/feedback", "What users did to an item.")
    def of_item(item: Id) -> tuple[FeedbackOut, ...]:
        return tuple(map(feedback_out, rows.of_item(item)))

    @add.get("/item/{item}/feedback/{type}", "What users did to an item in one way.")
    def of_item_typed(item: Id, type: Id) -> tuple[FeedbackOut, ...]:
        return tuple(map(feedback_out, rows.of_item(item, type)))


def feedback_of(told: FeedbackIn, needs: Needs) -> Feedback:
    """What is stored of feedback as it was told."""
    return Feedback(
        told.feedback_type,
        told.user_id,
        told.item_id,
        needs.meant_value(told.feedback_type, told.value),
        read_time(told.timestamp) or datetime.now(UTC),
        labels=told.labels,
        comment=told.comment,
    )


def _ids(once: str, mode: str, told: Sequence[Feedback]) -> list[str]:
    """Ids under which the rows of one request count once."""
    ids = []
    for at, one in enumerate(told):
        said = "\0".join((once, mode, str(at), one.type, one.user, one.item))
        ids.append(f"gorse-{hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()}")
    return ids


def _until_now(rows: Sequence[Feedback]) -> tuple[FeedbackOut, ...]:
    now = datetime.now(UTC)
    return tuple(feedback_out(one) for one in rows if one.time <= now)
