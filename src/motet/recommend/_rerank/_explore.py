"""Chance in the order of a list, with the probability of what was shown.

Legend of shapes: n candidates.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from motet.recommend._filter import RequestPart

__all__ = ["Explore", "place_probabilities"]


class Explore(RequestPart):
    """How places of a list are drawn.

    Attributes:
        method: ``plackett_luce`` draws each place from exp(value/temperature) over the items left (Plackett 1975;
            Luce 1959); ``epsilon`` gives each place to the best item left, or, in a share ``epsilon`` of
            cases, to one drawn evenly from the items left.
        temperature: Of ``plackett_luce``, in units of the value, > 0; the smaller, the less chance.
        epsilon: Of ``epsilon``, from 0 to 1.
        pool: Best candidates that may be drawn.
    """

    method: Literal["plackett_luce", "epsilon"] = "plackett_luce"
    temperature: float = Field(0.3, gt=0, le=1e6)
    epsilon: float = Field(0.1, ge=0, le=1)
    pool: int = Field(200, ge=1, le=1000)


def place_probabilities(
    explore: Explore, values: NDArray[np.float64], left: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Probability of each item to get the next place, given which are left; their sum is 1.

    Args:
        explore: How places are drawn.
        values: [n], the best first.
        left: Items that may still come, at least one, [n].

    Example:
        >>> place_probabilities(Explore(method="epsilon", epsilon=0.2), np.array([2.0, 1.0]), np.ones(2, bool))
        array([0.9, 0.1])
    """
    if explore.method == "epsilon":
        chances = np.where(left, explore.epsilon / left.sum(), 0.0)
        chances[int(np.argmax(left))] += 1 - explore.epsilon
        return chances
    scaled = np.where(left, values / explore.temperature, -np.inf)
    weights = np.exp(scaled - scaled.max())
    probabilities: NDArray[np.float64] = weights / weights.sum()
    return probabilities
