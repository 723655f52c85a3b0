"""Gorse's REST API, as one router."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from motet.serving._engine import Engine
from motet.serving._gorse._description import described
from motet.serving._gorse._feedback import add_feedback
from motet.serving._gorse._health import add_health
from motet.serving._gorse._items import add_items
from motet.serving._gorse._lists import add_lists
from motet.serving._gorse._needs import Needs
from motet.serving._gorse._recommend import add_recommend
from motet.serving._gorse._route import Adder, GorseRoute
from motet.serving._gorse._users import add_users
from motet.serving._work import Work

__all__ = ["gorse_router"]


def gorse_router(engine: Engine, work: Work | None = None) -> APIRouter:
    """Gorse's REST API under ``/api``: what its clients send and get, answered by the engine.

    Args:
        engine: What answers.
        work: Does the work off the event loop; threads of the framework where it is left out.
    """
    router = APIRouter(prefix="/api", route_class=GorseRoute, tags=["gorse"])
    needs, add = Needs(engine), Adder(router, work)
    for part in (add_health, add_users, add_items, add_feedback, add_recommend, add_lists):
        part(add, needs)
    add.refuse_other_methods()
    both = APIRouter()
    both.include_router(router)

    @both.get("/apidocs.json", include_in_schema=False)
    def description(request: Request) -> dict[str, Any]:
        """The routes under /api, as OpenAPI."""
        return described(request.app.openapi())

    return both
