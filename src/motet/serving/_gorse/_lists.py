"""Lists that are the same for everybody, and neighbours of items and users."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BeforeValidator

from motet.serving._gorse._needs import Needs
from motet.serving._gorse._ranks import LIKENESSES, ORDERS
from motet.serving._gorse._route import Adder, Count, Id, Offset, Words
from motet.serving._gorse._shapes import Score
from motet.serving._paths import whole_id
from motet.serving._problems import NotFoundError

__all__ = ["add_lists"]

_Some = Annotated[
    list[Words] | None,
    Query(alias="category", max_length=20, description="Only items in this category; in all, where several."),
]
_Reader = Annotated[
    Words, Query(alias="user-id", max_length=512, description="Leave out what this user had to do with.")
]


def _one_of(names: Iterable[str]) -> Any:
    """A name in the address; another one is not found."""
    return Path(json_schema_extra={"enum": list(names)})


_Name = Annotated[Words, BeforeValidator(whole_id)]
_Order = Annotated[_Name, _one_of(ORDERS)]
_Likeness = Annotated[_Name, _one_of(LIKENESSES)]
_Neighbours = Annotated[_Name, _one_of(["neighbors"])]


def add_lists(add: Adder, needs: Needs) -> None:
    """Add latest, popular and neighbours; see :func:`add_users`."""
    ordered, like = needs.ranks.ordered, needs.ranks.like

    @add.get("/latest", "The newest items.")
    def latest(n: Count = 10, offset: Offset = 0, some: _Some = None, reader: _Reader = "") -> list[Score]:
        return ordered("latest", n, offset, some or (), reader)

    @add.get("/latest/{category}", "The newest items of a category.")
    def latest_in(category: Id, n: Count = 10, offset: Offset = 0, reader: _Reader = "") -> list[Score]:
        return ordered("latest", n, offset, (category,), reader)

    @add.get("/popular", "What many like.")
    def popular(n: Count = 10, offset: Offset = 0, some: _Some = None, reader: _Reader = "") -> list[Score]:
        return ordered("popular", n, offset, some or (), reader)

    @add.get("/popular/{category}", "What many like, of a category.")
    def popular_in(category: Id, n: Count = 10, offset: Offset = 0, reader: _Reader = "") -> list[Score]:
        return ordered("popular", n, offset, (category,), reader)

    @add.get("/non-personalized/{name}", f"A list for everybody: {', '.join(ORDERS)}.")
    def for_everybody(
        name: _Order, n: Count = 10, offset: Offset = 0, some: _Some = None, reader: _Reader = ""
    ) -> list[Score]:
        known(name, tuple(ORDERS), "non-personalized recommender")
        return ordered(name, n, offset, some or (), reader)

    @add.get("/item/{item}/neighbors", "Items like another.")
    def neighbours(
        item: Id, n: Count = 10, offset: Offset = 0, some: _Some = None, reader: _Reader = ""
    ) -> list[Score]:
        return like("neighbors", item, n, offset, some or (), reader)

    @add.get("/item/{item}/neighbors/{category}", "Items like another, of a category.")
    def neighbours_in(
        item: Id, category: Id, n: Count = 10, offset: Offset = 0, reader: _Reader = ""
    ) -> list[Score]:
        return like("neighbors", item, n, offset, (category,), reader)

    @add.get("/item-to-item/{name}/{item}", f"Items like another by {', '.join(LIKENESSES)}.")
    def item_to_item(
        name: _Likeness, item: Id, n: Count = 10, offset: Offset = 0, some: _Some = None, reader: _Reader = ""
    ) -> list[Score]:
        known(name, LIKENESSES, "item-to-item recommender")
        return like(name, item, n, offset, some or (), reader)

    @add.get("/user/{user}/neighbors", "Users that liked the same items.")
    def user_neighbours(user: Id, n: Count = 10, offset: Offset = 0) -> list[Score]:
        return needs.ranks.alike(user, n, offset)

    @add.get("/user-to-user/{name}/{user}", "Users like another by neighbors.")
    def user_to_user(name: _Neighbours, user: Id, n: Count = 10, offset: Offset = 0) -> list[Score]:
        known(name, ("neighbors",), "user-to-user recommender")
        return needs.ranks.alike(user, n, offset)

    def known(name: str, names: Sequence[str], what: str) -> None:
        if name not in names:
            raise NotFoundError(f"{what} {name[:80]} not found; there are {', '.join(names)}")
