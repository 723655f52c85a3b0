"""The liked items without which the model would have scored the item lower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motet.explain._claim import Basis, Claim, Mention
from motet.explain._from_near import near_claim
from motet.explain._ground import Ground, Taste
from motet.explain._source import MOST_NAMED

__all__ = ["Falls", "Moved", "by_influence", "falls_of", "moved_claims"]

_NAMED = 2
_MOST_ASKED = 100  # of the liked items, the latest


@dataclass(frozen=True, slots=True)
class Falls:
    """How far scores fall without each liked item; h liked items, m items.

    Attributes:
        items: Rows of the items that were scored, m of them.
        rows: Rows of the liked items, [h].
        values: Score as it is, less the score without the liked item, [h, m].
    """

    items: tuple[int, ...]
    rows: NDArray[np.int64]
    values: NDArray[np.float32]

    def of(self, place: int) -> dict[int, float]:
        """Fall of one item's score, by liked item."""
        return dict(zip(self.rows.tolist(), self.values[:, place].tolist(), strict=True))

    def usual(self, place: int) -> float:
        """Mean size of a fall of one item's score."""
        mine = self.values[self.rows != self.items[place], place]
        return max(float(np.abs(mine).mean()) if len(mine) else 0.0, 1e-9)


class Moved:
    """Of all liked items, these spoke for this one most: without each of them its score falls furthest."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        return moved_claims(ground, taste, falls_of(ground, taste, [item]))[0]

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        named = [mention.row for mention in claim.of("liked")]
        if not named or claim.relation != "raised_score" or not claim.polarity or claim.numbers:
            return False
        if any(mention.key != ground.item_id(mention.row) for mention in claim.mentions):
            return False
        falls = falls_of(ground, taste, [claim.item])
        if not set(named) <= set(falls.rows.tolist()) or claim.support.rows != tuple(named):
            return False
        fall = falls.of(0)
        rest = [value for row, value in fall.items() if row not in named]
        return (
            all(abs(fall[row] - w) < 1e-3 for row, w in zip(named, claim.support.weights, strict=True))
            and min(fall[row] for row in named) > 0
            and min(fall[row] for row in named) >= max(rest, default=-np.inf) - 1e-5
        )


def moved_claims(ground: Ground, taste: Taste, falls: Falls) -> list[list[Claim]]:
    """The claims of this kind for several items at once, which costs little more than for one."""
    found: list[list[Claim]] = [[] for _ in falls.items]
    for place, item in enumerate(falls.items):
        mine = falls.rows != item
        fall = np.where(mine, falls.values[:, place], -np.inf)
        if mine.sum() < 2:
            continue
        best = np.argsort(-fall, kind="stable")[:_NAMED]
        best = best[(fall[best] > 0) & (fall[best] >= 0.5 * fall[best[0]])]
        if not len(best):
            continue
        rows = tuple(int(falls.rows[at]) for at in best)
        off = float(fall[best[0]] / falls.usual(place))
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


def falls_of(ground: Ground, taste: Taste, items: Sequence[int]) -> Falls:
    """How far the score of each item falls when a liked item is taken out of the past, one at a time.

    Args:
        ground: What is known.
        taste: What the user liked; the latest of it that the model sees is asked for.
        items: Rows of the items.
    """
    none = Falls(tuple(items), np.zeros(0, np.int64), np.zeros((0, len(items)), np.float32))
    if taste.user < 0 or not len(taste.liked):
        return none
    past = ground.past(taste.user)
    seen = {int(row) for rows in past.values() for row in rows}
    asked = np.array([row for row in taste.liked[::-1].tolist() if row in seen][:_MOST_ASKED], np.int64)
    if not len(asked):
        return none
    pasts = [past, *({name: rows[rows != row] for name, rows in past.items()} for row in asked)]
    scores = ground.probe.with_pasts(taste.user, items, pasts)
    return Falls(tuple(items), asked, scores[:1] - scores[1:])


def by_influence(ground: Ground, claim: Claim, falls: Falls, place: int) -> Claim:
    """A claim that leans on liked items, as strong as these moved the score; of near ones, those that did most.

    What is true and also moved the score comes before what is merely true.
    """
    named = claim.of("liked")
    if claim.kind == "moved" or not named or not len(falls.rows):
        return claim
    fall, usual = falls.of(place), falls.usual(place)
    if claim.kind == "near":
        weights = dict(zip(claim.support.rows, claim.support.weights, strict=True))
        best = sorted(claim.support.rows, key=lambda row: (-fall.get(row, 0.0), -weights[row]))
        kept = [row for row in best if fall.get(row, 0.0) > 0][:MOST_NAMED] or best[:1]
        claim = near_claim(ground, claim, [(row, weights[row]) for row in kept])
        named = claim.of("liked")
    share = max(0.0, float(np.mean([fall.get(mention.row, 0.0) for mention in named])) / usual)
    return replace(claim, strength=min(1.0, claim.strength * (0.7 + 0.6 * share / (1 + share))))
