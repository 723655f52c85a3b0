"""Gorse routes of non-personalised lists, neighbours and recommendations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Body, Header, Path, Query, Request
from pydantic import BeforeValidator, Field

from motet.recommend.live import LiveEvent
from motet.service.api import whole_id
from motet.service.engine import NotFoundError
from motet.service.gorse._ranks import LIKENESSES, ORDERS
from motet.service.gorse._route import Adder, Count, Id, Needs, Offset, Words, require_write
from motet.service.gorse._shapes import Score, SessionIn, read_duration, read_time
from motet.service.store import Feedback

__all__ = ["add_lists", "add_recommend"]

# -- non-personalised lists, neighbours of items and users ----------------------------------------

_Some = Annotated[
    list[Words] | None,
    Query(alias="category", max_length=20, description="Only items in this category; in all, where several."),
]
_Reader = Annotated[
    Words,
    Query(alias="user-id", max_length=512, description="Leave out items that this user interacted with."),
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

    @add.get("/non-personalized/{name}", f"A non-personalised list: {', '.join(ORDERS)}.")
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


# -- recommendations for a user or a session ------------------------------------------------------

_Categories = Annotated[
    list[str] | None, Query(max_length=20, description="Only items in this category; in all, where several.")
]
_Session = Annotated[list[SessionIn], Field(fail_fast=True), Body(max_length=1000)]
_Type = Annotated[
    Words,
    Query(
        alias="write-back-type",
        max_length=200,
        pattern=r"^[^/\x00]*$",
        description="Type of feedback to write of each item.",
    ),
]
_Delay = Annotated[
    str,
    Query(
        alias="write-back-delay",
        max_length=64,
        description="How much later it counts, such as 10m or 1h30m0s.",
    ),
]
_Version = Annotated[str, Header(alias="X-API-Version", description="With 2, items come with scores.")]


def add_recommend(add: Adder, needs: Needs) -> None:
    """Add recommendations for users and sessions; see :func:`add_users`."""

    def recommended(
        request: Request, user: str, n: int, offset: int, categories: Sequence[str], type: str, delay: str
    ) -> list[Score]:
        later = read_duration(delay)
        if type:
            require_write(request, needs.store.keys)
        scores = needs.ranks.recommended(user, n, offset, categories)
        if type and scores:
            at = datetime.now(UTC) + later
            needs.ingest([Feedback(type, user, one.id, 1.0, at) for one in scores], "add", None)
        return scores

    @add.get_ranked("/recommend/{user}", "Recommendations for a user.")
    def recommend(
        request: Request,
        user: Id,
        n: Count = 10,
        offset: Offset = 0,
        category: _Categories = None,
        write_back_type: _Type = "",
        write_back_delay: _Delay = "",
        version: _Version = "1",
    ) -> list[Score] | list[str]:
        found = recommended(request, user, n, offset, category or (), write_back_type, write_back_delay)
        return found if version == "2" else [one.id for one in found]

    @add.get_ranked("/recommend/{user}/{category}", "Recommendations for a user in one category.")
    def recommend_in(
        request: Request,
        user: Id,
        category: Id,
        n: Count = 10,
        offset: Offset = 0,
        more: Annotated[_Categories, Query(alias="category")] = None,
        write_back_type: _Type = "",
        write_back_delay: _Delay = "",
        version: _Version = "1",
    ) -> list[Score] | list[str]:
        wanted = more or (category,)
        found = recommended(request, user, n, offset, wanted, write_back_type, write_back_delay)
        return found if version == "2" else [one.id for one in found]

    def session(sent: Sequence[SessionIn], n: int, offset: int, categories: Sequence[str]) -> list[Score]:
        history = [
            LiveEvent(
                item=one.item_id,
                type=one.feedback_type,
                value=needs.event_value(one.feedback_type, one.value),
                at_s=(read_time(one.timestamp) or datetime.now(UTC)).timestamp(),
            )
            for one in sent
        ]
        history.sort(key=lambda one: one.at_s)
        return needs.ranks.for_session(history, n, offset, categories)

    @add.post_ranked("/session/recommend", "Recommendations for a session without a known user.")
    def for_session(
        sent: _Session, n: Count = 10, offset: Offset = 0, category: _Categories = None
    ) -> list[Score]:
        return session(sent, n, offset, category or ())

    @add.post_ranked("/session/recommend/{category}", "The same in one category.")
    def for_session_in(sent: _Session, category: Id, n: Count = 10, offset: Offset = 0) -> list[Score]:
        return session(sent, n, offset, (category,))

    @add.get_ranked("/collaborative-filtering/{user}", "What the model's vectors find for a user.")
    def collaborative(
        user: Id,
        n: Count = 10,
        offset: Offset = 0,
        category: _Categories = None,
        user_id: Annotated[Words, Query(alias="user-id", max_length=512)] = "",
    ) -> list[Score]:
        return needs.ranks.collaborative(user, n, offset, category or (), user_id)

    @add.get_ranked("/collaborative-filtering/{user}/{category}", "The same in one category.")
    def collaborative_in(
        user: Id,
        category: Id,
        n: Count = 10,
        offset: Offset = 0,
        user_id: Annotated[Words, Query(alias="user-id", max_length=512)] = "",
    ) -> list[Score]:
        return needs.ranks.collaborative(user, n, offset, (category,), user_id)
