"""Gorse routes of feedback, items and users."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Body, Header, Query
from pydantic import Field

from motet.service.engine import NotFoundError
from motet.service.gorse._route import MOST, Adder, Count, Id, Needs, Words
from motet.service.gorse._shapes import (
    FeedbackIn,
    FeedbackOut,
    FeedbackPage,
    GorseItemIn,
    GorseItemPatch,
    GorseUserIn,
    GorseUserPatch,
    ItemOut,
    ItemPage,
    Row,
    UserOut,
    UserPage,
    feedback_out,
    item_in,
    item_out,
    read_time,
    user_out,
)
from motet.service.store import Feedback, Page, User

__all__ = ["add_feedback", "add_items", "add_users"]

# -- feedback ----------------------------------------------------------------------------------

_FeedbackRows = Annotated[list[FeedbackIn], Field(fail_fast=True), Body(max_length=MOST)]
_Cursor = Annotated[Words, Query(max_length=4096)]
_Once = Annotated[
    str | None,
    Header(
        min_length=1, max_length=255, description="The same request sent again counts once under one key."
    ),
]


def add_feedback(add: Adder, needs: Needs) -> None:
    """Add the routes of feedback; see :func:`add_users`."""
    rows = needs.store.feedback

    def page(n: int, cursor: str, type: str | None = None) -> FeedbackPage:
        found: Page[Feedback] = Page((), cursor)
        if n:
            found = rows.page(min(n, MOST), cursor, type=type, until_now=True)
        return FeedbackPage(cursor=found.cursor, feedback=tuple(map(feedback_out, found.rows)))

    def ingest(sent: list[FeedbackIn], mode: Literal["add", "put"], once: str | None) -> Row:
        found = [feedback_of(one, needs) for one in sent]
        needs.ingest(found, mode, None if once is None else _ids(once, mode, found))
        return Row(row_affected=len(sent))

    @add.post("/feedback", "Insert feedback; values are added to existing ones.")
    def insert_feedback(sent: _FeedbackRows, idempotency_key: _Once = None) -> Row:
        return ingest(sent, "add", idempotency_key)

    @add.put("/feedback", "Insert feedback; existing values are overwritten.")
    def put_feedback(sent: _FeedbackRows, idempotency_key: _Once = None) -> Row:
        return ingest(sent, "put", idempotency_key)

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


def feedback_of(sent: FeedbackIn, needs: Needs) -> Feedback:
    """Convert feedback for the store."""
    return Feedback(
        sent.feedback_type,
        sent.user_id,
        sent.item_id,
        needs.event_value(sent.feedback_type, sent.value),
        read_time(sent.timestamp) or datetime.now(UTC),
        labels=sent.labels,
        comment=sent.comment,
    )


def _ids(once: str, mode: str, sent: Sequence[Feedback]) -> list[str]:
    """Ids under which the rows of one request count once."""
    ids = []
    for at, one in enumerate(sent):
        content = "\0".join((once, mode, str(at), one.type, one.user, one.item))
        ids.append(f"gorse-{hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest()}")
    return ids


def _until_now(rows: Sequence[Feedback]) -> tuple[FeedbackOut, ...]:
    now = datetime.now(UTC)
    return tuple(feedback_out(one) for one in rows if one.time <= now)


# -- items -------------------------------------------------------------------------------------


def add_items(add: Adder, needs: Needs) -> None:
    """Add the routes of items; see :func:`add_users`."""

    def put(items: list[GorseItemIn]) -> Row:
        needs.items.put([item_in(one) for one in items])
        return Row(row_affected=len(items))

    def here(item: str) -> None:
        if not needs.here(item):
            raise NotFoundError(f"item {item} not found")

    @add.post("/item", "Insert an item, or replace it.")
    def insert_item(item: GorseItemIn) -> Row:
        return put([item])

    @add.post("/items", "Insert items, or replace them.")
    def insert_items(
        items: Annotated[list[GorseItemIn], Field(fail_fast=True), Body(max_length=MOST)],
    ) -> Row:
        return put(items)

    @add.get("/items", "Items, hidden ones too, ordered by id.")
    def get_items(
        n: Count = 10,
        cursor: Annotated[Words, Query(max_length=4096)] = "",
        q: Annotated[Words, Query(max_length=256, description="Words that they hold")] = "",
    ) -> ItemPage:
        if not n:
            return ItemPage(cursor=cursor, items=())
        found, after = needs.item_page(min(n, MOST), cursor, q.strip())
        return ItemPage(cursor=after, items=tuple(map(item_out, found)))

    @add.get("/item/{item}", "An item.")
    def get_item(item: Id) -> ItemOut:
        found = needs.item(item)
        if found is None:
            raise NotFoundError(f"item {item} not found")
        return item_out(found)

    @add.patch("/item/{item}", "Change what is given of an item.")
    def modify_item(item: Id, patch: GorseItemPatch) -> Row:
        changes: dict[str, Any] = patch.model_dump()
        changes["timestamp"] = read_time(patch.timestamp or "")
        here(item)
        needs.items.patch(item, **changes)
        return Row(row_affected=1)

    @add.delete("/item/{item}", "Delete an item with its feedback.")
    def delete_item(item: Id) -> Row:
        return Row(row_affected=int(needs.items.delete(item)))

    @add.put("/item/{item}/category/{category}", "Put an item into a category too.")
    def insert_category(item: Id, category: Id) -> Row:
        here(item)
        needs.store.items.add_category(item, category)
        needs.edited()
        return Row(row_affected=1)

    @add.delete("/item/{item}/category/{category}", "Take an item out of a category.")
    def delete_category(item: Id, category: Id) -> Row:
        here(item)
        needs.store.items.remove_category(item, category)
        needs.edited()
        return Row(row_affected=1)


# -- users -------------------------------------------------------------------------------------


def add_users(add: Adder, needs: Needs) -> None:
    """Add the routes of users.

    Args:
        add: Adds the routes.
        needs: The engine adapter.
    """

    def put(users: list[GorseUserIn]) -> Row:
        needs.users.put([User(one.user_id, one.labels, one.comment) for one in users])
        return Row(row_affected=len(users))

    @add.post("/user", "Insert a user, or replace it.")
    def insert_user(user: GorseUserIn) -> Row:
        return put([user])

    @add.post("/users", "Insert users, or replace them.")
    def insert_users(
        users: Annotated[list[GorseUserIn], Field(fail_fast=True), Body(max_length=MOST)],
    ) -> Row:
        return put(users)

    @add.get("/users", "Users, ordered by id.")
    def get_users(n: Count = 10, cursor: Annotated[Words, Query(max_length=4096)] = "") -> UserPage:
        if not n:
            return UserPage(cursor=cursor, users=())
        page = needs.users.page(min(n, MOST), cursor)
        return UserPage(cursor=page.cursor, users=tuple(map(user_out, page.users)))

    @add.get("/user/{user}", "A user.")
    def get_user(user: Id) -> UserOut:
        found = needs.users.get(user)
        if found is None:
            raise NotFoundError(f"user {user} not found")
        return user_out(found)

    @add.patch("/user/{user}", "Change what is given of a user.")
    def modify_user(user: Id, patch: GorseUserPatch) -> Row:
        if not needs.users.patch(user, labels=patch.labels, comment=patch.comment):
            raise NotFoundError(f"user {user} not found")
        return Row(row_affected=1)

    @add.delete("/user/{user}", "Delete a user with all that is kept of it.")
    def delete_user(user: Id) -> Row:
        return Row(row_affected=int(needs.forget_user(user)))
