"""Synthetic worlds: settings, vocabulary, and the ground truth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from motet.errors import DataError
from motet.schema import nearest

__all__ = ["TOPICS", "SyntheticWorld", "Truth", "sigmoid"]

# Vocabulary of the synthetic worlds: a few words a topic.

TOPICS: dict[str, str] = {
    "sea": "sailing anchor harbour wave coral lighthouse tide salty reef dolphin captain shore",
    "mountain": "alpine summit glacier hiking rope ridge boulder snowy trail cabin valley peak",
    "kitchen": "baking oven skillet butter recipe whisk pastry roasted garlic spoon flour soup",
    "music": "guitar melody concert drum violin chorus jazz piano rhythm orchestra tune singer",
    "space": "orbit rocket lunar galaxy telescope comet astronaut stellar planet nebula mission star",
    "garden": "rose compost seedling blooming orchard pruning tulip hedge watering soil herb bee",
    "crime": "detective murder alibi heist forensic suspect noir witness verdict clue police thief",
    "sport": "football racket sprint coach stadium goal marathon champion team training medal ball",
    "history": "medieval empire castle ancient archive dynasty treaty roman museum sword king ruin",
    "craft": "knitting woollen sewing loom button leather handmade pottery quilt carving dye thread",
    "travel": "passport railway island hostel desert suitcase market temple journey map border city",
    "code": "compiler keyboard server database algorithm debugging network binary terminal pixel robot cloud",
}
"""Twelve words for each topic, divided by spaces."""


class SyntheticWorld(BaseModel):
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
        >>> SyntheticWorld(drift=0.5).drift
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
    def parse(cls, values: Mapping[str, Any]) -> SyntheticWorld:
        """Build a world from plain values, such as those of a command line.

        Raises:
            DataError: If a setting is not known or out of range; names the nearest right one.

        Example:
            >>> SyntheticWorld.parse({"user": 3})
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


