"""The shop page: its controls, and the list that follows from them."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from motet.messages import say
from motet.service.web._client import ApiError, Caller, path
from motet.service.web._shown import are_pictured, rankable, understood, value_name
from motet.service.web._visit import Visit

__all__ = ["Wishes", "send_action", "shop", "wishes_of"]

_MOST_TURNS: Final = 8
_MOST_IDS: Final = 100
_LONGEST: Final = 500
_SHOWN: Final = 10
_MOST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Wishes:
    """Values of the controls of the shop.

    Attributes:
        user: Id of the user; empty for a new one.
        me: Self-description of a new user.
        scenario: The scenario; empty for none.
        turns: Turns of the conversation, oldest first.
        is_list: Whether to build a list from the turns.
        weights: Slider value of each ranking task, 0 to 1.
        is_usual: Whether the sliders have their default values.
        fields: Filter values by column; for a number, the lowest and the highest as text.
        liked: Ids of items that a new user liked.
        hidden: Ids of items that a new user hid.
        n: Items wanted.
    """

    user: str
    me: str
    scenario: str
    turns: tuple[str, ...]
    is_list: bool
    weights: Mapping[str, float]
    is_usual: bool
    fields: Mapping[str, tuple[str, ...]]
    liked: tuple[str, ...]
    hidden: tuple[str, ...]
    n: int = _SHOWN

    @property
    def objective(self) -> dict[str, Any] | None:
        """The objective for the API; None for the default, and if all weights are 0."""
        weighed = {task: weight for task, weight in self.weights.items() if weight > 0}
        return None if self.is_usual or not weighed else {"weights": weighed}

    @property
    def is_nothing(self) -> bool:
        """Whether every slider is at zero."""
        return not any(self.weights.values())

    def filter(self, schema: Mapping[str, Any]) -> dict[str, Any] | None:
        """The filter for the API; None for all items."""
        parts: list[dict[str, Any]] = []
        for field in schema.get("fields", ()):
            wanted = self.fields.get(field["name"], ())
            if field["kind"] == "number":
                low, high = (_number(text) for text in wanted) if len(wanted) == 2 else (None, None)
                if low is not None:
                    parts.append({"field": field["name"], "op": "ge", "value": low})
                if high is not None:
                    parts.append({"field": field["name"], "op": "le", "value": high})
            elif field["kind"] == "tags" and wanted:
                parts.append({"any": [{"field": field["name"], "op": "has", "value": one} for one in wanted]})
            elif field["kind"] == "category" and wanted:
                parts.append({"field": field["name"], "op": "in", "value": list(wanted)})
            elif field["kind"] == "text" and wanted:
                parts.append({"field": field["name"], "op": "contains", "value": wanted[0]})
        return {"all": parts} if parts else None

    def query(self, schema: Mapping[str, Any], k: int) -> dict[str, Any]:
        """The body of a recommendation request."""
        body: dict[str, Any] = {"k": k}
        if self.user:
            body["user"] = self.user
        else:
            body["history"] = list(self.liked)
            body["exclude"] = [*self.hidden, *self.liked]
            if self.me:
                body["text"] = self.me
        if self.scenario:
            body["scenario"] = self.scenario
        if (objective := self.objective) is not None:
            body["objective"] = objective
        if (wanted := self.filter(schema)) is not None:
            body["filter"] = wanted
        return {name: value for name, value in body.items() if value != []}


def wishes_of(visit: Visit, schema: Mapping[str, Any], users: Sequence[str]) -> Wishes:
    """Read the controls.

    Args:
        visit: The request, with its address or form.
        schema: The schema from the API.
        users: Some users; the first is the default.
    """
    usual = {name: float(weight) for name, weight in (schema.get("objective") or {}).items()}
    top = max((abs(weight) for weight in usual.values()), default=1.0) or 1.0
    start = {
        task["name"]: round(max(0.0, usual.get(task["name"], 0.0)) / top, 2) for task in rankable(schema)
    }
    weights = {task: _weight(visit.one(f"w.{task}"), weight) for task, weight in start.items()}
    default = users[0] if users else ""
    user = (visit.one("other").strip() or visit.one("user", default)).strip()[:_LONGEST]
    turns = [turn[:_LONGEST] for turn in visit.all("t")]
    if text := visit.one("text").strip():
        turns.append(text[:_LONGEST])
    if visit.has("over"):
        turns = []
    return Wishes(
        user=user,
        me="" if user else visit.one("me").strip()[:_LONGEST],
        scenario=visit.one("scenario")[:_LONGEST],
        turns=tuple(turns[-_MOST_TURNS:]),
        is_list=(visit.one("do") or visit.one("mode")) in ("build", "list") and bool(turns),
        weights=start if visit.has("usual") else weights,
        is_usual=visit.has("usual") or weights == start,
        fields={
            field["name"]: wanted
            for field in schema.get("fields", ())
            if (wanted := _wanted(visit, field["name"], field["kind"]))
        },
        liked=tuple(dict.fromkeys(visit.all("h")))[-_MOST_IDS:],
        hidden=tuple(dict.fromkeys(visit.all("x")))[-_MOST_IDS:],
        n=_wanted_items(visit.one("n")),
    )


def _wanted_items(text: str) -> int:
    """How many items are wanted: whole tens, up to a hundred."""
    n = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else _SHOWN
    return min(_MOST_SHOWN, max(_SHOWN, -(-n // _SHOWN) * _SHOWN))


def _wanted(visit: Visit, name: str, kind: str) -> tuple[str, ...]:
    if kind == "number":
        low, high = visit.one(f"f.{name}.low").strip(), visit.one(f"f.{name}.high").strip()
        return (low, high) if low or high else ()
    return tuple(one.strip()[:_LONGEST] for one in visit.all(f"f.{name}") if one.strip())[:_MOST_IDS]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _weight(text: str, usual: float) -> float:
    value = _number(text)
    return usual if value is None else round(min(1.0, max(0.0, value)), 2)


# -- the page ----------------------------------------------------------------------------------

_OFFERED: Final = 5


async def offered_users(caller: Caller) -> list[str]:
    """Ids of some users that a visitor can choose."""
    page = await caller.maybe("/v1/users", n=_OFFERED)
    return [user["id"] for user in (page or {}).get("users", ())][:_OFFERED]


async def shop(visit: Visit, caller: Caller, message: str = "") -> dict[str, Any]:
    """The content of the shop page.

    Args:
        visit: The request, with the values of the controls.
        caller: The API.
        message: A message on the last action.

    Raises:
        ApiError: If the service refuses or fails.
    """
    schema, users, is_operator = await asyncio.gather(
        caller.schema(), offered_users(caller), caller.is_operator()
    )
    wishes = wishes_of(visit, schema, users)
    shown: dict[str, Any]
    if wishes.turns and wishes.is_list:
        shown = await _built(visit, caller, wishes)
    elif wishes.turns:
        shown = await _asked(visit, caller, schema, wishes)
    else:
        shown = await _recommended(visit, caller, schema, wishes)
    if wishes.user and not shown.get("listed"):
        shown["question"] = await _question(visit, caller, wishes, shown["answer"].get("list_id"))
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
        "is_operator": is_operator,
        "more": _more(wishes, shown),
        "is_pictured": are_pictured(shown["items"], schema),
        "tries": tries(schema, visit.language),
        **shown,
        "notes": notes + list(shown.get("notes") or ()),
    }


def _more(wishes: Wishes, shown: Mapping[str, Any]) -> int:
    """How many items the next, longer list has; 0 where there is none."""
    is_full = len(shown["items"]) + len(wishes.hidden if wishes.turns else ()) >= wishes.n
    return wishes.n + _SHOWN if is_full and not shown.get("listed") and wishes.n < _MOST_SHOWN else 0


def tries(schema: Mapping[str, Any], language: str) -> list[str]:
    """Example requests, made of the values of the catalogue.

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


