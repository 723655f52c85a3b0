"""Users, as Gorse has them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Query
from pydantic import Field

from motet.serving._gorse._needs import Needs
from motet.serving._gorse._route import MOST, Adder, Count, Id, Words
from motet.serving._gorse._shapes import Row, UserIn, UserOut, UserPage, UserPatch, user_out
from motet.serving._problems import NotFoundError
from motet.store import User

__all__ = ["add_users"]


def add_users(add: Adder, needs: Needs) -> None:
    """Add what is asked and told of users.

    Args:
        add: Where to.
        needs: What answers.
    """

    def put(users: list[UserIn]) -> Row:
        needs.users.put([User(one.user_id, one.labels, one.comment) for one in users])
        return Row(row_affected=len(users))

    @add.post("/user", "Insert a user, or replace it.")
    def insert_user(user: UserIn) -> Row:
        return put([user])

    @add.post("/users", "Insert users, or replace them.")
    def insert_users(users: Annotated[list[UserIn], Field(fail_fast=True), Body(max_length=MOST)]) -> Row:
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
    def modify_user(user: Id, patch: UserPatch) -> Row:
        if not needs.users.patch(user, labels=patch.labels, comment=patch.comment):
            raise NotFoundError(f"user {user} not found")
        return Row(row_affected=1)

    @add.delete("/user/{user}", "Delete a user with all that is kept of it.")
    def delete_user(user: Id) -> Row:
        return Row(row_affected=int(needs.forget_user(user)))
