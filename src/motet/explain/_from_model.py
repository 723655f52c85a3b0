"""The liked items without which the model would have scored the item lower."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motet.explain._claim import Basis, Claim, Mention
from motet.explain._ground import Ground, Taste

__all__ = ["Moved", "moved_claims"]

_NAMED = 2
_MOST_ASKED = 100  # of the liked items, the latest


class Moved:
    """Of all liked items, these spoke for this one most: without each of them its score falls furthest."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        return moved_claims(ground, taste, [item])[0]

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        named = [mention.row for mention in claim.of("liked")]
        if not named or claim.relation != "raised_score" or not claim.polarity or claim.numbers:
            return False
        if any(mention.key != ground.item_id(mention.row) for mention in claim.mentions):
            return False
        asked, falls = _falls(ground, taste, [claim.item])
        if not set(named) <= set(asked.tolist()) or claim.support.rows != tuple(named):
            return False
        fall = dict(zip(asked.tolist(), falls[:, 0].tolist(), strict=True))
        rest = [value for row, value in fall.items() if row not in named]
        return (
            all(abs(fall[row] - w) < 1e-3 for row, w in zip(named, claim.support.weights, strict=True))
            and min(fall[row] for row in named) > 0
            and min(fall[row] for row in named) >= max(rest, default=-np.inf) - 1e-5
        )


def moved_claims(ground: Ground, taste: Taste, items: Sequence[int]) -> list[list[Claim]]:
    """The claims of this kind for several items at once, which costs little more than for one."""
    asked, falls = _falls(ground, taste, items)
    found: list[list[Claim]] = [[] for _ in items]
    for place, item in enumerate(items):
        mine = asked != item
        fall = np.where(mine, falls[:, place], -np.inf)
        if mine.sum() < 2:
            continue
        best = np.argsort(-fall, kind="stable")[:_NAMED]
        best = best[(fall[best] > 0) & (fall[best] >= 0.5 * fall[best[0]])]
        if not len(best):
            continue
        rows = tuple(int(asked[at]) for at in best)
        off = float(fall[best[0]] / max(np.abs(fall[mine]).mean(), 1e-9))
        found[place].append(
            Claim(
                "moved",
                item,
                taste.user,
                "raised_score",
                True,
                tuple(Mention("liked", ground.item_id(row), row=row) for row in rows),
                (),
                off / (off + 4),
                Basis(rows, len(rows), tuple(round(float(fall[at]), 4) for at in best)),
            )
        )
    return found


def _falls(
    ground: Ground, taste: Taste, items: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Liked items that the model sees, [h], and how far each item's score falls without each, [h, m]."""
    none = np.zeros(0, np.int64), np.zeros((0, len(items)), np.float32)
    if taste.user < 0 or not len(taste.liked):
        return none
    past = ground.probe.past(taste.user)
    seen = {int(row) for rows in past.values() for row in rows}
    asked = np.array([row for row in taste.liked[::-1].tolist() if row in seen][:_MOST_ASKED], np.int64)
    if not len(asked):
        return none
    pasts = [past, *({name: rows[rows != row] for name, rows in past.items()} for row in asked)]
    scores = ground.probe.with_pasts(taste.user, items, pasts)
    falls: NDArray[np.float32] = scores[:1] - scores[1:]
    return asked, falls
