"""What the routes share: ids in addresses, refusal of other methods, error responses, the context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import unquote

from fastapi import APIRouter, HTTPException, Path
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Scope

from motet.service.api._authenticator import Authenticator
from motet.service.api._problems import Problem
from motet.service.api._stats import Stats
from motet.service.api._work import Kind, Work
from motet.service.engine import Engine, HttpSettings, ModelRegistry

__all__ = [
    "METHODS",
    "PROBLEMS",
    "Context",
    "ItemId",
    "Name",
    "UserId",
    "json_bytes",
    "keep_ids",
    "refuse_other_methods",
    "whole_id",
]

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"})
"""All known methods."""


def refuse_other_methods(routes: APIRouter) -> None:
    """Answer a method that a path does not have with 405 and all methods that it has; call it after adding all routes.

    A path with several methods is several routes, and the framework lists the methods of the first alone.

    Args:
        routes: The routes, with or without a prefix.
    """
    taken: dict[str, set[str]] = {}
    for route in routes.routes:
        if isinstance(route, APIRoute):
            taken.setdefault(route.path.removeprefix(routes.prefix), set()).update(route.methods or ())
    for path, methods in taken.items():
        others = sorted(METHODS - methods)
        # without the answers of the router, which take time to build and which nothing describes here
        routes.routes.append(
            APIRoute(routes.prefix + path, _refusal(methods), methods=others, include_in_schema=False)
        )


def _refusal(methods: set[str]) -> Callable[[], Response]:
    allowed = ", ".join(sorted(methods))

    def refuse() -> Response:
        raise HTTPException(405, f"this takes {allowed}", {"Allow": allowed})

    return refuse


# -- ids in addresses, which may hold any character ---------------------------------------------

_OF_IDS: Final = ("/v1/items/", "/v1/users/")
# lone surrogates: no decoded address contains them
_SLASH: Final = "\udc2f"
_LINE: Final = "\udc0a"


def keep_ids(scope: Scope) -> Scope:
    """Keep slashes and line breaks that are part of an id.

    The server decodes the path, which makes ``/v1/items/a%2Fsimilar`` (the item ``a/similar``) and
    ``/v1/items/a/similar`` (items similar to ``a``) the same. If the raw path of an item or user has an encoded slash,
    it is decoded again part by part. A trailing line break is replaced because the routes would ignore it.

    Args:
        scope: The scope of a request, which is not changed.

    Returns:
        The same scope, or a copy with another path.
    """
    path, raw = scope["path"], scope.get("raw_path") or b""
    if path.startswith(_OF_IDS) and b"%2f" in raw.lower():
        parts = raw.partition(b"?")[0].decode("latin-1").split("/")
        path = "/".join(unquote(part).replace("/", _SLASH) for part in parts)
    path = path.replace("\n", _LINE)
    return scope if path == scope["path"] else {**scope, "path": path}


def whole_id(value: object) -> object:
    """An id from an address, with its slashes and line breaks."""
    return value.replace(_SLASH, "/").replace(_LINE, "\n") if isinstance(value, str) else value


_SLASHES: Final = "Any text; write a slash as %2F."
ItemId = Annotated[
    str, BeforeValidator(whole_id), Path(min_length=1, max_length=512, description=_SLASHES, examples=["50"])
]
"""The id of an item in the address."""
UserId = Annotated[
    str, BeforeValidator(whole_id), Path(min_length=1, max_length=512, description=_SLASHES, examples=["42"])
]
"""The id of a user in the address."""
Name = Annotated[str, BeforeValidator(whole_id), Path(min_length=1, max_length=512)]
"""Another name in the address, without a slash."""


# -- shared by the routes ----------------------------------------------------------------------

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": what, "content": {"application/problem+json": {}}}
    for status, what in {
        400: "The request cannot be read.",
        401: "A key is needed.",
        403: "The key does not allow this.",
        404: "There is no such thing.",
        408: "The body took too long to arrive.",
        409: "This does not fit the present state.",
        413: "The request is too large.",
        415: "The content is not JSON.",
        422: "The request is wrong.",
        429: "Too many requests.",
        503: "Not possible just now; Retry-After says when to try again.",
    }.items()
}


def json_bytes(answer: Any) -> bytes:
    """An answer encoded as JSON."""
    return answer.model_dump_json().encode() if isinstance(answer, BaseModel) else to_json(answer)


@dataclass(frozen=True, slots=True)
class Context:
    """What the routes share.

    Attributes:
        engine: The engine.
        work: The thread pools.
        settings: Limits.
        models: The model registry.
        authenticator: Checks keys and rates.
        stats: Monitoring numbers.
    """

    engine: Engine
    work: Work
    settings: HttpSettings
    models: ModelRegistry
    authenticator: Authenticator
    stats: Stats

    async def answer(
        self, kind: Kind, call: Callable[[], Any], *, status: int = 200, limit_s: float | None = None
    ) -> Response:
        """Run a call in a thread of a kind and answer with its result as JSON."""
        content = await self.work.run(kind, lambda: json_bytes(call()), limit_s=limit_s)
        return Response(content, status, media_type="application/json")
