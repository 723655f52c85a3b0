"""Rules of a list, how its places are filled, and the trace of what each step did."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from motet.recommend import AnyFilter, RequestPart
from motet.recommend.rerank._diversity import Explore, place_probabilities

__all__ = [
    "AnyRule",
    "Boost",
    "Bury",
    "Cap",
    "Filled",
    "Fresh",
    "ItemStep",
    "Pin",
    "Trace",
    "ValueCap",
    "fill",
]

# Rules that an owner of a shop writes down: JSON in and out.


class Pin(RequestPart):
    """Put an item in a place of the list, if it may come at all.

    Attributes:
        item: Its id.
        position: From 1.
    """

    kind: Literal["pin"] = "pin"
    item: str = Field(min_length=1, max_length=1000)
    position: int = Field(1, ge=1, le=1000)


class Bury(RequestPart):
    """Put items behind all others.

    Attributes:
        where: Which.
    """

    kind: Literal["bury"] = "bury"
    where: AnyFilter


class Boost(RequestPart):
    """Let items count for more, or less.

    Attributes:
        where: Which.
        by: Added to their value, in its own unit: standard deviations on the standard scale.
    """

    kind: Literal["boost"] = "boost"
    where: AnyFilter
    by: float = Field(ge=-1e6, le=1e6)


class Fresh(RequestPart):
    """Let new items count for more: value + weight·2^(−age / half-life).

    Attributes:
        weight: Of an item that appeared now.
        half_life_days: After which half of it is left, > 0.
    """

    kind: Literal["fresh"] = "fresh"
    weight: float = Field(1.0, ge=-1e6, le=1e6)
    half_life_days: float = Field(14.0, gt=0, le=1e6)


class Cap(RequestPart):
    """Show at most so many items of a kind.

    Attributes:
        field: Column of the catalogue: tags, or a category, or a number.
        value: The value; each value of the column when left out.
        at_most: ≥ 0.
    """

    kind: Literal["cap"] = "cap"
    field: str = Field(min_length=1, max_length=200)
    value: str | float | None = None
    at_most: int = Field(ge=0, le=1000)


AnyRule = Annotated[Pin | Bury | Boost | Fresh | Cap, Field(discriminator="kind")]


# What each step of re-ranking did to each item.


@dataclass(frozen=True, slots=True)
class ItemStep:
    """What one step did to one item.

    Attributes:
        name: The step.
        before: Rank before it, from 1; None where the item came in by this step.
        after: Rank after it; None where the item went out by it.
        reason: Why, in a few words.
    """

    name: str
    before: int | None
    after: int | None
    reason: str


@dataclass(slots=True)
class Trace:
    """The steps of one request, by row of the item.

    Attributes:
        wanted: Whether anything is noted.
        steps: By row.
    """

    wanted: bool = True
    steps: dict[int, list[ItemStep]] = field(default_factory=dict)

    def moved(
        self, name: str, before: list[int], after: list[int], reasons: dict[int, str], default: str
    ) -> None:
        """Note every item whose rank a step changed, or of which it has something to say.

        Args:
            name: The step.
            before: Rows in the order before.
            after: Rows in the order after.
            reasons: Per row that the step acted on.
            default: Reason for the others, which made room.
        """
        if not self.wanted:
            return
        old = {row: rank for rank, row in enumerate(before, 1)}
        new = {row: rank for rank, row in enumerate(after, 1)}
        for row in {**old, **new}:
            if old.get(row) != new.get(row) or row in reasons:
                step = ItemStep(name, old.get(row), new.get(row), reasons.get(row, default))
                self.steps.setdefault(row, []).append(step)

    def of(self, row: int) -> tuple[ItemStep, ...]:
        """The steps of one item, in order."""
        return tuple(self.steps.get(row, ()))


# The places of a list, one after another: pinned, drawn, or the best that no cap forbids.


@dataclass(frozen=True, slots=True)
class ValueCap:
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
    limits: Sequence[ValueCap] = (),
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

    def forbid(limit: ValueCap, ones: Sequence[int]) -> None:
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


def _places_of(limit: ValueCap) -> dict[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = {}
    for at, values in enumerate(limit.values):
        for value in values:
            found.setdefault(value, []).append(at)
    return found
