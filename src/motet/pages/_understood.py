"""A request as it was understood, in a few words each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from motet.pages._api import Caller, path
from motet.pages._shown import name_of, number, value_name
from motet.pages._visit import Visit

__all__ = ["understood"]


async def understood(
    request: Mapping[str, Any], visit: Visit, caller: Caller, schema: Mapping[str, Any]
) -> list[str]:
    """What was understood, as short sayings.

    Args:
        request: As the API tells it.
        visit: Its language.
        caller: Knows the titles of items.
        schema: Names columns and their values.
    """
    t = visit.t
    fields = {field["name"]: field for field in schema.get("fields", ())}

    def value(tag: Mapping[str, Any]) -> str:
        return value_name(fields.get(tag["column"], {}), tag["value"], visit.language)

    found = [value(tag) for tag in (*request.get("must", ()), *request.get("prefer", ()))]
    found += [t("not_tag", value=value(tag)) for tag in request.get("must_not", ())]
    found += [str(fact.get("words") or fact["entity"]) for fact in request.get("facts", ())]
    found += [
        t("not_tag", value=fact.get("words") or fact["entity"]) for fact in request.get("facts_not", ())
    ]
    found += [_range(one, visit) for one in request.get("ranges", ())]
    found += [_total(one, visit) for one in request.get("total", ())]
    if alike := list(request.get("like", ()))[:5]:
        views = await asyncio.gather(*(caller.maybe(path("v1", "items", item)) for item in alike))
        found += [
            t("like_this", title=(view or {}).get("title", item))
            for item, view in zip(alike, views, strict=True)
        ]
    if words := request.get("wants"):
        found.append(t("about", words=words))
    if count := request.get("count"):
        found.append(t("count_of", n=count))
    if request.get("scenario"):
        found.append(name_of("scenario", request["scenario"], visit.language))
    found += [t("cannot", words=words) for words in request.get("unmet", ())]
    return list(dict.fromkeys(found))


def _range(one: Mapping[str, Any], visit: Visit) -> str:
    name = name_of("field", one["column"], visit.language)
    low, high = one.get("low"), one.get("high")
    if low is None:
        return visit.t("range_to", name=name, high=number(high))
    if high is None:
        return visit.t("range_from", name=name, low=number(low))
    if low == high:
        return f"{name} {number(low)}"
    return visit.t("range", name=name, low=number(low), high=number(high))


def _total(one: Mapping[str, Any], visit: Visit) -> str:
    name, high = name_of("field", one["column"], visit.language), one.get("high")
    if high is not None:
        return visit.t("total_to", name=name, high=number(high))
    return visit.t("total_from", name=name, low=number(one.get("low")))
