"""Errors over HTTP: RFC 9457 problem details, each with a cure."""

from __future__ import annotations

import logging
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from motet.errors import MotetError, StoreUnavailableError
from motet.recommend import known_keys
from motet.schema import nearest
from motet.service.api._work import LateWorkError, OverloadedError
from motet.service.engine import ConflictError, NoModelError, NotFoundError, hide_places, public_problem

__all__ = [
    "NotFoundError",
    "Problem",
    "cause_of",
    "failed_response",
    "install_problems",
    "note_cause",
    "problem_response",
    "title_of",
]

_log: Final = logging.getLogger("motet.service.engine")
_CAUSE: Final = "motet.cause"

_TITLES: Final = {
    400: "the request cannot be read",
    401: "a key is needed",
    403: "the key does not allow this",
    404: "there is no such resource",
    405: "the path does not have this method",
    408: "the request took too long to arrive",
    409: "this does not fit the present state",
    413: "the request is too large",
    415: "the content type is not supported",
    422: "the request is wrong",
    429: "too many requests",
    500: "something went wrong here",
    503: "not possible just now",
    507: "the store cannot write",
}
_REFUSED: Final = {
    400: "unreadable_body",
    401: "key",
    403: "not_allowed",
    408: "slow_body",
    413: "large_body",
    415: "content_type",
    422: "complex_body",
    429: "rate",
    503: "overloaded",
}
_CAUSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (RequestValidationError, "invalid_request"),
    (ValidationError, "invalid_request"),
    (OverloadedError, "overloaded"),
    (LateWorkError, "late"),
    (NotFoundError, "not_found"),
    (StoreUnavailableError, "store_unavailable"),
    (NoModelError, "no_model"),
    (ConflictError, "conflict"),
)
_OF_HTTP: Final = {400: "unreadable_body", 404: "no_route", 405: "method"}
_UNKNOWN: Final = "extra_forbidden"  # the type of an error: a key that is not known
_CURES: Final = {
    404: "see /docs for all paths",
    405: "see /docs for the methods",
    415: "send application/json",
    500: "send it again; if it fails again, report the request id to the operator",
}


class Fault(BaseModel):
    """One part of a request that is wrong."""

    where: str = Field(examples=["k"])
    problem: str = Field(examples=["Input should be less than or equal to 200"])


class Problem(BaseModel):
    """Problem details (RFC 9457) with a cure."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["the request is wrong"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["'k' is wrong: Input should be less than or equal to 200"])
    cure: str = Field("", examples=["fix that part"])
    request_id: str = ""
    errors: list[Fault] | None = None


def title_of(status: int) -> str:
    """The title of a problem with a status."""
    return _TITLES.get(status, "the request failed")


def problem_response(
    status: int,
    detail: str,
    cure: str = "",
    *,
    request_id: str = "",
    path: str = "",
    errors: list[Fault] | None = None,
    retry_s: int | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem as a response; plain text for clients of the Gorse API, which expect that."""
    headers = dict(headers or {})
    if retry_s is not None:
        headers["Retry-After"] = str(retry_s)
    if path.startswith("/api/"):
        return PlainTextResponse(detail, status, headers)
    problem = Problem(
        type="about:blank",
        title=title_of(status),
        status=status,
        detail=detail,
        cure=cure or _CURES.get(status, ""),
        request_id=request_id,
        errors=errors,
    )
    content = to_json(problem.model_dump(exclude_none=True))
    return Response(content, status, headers, media_type="application/problem+json")


def note_cause(scope: Scope, error: Exception | str) -> None:
    """Remember why a request failed, for the count of errors: one of a few words, nothing of the request itself.

    Args:
        scope: The scope of the request.
        error: What was raised, or the cause itself.
    """
    if isinstance(error, HTTPException):
        scope[_CAUSE] = _OF_HTTP.get(error.status_code, "other")
    elif isinstance(error, Exception):
        scope[_CAUSE] = next(
            (name for kind, name in _CAUSES if isinstance(error, kind)), type(error).__name__
        )
    else:
        scope[_CAUSE] = error


