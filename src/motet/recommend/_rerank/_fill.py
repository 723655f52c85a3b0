"""The places of a list, one after another: pinned, drawn, or the best that no cap forbids."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motet.recommend._rerank._explore import Explore, place_probabilities

__all__ = ["Filled", "Limit", "fill"]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many items with each of some values.

    Attributes:
        values: Of each candidate, [n].
        at_most: How many.
        name: What it is called in reasons.
    """

    values: Sequence[Sequence[Hashable]]
    at_most: int
    name: str


@dataclass(frozen=True, slots=True)
class Filled:
    """A list.

    Attributes:
        places: Candidates, in order.
        propensities: Probability of each to stand where it stands, given those before it; 1 where nothing
            was drawn.
        forbidden: Candidates that a limit kept out, with its name.
    """

    places: list[int]
    propensities: list[float]
    forbidden: dict[int, str]


def fill(
    values: NDArray[np.float64],
    k: int,
    *,
    limits: Sequence[Limit] = (),
    pins: Mapping[int, int] | None = None,
    explore: Explore | None = None,
    rng: np.random.Generator | None = None,
) -> Filled:
    """Fill the places of a list.

    The probability of a whole list is the product of its propensities, and over all lists these
    products sum to 1: limits only change what is left for the next place.

    Args:
        values: Of the candidates, in the order in which they stand, [n].
        k: Places.
        limits: What may not come too often; pinned items count and are not limited.
        pins: Candidate per place, from 0; places from k on are not looked at.
        explore: Draws places that are not pinned.
        rng: For drawing.
    """
    pins = {place: one for place, one in (pins or {}).items() if place < k}
    left = np.ones(len(values), bool)
    left[list(pins.values())] = False
    drawn_from = left.copy()
    if explore is not None:
        drawn_from[explore.pool :] = False
    counts: list[dict[Hashable, int]] = [{} for _ in limits]
    having = [_places_of(limit) for limit in limits]
    forbidden: dict[int, str] = {}
    places: list[int] = []
    propensities: list[float] = []

    def count(one: int) -> None:
        for limit, seen, places_of in zip(limits, counts, having, strict=True):
            for value in limit.values[one]:
                seen[value] = seen.get(value, 0) + 1
                if seen[value] >= limit.at_most:
                    forbid(limit, places_of[value])

    def forbid(limit: Limit, ones: Sequence[int]) -> None:
        for other in ones:
            if left[other]:
                left[other] = drawn_from[other] = False
                forbidden.setdefault(other, limit.name)

    for limit, places_of in zip(limits, having, strict=True):
        if limit.at_most == 0:
            for ones in places_of.values():
                forbid(limit, ones)
    for one in pins.values():
        count(one)
    while len(places) < k:
        place = len(places)
        if place in pins and pins[place] not in places:
            one, chance = pins[place], 1.0
        elif not left.any():
            late = [pins[at] for at in sorted(pins) if pins[at] not in places]
            if not late:
                break
            one, chance = late[0], 1.0
        elif explore is not None and rng is not None and drawn_from.any():
            chances = place_probabilities(explore, values, drawn_from)
            one = int(rng.choice(len(values), p=chances))
            chance = float(chances[one])
        else:
            one, chance = int(np.argmax(left)), 1.0
        places.append(one)
        propensities.append(chance)
        left[one] = drawn_from[one] = False
        if one not in pins.values():
            count(one)
    return Filled(places, propensities, forbidden)


def _places_of(limit: Limit) -> dict[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = {}
    for at, values in enumerate(limit.values):
        for value in values:
            found.setdefault(value, []).append(at)
    return found
