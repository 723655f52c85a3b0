"""How many of the people who liked one of the liked items liked this one too."""

from __future__ import annotations

import numpy as np

from motet.explain._claim import Basis, Claim, Mention
from motet.explain._ground import Ground, Taste
from motet.explain._source import PRIVACY, lift, surprise

__all__ = ["Others", "Popular", "top_of"]

_LEAST_LIFT, _FEWEST = 1.3, 20
_MANY, _SOME = 0.15, 0.1  # a smaller part than the first is told only where it is twice the usual one
_MOST_ANCHORS = 300  # of the liked items, the latest
_CLAIMS = 8  # of which what moved the score chooses
_TOPS = (10, 20, 50, 100, 200, 500, 1000)


class Others:
    """Of the n others who liked an item that the user liked, b liked this one: more than usual."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        likers = ground.likers_of(item, but=taste.user)
        crowd = ground.active - int(len(ground.liked_in_bundle(taste.user)) > 0)
        if len(likers) < PRIVACY or crowd <= 0 or not len(taste.liked):
            return []
        anchors = taste.liked[::-1][:_MOST_ANCHORS]
        here = np.zeros(ground.users, np.int32)
        here[likers] = 1
        part = ground.likers[:, anchors]
        both = np.asarray(part.T @ here).ravel()
        # the user is not counted
        of = ground.popularity[anchors] - np.isin(anchors, ground.liked_in_bundle(taste.user))
        usual = len(likers) / crowd
        found = []
        for row, b, n in zip(anchors.tolist(), both.tolist(), of.tolist(), strict=True):
            times = lift(b, n, usual)
            if (
                b >= PRIVACY
                and n >= _FEWEST
                and times >= _LEAST_LIFT
                and b >= (_SOME if times >= 2 else _MANY) * n
            ):
                # of those who liked it by chance few would: a large part of them says more than a large multiple
                weight = 0.6 + 0.4 * min(1.0, b / n / 0.4)
                found.append((weight * surprise(b, n, usual), row, b, n, times))
        found.sort(key=lambda one: (-one[0], one[1]))
        return [
            Claim(
                "others",
                item,
                taste.user,
                "liked_by_likers_of",
                True,
                (Mention("liked", ground.item_id(row), row=row),),
                (("found", b), ("of", n), ("times", times)),
                strength,
                Basis((row,), b),
            )
            for strength, row, b, n, times in found[:_CLAIMS]
        ]

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        if len(claim.mentions) != 1 or not claim.polarity or claim.relation != "liked_by_likers_of":
            return False
        row = claim.mentions[0].row
        if row not in taste.liked.tolist() or claim.mentions[0].key != ground.item_id(row):
            return False
        of = set(ground.likers_of(row).tolist()) - {taste.user}
        here = set(ground.likers_of(claim.item).tolist()) - {taste.user}
        crowd = set(ground.likers.indices.tolist()) - {taste.user}
        both = len(of & here)
        times = lift(both, len(of), len(here) / len(crowd))
        return (
            (both, len(of), times) == (claim.number("found"), claim.number("of"), claim.number("times"))
            and claim.support == Basis((row,), both)
            and both >= PRIVACY
            and len(of) >= _FEWEST
            and times >= _LEAST_LIFT
        )


class Popular:
    """How many people liked it, and among how many of the most liked it is."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """See :class:`Source`."""
        likers = int(ground.popularity[item])
        top = top_of(int((ground.popularity > likers).sum()) + 1, ground.items)
        if likers < PRIVACY:
            return []
        return [
            Claim(
                "popular",
                item,
                -1,
                "liked_by",
                True,
                (),
                (("found", likers), ("top", top)),
                0.25 if top else 0.1,
                Basis((), likers),
            )
        ]

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """See :class:`Source`."""
        likers = len(set(ground.likers_of(claim.item).tolist()))
        more = sum(int(count) > likers for count in ground.popularity)
        return (
            claim.polarity
            and claim.relation == "liked_by"
            and not claim.mentions
            and likers == claim.number("found") == claim.support.count >= PRIVACY
            and claim.number("top") == top_of(more + 1, ground.items)
        )


def top_of(rank: int, items: int) -> int:
    """The smallest round number that a rank is within, 0 where that is more than a tenth of the catalogue.

    Example:
        >>> top_of(17, 1682), top_of(500, 1682), top_of(2, 30)
        (20, 0, 0)
    """
    return next((top for top in _TOPS if rank <= top <= items / 10), 0)
