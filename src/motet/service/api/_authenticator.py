"""Authentication and rate limits: keys, their scopes, and requests per key or address."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope as HttpScope

from motet.errors import RequestError, StoreUnavailableError
from motet.service.api._workers import RateLimit, SharedState
from motet.service.engine import HttpSettings
from motet.service.store import Key, KeyStore, Scope

__all__ = ["AccessRefused", "Authenticator", "Proxies", "allows", "needed_scope"]

_ORDER: Final[tuple[Scope, ...]] = ("read", "write", "admin")
_ADMIN: Final = ("/v1/keys", "/v1/models", "/v1/experiments", "/v1/learner", "/v1/surveys", "/v1/export/", "/v1/import/")  # fmt: skip
_ADMIN_READ: Final = ("/v1/models", "/v1/experiments", "/v1/learner", "/v1/surveys")
_READING: Final = frozenset({"/v1/recommend", "/v1/ask", "/v1/lists", "/v1/rank"})
_OPEN: Final = ("/v1/health/", "/api/health/")
_API: Final = ("/v1/", "/api/")
_PROTECTED: Final = ("/metrics", "/docs", "/openapi.json", "/apidocs.json")


def needed_scope(method: str, path: str) -> Scope | None:
    """The least scope that a request needs; None if it needs no key.

    Health is open to load balancers. Pages are open because they hold no data: they get it from the API with the key of
    the visitor.

    Example:
        >>> needed_scope("POST", "/v1/recommend"), needed_scope("POST", "/v1/events"), needed_scope("GET", "/v1/keys")
        ('read', 'write', 'admin')
    """
    if path.startswith(_OPEN) or method == "OPTIONS":
        return None
    if not path.startswith(_API):
        return "read" if path.startswith(_PROTECTED) else None
    reads = method in ("GET", "HEAD")
    if path.startswith(_ADMIN):
        return "read" if reads and path.startswith(_ADMIN_READ) else "admin"
    if reads or path in _READING or path.startswith("/api/session/"):
        return "read"
    return "write"


def allows(scopes: Collection[Scope], needed: Scope) -> bool:
    """Whether scopes include a needed one: each scope includes those before it.

    Example:
        >>> allows({"write"}, "read"), allows({"write"}, "admin")
        (True, False)
    """
    return any(_ORDER.index(scope) >= _ORDER.index(needed) for scope in scopes)


# -- authentication ----------------------------------------------------------------------------

_FRESH_S: Final = 0.9  # a key that was revoked in another process is refused within a second
_MOST: Final = 2_000
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class AccessRefused:
    """A refused request.

    Attributes:
        status: The HTTP status.
        detail: Why.
        cure: What to do.
        retry_s: Seconds after which to try again.
    """

    status: int
    detail: str
    cure: str
    retry_s: int | None = None


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """Trusted proxies, whose ``X-Forwarded-For`` gives the address of a client.

    Args:
        trusted: Their addresses and networks.

    Raises:
        RequestError: If one is neither an address nor a network.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks = []
        for one in trusted:
            try:
                self._networks.append(ipaddress.ip_network(one.strip(), strict=False))
            except ValueError:
                raise RequestError(
                    f"the trusted proxy {one[:80]!r} is neither an address nor a network",
                    "write it as 10.0.0.7 or 10.0.0.0/8",
                ) from None

    def trusts(self, address: str) -> bool:
        """Whether an address belongs to a trusted proxy."""
        found = _address(address) if self._networks else None
        return found is not None and self._are(found)

    def client(self, peer: tuple[str, int] | None, headers: Headers) -> tuple[str, int] | None:
        """The client of a request: the right-most address of ``X-Forwarded-For`` that is not a trusted proxy.

        Args:
            peer: The peer of the connection; it is the client unless it is a trusted proxy.
            headers: Headers of the request.
        """
        if peer is None or not self.trusts(peer[0]):
            return peer
        nearest = peer
        for text in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
            found = _address(text)
            if found is None:  # what is left of it cannot be trusted either
                return nearest
            nearest = (str(found), 0)
            if not self._are(found):
                return nearest
        return nearest

    def _are(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _address(text: str) -> _Address | None:
    """Parse an address with or without a port; None if it is not one."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


class Authenticator:
    """Checks the key and the rate of each request.

    While the store holds no key, everything is allowed: the service then listens on loopback alone. As soon as there is
    one, every request needs a key.

    Args:
        keys: The keys of the store.
        settings: Limits.
        shared: What this process has in common with other workers.
    """

    def __init__(self, keys: KeyStore, settings: HttpSettings, shared: SharedState | None = None) -> None:
        self._keys = keys
        self._settings = settings
        self._rate = RateLimit(settings.requests_per_s, settings.burst, shared)
        self._known: OrderedDict[bytes, tuple[float, Key | None]] = OrderedDict()
        self._any: tuple[float, bool] = (-math.inf, False)

    def forget(self) -> None:
        """Clear the cache of keys, as some were created or revoked."""
        self._known.clear()
        self._any = (-math.inf, self._any[1])

    async def check(self, scope: HttpScope) -> AccessRefused | str | None:
        """Check a request.

        Returns:
            The refusal; or the id of its key; or None if it is allowed without a key.
        """
        needed = needed_scope(scope["method"], scope["path"])
        if needed is None and scope["path"].startswith(("/v1/health/", "/api/health/")):
            return None
        headers = Headers(scope=scope)
        address = f"from {self._visitor(scope, headers)}"
        try:
            if not await self._are_keys():
                elsewhere = self._wrong_host(headers) or self._wrong_site(scope["method"], headers)
                return elsewhere or self._counted(address)
            if needed is None:
                return self._counted(address)
            secret = headers.get("x-api-key") or _bearer(headers.get("authorization", ""))
            if not secret and scope["path"].startswith("/docs"):  # the password prompt of a browser
                secret = _password(headers.get("authorization", ""))
            if not secret:
                return self._counted(address) or AccessRefused(
                    401, "this needs a key", "send one in X-API-Key or Authorization: Bearer"
                )
            key = await self._key(secret, address)
        except StoreUnavailableError:
            return AccessRefused(503, "keys cannot be looked up now", "send it again a little later", 1)
        if isinstance(key, AccessRefused):
            return key
        if key is None:
            return AccessRefused(401, "the key is not known, or was revoked", "send one that is known")
        if not allows(key.scopes, needed):
            return AccessRefused(
                403, f"the key does not allow this: it needs the scope {needed}", "use another key"
            )
        return self._counted(f"key {key.id}") or key.id

    async def _are_keys(self) -> bool:
        at_s, there = self._any
        if not there and time.monotonic() - at_s > _FRESH_S:
            try:
                there = await asyncio.to_thread(self._keys.any)
            except StoreUnavailableError:
                if at_s == -math.inf:
                    raise
            self._any = (time.monotonic(), there)
        return there

    async def _key(self, secret: str, address: str) -> Key | AccessRefused | None:
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        at_s, key = self._known.get(digest, (-math.inf, None))
        if time.monotonic() - at_s <= _FRESH_S:
            if key is None and (refused := self._counted(address)):
                return refused
            return key
        if refused := self._counted(address):  # a lookup needs the database
            return refused
        key = await asyncio.to_thread(self._keys.verify, secret)
        self._known[digest] = (time.monotonic(), key)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return key

    def _counted(self, who: str) -> AccessRefused | None:
        wait_s = self._rate.wait_s(who)
        if wait_s <= 0:
            return None
        return AccessRefused(
            429, "too many requests came from here", "wait as long as Retry-After says", math.ceil(wait_s)
        )

    def _visitor(self, scope: HttpScope, headers: Headers) -> str:
        """The address of the client; for calls of the pages of this process, that of their visitor."""
        client = scope.get("client")
        address = str(client[0]) if client else "nowhere"
        relay = self._settings.relay
        if relay and hmac.compare_digest(headers.get("x-motet-relay", "").encode(), relay.encode()):
            return headers.get("x-motet-visitor", "")[:64] or address
        return address

    def _wrong_host(self, headers: Headers) -> AccessRefused | None:
        """Without keys, refuse other host names: protection against DNS rebinding."""
        if not self._settings.hosts:
            return None
        host = headers.get("host", "").rsplit(":", 1)[0].strip("[]").lower()
        if host in self._settings.hosts:
            return None
        return AccessRefused(
            403, "this service accepts only its own host name while it has no keys", "create a key"
        )

    def _wrong_site(self, method: str, headers: Headers) -> AccessRefused | None:
        """Without keys, refuse changes from pages of other sites: protection against cross-site requests."""
        origin = headers.get("origin", "")
        same = not origin or origin.partition("://")[2].lower() == headers.get("host", "").lower()
        if method in _SAFE or origin in self._settings.origins:
            return None
        if same and headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
            return None
        return AccessRefused(
            403, "this comes from a page of another site", "allow that site with --origin, or create a key"
        )


def _bearer(header: str) -> str:
    kind, _, value = header.partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def _password(header: str) -> str:
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2].strip()
    except (binascii.Error, ValueError):
        return ""
