"""Draws impressions of a world, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.datasets._truth import Floats, Rows, Truth, sigmoid

__all__ = ["Exposure", "draw_exposures", "draw_impressions"]

_LONGEST_DWELL_S = np.float32(3600.0)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Who was shown what, where; each of shape [N]."""

    users: Rows
    items: Rows
    scenarios: Rows
    positions: Rows


def draw_exposures(truth: Truth, elapsed: Floats, positions: int, rng: np.random.Generator) -> Exposure:
    """Draw users, items, scenarios and slots; items that come late only where it is late.

    Args:
        truth: The world.
        elapsed: Moments τ in ascending order, shape [N].
        positions: Slots on a page.
        rng: Source of randomness.
    """
    n = len(elapsed)
    early = int(np.searchsorted(elapsed, np.float32(truth.cold_from)))
    return Exposure(
        _draw(truth.user_share, n, rng),
        np.concatenate(
            [
                _draw(np.where(truth.cold, 0.0, truth.item_share), early, rng),
                _draw(truth.item_share, n - early, rng),
            ]
        ),
        _draw(truth.scenario_share, n, rng),
        rng.integers(1, positions + 1, n),
    )


def draw_impressions(
    truth: Truth, start: float, stop: float, rows: int, positions: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Draw the impressions of a stretch of time.

    Args:
        truth: The world.
        start: Begin of the stretch, as a share of the span.
        stop: Its end.
        rows: Number of impressions N.
        positions: Slots on a page.
        rng: Source of randomness.

    Returns:
        One row an impression, in order of time.
    """
    moments = start + (stop - start) * np.sort(rng.random(rows))
    time = (truth.start_us + (moments * truth.span_us).astype(np.int64)).view("datetime64[us]")
    elapsed = truth.elapsed(time)
    shown = draw_exposures(truth, elapsed, positions, rng)
    users, items = shown.users, shown.items
    affinity = truth.affinity(users, items, shown.scenarios, elapsed)
    click = _happens(truth.click_logit(affinity, items, shown.scenarios, shown.positions), rng)

    clicked = np.flatnonzero(click)
    at, of = affinity[clicked], items[clicked]
    in_cart = clicked[_happens(truth.cart_logit(at, of), rng)]
    bought = in_cart[_happens(truth.buy_logit(affinity[in_cart], users[in_cart], items[in_cart]), rng)]
    liked = clicked[_happens(truth.like_logit(at, of), rng)]
    noise = np.float32(truth.dwell_noise) * rng.standard_normal(len(clicked), np.float32)
    seconds = np.full(rows, np.nan, np.float32)
    seconds[clicked] = np.minimum(np.round(np.exp(truth.log_dwell(at, of) + noise), 1), _LONGEST_DWELL_S)
    return pl.DataFrame(
        {
            "user_id": users.astype(np.int32),
            "item_id": items.astype(np.int32),
            "time": time,
            "scenario": pl.Series(truth.scenarios.tolist()).gather(shown.scenarios),
            "position": shown.positions.astype(np.int8),
            "click": click.astype(np.int8),
            "cart": _marked(in_cart, rows),
            "buy": _marked(bought, rows),
            "dwell_s": pl.Series(seconds, nan_to_null=True),
            "like": _marked(liked, rows),
        }
    )


def _draw(share: NDArray[np.float64], n: int, rng: np.random.Generator) -> Rows:
    steps = np.cumsum(share)
    # Rounding may put a draw on the last step itself, beyond the last row that has a share.
    last = int(np.flatnonzero(share)[-1])
    rows: Rows = np.minimum(np.searchsorted(steps, rng.random(n) * steps[-1], side="right"), last)
    return rows


def _happens(logit: Floats, rng: np.random.Generator) -> NDArray[np.bool_]:
    happens: NDArray[np.bool_] = rng.random(len(logit), np.float32) < sigmoid(logit)
    return happens


def _marked(rows: Rows, n: int) -> NDArray[np.int8]:
    marks = np.zeros(n, np.int8)
    marks[rows] = 1
    return marks
