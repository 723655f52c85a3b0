"""What a source of claims is, and how much a count says."""

from __future__ import annotations

import math
from typing import Protocol

from motet.explain._claim import Claim
from motet.explain._ground import Ground, Taste

__all__ = ["MOST_NAMED", "PRIVACY", "Source", "lift", "surprise"]

PRIVACY = 5  # a number about other people is said of so many at the least
MOST_NAMED = 3  # items that one claim names


class Source(Protocol):
    """Finds claims of one kind, and says of any claim of that kind whether it is true."""

    def find(self, ground: Ground, taste: Taste, item: int) -> list[Claim]:
        """Claims about an item for a user, in no order.

        Args:
            ground: What is known.
            taste: What the user liked, the item itself left out.
            item: Row of the item.
        """
        ...

    def holds(self, ground: Ground, taste: Taste, claim: Claim) -> bool:
        """Whether a claim of this kind follows from what is known, derived anew."""
        ...


def lift(found: float, of: float, base: float) -> float:
    """How many times the base rate a share is, cut to one decimal so that nothing is overstated.

    Example:
        >>> lift(12, 38, 0.15)
        2.1
    """
    if not of or base <= 0:
        return 0.0
    return math.floor(10 * (found / of) / base + 1e-9) / 10


def surprise(found: float, of: float, base: float) -> float:
    r"""How far a share is from its base rate, 0 to 1: :math:`z / (3 + z)` of the binomial deviation z, or 0.

    Args:
        found: How many of ``of``.
        of: All, ≥ 0.
        base: Share that was to be expected, 0 to 1.

    Example:
        >>> surprise(10, 100, 0.1), round(surprise(40, 100, 0.1), 2)
        (0.0, 0.77)
    """
    if of <= 0 or not 0 < base < 1:
        return 0.0
    z = (found - of * base) / math.sqrt(of * base * (1 - base))
    return max(0.0, z / (3 + z)) if z > 0 else 0.0
