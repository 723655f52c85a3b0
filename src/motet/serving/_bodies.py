"""Bodies are counted as they come, and looked at before anybody parses them."""

from __future__ import annotations

import asyncio
import re
from typing import Final

import numpy as np
from starlette.types import Receive

__all__ = ["BodyError", "json_depth", "read_body"]

# the closing quote may be missing: a pattern that can fail would be tried again from every quote
_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


class BodyError(Exception):
    """A body that is not taken.

    Args:
        status: As which HTTP status.
        detail: What is wrong.
        cure: What to do.
    """

    def __init__(self, status: int, detail: str, cure: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.cure = status, detail, cure


def json_depth(body: bytes) -> int:
    """Deepest nesting of brackets outside of strings.

    Example:
        >>> json_depth(b'{"a": [[1], "]]]["]}')
        3
    """
    brackets = _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS)
    if not brackets:
        return 0
    kinds = np.frombuffer(brackets, np.uint8)
    steps = np.where((kinds == ord("[")) | (kinds == ord("{")), 1, -1)
    return int(np.cumsum(steps).max(initial=0))


async def read_body(
    receive: Receive, *, told_bytes: int | None, most_bytes: int, limit_s: float
) -> bytes | None:
    """The whole body; None where the client went away.

    Args:
        receive: Where it comes from.
        told_bytes: Its length as the client told it.
        most_bytes: Most bytes.
        limit_s: Longest time for all of it.

    Raises:
        BodyError: If it is too large or too slow.
    """
    large = BodyError(413, f"the body is larger than {most_bytes} bytes", "send it in several requests")
    if told_bytes is not None and told_bytes > most_bytes:
        raise large
    parts: list[bytes] = []
    total = 0
    try:
        async with asyncio.timeout(limit_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                part = message.get("body", b"")
                total += len(part)
                if total > most_bytes:
                    raise large
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise BodyError(408, f"the body took longer than {limit_s:g} s", "send it faster") from None
