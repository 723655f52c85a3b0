"""Diversity and exploration in the order of a list."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from motet.recommend import RequestPart

__all__ = ["Diversity", "Explore", "determinantal", "marginal_relevance", "place_probabilities"]

# Items that are good and not all alike.
#
# Legend of shapes: n candidates, D width of their vectors, k items chosen.

_STOP: Final = 1e-10

Doubles = NDArray[np.float64]


class Diversity(RequestPart):
    """How much a list is spread out.

    Attributes:
        method: ``mmr`` (Carbonell & Goldstein 1998) or ``dpp`` (Chen et al. 2018).
        strength: From 0, the value alone, to 1, likeness alone.
        pool: Best candidates that are chosen from.
    """

    method: Literal["mmr", "dpp"] = "mmr"
    strength: float = Field(0.3, ge=0, le=1)
    pool: int = Field(100, ge=1, le=1000)


def marginal_relevance(values: Doubles, vectors: Doubles, k: int, strength: float) -> list[int]:
    """Choose by maximal marginal relevance: arg max (1 − s)·r_i − s·max_{j chosen} cos(i, j).

    Carbonell & Goldstein 1998, the formula of MMR, with λ = 1 − s; values are brought to [0, 1].

    Args:
        values: [n].
        vectors: Of unit length, or zeros, [n, D].
        k: Items, at most n.
        strength: s, from 0 to 1.

    Returns:
        Positions, in the order chosen.

    Example:
        >>> same, other = [1.0, 0.0], [0.0, 1.0]
        >>> marginal_relevance(np.array([3.0, 2.9, 2.0]), np.array([same, same, other]), 2, 0.5)
        [0, 2]
    """
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    relevance = (values - low) / (high - low) if high > low else np.ones(len(values))
    likeness = np.full(len(values), -1.0)
    left = np.ones(len(values), bool)
    chosen: list[int] = []
    for _ in range(min(k, len(values))):
        worth = (1 - strength) * relevance - strength * (likeness if chosen else 0.0)
        best = int(np.argmax(np.where(left, worth, -np.inf)))
        chosen.append(best)
        left[best] = False
        likeness = np.maximum(likeness, vectors @ vectors[best])
    return chosen


def determinantal(values: Doubles, vectors: Doubles, k: int, strength: float) -> list[int]:
    r"""Choose greedily the set of the largest determinant of a kernel of quality and likeness.

    Chen et al. 2018, Algorithm 1: L = Diag(q)·S·Diag(q), S_ij = (1 + cos(i, j))/2, and log q_i = α·r_i/2 with
    α = (1 − s)/s so that s trades log det S against the sum of values (their eq. 19–20 with θ = 1 − s); each round
    takes j = arg max log d_i² and updates e_i = (L_ji − ⟨c_j, c_i⟩)/d_j, c_i = [c_i e_i], d_i² = d_i² − e_i².
    O(k²·n + k·n·D). Where the determinant comes to nothing, the rest follows by value.

    Args:
        values: [n].
        vectors: Of unit length, or zeros, [n, D].
        k: Items, at most n.
        strength: s, from 0 to 1.
    """
    n = len(values)
    by_value: list[int] = np.argsort(-values, kind="stable").tolist()
    if strength == 0 or not n:
        return by_value[:k]
    spread = float(values.std()) or 1.0
    alpha = (1 - strength) / strength
    # the largest quality is 1, so that no exponent overflows; the choice does not depend on a common factor
    quality = np.exp(np.maximum(alpha * (values - values.max()) / spread / 2, -300.0))
    rows = np.zeros((min(k, n), n))
    gain = quality**2
    chosen: list[int] = []
    left = np.ones(n, bool)
    for step in range(min(k, n)):
        best = int(np.argmax(np.where(left, gain, -np.inf)))
        if gain[best] < _STOP * quality[best] ** 2 or gain[best] <= 0:
            break
        chosen.append(best)
        left[best] = False
        alike = (1 + vectors @ vectors[best]) / 2
        alike[best] = 1.0
        kernel = quality[best] * alike * quality
        row = (kernel - rows[:step].T @ rows[:step, best]) / np.sqrt(gain[best])
        rows[step] = row
        gain = gain - row**2
    return [*chosen, *(at for at in by_value if left[at])][:k]


# Chance in the order of a list, with the probability of what was shown.
#
# Legend of shapes: n candidates.


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