async def _question(visit: Visit, caller: Caller, wishes: Wishes, list_id: str | None) -> Any:
    """The question of a survey: the one that the page holds already, or a new one; None where there is none."""
    if id := visit.one("q"):
        return ((await caller.maybe(path("v1", "questions", id))) or {}).get("question")
    body = {"user": wishes.user, "list_id": list_id or None, "scenario": wishes.scenario or None}
    try:  # a reader's key may not ask
        return (await caller.post("/v1/questions", body)).get("question")
    except ApiError:
        return None


async def _recommended(
    visit: Visit, caller: Caller, schema: Mapping[str, Any], wishes: Wishes
) -> dict[str, Any]:
    body = wishes.query(schema, wishes.n) | {"explain": True, "language": visit.language}
    answer = await caller.post("/v1/recommend", body)
    return {"answer": answer, "items": answer["items"], "notes": answer.get("notes")}


async def _asked(visit: Visit, caller: Caller, schema: Mapping[str, Any], wishes: Wishes) -> dict[str, Any]:
    """Send all turns again in order, so that the address alone gives the answer.

    Only the last turn is sent if the service still knows the conversation.
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
    body: dict[str, Any] = {"text": text, "k": wishes.n, "language": visit.language}
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
    """Rank the same items by the sliders."""
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
    answer = await caller.post("/v1/lists", body)
    listed = answer.get("answer", answer)
    titles = {item["id"]: item.get("name") or item.get("title") for item in listed.get("items", ())}
    return {"answer": answer, "items": [], "listed": listed, "titles": titles}


async def send_action(visit: Visit, caller: Caller) -> tuple[Visit, str]:
    """Send a like or a hide to the service.

    A new user has no id: the address holds the items that were liked and hidden.

    Args:
        visit: A form with ``act``: the action and the item.
        caller: The API.

    Returns:
        The next visit and a message.

    Raises:
        ApiError: If the service refuses or fails.
    """
    kind, _, item = visit.one("act").partition(":")
    if kind not in ("like", "hide") or not item:
        raise ApiError(422, visit.t("bad_act", act=kind[:20]))
    schema, users = await asyncio.gather(caller.schema(), offered_users(caller))
    wishes = wishes_of(visit, schema, users)
    fields = tuple(
        (name, value)
        for name, value in visit.fields
        if name not in ("act", "message") and not name.startswith("title:")
    )
    if wishes.user:
        event: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "user": wishes.user,
            "item": item,
            **(schema["like"] if kind == "like" else {"type": "hide"}),
        }
        if wishes.scenario:
            event["scenario"] = wishes.scenario
        if shown_in := visit.one("list_id"):
            event["list_id"] = shown_in
        await caller.post("/v1/events", {"events": [event]})
    else:
        fields += (("h" if kind == "like" else "x", item),)
    if kind == "hide" and wishes.user and wishes.turns:
        fields += (("x", item),)
    title = next(
        (value for name, value in visit.fields if name == f"title:{item}"),
        None,
    ) or ((await caller.maybe(path("v1", "items", item))) or {}).get("title", item)
    is_followed = kind == "hide" or wishes.user or not wishes.turns
    words = ("liked_and_followed" if kind == "like" else "hidden") if is_followed else "liked"
    return replace(visit, path="/", fields=fields), visit.t(words, title=title)
