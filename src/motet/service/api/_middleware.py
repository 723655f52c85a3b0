"""Middleware of every request: request id, authentication, body limits, headers, metrics and access log."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motet.service.api._authenticator import AccessRefused, Authenticator, Proxies
from motet.service.api._bodies import LARGE_BYTES, WORK, BodyError, is_small, json_shape, read_body
from motet.service.api._context import METHODS, keep_ids
from motet.service.api._problems import cause_of, failed_response, note_cause, problem_response
from motet.service.api._work import LateWorkError, OverloadedError, Work
from motet.service.engine import HttpSettings
from motet.service.monitor import Watch

__all__ = ["RequestMiddleware", "method_of", "route_of"]

_log: Final = logging.getLogger("motet.access")
_SANE_ID: Final = re.compile(r"[0-9A-Za-z._-]{1,64}")
_CLIENT_LEFT: Final = 499
_BASIC: Final = 'Basic realm="motet: any name, and a key as the password", charset="UTF-8"'
_STREAMS: Final = "/v1/import/"
_FORMS: Final = "/pages/"
_FORM: Final = "application/x-www-form-urlencoded"
_PAGES: Final = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'; object-src 'none'"
)
_DOCS: Final = (
    "default-src 'none'; connect-src 'self'; img-src data:; script-src 'self'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_REPORT: Final = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class RequestMiddleware:
    """Middleware around an application.

    Args:
        app: The application.
        authenticator: Checks keys and rates.
        watch: Counts requests.
        settings: Limits.
        work: Thread pools; one checks and parses large bodies.
        is_ending: Whether the process is shutting down, so that each answer closes its connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        watch: Watch,
        settings: HttpSettings,
        work: Work,
        is_ending: Callable[[], bool],
    ) -> None:
        self._app, self._authenticator, self._watch, self._settings = app, authenticator, watch, settings
        self._work, self._is_ending = work, is_ending
        self._proxies = Proxies(settings.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        scope = keep_ids(scope)
        headers = Headers(scope=scope)
        sent_id = headers.get("x-request-id", "")
        scope = {**scope, "client": self._proxies.client(scope.get("client"), headers), WORK: self._work}
        scope["motet.request_id"] = sent_id if _SANE_ID.fullmatch(sent_id) else uuid.uuid4().hex
        status, has_begun = 500, False

        async def send_on(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                status, has_begun = message["status"], True
                self._add_headers(scope, MutableHeaders(scope=message))
            await send(message)

        key: str | None = None
        try:
            found = await self._authenticator.check(scope)
            if isinstance(found, AccessRefused):
                await self._refuse(scope, receive, send_on, found)
                return
            key = found
            inner = await self._body(scope, receive, headers)
            if isinstance(inner, AccessRefused):
                await self._refuse(scope, receive, send_on, inner)
            elif inner is not None:
                await self._app(scope, inner, send_on)
            else:
                status = _CLIENT_LEFT
        except Exception as error:
            if has_begun:
                raise
            await failed_response(scope, error)(scope, receive, send_on)
        finally:
            self._note(scope, status, (time.perf_counter() - began_s) * 1e3, key)

    async def _body(self, scope: Scope, receive: Receive, headers: Headers) -> Receive | AccessRefused | None:
        if scope["method"] in ("GET", "HEAD", "OPTIONS") or scope["path"].startswith(_STREAMS):
            return receive
        length = headers.get("content-length", "")
        settings = self._settings
        try:
            body = await read_body(
                receive,
                declared_bytes=int(length) if length.isascii() and length.isdigit() else None,
                most_bytes=settings.most_body_bytes,
                limit_s=settings.body_s,
            )
        except BodyError as error:
            return AccessRefused(error.status, error.detail, error.cure)
        if body is None:
            return None
        if body:
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == _FORM and scope["path"].startswith(_FORMS):
                return _replayed(body, receive)
            if kind != "application/json" and not (
                kind.startswith("application/") and kind.endswith("+json")
            ):
                return AccessRefused(
                    415, f"the content is {kind[:80] or 'of no kind'!a}", "send application/json"
                )
            if refused := await self._costly(body):
                return refused
        return _replayed(body, receive)

    async def _costly(self, body: bytes) -> AccessRefused | None:
        """A refusal if the body has more values, texts, members or levels than allowed; None if it is fine."""
        settings = self._settings
        limits = settings.most_containers, settings.most_strings, settings.most_members, settings.most_values
        if is_small(body, settings.most_depth, min(limits)):
            return None
        if len(body) <= LARGE_BYTES:
            shape = json_shape(body)
        else:
            try:
                shape = await self._work.run("body", partial(json_shape, body))
            except (OverloadedError, LateWorkError):
                return AccessRefused(
                    503, "too many large requests wait already", "send it again a little later", 1
                )
        if shape.depth > settings.most_depth:
            return AccessRefused(
                422, f"the JSON is {shape.depth} levels deep", f"send at most {settings.most_depth}"
            )
        for n, most, what in (
            (shape.containers, settings.most_containers, "lists and objects"),
            (shape.strings, settings.most_strings, "texts and names"),
            (shape.members, settings.most_members, "members of one object"),
            (shape.values, settings.most_values, "values"),
        ):
            if n > most:
                return AccessRefused(422, f"the JSON holds {n:,} {what}, at most {most:,} are taken", "send it in several requests")  # fmt: skip
        return _too_deep(shape.depth, settings.most_depth)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, refused: AccessRefused) -> None:
        note_cause(scope, cause_of(scope, refused.status, refused=True))
        challenge = _BASIC if scope["path"].startswith("/docs") else "Bearer"
        headers = {"WWW-Authenticate": challenge} if refused.status == 401 else {}
        if refused.status in (408, 413):
            headers["Connection"] = "close"  # the rest of the body is not read
        response = problem_response(
            refused.status,
            refused.detail,
            refused.cure,
            request_id=scope["motet.request_id"],
            path=scope["path"],
            retry_s=refused.retry_s,
            headers=headers,
        )
        await response(scope, receive, send)

    def _add_headers(self, scope: Scope, headers: MutableHeaders) -> None:
        path = scope["path"]
        headers["X-Request-Id"] = scope["motet.request_id"]
        if self._is_ending():
            headers["Connection"] = "close"
        headers["X-Content-Type-Options"] = "nosniff"
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("X-Frame-Options", "SAMEORIGIN" if path.endswith("/report") else "DENY")
        if path.startswith(("/v1/", "/api/")):
            headers.setdefault("Cache-Control", "no-store")
        policy = _DOCS if path.startswith("/docs") else _REPORT if path.endswith("/report") else _PAGES
        headers.setdefault("Content-Security-Policy", policy)

    def _note(self, scope: Scope, status: int, elapsed_ms: float, key: str | None) -> None:
        route, method = route_of(scope), method_of(scope)
        cause = "client_left" if status == _CLIENT_LEFT else cause_of(scope, status)
        request_id = scope["motet.request_id"]
        self._watch.request(method, route, status, elapsed_ms, cause=cause, request_id=request_id)
        fields = {
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "cause": cause or None,
            "elapsed_ms": round(elapsed_ms, 2),
            "key": key,
        }
        level = logging.INFO if status < 500 else logging.WARNING
        _log.log(level, "request", extra=fields)


def method_of(scope: Scope) -> str:
    """The method of a request; ``other`` if unknown, as labels of metrics must be bounded."""
    method: str = scope["method"]
    return method if method in METHODS else "other"


def route_of(scope: Scope) -> str:
    """The path template of the route, so that logs hold no ids."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if isinstance(path, str) and path:
        return path
    return "page" if not scope["path"].startswith(("/v1", "/api")) else "none"


def _too_deep(depth: int, most: int) -> AccessRefused | None:
    return (
        AccessRefused(422, f"the JSON is {depth} levels deep", f"send at most {most}")
        if depth > most
        else None
    )


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A receive function that returns a body that was read already, then the further messages."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
