"""Which key allows what."""

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
from motet.service.engine import HttpSettings
from motet.service.store import Key, KeyStore, Scope

__all__ = ["AccessRefused", "Authenticator", "Proxies", "RateLimit", "allows", "needed_scope"]

_ORDER: Final[tuple[Scope, ...]] = ("read", "write", "admin")
_ADMIN: Final = ("/v1/keys", "/v1/models", "/v1/export/", "/v1/import/")
_ASKING: Final = frozenset({"/v1/recommend", "/v1/ask", "/v1/lists", "/v1/rank"})
_OPEN: Final = ("/v1/health/", "/api/health/")
_MACHINE: Final = ("/v1/", "/api/")
_WATCHED: Final = ("/metrics", "/docs", "/openapi.json", "/apidocs.json")


def needed_scope(method: str, path: str) -> Scope | None:
    """The least scope that a request needs; None where it needs no key.

    Health is open, so that a balancer can look; pages are open too, for they hold nothing: what they show comes
    from the API, with the reader's key.

    Example:
        >>> needed_scope("POST", "/v1/recommend"), needed_scope("POST", "/v1/events"), needed_scope("GET", "/v1/keys")
        ('read', 'write', 'admin')
    """
    if path.startswith(_OPEN) or method == "OPTIONS":
        return None
    if not path.startswith(_MACHINE):
        return "read" if path.startswith(_WATCHED) else None
    reads = method in ("GET", "HEAD")
    if path.startswith(_ADMIN):
        return "read" if reads and path.startswith("/v1/models") else "admin"
    if reads or path in _ASKING or path.startswith("/api/session/"):
        return "read"
    return "write"


def allows(scopes: Collection[Scope], needed: Scope) -> bool:
    """Whether a key with some scopes may do what needs one: each scope holds those before it.

    Example:
        >>> allows({"write"}, "read"), allows({"write"}, "admin")
        (True, False)
    """
    return any(_ORDER.index(scope) >= _ORDER.index(needed) for scope in scopes)


# How often somebody may come: a bucket of tokens each.

_MOST_ADDRESSES: Final = 20_000


class RateLimit:
    """A bucket of tokens for each key or address; only the event loop's thread may use it.

    Those who were not heard of for the longest are forgotten first, which gives them a full bucket: by then
    theirs would be full anyway, unless more than twenty thousand come at once.

    Args:
        per_s: Tokens that come a second, > 0.
        burst: Tokens that a bucket holds, ≥ 1.

    Example:
        >>> limit = RateLimit(1.0, 2)
        >>> [limit.wait_s("ann", now_s=0.0) for _ in range(3)]
        [0.0, 0.0, 1.0]
    """

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, who: str, *, now_s: float | None = None) -> float:
        """Take a token: 0, or the seconds until there is one."""
        now_s = time.monotonic() if now_s is None else now_s
        tokens, last_s = self._buckets.pop(who, (self._burst, now_s))
        tokens = min(self._burst, tokens + (now_s - last_s) * self._per_s)
        wait_s = 0.0 if tokens >= 1 else (1 - tokens) / self._per_s
        self._buckets[who] = (tokens - 1 if tokens >= 1 else tokens, now_s)
        while len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return wait_s


# Who may come in: keys, their scopes, and how often.

