"""One item: what it is, what is like it, and why it is, or is not, for somebody."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from motet.pages._api import Caller, path
from motet.pages._shop import offered_users
from motet.pages._visit import Visit

__all__ = ["item_page"]

_SIMILAR: Final = 8


async def item_page(visit: Visit, caller: Caller) -> dict[str, Any]:
    """What the page of an item shows.

    Args:
        visit: Of its address; may name the user for whom it is explained.
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
