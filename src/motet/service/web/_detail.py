"""Pages of one item and of one user."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from motet.service.web._client import ApiError, Caller, path
from motet.service.web._shop import offered_users
from motet.service.web._visit import Visit

__all__ = ["item_page", "rating_task", "send_item_rating", "user_page"]

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
        "rating": rating_task(schema) if user else None,
        "rated": visit.one("rated")[:2],
    }


def rating_task(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The task by which an item can be rated in 2 to 10 whole steps, with the steps; None if there is none.

    Example:
        >>> rating_task({"tasks": [{"name": "stars", "display": "number", "range": [1, 5]}]})
        {'name': 'stars', 'steps': [1, 2, 3, 4, 5]}
    """
    for task in schema["tasks"]:
        low, high = task.get("range") or (0.0, 0.0)
        if task["display"] == "number" and float(low).is_integer() and 1 <= high - low < 10:
            return {"name": task["name"], "steps": list(range(int(low), int(high) + 1))}
    return None


async def send_item_rating(visit: Visit, caller: Caller) -> str:
    """Send the rating of an item as an event.

    Returns:
        The address of the item's page.

    Raises:
        ApiError: If it is no rating, or the service refuses or fails.
    """
    rating, user, item = rating_task(await caller.schema()), visit.one("user"), visit.one("item")
    if rating is None or not user or not item or visit.one("stars") not in map(str, rating["steps"]):
        raise ApiError(422, visit.t("bad_rating"))
    event = {"id": uuid.uuid4().hex, "type": rating["name"], "user": user, "item": item, "value": int(visit.one("stars"))}  # fmt: skip
    await caller.post("/v1/events", {"events": [event]})
    return path("item", item) + "?" + urlencode({"user": user, "rated": visit.one("stars")})


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