# Ground truth of a synthetic world: vectors, offsets, and the probabilities that follow.

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Truth:
    r"""The true parameters of a world, and the true probability of every event.

    With preference p of a user in a scenario and item vector v, both of unit variance a component,
    the affinity is a = α · ⟨R(θτ) p, v⟩ / √d, where R turns each pair of components by θτ, θ is the
    drift and τ in [0, 1] the share of the span of time that has passed. Then, with logistic σ,

        P(click)              = σ(click_offset_s + a + appeal_i − position_drop · ln(position))
        P(cart | click)       = σ(cart_offset + a/2 + quality_i / 2)
        P(buy | click, cart)  = σ(buy_offset + a/2 − price_weight_u · ln-price_i)
        P(like | click)       = σ(like_offset + a + quality_i)
        ln dwell | click      ~ N(dwell_offset + 0.4·a + 0.3·quality_i, dwell_noise²), cut at one hour

    Legend: U users, I items, S scenarios, d width, B pairs asked for. Users and items are their
    numbers, scenarios their place in ``scenarios``.

    Attributes:
        scenarios: Names, shape [S].
        preference: Scale-free preferences, shape [S, U, d]; shared and private part together.
        vectors: Item vectors, shape [I, d].
        topic_weights: What each item's text is about, shape [I, K].
        appeal: Shape [I].
        quality: Shape [I].
        log_price: Standardised logarithm of the price, shape [I].
        price_weight: Shape [U].
        cold: Whether an item appears late, shape [I].
        cold_from: When it does, as a share of the span.
        user_share: Probability that an impression is of a user, shape [U].
        item_share: Weight of an item among those shown, shape [I].
        click_offset: Shape [S].
        cart_offset: A number, as are the offsets that follow.
        start_us: Earliest time, microseconds since 1970.
        span_us: Length of the span of time in microseconds.
    """

    scenarios: NDArray[np.str_]
    scenario_share: NDArray[np.float64]
    preference: Floats
    vectors: Floats
    topic_weights: Floats
    appeal: Floats
    quality: Floats
    log_price: Floats
    price_weight: Floats
    cold: NDArray[np.bool_]
    cold_from: float
    user_share: NDArray[np.float64]
    item_share: NDArray[np.float64]
    affinity_scale: float
    drift: float
    position_drop: float
    click_offset: Floats
    cart_offset: float
    buy_offset: float
    like_offset: float
    dwell_offset: float
    dwell_noise: float
    start_us: int
    span_us: int

    def elapsed(self, time: NDArray[np.datetime64]) -> Floats:
        """Share τ of the span of time that has passed, shape [B]."""
        microseconds = time.astype("datetime64[us]").astype(np.int64)
        return ((microseconds - self.start_us) / self.span_us).astype(np.float32)

    def affinity(self, users: Rows, items: Rows, scenarios: Rows, elapsed: Floats) -> Floats:
        """Affinity a on the logit scale, shape [B]; ``elapsed`` is τ."""
        p, v = self.preference[scenarios, users], self.vectors[items]  # [B, d]
        dot = np.einsum("bd,bd->b", p, v)
        if self.drift:
            angle = np.float32(self.drift) * elapsed
            even, odd = slice(None, None, 2), slice(1, None, 2)
            turned = np.einsum("bd,bd->b", p[:, even], v[:, odd]) - np.einsum(
                "bd,bd->b", p[:, odd], v[:, even]
            )
            dot = np.cos(angle) * dot + np.sin(angle) * turned
        affinity: Floats = dot * np.float32(self.affinity_scale / math.sqrt(self.vectors.shape[1]))
        return affinity

    def click_logit(self, affinity: Floats, items: Rows, scenarios: Rows, positions: Rows) -> Floats:
        """Logit of a click given the affinity, shape [B]."""
        seen = np.float32(self.position_drop) * np.log(positions).astype(np.float32)
        logit: Floats = self.click_offset[scenarios] + affinity + self.appeal[items] - seen
        return logit

    def cart_logit(self, affinity: Floats, items: Rows) -> Floats:
        """Logit of a cart given a click, shape [B]."""
        logit: Floats = np.float32(self.cart_offset) + np.float32(0.5) * (affinity + self.quality[items])
        return logit

    def buy_logit(self, affinity: Floats, users: Rows, items: Rows) -> Floats:
        """Logit of a purchase given a cart, shape [B]."""
        price = self.price_weight[users] * self.log_price[items]
        logit: Floats = np.float32(self.buy_offset) + np.float32(0.5) * affinity - price
        return logit

    def like_logit(self, affinity: Floats, items: Rows) -> Floats:
        """Logit of a like given a click, shape [B]."""
        logit: Floats = np.float32(self.like_offset) + affinity + self.quality[items]
        return logit

    def log_dwell(self, affinity: Floats, items: Rows) -> Floats:
        """Mean of the logarithm of the seconds spent after a click, shape [B]."""
        mean: Floats = np.float32(self.dwell_offset) + np.float32(0.4) * affinity
        return mean + np.float32(0.3) * self.quality[items]

    def click_probability(
        self,
        users: Rows,
        items: Rows,
        scenarios: Rows,
        time: NDArray[np.datetime64],
        positions: Rows | None = None,
    ) -> Floats:
        """True probability of a click.

        Args:
            users: Numbers of users, shape [B].
            items: Numbers of items, shape [B].
            scenarios: Places in ``self.scenarios``, shape [B].
            time: Times, shape [B].
            positions: Slots from 1, shape [B]; the first slot when left out.

        Returns:
            Shape [B].
        """
        affinity = self.affinity(users, items, scenarios, self.elapsed(time))
        slots = np.ones(len(users), np.int64) if positions is None else positions
        return sigmoid(self.click_logit(affinity, items, scenarios, slots))

    def expectations(
        self,
        users: Rows,
        items: Rows,
        scenarios: Rows,
        time: NDArray[np.datetime64],
        positions: Rows | None = None,
    ) -> dict[str, Floats]:
        """What a perfect model would predict for each task; arguments as for :meth:`click_probability`.

        Returns:
            ``click``; ``cart``, ``like`` and ``dwell`` (seconds) given a click; ``buy`` given a cart;
            each of shape [B].
        """
        affinity = self.affinity(users, items, scenarios, self.elapsed(time))
        slots = np.ones(len(users), np.int64) if positions is None else positions
        return {
            "click": sigmoid(self.click_logit(affinity, items, scenarios, slots)),
            "cart": sigmoid(self.cart_logit(affinity, items)),
            "buy": sigmoid(self.buy_logit(affinity, users, items)),
            "like": sigmoid(self.like_logit(affinity, items)),
            # The mean of a log-normal; that dwell is cut at one hour changes it by less than a thousandth.
            "dwell": np.exp(self.log_dwell(affinity, items) + np.float32(self.dwell_noise**2 / 2)),
        }

    def scenario_codes(self, names: Iterable[str]) -> Rows:
        """Places of scenario names in ``scenarios``, shape [B].

        Raises:
            DataError: If a name is not a scenario of this world.
        """
        codes = {name: code for code, name in enumerate(self.scenarios.tolist())}
        try:
            return np.array([codes[name] for name in names], np.int64)
        except KeyError as error:
            raise DataError(
                f"the world has no scenario {error.args[0]!r}", nearest(str(error.args[0]), codes)
            ) from None

    def save(self, path: Path) -> None:
        """Write everything to an ``.npz`` file."""
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read a truth that :meth:`save` wrote.

        Raises:
            DataError: If the file is missing or is not a truth.
        """
        try:
            # numpy leaves a file open that it was given by name and that is no archive
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                values = {field.name: archive[field.name] for field in fields(cls)}
        except (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, BadZipFile) as error:
            raise DataError(
                f"{path} is not the truth of a world ({error})", "generate the world again"
            ) from None
        return cls(**{name: value if value.ndim else value.item() for name, value in values.items()})


def sigmoid(logit: Floats) -> Floats:
    """The logistic function."""
    return np.float32(1.0) / (np.float32(1.0) + np.exp(-logit))
