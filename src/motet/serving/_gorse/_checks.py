"""What is refused before anything is done."""

from __future__ import annotations

from fastapi import HTTPException, Request

from motet.store import Keys

__all__ = ["require_write"]


def require_write(request: Request, keys: Keys) -> None:
    """Refuse a key that only reads where what is asked also writes.

    Raises:
        HTTPException: 403.
    """
    if not keys.any():
        return
    said = (
        request.headers.get("x-api-key") or request.headers.get("authorization", "").partition(" ")[2].strip()
    )
    key = keys.verify(said)
    if key is None or not key.scopes & {"write", "admin"}:
        raise HTTPException(403, "the key does not allow to write back: it needs the scope write")
