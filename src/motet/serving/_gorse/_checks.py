"""What is refused before anything is done."""

from __future__ import annotations

from fastapi import HTTPException, Request

from motet.errors import RequestError
from motet.store import Keys

__all__ = ["check_id", "require_write"]


def check_id(id: str, what: str) -> str:
    """Refuse an id that no address could name.

    Raises:
        RequestError: If it is empty or holds a slash.

    Example:
        >>> check_id("a/b", "ItemId")
        Traceback (most recent call last):
        motet.errors.RequestError: ItemId "a/b" contains a slash. Cure: take it out: it could not be asked for.
    """
    if not id:
        raise RequestError(f"{what} is empty", "give one")
    if "/" in id:
        raise RequestError(f'{what} "{id[:80]}" contains a slash', "take it out: it could not be asked for")
    return id


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
