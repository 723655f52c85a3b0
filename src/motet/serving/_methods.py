"""Other methods than those of a path are answered with those it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, HTTPException
from fastapi.routing import APIRoute
from starlette.responses import Response

__all__ = ["METHODS", "refuse_other_methods"]

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"})
"""Every method that anybody uses."""


def refuse_other_methods(routes: APIRouter) -> None:
    """Let each path say all methods that it takes, where another is used; to be called when all are added.

    A path with several methods is several routes, and the framework names those of the first alone.

    Args:
        routes: With a prefix or without.
    """
    taken: dict[str, set[str]] = {}
    for route in routes.routes:
        if isinstance(route, APIRoute):
            taken.setdefault(route.path.removeprefix(routes.prefix), set()).update(route.methods or ())
    for path, methods in taken.items():
        others = sorted(METHODS - methods)
        routes.add_api_route(path, _refusal(methods), methods=others, include_in_schema=False)


def _refusal(methods: set[str]) -> Callable[[], Response]:
    allowed = ", ".join(sorted(methods))

    def refuse() -> Response:
        raise HTTPException(405, f"this takes {allowed}", {"Allow": allowed})

    return refuse
