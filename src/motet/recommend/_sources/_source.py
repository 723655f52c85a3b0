"""What a source of candidates is asked, and what it answers.

Legend of shapes: I rows of the live catalogue, n candidates, Dr width of a retrieval vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from motet.recommend._live._eligible import Eligible
from motet.recommend._live._items_now import ItemsNow

__all__ = ["Ask", "CandidateSource", "best_of"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What candidates are wanted for.

    Attributes:
        now: The catalogue.
        eligible: Items that may come, before what this one user may not get.
        excluded: Rows that may not come for this user, rising, [x].
        user_vector: Of retrieval, [Dr]; None without such a task.
        liked: Rows of the items that the user liked lately, oldest first.
        scenario: Where they are shown.
        text: Words of the user, if it said some.
    """

    now: ItemsNow
    eligible: Eligible
    excluded: NDArray[np.int64]
    user_vector: NDArray[np.float32] | None
    liked: NDArray[np.int64]
    scenario: str | None = None
    text: str | None = None

    def may_come(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some rows may come, [n]."""
        allowed: NDArray[np.bool_] = self.eligible.mask[rows]
        if len(self.excluded) and len(rows):
            at = np.minimum(np.searchsorted(self.excluded, rows), len(self.excluded) - 1)
            allowed = allowed & (self.excluded[at] != rows)
        return allowed


@runtime_checkable
class CandidateSource(Protocol):
    """Gives candidates of one kind.

    Attributes:
        name: What it is called in answers.
        inline: Whether it always answers within about a millisecond, and so needs no thread of its own that
            could be left behind.
    """

    name: str
    inline: bool

    def candidates(self, ask: Ask, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """At most n rows that may come, best first, with scores on the source's own scale; none is fine."""
        ...


def best_of(
    rows: NDArray[np.int64], scores: NDArray[np.float32], n: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The n best, best first; the lower row first of equals.

    Example:
        >>> best_of(np.array([4, 2, 9]), np.array([1.0, 3.0, 3.0], np.float32), 2)[0].tolist()
        [2, 9]
    """
    if len(rows) > 4 * n > 0:
        edge = np.partition(scores, len(scores) - n)[len(scores) - n]
        kept = scores >= edge
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:n]
    return rows[order], scores[order]
