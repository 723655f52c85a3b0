"""What the routes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.responses import Response

from motet.serving._doorkeeper import Doorkeeper
from motet.serving._engine import Engine
from motet.serving._models import ModelDesk
from motet.serving._problems import Problem
from motet.serving._settings import HttpSettings
from motet.serving._stats import Stats
from motet.serving._work import Kind, Work

__all__ = ["PROBLEMS", "Context", "json_bytes"]

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
        415: "The content is no JSON.",
        422: "The request is wrong.",
        429: "Too many requests.",
        503: "Not possible just now; Retry-After says when to try again.",
    }.items()
}


def json_bytes(answer: Any) -> bytes:
    """An answer as JSON."""
    return answer.model_dump_json().encode() if isinstance(answer, BaseModel) else to_json(answer)


@dataclass(frozen=True, slots=True)
class Context:
    """What the routes share.

    Attributes:
        engine: Answers.
        work: Does so off the event loop.
        settings: Limits.
        models: Model versions.
        door: Looks at keys.
        stats: Numbers.
    """

    engine: Engine
    work: Work
    settings: HttpSettings
    models: ModelDesk
    door: Doorkeeper
    stats: Stats

    async def answer(
        self, kind: Kind, call: Callable[[], Any], *, status: int = 200, limit_s: float | None = None
    ) -> Response:
        """What a call answers, written as JSON in the same thread."""
        content = await self.work.run(kind, lambda: json_bytes(call()), limit_s=limit_s)
        return Response(content, status, media_type="application/json")
