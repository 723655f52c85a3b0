"""Which key allows what."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from motet.store import Scope

__all__ = ["allows", "needed_scope"]

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
