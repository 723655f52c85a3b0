"""What is true in a synthetic world: vectors, offsets, and the probabilities that follow."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError
from motet.schema import nearest

__all__ = ["Truth", "sigmoid"]

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
        start_us: First moment, microseconds since 1970.
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
            time: Moments, shape [B].
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
