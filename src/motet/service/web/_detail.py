"""Pages of one item and of one user."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from motet.service.web._client import ApiError, Caller, path
from motet.service.web._shop import offered_users
from motet.service.web._visit import Visit

__all__ = ["item_page", "user_page"]

_SIMILAR: Final = 8


async def item_page(visit: Visit, caller: Caller) -> dict[str, Any]:
    """The content of the page of an item.

    Args:
        visit: The request, which may name the user of the explanation.
        caller: The API.

    Raises:
        ApiError: If the item is not known, or the service fails.
    """
    item, language = visit.id, visit.language
    where = path("v1", "items", item)
    schema, view, users = await asyncio.gather(caller.schema(), caller.get(where), offered_users(caller))
    user = (visit.one("other").strip() or visit.one("user")).strip()[:500]
    description, similar, why = await asyncio.gather(
        caller.maybe(f"{where}/description", language=language),
        caller.maybe(f"{where}/similar", k=_SIMILAR),
        caller.maybe("/v1/explain", user=user, item=item, language=language) if user else _nothing(),
    )
    return {
        "schema": schema,
        "item": view,
        "users": users,
        "user": user,
        "description": description,
        "similar": (similar or {}).get("items", []),
        "why": why,
    }


async def _nothing() -> None:
    return None


_EVENTS: Final = 15
_SHOWN: Final = 6


async def user_page(visit: Visit, caller: Caller) -> dict[str, Any]:
    """The content of the page of a user.

    Args:
        visit: The request, which may hold the cursor of the history.
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
    """The user as the API has it; the id alone for a user with events only."""
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
