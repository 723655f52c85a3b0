"""The router of the Gorse API, with its own OpenAPI description and health routes."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from motet.service.api import Work
from motet.service.engine import Engine
from motet.service.gorse._lists import add_lists, add_recommend
from motet.service.gorse._records import add_feedback, add_items, add_users
from motet.service.gorse._route import Adder, GorseRoute, Needs
from motet.service.gorse._shapes import GorseHealth

__all__ = ["add_health", "described", "gorse_router"]


def described(whole: dict[str, Any]) -> dict[str, Any]:
    """The part of an OpenAPI description for the routes under ``/api``.

    Args:
        whole: The description of the whole service.

    Example:
        >>> described({"paths": {"/api/user": {}, "/v1/items": {}}, "info": {}})["paths"]
        {'/api/user': {}}
    """
    paths = {
        path: operations for path, operations in whole.get("paths", {}).items() if path.startswith("/api/")
    }
    schemas = whole.get("components", {}).get("schemas", {})
    needed: dict[str, Any] = {}
    waiting = _named(paths)
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in needed:
            needed[name] = schemas[name]
            waiting += _named(schemas[name])
    rest = {name: part for name, part in whole.get("components", {}).items() if name != "schemas"}
    return {**whole, "paths": paths, "components": {**rest, "schemas": needed}}


def _named(part: Any) -> list[str]:
    """Names of the schemas that a part of a description points to."""
    found: list[str] = []
    waiting = [part]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(reference := one.get("$ref"), str):
                found.append(reference.rsplit("/", 1)[-1])
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


# -- health ------------------------------------------------------------------------------------

_PATIENCE_S: Final = 2.0


def add_health(add: Adder, needs: Needs) -> None:
    """Add both health routes; as in Gorse they need no key, and they do not wait for other requests."""

    async def health() -> GorseHealth:
        try:
            connected = await asyncio.wait_for(asyncio.to_thread(needs.store.can_read), _PATIENCE_S)
        except TimeoutError:
            connected = False
        return GorseHealth(
            ready=connected and needs.has_model and not needs.is_ending,
            data_store_error=None if connected else "the store does not answer",
            cache_store_error=None,
            data_store_connected=connected,
            cache_store_connected=True,
        )

    @add.get("/health/live", "Whether the service lives.")
    async def live() -> GorseHealth:
        return await health()

    @add.get("/health/ready", "Whether the service can answer.", response_model=GorseHealth)
    async def ready() -> GorseHealth | PlainTextResponse:
        found = await health()
        if found.ready:
            return found
        return PlainTextResponse(found.model_dump_json(by_alias=True), 503, {"Retry-After": "1"})


# -- the router --------------------------------------------------------------------------------


def gorse_router(engine: Engine, work: Work | None = None) -> APIRouter:
    """Gorse's REST API under ``/api``: what its clients send and get, answered by the engine.

    Args:
        engine: The engine.
        work: Does the work off the event loop; threads of the framework where it is left out.
    """
    router = APIRouter(prefix="/api", route_class=GorseRoute, tags=["gorse"])
    needs, add = Needs(engine), Adder(router, work)
    for part in (add_health, add_users, add_items, add_feedback, add_recommend, add_lists):
        part(add, needs)
    add.refuse_other_methods()
    both = APIRouter()
    both.routes.extend(router.routes)

    @both.get("/apidocs.json", include_in_schema=False)
    def description(request: Request) -> dict[str, Any]:
        """The routes under /api, as OpenAPI."""
        return described(request.app.openapi())

    return both