def cause_of(scope: Scope, status: int, *, refused: bool = False) -> str:
    """Why a request failed: one of a few words; empty for an answer below 400.

    Args:
        scope: The scope of the request.
        status: Of the answer.
        refused: Whether it was refused before any route.
    """
    if status < 400:
        return ""
    if refused:
        return _REFUSED.get(status, "other")
    found: str = scope.get(_CAUSE, "")
    is_page = not scope["path"].startswith(("/v1", "/api", "/metrics", "/docs", "/openapi.json"))
    return found or ("page" if is_page else "other")


def failed_response(scope: Scope, error: Exception) -> Response:
    """The response to an unexpected error, which is logged; the answer holds only its type."""
    note_cause(scope, f"unexpected {type(error).__name__}")
    request_id = scope.get("motet.request_id", "")
    _log.error("a request failed", exc_info=error, extra={"request_id": request_id})
    detail = f"an unexpected error ({type(error).__name__})"
    return problem_response(500, detail, request_id=request_id, path=scope["path"])


def _status_of(error: MotetError) -> int:
    if isinstance(error, NotFoundError):
        return 404
    if isinstance(error, StoreUnavailableError | NoModelError):
        return 503
    return 409 if isinstance(error, ConflictError) else 422


def faults_of(error: RequestValidationError | ValidationError) -> list[Fault]:
    """The faults of a request; the values that were sent are not repeated."""
    faults = []
    # a mistyped key first: what it stood for is missing as well
    found = sorted(error.errors(), key=lambda one: one["type"] != _UNKNOWN)
    for one in found[:20]:
        where = ".".join(str(part) for part in one["loc"] if part not in ("body", "query", "path"))
        faults.append(Fault(where=where[:200], problem=str(one["msg"])[:300]))
    return faults


def nearest_key(scope: Scope, error: RequestValidationError | ValidationError) -> str:
    """For a key of the body that is not known, the nearest one that is; empty for other errors."""
    field = getattr(scope.get("route"), "body_field", None)
    unknown = next((one["loc"] for one in error.errors() if one["type"] == _UNKNOWN), ())
    if field is None or not unknown:
        return ""
    *place, key = (part for part in unknown if part != "body")
    known = known_keys(field.field_info.annotation, place)
    return nearest(str(key)[:80], known) if known else ""


def install_problems(app: FastAPI) -> None:
    """Register handlers that answer every error as a problem."""

    def respond(request: Request, status: int, detail: str, cure: str = "", **more: Any) -> Response:
        request_id = request.scope.get("motet.request_id", "")
        return problem_response(
            status, detail, cure, request_id=request_id, path=request.scope["path"], **more
        )

    async def wrong(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError | ValidationError)  # noqa: S101 (as registered)
        note_cause(request.scope, error)
        faults = faults_of(error)
        first = faults[0] if faults else Fault(where="", problem="it cannot be read")
        detail = f"'{first.where}' is wrong: {first.problem}" if first.where else first.problem
        return respond(
            request, 422, detail, nearest_key(request.scope, error) or "fix that part", errors=faults
        )

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, MotetError)  # noqa: S101 (as registered)
        status = _status_of(error)
        note_cause(request.scope, error)
        retry_s = 1 if status == 503 else None
        return respond(request, status, public_problem(error), hide_places(error.cure), retry_s=retry_s)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 (as registered)
        headers = dict(error.headers or {})
        note_cause(request.scope, error)
        return respond(request, error.status_code, str(error.detail), headers=headers)

    async def busy(request: Request, error: Exception) -> Response:
        note_cause(request.scope, error)
        return respond(
            request, 503, "too many requests wait already", "send it again a little later", retry_s=1
        )

    async def late(request: Request, error: Exception) -> Response:
        note_cause(request.scope, error)
        return respond(request, 503, "the answer took too long", "ask for less, or send it again", retry_s=2)

    app.add_exception_handler(RequestValidationError, wrong)
    app.add_exception_handler(ValidationError, wrong)
    app.add_exception_handler(MotetError, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(OverloadedError, busy)
    app.add_exception_handler(LateWorkError, late)
