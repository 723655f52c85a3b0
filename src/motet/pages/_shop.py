"""The shop: be somebody, ask, weigh, like, and see the list follow."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from motet.pages._api import ApiError, Caller, path
from motet.pages._shown import rankable, value_name
from motet.pages._understood import understood
from motet.pages._visit import Visit
from motet.pages._wishes import Wishes, wishes_of
from motet.pages._words import say

__all__ = ["shop", "told"]

_SHOWN: Final = 10
_OFFERED: Final = 5


async def offered_users(caller: Caller) -> list[str]:
    """Ids of some users whom a visitor may be."""
    page = await caller.maybe("/v1/users", n=_OFFERED)
    return [user["id"] for user in (page or {}).get("users", ())][:_OFFERED]


async def shop(visit: Visit, caller: Caller, message: str = "") -> dict[str, Any]:
    """What the shop shows.

    Args:
        visit: What its controls say.
        caller: The API.
        message: What was just done.

    Raises:
        ApiError: If the service refuses or fails.
    """
    schema, users = await asyncio.gather(caller.schema(), offered_users(caller))
    wishes = wishes_of(visit, schema, users)
    shown: dict[str, Any]
    if wishes.turns and wishes.is_list:
        shown = await _built(visit, caller, wishes)
    elif wishes.turns:
        shown = await _asked(visit, caller, schema, wishes)
    else:
        shown = await _recommended(visit, caller, schema, wishes)
    notes = [visit.t("zero")] if wishes.is_nothing else []
    if wishes.turns and wishes.filter(schema) is not None:
        notes.append(visit.t("filters_idle"))
    if wishes.turns and not wishes.user and (wishes.me or wishes.liked):
        notes.append(visit.t("new_idle"))
    return {
        "schema": schema,
        "users": users,
        "wishes": wishes,
        "tasks": rankable(schema),
        "message": message,
        "tries": tries(schema, visit.language),
        **shown,
        "notes": notes + list(shown.get("notes") or ()),
    }


def tries(schema: Mapping[str, Any], language: str) -> list[str]:
    """Requests that the catalogue can answer, made of its own words.

    Example:
        >>> tries({"fields": [{"name": "year", "kind": "number", "low": 1922, "high": 1998},
        ...                   {"name": "genres", "kind": "tags", "values": ["Comedy", "War"]}]}, "en")
        ['Comedy after 1988', 'Comedy but not War', 'something new']
    """
    tags = [
        name
        for field in schema.get("fields", ())
        if field["kind"] in ("tags", "category")
        for value in field.get("values") or ()
        if (name := value_name(field, value, language)).isalpha()
    ]
    year = next((f for f in schema.get("fields", ()) if f["name"] == "year" and f.get("high")), None)
    found = []
    if tags and year is not None:
        found.append(say("try.after", language, tag=tags[0], year=int(year["high"]) - 10))
    if len(tags) > 1:
        found.append(say("try.without", language, tag=tags[0], other=tags[1]))
    return [*found, say("try.new", language)]


async def _recommended(
    visit: Visit, caller: Caller, schema: Mapping[str, Any], wishes: Wishes
) -> dict[str, Any]:
    body = wishes.query(schema, _SHOWN) | {"explain": True, "language": visit.language}
    answer = await caller.post("/v1/recommend", body)
    return {"answer": answer, "items": answer["items"], "notes": answer.get("notes")}


async def _asked(visit: Visit, caller: Caller, schema: Mapping[str, Any], wishes: Wishes) -> dict[str, Any]:
    """Say everything again in order, so that an address alone gives the answer.

    A further turn alone is said where the conversation so far is still known.
    """
    conversation, turns = visit.one("c"), list(wishes.turns)
    known = tuple(visit.all("t")) == wishes.turns[:-1] and bool(visit.one("text").strip())
    answer: dict[str, Any] | None = None
    if conversation and known:
        try:
            answer = await _say(visit, caller, wishes, turns[-1], conversation)
        except ApiError as error:
            if error.status not in (404, 410, 422):
                raise
    if answer is None:
        conversation = ""
        for turn in turns:
            answer = await _say(visit, caller, wishes, turn, conversation)
            conversation = answer["conversation"]
    assert answer is not None  # noqa: S101 (there is at least one turn)
    items = [item for item in answer["items"] if item["id"] not in wishes.hidden]
    if (objective := wishes.objective) is not None and items:
        items = await _weighed(caller, wishes, items, objective)
    return {
        "answer": {**answer, "served_by": None, "timings_ms": {"all": answer.get("elapsed_ms", 0)}},
        "items": items,
        "notes": answer.get("notes"),
        "conversation": answer["conversation"],
        "understood": await understood(answer["understood"], visit, caller, schema),
    }


async def _say(visit: Visit, caller: Caller, wishes: Wishes, text: str, conversation: str) -> dict[str, Any]:
    body: dict[str, Any] = {"text": text, "k": _SHOWN, "language": visit.language}
    if wishes.user:
        body["user"] = wishes.user
    if wishes.scenario:
        body["scenario"] = wishes.scenario
    if conversation:
        body["conversation"] = conversation
    answer: dict[str, Any] = await caller.post("/v1/ask", body)
    return answer


async def _weighed(
    caller: Caller, wishes: Wishes, items: list[dict[str, Any]], objective: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The same items by the sliders."""
    body: dict[str, Any] = {"candidates": [item["id"] for item in items], "objective": objective}
    body |= {"user": wishes.user} if wishes.user else {"history": list(wishes.liked)}
    if wishes.scenario:
        body["scenario"] = wishes.scenario
    ranked = await caller.post("/v1/rank", body)
    places = {one["id"]: one["rank"] for one in ranked["items"]}
    ordered = sorted(items, key=lambda item: places.get(item["id"], len(places) + item["rank"]))
    return [{**item, "rank": rank} for rank, item in enumerate(ordered, 1)]


