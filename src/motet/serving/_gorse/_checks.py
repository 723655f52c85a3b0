"""What is refused before anything is done."""

from __future__ import annotations

from fastapi import HTTPException, Request

from motet.errors import RequestError

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


def require_write(request: Request) -> None:
    """Refuse a key that only reads where what is asked also writes.

    Raises:
        HTTPException: 403.
    """
    scopes = request.scope.get("motet.scopes")
    if scopes is not None and "write" not in scopes and "admin" not in scopes:
        raise HTTPException(403, "this key may not write, so write-back is not possible")
