"""The liked items that lie nearest to the item, by the vectors the model learnt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from motet.explain._claim import Basis, Claim, Mention
from motet.explain._ground import Ground, Taste
from motet.explain._source import LEAST_COSINE, MOST_NAMED

__all__ = ["Nearest", "Similar", "near_claim", "near_enough"]

_LENGTH = 60  # characters of titles that one sentence bears


def near_enough(items: int) -> int:
    """How many items count as near to one: 1 % of the catalogue, from 5 to 50, never half of it.

    Example:
        >>> near_enough(1682), near_enough(100), near_enough(6)
        (16, 5, 3)
    """
    return max(1, min(50, max(5, items // 100), items // 2))


class Nearest:
    """Liked items among the few that are nearest to this one in the whole catalogue."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        if not len(taste.liked):
            return []
        cosines = ground.vectors @ ground.vectors[item]
        cosines[item] = -np.inf
        within = near_enough(ground.items)
        liked = taste.liked[np.argsort(-cosines[taste.liked], kind="stable")][:within]
        ranks = [1 + int((cosines > cosines[row]).sum()) for row in liked]
        near = [
            (int(row), float(cosines[row]))
            for row, rank in zip(liked, ranks, strict=True)
            if rank <= within and cosines[row] >= LEAST_COSINE
        ]
        if not near:
            return []
        empty = Claim("near", item, taste.user, "near", True, (), (("within", within),), 0.0)
        return [near_claim(ground, empty, near)]

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        named, rows = {mention.row for mention in claim.of("liked")}, list(claim.support.rows)
        known = named <= set(rows) <= set(taste.liked.tolist())
        return known and claim.support.count == len(rows) and _are_near(ground, claim, rows, "near")


class Similar:
    """The items nearest to this one, whoever asks."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        cosines = ground.vectors @ ground.vectors[item]
        cosines[item] = -np.inf
        if ground.shown is not None:
            cosines[~ground.shown] = -np.inf
        within = near_enough(ground.items)
        best = np.argsort(-cosines, kind="stable")[: min(MOST_NAMED, within)]
        best = best[cosines[best] >= LEAST_COSINE]
        if not len(best):
            return []
        return [
            Claim(
                "similar",
                item,
                -1,
                "near",
                True,
                tuple(Mention("item", ground.item_id(int(row)), row=int(row)) for row in best),
                (("within", within),),
                0.5,
                Basis(
                    tuple(int(row) for row in best),
                    len(best),
                    tuple(round(float(cosines[row]), 4) for row in best),
                ),
            )
        ]

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        return _are_near(ground, claim, [mention.row for mention in claim.of("item")], "near")


def near_claim(ground: Ground, claim: Claim, near: list[tuple[int, float]]) -> Claim:
    """A claim that names the first few of some near items and rests on all of them.

    Args:
        ground: What is known.
        claim: For everything else it says.
        near: Row and cosine of each.
    """
    named = [row for row, _ in near[:MOST_NAMED]]
    while len(named) > 1 and sum(len(ground.titles[row]) for row in named) > _LENGTH:
        named.pop()
    return replace(
        claim,
        mentions=tuple(Mention("liked", ground.item_id(row), row=row) for row in named),
        strength=min(0.9, 0.35 + 0.1 * len(named) + 0.35 * max(cosine for _, cosine in near[: len(named)])),
        support=Basis(
            tuple(row for row, _ in near), len(near), tuple(round(cosine, 4) for _, cosine in near)
        ),
    )


def _are_near(ground: Ground, claim: Claim, rows: list[int], relation: str) -> bool:
    if not rows or not claim.polarity or claim.relation != relation or claim.item in rows:
        return False
    if claim.number("within") != near_enough(ground.items) or claim.support.rows != tuple(rows):
        return False
    if not claim.mentions or any(mention.key != ground.item_id(mention.row) for mention in claim.mentions):
        return False
    within = int(claim.number("within"))
    apart = np.linalg.norm(
        ground.vectors - ground.vectors[claim.item], axis=1
    )  # unit length: |a - b|² = 2 - 2 cos
    others = np.delete(np.arange(ground.items), claim.item)
    # a tie or a rounding may move an item by a place: it is near if so few are clearly nearer
    return all(
        int((apart[others] < apart[row] - 1e-5).sum()) < within
        and abs(1 - apart[row] ** 2 / 2 - weight) < 1e-3
        and 1 - apart[row] ** 2 / 2 >= LEAST_COSINE - 1e-3
        for row, weight in zip(rows, claim.support.weights, strict=True)
    )
