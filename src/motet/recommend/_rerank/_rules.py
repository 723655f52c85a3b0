"""Rules that an owner of a shop writes down: JSON in and out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from motet.recommend._filter import AnyFilter, RequestPart

__all__ = ["AnyRule", "Boost", "Bury", "Cap", "Fresh", "Pin"]


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
        value: The value meant; each value of the column when left out.
        at_most: ≥ 0.
    """

    kind: Literal["cap"] = "cap"
    field: str = Field(min_length=1, max_length=200)
    value: str | float | None = None
    at_most: int = Field(ge=0, le=1000)


AnyRule = Annotated[Pin | Bury | Boost | Fresh | Cap, Field(discriminator="kind")]
