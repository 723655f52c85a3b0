"""Pages of one item and of one user, and the tables of all of them for operators."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from motet.service.web._client import ApiError, Caller, path
from motet.service.web._shop import offered_users
from motet.service.web._shown import are_pictured, facts
from motet.service.web._visit import Visit

__all__ = [
    "found_users",
    "item_page",
    "items_page",
    "rating_task",
    "send_item_rating",
    "user_page",
    "users_page",
]

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
        "is_pictured": are_pictured([view], schema),
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


# -- tables for operators ------------------------------------------------------------------------

_ROWS: Final = 25
_SUGGESTED: Final = 8
_LONGEST_SEARCH: Final = 200
_LONGEST_CURSOR: Final = 512
_LONGEST_CELL: Final = 80


async def users_page(visit: Visit, caller: Caller) -> dict[str, Any]:
    """The content of the table of users: a page of it, or of those that a search finds.

    Args:
        visit: The request, with the text to find and the cursor.
        caller: The API.

    Raises:
        ApiError: If the visitor is no operator, or the service fails.
    """
    page = await _page(visit, caller, "users")
    rows = [
        {**one, "about": _short(one["labels"]), "time": str(one["time"] or "")[:10]} for one in page["users"]
    ]
    return {"rows": rows, **_around(visit, page)}


async def items_page(visit: Visit, caller: Caller) -> dict[str, Any]:
    """The content of the table of items: a page of it, or of those that a search finds.

    Args:
        visit: The request, with the text to find and the cursor.
        caller: The API.

    Raises:
        ApiError: If the visitor is no operator, or the service fails.
    """
    schema, page = await asyncio.gather(caller.schema(), _page(visit, caller, "items"))
    rows = [
        {**one, "time": str(one["timestamp"] or "")[:10], "words": _words(one, schema, visit.language)}
        for one in page["items"]
    ]
    return {"schema": schema, "rows": rows, "is_pictured": are_pictured(rows, schema), **_around(visit, page)}


async def _page(visit: Visit, caller: Caller, what: str) -> dict[str, Any]:
    await caller.need_operator()
    found: dict[str, Any] = await caller.get(
        f"/v1/{what}",
        n=_ROWS,
        q=visit.one("q").strip()[:_LONGEST_SEARCH],
        cursor=visit.one("cursor")[:_LONGEST_CURSOR],
    )
    return found


def _around(visit: Visit, page: Mapping[str, Any]) -> dict[str, Any]:
    """What is sought, whether this is the first page, and the address of the next one."""
    sought = visit.one("q").strip()[:_LONGEST_SEARCH]
    wanted = {"q": sought} if sought else {}
    return {
        "sought": sought,
        "is_later": bool(visit.one("cursor")),
        "first": "?" + urlencode(wanted) if wanted else visit.path,
        "next": "?" + urlencode({**wanted, "cursor": page["cursor"]}) if page["cursor"] else "",
        "most": _LONGEST_SEARCH,
    }


async def found_users(visit: Visit, caller: Caller) -> list[str]:
    """Ids of some users that the text ``q`` finds, for operators; nobody for others, and without a text."""
    sought = visit.one("q").strip()[:_LONGEST_SEARCH]
    if not sought or not await caller.is_operator():
        return []
    page = await caller.maybe("/v1/users", n=_SUGGESTED, q=sought)
    return [str(one["id"]) for one in (page or {}).get("users", ())]


def _words(item: Mapping[str, Any], schema: Mapping[str, Any], language: str) -> list[str]:
    """Categories and tags of an item, a few of them."""
    tags = [word for fact in facts(item, language, schema) if fact.kind == "tags" for word in fact.values]
    return list(dict.fromkeys([*item["categories"], *tags]))[:5]


def _short(labels: object) -> str:
    """Labels of a user in one line."""
    if isinstance(labels, Mapping):
        text = " · ".join(f"{name}: {_cell(value)}" for name, value in list(labels.items())[:8])
    else:
        text = "" if labels is None else _cell(labels)
    return text if len(text) <= _LONGEST_CELL else text[:_LONGEST_CELL] + "…"


def _cell(value: object) -> str:
    return ", ".join(map(str, value[:8])) if isinstance(value, list) else str(value)
