"""How often somebody may come: a bucket of tokens each."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

__all__ = ["RateLimit"]

_MOST: Final = 20_000


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
        while len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        return wait_s
