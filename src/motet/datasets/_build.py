"""From the settings of a world to its truth and its tables of users and items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.datasets._impressions import Exposure, draw_exposures
from motet.datasets._truth import Truth, sigmoid
from motet.datasets._words import TOPICS
from motet.datasets._world import World

__all__ = ["build_items", "build_truth", "build_users", "stream"]

_START_US = 1_735_689_600_000_000  # 1 January 2025, UTC
_CALIBRATION_ROWS = 50_000


def stream(world: World, *path: int) -> np.random.Generator:
    """An independent generator for one purpose, so that a change to one leaves the others alone."""
    return np.random.default_rng(np.random.SeedSequence(world.seed, spawn_key=path))


def build_truth(world: World) -> Truth:
    """Draw the true parameters, and set the offsets so that the rates come out as asked."""
    rng = stream(world, 0)
    shape = (world.users, world.width)
    names = sorted(world.scenarios)
    share = np.array([world.scenarios[name] for name in names])
    common = rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(world.shared))
    preference = np.empty((len(names), *shape), np.float32)
    for code in range(len(names)):
        private = rng.standard_normal(shape, np.float32)
        preference[code] = common + np.float32(np.sqrt(1 - world.shared)) * private
    topic_weights = rng.dirichlet(np.full(world.topics, 0.3), world.items).astype(np.float32)  # [I, K]
    vectors = _item_vectors(world, topic_weights, rng)
    cold = np.zeros(world.items, bool)
    cold[rng.permutation(world.items)[: min(round(world.cold_items * world.items), world.items - 1)]] = True
    user_share, item_share = rng.lognormal(0, 1, world.users), rng.lognormal(0, 1.2, world.items)
    truth = Truth(
        scenarios=np.array(names),
        scenario_share=share / share.sum(),
        preference=preference,
        vectors=vectors,
        topic_weights=topic_weights,
        appeal=0.5 * rng.standard_normal(world.items, np.float32),
        quality=rng.standard_normal(world.items, np.float32),
        log_price=rng.standard_normal(world.items, np.float32),
        price_weight=rng.uniform(0.2, 1.0, world.users).astype(np.float32),
        cold=cold,
        cold_from=world.cold_from,
        user_share=user_share / user_share.sum(),
        item_share=item_share / item_share.sum(),
        affinity_scale=world.affinity,
        drift=world.drift,
        position_drop=0.3,
        click_offset=0.3 * rng.standard_normal(len(names), np.float32),
        cart_offset=0.0,
        buy_offset=0.0,
        like_offset=0.0,
        dwell_offset=float(np.log(20.0)),
        dwell_noise=0.5,
        start_us=_START_US,
        span_us=round(world.days * 86_400_000_000),
    )
    return _calibrated(truth, world, rng)


def _item_vectors(
    world: World, topic_weights: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    topics = rng.standard_normal((world.topics, world.width), np.float32)
    told = topic_weights @ topics
    # Centred and scaled, so that 'text' is the share of variance that it says it is.
    told = (told - told.mean(0)) / np.maximum(told.std(0), 1e-6)
    own = rng.standard_normal((world.items, world.width), np.float32)
    vectors: NDArray[np.float32] = (
        np.float32(np.sqrt(world.text)) * told + np.float32(np.sqrt(1 - world.text)) * own
    )
    return vectors


def _calibrated(truth: Truth, world: World, rng: np.random.Generator) -> Truth:
    elapsed = np.sort(rng.random(_CALIBRATION_ROWS)).astype(np.float32)
    shown: Exposure = draw_exposures(truth, elapsed, world.positions, rng)
    users, items = shown.users, shown.items
    affinity = truth.affinity(users, items, shown.scenarios, elapsed)
    everyone = np.ones(len(users), np.float32)

    logit = truth.click_logit(affinity, items, shown.scenarios, shown.positions)
    click = _offset(logit, world.click_rate, everyone)
    clicked = sigmoid(logit + np.float32(click))
    logit = truth.cart_logit(affinity, items)
    cart = _offset(logit, world.cart_rate, clicked)
    in_cart = clicked * sigmoid(logit + np.float32(cart))
    return replace(
        truth,
        click_offset=truth.click_offset + np.float32(click),
        cart_offset=cart,
        buy_offset=_offset(truth.buy_logit(affinity, users, items), world.buy_rate, in_cart),
        like_offset=_offset(truth.like_logit(affinity, items), world.like_rate, clicked),
    )


def _offset(logit: NDArray[np.float32], rate: float, weight: NDArray[np.float32]) -> float:
    """What to add to the logits so that the weighted mean probability is the rate, by bisection."""
    low, high = -60.0, 60.0
    for _ in range(50):
        middle = (low + high) / 2
        mean = float(np.average(sigmoid(logit + np.float32(middle)), weights=weight))
        low, high = (middle, high) if mean < rate else (low, middle)
    return (low + high) / 2


def build_users(world: World, truth: Truth) -> pl.DataFrame:
    """The users, as a log would know them."""
    rng = stream(world, 1)
    # What a user likes on the whole: the mean over the scenarios, weighted by their shares.
    taste = np.einsum("s,sud->ud", truth.scenario_share, truth.preference)
    scale = np.maximum(taste.std(0), 1e-6)
    weights = truth.topic_weights - truth.topic_weights.mean(0)
    topics = weights.T @ truth.vectors  # [K, d]: where each topic lies, up to scale
    favourite = np.argmax(taste @ topics.T, 1)
    guess = rng.integers(world.topics, size=world.users)
    segment = np.where(rng.random(world.users) < 0.3, guess, favourite)
    age = 40 + 12 * taste[:, 0] / scale[0] + rng.normal(0, 4, world.users)
    return pl.DataFrame(
        {
            "user_id": np.arange(world.users, dtype=np.int32),
            "age": np.clip(np.round(age), 16, 95).astype(np.int16),
            "segment": pl.Series(list(TOPICS)).gather(segment),
            "region": pl.Series(["north", "east", "south", "west"]).gather(rng.integers(4, size=world.users)),
        }
    )


def build_items(world: World, truth: Truth) -> pl.DataFrame:
    """The items, as a catalogue would know them."""
    rng = stream(world, 2)
    vocabulary = np.array([words.split() for words in list(TOPICS.values())[: world.topics]])  # [K, W]
    titles: list[str] = []
    for start in range(0, world.items, 100_000):
        weights = truth.topic_weights[start : start + 100_000]
        steps = np.cumsum(weights, 1, dtype=np.float64)  # [I, K]
        draws = rng.random((len(weights), world.words)) * steps[:, -1:]
        topic = np.minimum((draws[:, :, None] >= steps[:, None, :]).sum(2), world.topics - 1)  # [I, words]
        words = vocabulary[topic, rng.integers(vocabulary.shape[1], size=topic.shape)]
        titles += [" ".join(row) for row in words.tolist()]
    return pl.DataFrame(
        {
            "item_id": np.arange(world.items, dtype=np.int32),
            "title": titles,
            "category": pl.Series(list(TOPICS)).gather(np.argmax(truth.topic_weights, 1)),
            "price": np.round(np.exp(3 + 0.6 * truth.log_price.astype(np.float64)), 2),
        }
    )
