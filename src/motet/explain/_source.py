"""What a source of claims is, and how much a count says."""

from __future__ import annotations

import math
from typing import Protocol

from motet.explain._claim import Claim
from motet.explain._ground import Ground, Taste

__all__ = ["LEAST_COSINE", "MOST_NAMED", "PRIVACY", "Source", "lift", "slight", "surprise", "weight"]

PRIVACY = 5  # a number about other people is said of so many at the least
MOST_NAMED = 3  # items that one claim names
LEAST_COSINE = 0.3  # of two items that the model places near each other
_SLIGHT, _STRIKING, _LARGE = 0.08, 3.0, 0.25


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


def slight(found: float, of: float, times: float) -> bool:
    """Whether a part of the liked items is too small to be told, unless it is many times the usual one.

    Example:
        >>> slight(9, 181, 1.9), slight(9, 181, 3.4), slight(12, 38, 1.3)
        (True, False, False)
    """
    return found < _SLIGHT * of and times < _STRIKING


def weight(found: float, of: float) -> float:
    """Less for a small part of the liked items, however much it is above the usual: 0.7 to 1.

    Example:
        >>> weight(10, 40), round(weight(4, 40), 2)
        (1.0, 0.82)
    """
    return 0.7 + 0.3 * min(1.0, found / max(of, 1) / _LARGE)
