"""The table of sources: where claims come from, and who says whether they hold."""

from __future__ import annotations

from typing import Final

from motet.explain._claim import Claim, ClaimKind
from motet.explain._from_catalogue import Properties
from motet.explain._from_graph import Facts, SharedFacts
from motet.explain._from_model import Moved
from motet.explain._from_near import Nearest, Similar
from motet.explain._from_numbers import LikeNumbers
from motet.explain._from_others import Others, Popular
from motet.explain._from_past import Did
from motet.explain._from_peers import Peers
from motet.explain._from_tags import Rated, SharedTags
from motet.explain._from_words import SharedWords
from motet.explain._ground import Ground, Taste
from motet.explain._source import Source

__all__ = ["SOURCES", "find_claims", "verify"]

SOURCES: Final[dict[ClaimKind, Source]] = {
    "did": Did(),
    "tags": SharedTags(),
    "rate": Rated(),
    "near": Nearest(),
    "moved": Moved(),
    "others": Others(),
    "fact": SharedFacts(),
    "words": SharedWords(),
    "number": LikeNumbers(),
    "peers": Peers(),
    "popular": Popular(),
    "is": Properties(),
    "says": Facts(),
    "similar": Similar(),
}

OF_CATALOGUE: Final[tuple[ClaimKind, ...]] = ("is", "says")
ABOUT_ITEM: Final[tuple[ClaimKind, ...]] = (*OF_CATALOGUE, "similar", "popular")
# what moved the score is asked for whole lists of items, and not one by one
REASONS: Final[tuple[ClaimKind, ...]] = tuple(
    kind for kind in SOURCES if kind not in ("is", "says", "similar", "moved")
)


def find_claims(
    ground: Ground, taste: Taste, item: int, kinds: tuple[ClaimKind, ...] = REASONS
) -> list[Claim]:
    """Claims about an item for a user, the strongest first.

    Args:
        ground: What is known.
        taste: What the user liked.
        item: Row of the item.
        kinds: Which sources are asked.
    """
    without = taste.without(item)
    claims = [claim for kind in kinds for claim in SOURCES[kind].find(ground, without, item)]
    return sorted(claims, key=lambda claim: -claim.strength)


def verify(claim: Claim, ground: Ground) -> bool:
    """Whether a claim is true, derived anew from the catalogue, the graph and what users did.

    Args:
        claim: Any claim, wherever it came from.
        ground: What is known.

    Returns:
        False also for a claim that names what does not exist, or lacks a number of its kind.
    """
    if not 0 <= claim.item < ground.items or claim.kind not in SOURCES or claim.user >= ground.users:
        return False
    if any(not -1 <= mention.row < ground.items for mention in claim.mentions):
        return False
    try:
        taste = ground.taste(claim.user).without(claim.item)
        return SOURCES[claim.kind].holds(ground, taste, claim)
    except (KeyError, ValueError):  # a number that its kind needs is not there, or lists do not fit together
        return False
