"""Client of the public API, and the headers of pages."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx

from motet.messages import say

__all__ = ["REPORT_HEADERS", "Api", "ApiError", "Caller", "page_headers", "path"]

_SCOPE: Final = re.compile(r"needs the scope (\w+)$")
_MOST_KEYS: Final = 1_000
_SCHEMA_S: Final = 5.0  # cache time of the schema: another model may be activated


class ApiError(Exception):
    """The service refused, failed, or could not be reached.

    Not a MotetError: it holds the message of the service, which is shown as it is.

    Attributes:
        status: The HTTP status; 503 if the service did not answer.
        detail: The problem, from the service or translated by the pages.
        cure: The cure from the service.
    """

    def __init__(self, status: int, detail: str, cure: str = "") -> None:
        super().__init__(detail)
        self.status, self.detail, self.cure = status, detail, cure


def path(*parts: str) -> str:
    """Build a path from parts that may hold any character.

    Example:
        >>> path("v1", "items", "a/b")
        '/v1/items/a%2Fb'
    """
    return "/" + "/".join(quote(part, safe="") for part in parts)


class Api:
    """The connections to the service.

    Args:
        base_url: Where it listens.
        key: Sent with every call; the visitor's own where left out.
        relay: Secret that authenticates the address of the visitor to the service.
    """

    def __init__(self, base_url: str, key: str | None = None, relay: str = "") -> None:
        self._key, self._relay = key, relay
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(30.0, connect=5.0),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            trust_env=False,  # never through a proxy of the environment
        )
        self._schemas: dict[str | None, tuple[float, dict[str, Any]]] = {}
        self._operators: dict[str | None, tuple[float, bool]] = {}

    @property
    def has_key(self) -> bool:
        """Whether the pages have a key of their own."""
        return self._key is not None

    def caller(self, key: str | None, address: str = "", language: str = "en") -> Caller:
        """Calls for one visitor.

        Args:
            key: The key of the visitor, used if the pages have none.
            address: Address of the visitor, for the rate limit.
            language: Language of error messages of the pages.
        """
        headers = (
            {"X-Motet-Relay": self._relay, "X-Motet-Visitor": address} if self._relay and address else {}
        )
        return Caller(self._http, self._key or key, self._schemas, headers, language, self._operators)

    async def close(self) -> None:
        """End the connections."""
        await self._http.aclose()


class Caller:
    """Calls for one visitor.

    Args:
        http: The connections.
        key: Key to send, if there is one.
        schemas: Cache of schemas by key.
        headers: Further headers to send.
        language: Language of error messages of the pages.
        operators: Cache of whether a key has the scope admin, by key.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        key: str | None,
        schemas: dict[str | None, tuple[float, dict[str, Any]]],
        headers: Mapping[str, str] | None = None,
        language: str = "en",
        operators: dict[str | None, tuple[float, bool]] | None = None,
    ) -> None:
        self._http, self._key, self._schemas = http, key, schemas
        self._operators = {} if operators is None else operators
        self._headers, self._language = dict(headers or {}), language

    async def get(self, where: str, **query: str | int | None) -> Any:
        """GET a path and return its JSON.

        Raises:
            ApiError: If the service refuses or fails.
        """
        return (await self.raw("GET", where, query=query)).json()

    async def post(self, where: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST a body and return the JSON of the answer; None if it is empty.

        Raises:
            ApiError: If the service refuses or fails.
        """
        answer = await self.raw("POST", where, body=body or {})
        return answer.json() if answer.content else None

    async def maybe(self, where: str, **query: str | int | None) -> Any:
        """GET a path and return its JSON; None on failure, for optional parts of a page."""
        try:
            return await self.get(where, **query)
        except ApiError:
            return None

    async def has(self, where: str) -> bool:
        """Whether a path does not answer 404."""
        try:
            await self.raw("GET", where)
        except ApiError as error:
            return error.status != 404
        return True

    async def schema(self) -> dict[str, Any]:
        """The schema of the service, cached for some seconds.

        Raises:
            ApiError: If the service refuses or fails.
        """
        kept = self._schemas.get(self._key)
        if kept is None or time.monotonic() - kept[0] > _SCHEMA_S:
            found = await self.get("/v1/schema")
            self._schemas.clear()
            kept = self._schemas[self._key] = (time.monotonic(), found)
        return kept[1]

    async def is_operator(self) -> bool:
        """Whether the visitor may do everything: with a key of the scope admin, or where the service has no keys.

        Cached for some seconds.
        """
        kept = self._operators.get(self._key)
        if kept is None or time.monotonic() - kept[0] > _SCHEMA_S:
            found = await self.maybe("/v1/keys") is not None
            if len(self._operators) >= _MOST_KEYS:
                self._operators.clear()
            kept = self._operators[self._key] = (time.monotonic(), found)
        return kept[1]

    async def need_operator(self) -> None:
        """Refuse visitors without the scope admin.

        Raises:
            ApiError: If :meth:`is_operator` says no.
        """
        if not await self.is_operator():
            await self.get(
                "/v1/keys"
            )  # the refusal of the service itself: no key, a wrong one, or one without the scope

    def forget_schema(self) -> None:
        """Clear the cache of schemas."""
        self._schemas.clear()

    async def raw(
        self,
        method: str,
        where: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int | None] | None = None,
    ) -> httpx.Response:
        """Send a request and return the response.

        Raises:
            ApiError: If the service refuses or fails.
        """
        headers = {**self._headers, **({"X-API-Key": self._key} if self._key else {})}
        params = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            answer = await self._http.request(method, where, json=body, params=params, headers=headers)
        except (TimeoutError, httpx.HTTPError):
            raise ApiError(503, say("away", self._language)) from None
        if answer.is_success:
            return answer
        raise _refusal(answer, self._language)


def _refusal(answer: httpx.Response, language: str) -> ApiError:
    try:
        content = answer.json()
    except ValueError:
        content = None
    if not isinstance(content, Mapping):
        return ApiError(answer.status_code, say("refused", language, status=answer.status_code))
    detail = str(content.get("detail") or content.get("title") or answer.reason_phrase)
    if answer.status_code == 403 and (missing := _SCOPE.search(detail)):
        return ApiError(403, say("key_scope", language, scope=missing[1]))
    return ApiError(answer.status_code, detail, str(content.get("cure") or ""))


# -- security headers ---------------------------------------------------------------------------

_COMMON: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cache-Control": "no-store",
}


def page_headers(picture_sites: Sequence[str] = ()) -> dict[str, str]:
    """Headers of a page: own files only, nothing inline, no other host but those that pictures may come from.

    Args:
        picture_sites: Sites of pictures, each a scheme and a host.
    """
    images = " ".join(["'self'", *picture_sites])
    return {
        **_COMMON,
        "X-Frame-Options": "DENY",
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; "
            f"img-src {images}; connect-src 'self'; "
            "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    }


REPORT_HEADERS: Final = {
    **_COMMON,
    "X-Frame-Options": "SAMEORIGIN",
    # a report is one file with its style and script inside; its own policy names the script by its hash
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
    ),
}
"""A report is shown in a frame, as if it came from nowhere: it reaches neither the page nor its cookies."""
