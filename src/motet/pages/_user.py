"""One user: what they like in words, what they did, and what is recommended to them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from motet.pages._api import ApiError, Caller, path
from motet.pages._visit import Visit

__all__ = ["user_page"]

_EVENTS: Final = 15
_SHOWN: Final = 6


async def user_page(visit: Visit, caller: Caller) -> dict[str, Any]:
    """What the page of a user shows.

    Args:
        visit: Of its address; may hold the place in the history.
        caller: The API.

    Raises:
        ApiError: If the user is not known, or the service fails.
    """
    user, language = visit.id, visit.language
    where = path("v1", "users", user)
    cursor = visit.one("cursor") or None
    schema, history = await asyncio.gather(
        caller.schema(), caller.maybe(f"{where}/history", n=_EVENTS, cursor=cursor)
    )
    view = await _view(caller, where, user, did_something=bool(history and history["events"]))
    profile, answer = await asyncio.gather(
        caller.maybe(f"{where}/profile", language=language), _recommended(caller, user, language)
    )
    return {
        "schema": schema,
        "user": view,
        "profile": profile or {},
        "history": history or {"events": [], "cursor": ""},
        "is_later": cursor is not None,
        "items": (answer or {}).get("items", []),
    }


async def _view(caller: Caller, where: str, user: str, *, did_something: bool) -> dict[str, Any]:
    """What the service holds of a user; the id alone of somebody of whom only events were told."""
    try:
        found: dict[str, Any] = await caller.get(where)
    except ApiError as error:
        if error.status != 404 or not did_something:
            raise
        return {"id": user, "labels": None}
    return found


async def _recommended(caller: Caller, user: str, language: str) -> dict[str, Any] | None:
    body = {"user": user, "k": _SHOWN, "explain": True, "language": language}
    try:
        found: dict[str, Any] = await caller.post("/v1/recommend", body)
    except ApiError:
        return None
    return found
