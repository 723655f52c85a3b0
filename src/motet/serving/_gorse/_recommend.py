"""Recommendations for a user or a session, as Gorse answers them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Body, Header, Query, Request
from pydantic import Field

from motet.recommend import LiveEvent
from motet.serving._gorse._checks import require_write
from motet.serving._gorse._needs import Needs
from motet.serving._gorse._route import Adder, Count, Id, Offset, Words
from motet.serving._gorse._shapes import Score, SessionIn
from motet.serving._gorse._times import read_duration, read_time
from motet.store import Feedback

__all__ = ["add_recommend"]

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
            needs.tell([Feedback(type, user, one.id, 1.0, at) for one in scores], "add", None)
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

    def session(told: Sequence[SessionIn], n: int, offset: int, categories: Sequence[str]) -> list[Score]:
        past = [
            LiveEvent(
                item=one.item_id,
                type=one.feedback_type,
                value=needs.meant_value(one.feedback_type, one.value),
                at_s=(read_time(one.timestamp) or datetime.now(UTC)).timestamp(),
            )
            for one in told
        ]
        past.sort(key=lambda one: one.at_s)
        return needs.ranks.for_session(past, n, offset, categories)

    @add.post_ranked("/session/recommend", "Recommendations for a session of nobody known.")
    def for_session(
        told: _Session, n: Count = 10, offset: Offset = 0, category: _Categories = None
    ) -> list[Score]:
        return session(told, n, offset, category or ())

    @add.post_ranked("/session/recommend/{category}", "The same in one category.")
    def for_session_in(told: _Session, category: Id, n: Count = 10, offset: Offset = 0) -> list[Score]:
        return session(told, n, offset, (category,))

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
