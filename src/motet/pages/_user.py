"""One user: what they like in words, what they did, and what is recommended to them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from motet.pages._api import ApiError, Caller, path
from motet.pages._visit import Visit

__all__ = ["user_page"]

_EVENTS: Final = 15
_SHOWN: Final = 6


async def user_page(visit: Visit, caller: Caller, user: str) -> dict[str, Any]:
    """What the page of a user shows.

    Args:
        visit: May hold the place in the history.
        caller: The API.
        user: Its id.

    Raises:
        ApiError: If the user is not known, or the service fails.
    """
    where, language = path("v1", "users", user), visit.language
    schema, view = await asyncio.gather(caller.schema(), caller.get(where))
    cursor = visit.one("cursor") or None
    profile, history, answer = await asyncio.gather(
        caller.maybe(f"{where}/profile", language=language),
        caller.maybe(f"{where}/history", n=_EVENTS, cursor=cursor),
        _recommended(caller, user, language),
    )
    return {
        "schema": schema,
        "user": view,
        "profile": profile or {},
        "history": history or {"events": [], "cursor": ""},
        "is_later": cursor is not None,
        "items": (answer or {}).get("items", []),
    }


async def _recommended(caller: Caller, user: str, language: str) -> dict[str, Any] | None:
    body = {"user": user, "k": _SHOWN, "explain": True, "language": language}
    try:
        found: dict[str, Any] = await caller.post("/v1/recommend", body)
    except ApiError:
        return None
    return found
