"""Ids in an address: anything may be in them, also a slash."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import unquote

from fastapi import Path
from pydantic import BeforeValidator
from starlette.types import Scope

__all__ = ["ItemId", "Name", "UserId", "keep_ids", "whole_id"]

_OF_IDS: Final = ("/v1/items/", "/v1/users/")
# no address can hold these: what a server decodes has no half characters
_SLASH: Final = "\udc2f"
_LINE: Final = "\udc0a"


def keep_ids(scope: Scope) -> Scope:
    """Tell the slashes that are part of an id from those between the parts of an address, and keep its line breaks.

    A server decodes an address before anybody can look at it, so that ``/v1/items/a%2Fsimilar``, the item ``a/similar``,
    and ``/v1/items/a/similar``, what is like the item ``a``, become the same. Where an encoded slash stands behind the name
    of a collection, the path is decoded anew, part by part. The framework's routes end before a line break at the end.

    Args:
        scope: Of a request; the server's own, which stays as it is.

    Returns:
        The same, or one with another path.
    """
    path, raw = scope["path"], scope.get("raw_path") or b""
    if path.startswith(_OF_IDS) and b"%2f" in raw.lower():
        parts = raw.partition(b"?")[0].decode("latin-1").split("/")
        path = "/".join(unquote(part).replace("/", _SLASH) for part in parts)
    path = path.replace("\n", _LINE)
    return scope if path == scope["path"] else {**scope, "path": path}


def whole_id(said: object) -> object:
    """An id out of an address, with its slashes and line breaks."""
    return said.replace(_SLASH, "/").replace(_LINE, "\n") if isinstance(said, str) else said


_SLASHES: Final = "Anything; a slash in it is best written %2F."
ItemId = Annotated[
    str, BeforeValidator(whole_id), Path(min_length=1, max_length=512, description=_SLASHES, examples=["50"])
]
"""The id of an item in the address."""
UserId = Annotated[
    str, BeforeValidator(whole_id), Path(min_length=1, max_length=512, description=_SLASHES, examples=["42"])
]
"""The id of a user in the address."""
Name = Annotated[str, BeforeValidator(whole_id), Path(min_length=1, max_length=512)]
"""Another name in the address; it has no slash."""
