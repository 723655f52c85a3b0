"""Settings of a synthetic world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from motet.datasets._words import TOPICS
from motet.errors import DataError
from motet.schema import nearest

__all__ = ["World"]


class World(BaseModel):
    """A world of users, items and placements, from which interactions are drawn.

    Attributes:
        seed: The same seed and settings give the same bytes.
        users: Number of users, numbered from 0.
        items: Number of items, numbered from 0.
        interactions: Number of impressions.
        scenarios: Placements and their shares of the impressions; scaled to sum to 1.
        width: Width d of the true preference and item vectors; even.
        shared: Share of a user's preference variance that all scenarios have in common; the rest is
            private to each scenario. 1 makes all scenarios alike, 0 leaves nothing in common.
        affinity: How strongly preferences decide: standard deviation of the affinity on the logit scale.
        text: Share of an item's vector that its topics explain, and so its words; 0 makes text useless.
        words: Words in an item's text.
        topics: Number of topics in use.
        cold_items: Share of items that appear only late.
        cold_from: When they appear, as a share of the whole span of time.
        drift: Angle in radians by which preferences have turned at the end; 0 turns drift off.
        days: Span of time.
        positions: Slots on a page; the first is seen most.
        click_rate: Clicks per impression, on average.
        cart_rate: Carts per click, on average.
        buy_rate: Purchases per cart, on average.
        like_rate: Likes per click, on average.
        chunk_rows: Most rows held in memory, and in one file.

    Example:
        >>> World(drift=0.5).drift
        0.5
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    seed: int = Field(0, ge=0)
    users: int = Field(5_000, ge=1, le=50_000_000)
    items: int = Field(2_000, ge=2, le=10_000_000)
    interactions: int = Field(200_000, ge=1, le=10_000_000_000)
    scenarios: Mapping[str, float] = Field(
        default_factory=lambda: {"feed": 0.6, "search": 0.3, "checkout": 0.1}, min_length=1
    )
    width: int = Field(8, ge=2, le=256, multiple_of=2)
    shared: float = Field(0.7, ge=0, le=1)
    affinity: float = Field(1.5, ge=0, le=10)
    text: float = Field(0.7, ge=0, le=1)
    words: int = Field(8, ge=1, le=100)
    topics: int = Field(len(TOPICS), ge=1, le=len(TOPICS))
    cold_items: float = Field(0.1, ge=0, lt=1)
    cold_from: float = Field(0.8, gt=0, lt=1)
    drift: float = Field(0.0, ge=0, le=3.2)
    days: float = Field(90.0, gt=0, le=3650)
    positions: int = Field(10, ge=1, le=100)
    click_rate: float = Field(0.15, gt=0, lt=1)
    cart_rate: float = Field(0.3, gt=0, lt=1)
    buy_rate: float = Field(0.4, gt=0, lt=1)
    like_rate: float = Field(0.25, gt=0, lt=1)
    chunk_rows: int = Field(1_000_000, ge=1, le=1_000_000)

    @field_validator("scenarios")
    @classmethod
    def _shares_are_positive(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        if any(not name or "\0" in name for name in value) or any(
            not 0 < share < float("inf") for share in value.values()
        ):
            raise ValueError("every scenario needs a name and a share above 0")
        return value

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> World:
        """Build a world from plain values, such as those of a command line.

        Raises:
            DataError: If a setting is not known or out of range; names the nearest right one.

        Example:
            >>> World.parse({"user": 3})
            Traceback (most recent call last):
            motet.errors.DataError: world: 'user' is not an option. Cure: did you mean 'users'?
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(step) for step in first["loc"])
            if first["type"] == "extra_forbidden":
                raise DataError(
                    f"world: '{name}' is not an option", nearest(name, cls.model_fields)
                ) from None
            problem = first["msg"].removeprefix("Value error, ")
            raise DataError(f"world: {name}: {problem}, but is {first['input']!r}", "fix the value") from None
