"""Routes that answer as Gorse does: with and without a slash at the end, and errors as plain text."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_core import to_json

from motet.errors import BundleError, MotetError, StoreUnavailableError
from motet.serving._bodies import BodyRoute
from motet.serving._faults import NoModelError
from motet.serving._methods import METHODS
from motet.serving._paths import whole_id
from motet.serving._problems import NotFoundError, public_problem
from motet.serving._work import Kind, Work

__all__ = ["MOST", "Adder", "Count", "GorseRoute", "Id", "Offset", "Words", "problem_of"]

MOST: Final = 10_000
"""Most rows of a page, and most ranks of a list; more may be asked for."""

_PLAIN: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": said, "content": {"text/plain": {"schema": {"type": "string"}}}}
    for status, said in {
        400: "The request is wrong.",
        401: "The key is missing or wrong.",
        403: "The key does not allow this.",
        404: "There is no such thing.",
        408: "The body took too long to arrive.",
        413: "The body is too large.",
        415: "The content is no JSON.",
        422: "The request is wrong.",
        429: "Too many requests.",
        503: "Not possible now; the same request may be sent again.",
    }.items()
}
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])


def _default(fallback: int) -> Any:
    """An empty number is the default, as where Go reads it."""
    return BeforeValidator(lambda said: fallback if said == "" else said)


Count = Annotated[int, _default(10), Query(ge=0, description="How many")]
"""How many rows are wanted."""

Offset = Annotated[int, _default(0), Query(ge=0, description="How many are passed over")]
"""How many are passed over."""


def _no_nul(said: str) -> str:
    if "\0" in said:
        raise ValueError("there is a NUL character in it")
    return said


Words = Annotated[str, AfterValidator(_no_nul)]
"""A text in the address that every database can hold."""

Id = Annotated[Words, BeforeValidator(whole_id), Path(min_length=1, max_length=512)]
"""An id in the address; there is no slash in it."""


class GorseRoute(BodyRoute):
    """A route of which every error is told as plain text."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with errors told."""
        handler = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handler(request)
            except (MotetError, HTTPException, RequestValidationError, ValidationError) as error:
                status, said, headers = problem_of(error)
                return PlainTextResponse(said.encode("utf-8", "replace"), status, headers)

        return told


def problem_of(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers of an error.

    Example:
        >>> problem_of(NotFoundError("user 1000 not found"))[:2]
        (404, 'user 1000 not found')
    """
    if isinstance(error, RequestValidationError | ValidationError):
        return 400, _said(error), {}
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail), dict(error.headers or {})
    if isinstance(error, NotFoundError):
        return 404, error.problem, {}
    if isinstance(error, StoreUnavailableError | BundleError | NoModelError):
        return 503, public_problem(error), {"Retry-After": "1"}
    if isinstance(error, MotetError):
        return 400, public_problem(error), {}
    raise error


def _said(error: RequestValidationError | ValidationError) -> str:
    first = error.errors()[0]
    place, *path = first["loc"] or ("request",)
    name = ".".join(str(part) for part in path)
    if place == "query" and first["type"] == "int_parsing":
        return f'strconv.Atoi: parsing "{str(first["input"])[:64]}": invalid syntax'
    if first["type"] == "string_pattern_mismatch":
        return f"{name} contains a slash or a NUL character"
    if first["type"] == "json_invalid":
        return "the body is no JSON"
    return f"{name or place}: {first['msg']}"[:500]


class Adder:
    """Adds routes, each with and without a slash at its end; only the latter stands in the description.

    Args:
        router: Where to.
        work: Does the work off the event loop; threads of the framework where it is left out.
    """

    def __init__(self, router: APIRouter, work: Work | None) -> None:
        self._router, self._work = router, work
        self._methods: dict[str, set[str]] = {}

    def refuse_other_methods(self) -> None:
        """Let each path say which methods it takes, where another is used; to be called when all are added."""
        for path, methods in self._methods.items():
            for same in (path, path + "/"):
                others = sorted(METHODS - methods)
                self._router.add_api_route(same, _refusal(methods), methods=others, include_in_schema=False)

    def get(self, path: str, summary: str, **options: Any) -> Callable[[_Endpoint], _Endpoint]:
        """Add something that is asked."""
        return self._add("GET", path, summary, "fast", **options)

    def get_ranked(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add something that the model is asked."""
        return self._add("GET", path, summary, "model")

    def post_ranked(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add something that the model is asked with a body."""
        return self._add("POST", path, summary, "model")

    def post(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add something that is told."""
        return self._add("POST", path, summary, "write")

    def put(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add something that is told, whatever was told before."""
        return self._add("PUT", path, summary, "write")

    def patch(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add something that is changed."""
        return self._add("PATCH", path, summary, "write")

    def delete(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add something that is deleted."""
        return self._add("DELETE", path, summary, "write")

    def _add(
        self, method: str, path: str, summary: str, kind: Kind, **options: Any
    ) -> Callable[[_Endpoint], _Endpoint]:
        def added(endpoint: _Endpoint) -> _Endpoint:
            said = re.sub(r"\W+", "_", path).strip("_")
            name = f"gorse_{method.lower()}_{said}"
            shared = {
                "methods": [method],
                "name": name,
                "operation_id": name,
                "summary": summary,
                "responses": _PLAIN,
                **options,
            }
            worked = self._worked(endpoint, kind)
            self._methods.setdefault(path, set()).add(method)
            self._router.add_api_route(path, worked, **shared)
            self._router.add_api_route(path + "/", worked, include_in_schema=False, **shared)
            return endpoint

        return added

    def _worked(self, endpoint: Callable[..., Any], kind: Kind) -> Callable[..., Any]:
        work = self._work
        if work is None or inspect.iscoroutinefunction(endpoint):
            return endpoint

        @functools.wraps(endpoint)
        async def worked(**values: Any) -> Response:
            return await work.run(kind, lambda: _response(endpoint(**values)))

        return worked


def _refusal(methods: set[str]) -> Callable[[], Response]:
    allowed = ", ".join(sorted(methods))

    def refuse() -> Response:
        return PlainTextResponse("Method Not Allowed", 405, {"Allow": allowed})

    return refuse


def _response(answer: Any) -> Response:
    if isinstance(answer, Response):
        return answer
    return Response(to_json(answer, by_alias=True), media_type="application/json")