_FRESH_S: Final = 5.0
_MOST: Final = 2_000
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class AccessRefused:
    """That a request may not come in.

    Attributes:
        status: As which HTTP status.
        detail: Why.
        cure: What to do.
        retry_s: When to come again.
    """

    status: int
    detail: str
    cure: str
    retry_s: int | None = None


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """Proxies that are believed where a request comes from.

    Args:
        trusted: Their addresses and networks.

    Raises:
        RequestError: If one of them is neither.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks = []
        for one in trusted:
            try:
                self._networks.append(ipaddress.ip_network(one.strip(), strict=False))
            except ValueError:
                raise RequestError(
                    f"the trusted proxy {one[:80]!r} is no address and no network",
                    "write it as 10.0.0.7 or 10.0.0.0/8",
                ) from None

    def trusts(self, address: str) -> bool:
        """Whether an address is one of theirs."""
        found = _address(address) if self._networks else None
        return found is not None and self._are(found)

    def client(self, peer: tuple[str, int] | None, headers: Headers) -> tuple[str, int] | None:
        """Where a request comes from: the right-most address of ``X-Forwarded-For`` that is of no trusted proxy.

        Args:
            peer: Who connected; believed, unless it is a trusted proxy.
            headers: Of the request.
        """
        if peer is None or not self.trusts(peer[0]):
            return peer
        nearest = peer
        for said in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
            found = _address(said)
            if found is None:  # what stands before it cannot be believed either
                return nearest
            nearest = (str(found), 0)
            if not self._are(found):
                return nearest
        return nearest

    def _are(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _address(said: str) -> _Address | None:
    """An address, with or without a port."""
    said = said.strip()
    if said.startswith("["):
        said = said[1:].partition("]")[0]
    elif said.count(":") == 1:
        said = said.partition(":")[0]
    try:
        found = ipaddress.ip_address(said)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


class Authenticator:
    """Looks at keys and counts visits.

    Where the store holds no key, everything is allowed: the service listens on loopback alone then. Once there was one,
    nothing is allowed without a key any more.

    Args:
        keys: The keys.
        settings: Limits.
    """

    def __init__(self, keys: KeyStore, settings: HttpSettings) -> None:
        self._keys = keys
        self._settings = settings
        self._rate = RateLimit(settings.requests_per_s, settings.burst)
        self._known: OrderedDict[bytes, tuple[float, Key | None]] = OrderedDict()
        self._any: tuple[float, bool] = (-math.inf, False)

    def forget(self) -> None:
        """Look at every key anew: some were made or revoked."""
        self._known.clear()
        self._any = (-math.inf, self._any[1])

    async def look(self, scope: HttpScope) -> AccessRefused | str | None:
        """Whether a request may come in.

        Returns:
            Why not; or the id of its key; or None where it comes without one.
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
            said = headers.get("x-api-key") or _bearer(headers.get("authorization", ""))
            if not said and scope["path"].startswith("/docs"):  # what a browser asks its user for
                said = _password(headers.get("authorization", ""))
            if not said:
                return self._counted(address) or AccessRefused(
                    401, "this needs a key", "send one in X-API-Key or Authorization: Bearer"
                )
            key = await self._key(said, address)
        except StoreUnavailableError:
            return AccessRefused(503, "keys cannot be looked up just now", "send it again a little later", 1)
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

    async def _key(self, said: str, address: str) -> Key | AccessRefused | None:
        digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()
        at_s, key = self._known.get(digest, (-math.inf, None))
        if time.monotonic() - at_s <= _FRESH_S:
            if key is None and (refused := self._counted(address)):
                return refused
            return key
        if refused := self._counted(address):  # looking up costs the database something
            return refused
        key = await asyncio.to_thread(self._keys.verify, said)
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
        """The address that a request comes from; for the pages of this very process, that of who looks at them."""
        client = scope.get("client")
        address = str(client[0]) if client else "nowhere"
        relay = self._settings.relay
        if relay and hmac.compare_digest(headers.get("x-motet-relay", "").encode(), relay.encode()):
            return headers.get("x-motet-visitor", "")[:64] or address
        return address

    def _wrong_host(self, headers: Headers) -> AccessRefused | None:
        """Without keys, only who names this host may come: a page elsewhere could lead a browser here under its own."""
        if not self._settings.hosts:
            return None
        host = headers.get("host", "").rsplit(":", 1)[0].strip("[]").lower()
        if host in self._settings.hosts:
            return None
        return AccessRefused(
            403, "this service answers for its own host alone while it has no keys", "make a key"
        )

    def _wrong_site(self, method: str, headers: Headers) -> AccessRefused | None:
        """Without keys, no page of another site may change anything through the browser of who looks at it."""
        origin = headers.get("origin", "")
        same = not origin or origin.partition("://")[2].lower() == headers.get("host", "").lower()
        if method in _SAFE or origin in self._settings.origins:
            return None
        if same and headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
            return None
        return AccessRefused(
            403, "this comes from a page of another site", "name that site with --origin, or make a key"
        )


def _bearer(header: str) -> str:
    kind, _, said = header.partition(" ")
    return said.strip() if kind.lower() == "bearer" else ""


def _password(header: str) -> str:
    kind, _, said = header.partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(said.strip(), validate=True).decode().partition(":")[2].strip()
    except (binascii.Error, ValueError):
        return ""