async def _built(visit: Visit, caller: Caller, wishes: Wishes) -> dict[str, Any]:
    body: dict[str, Any] = {"text": " ".join(wishes.turns)}
    if wishes.user:
        body["user"] = wishes.user
    if wishes.scenario:
        body["scenario"] = wishes.scenario
    said = await caller.post("/v1/lists", body)
    listed = said.get("answer", said)
    titles = {item["id"]: item.get("name") or item.get("title") for item in listed.get("items", ())}
    return {"answer": said, "items": [], "listed": listed, "titles": titles}


def liking_type(schema: Mapping[str, Any]) -> str:
    """Type of the event that says that somebody likes an item: the first yes-or-no task, else what all know."""
    binary = [
        task["name"] for task in schema["tasks"] if task["display"] == "chance" and task.get("on") != "user"
    ]
    return "like" if "like" in binary or not binary else str(binary[0])


async def told(visit: Visit, caller: Caller) -> tuple[Visit, str]:
    """Tell the service what was done with an item.

    Somebody new has no id to tell it of: the visit itself carries what was liked and hidden.

    Args:
        visit: A form with ``act``: what was done, and the item.
        caller: The API.

    Returns:
        The visit as it goes on, and what to say.

    Raises:
        ApiError: If the service refuses or fails.
    """
    kind, _, item = visit.one("act").partition(":")
    if kind not in ("like", "hide") or not item:
        raise ApiError(422, visit.t("bad_act", act=kind[:20]))
    schema, users = await asyncio.gather(caller.schema(), offered_users(caller))
    wishes = wishes_of(visit, schema, users)
    said = tuple(
        (name, value)
        for name, value in visit.said
        if name not in ("act", "message") and not name.startswith("title:")
    )
    if wishes.user:
        event: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "type": liking_type(schema) if kind == "like" else "hide",
            "user": wishes.user,
            "item": item,
        }
        if kind == "like":
            event["value"] = 1
        if wishes.scenario:
            event["scenario"] = wishes.scenario
        if shown_in := visit.one("list_id"):
            event["list_id"] = shown_in
        await caller.post("/v1/events", {"events": [event]})
    else:
        said += (("h" if kind == "like" else "x", item),)
    if kind == "hide" and wishes.user and wishes.turns:
        said += (("x", item),)
    title = next(
        (value for name, value in visit.said if name == f"title:{item}"),
        None,
    ) or ((await caller.maybe(path("v1", "items", item))) or {}).get("title", item)
    is_followed = kind == "hide" or wishes.user or not wishes.turns
    words = f"told_{kind}" if is_followed else "told_alone"
    return replace(visit, path="/", said=said), visit.t(words, title=title)
