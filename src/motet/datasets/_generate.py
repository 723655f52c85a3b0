"""Generates a synthetic world and writes it to disk: users, items, impressions and their outcomes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.datasets._assets import Progress
from motet.datasets._source import copy_texts, write_directory
from motet.datasets._world import TOPICS, Floats, Rows, SyntheticWorld, Truth, sigmoid

__all__ = [
    "Exposure",
    "build_items",
    "build_truth",
    "build_users",
    "draw_exposures",
    "draw_impressions",
    "generate",
    "stream",
    "write_world",
]

# Impressions of a world, and their outcomes.

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
        elapsed: Times τ in ascending order, shape [N].
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
    context_rows = start + (stop - start) * np.sort(rng.random(rows))
    time = (truth.start_us + (context_rows * truth.span_us).astype(np.int64)).view("datetime64[us]")
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


# Ground truth, and tables of users and items, from the settings of a world.

_START_US = 1_735_689_600_000_000  # 1 January 2025, UTC
_CALIBRATION_ROWS = 50_000


def stream(world: SyntheticWorld, *path: int) -> np.random.Generator:
    """An independent generator for one purpose, so that a change to one leaves the others alone."""
    return np.random.default_rng(np.random.SeedSequence(world.seed, spawn_key=path))


def build_truth(world: SyntheticWorld) -> Truth:
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
    world: SyntheticWorld, topic_weights: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    topics = rng.standard_normal((world.topics, world.width), np.float32)
    from_topics = topic_weights @ topics
    # Centred and scaled, so that 'text' is the share of variance that it says it is.
    from_topics = (from_topics - from_topics.mean(0)) / np.maximum(from_topics.std(0), 1e-6)
    own = rng.standard_normal((world.items, world.width), np.float32)
    vectors: NDArray[np.float32] = (
        np.float32(np.sqrt(world.text)) * from_topics + np.float32(np.sqrt(1 - world.text)) * own
    )
    return vectors


def _calibrated(truth: Truth, world: SyntheticWorld, rng: np.random.Generator) -> Truth:
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


def build_users(world: SyntheticWorld, truth: Truth) -> pl.DataFrame:
    """The users, as a log would know them."""
    rng = stream(world, 1)
    # What a user likes on the whole: the mean over the scenarios, weighted by their shares.
    taste = np.einsum("s,sud->ud", truth.scenario_share, truth.preference)
    scale = np.maximum(taste.std(0), 1e-6)
    weights = truth.topic_weights - truth.topic_weights.mean(0)
    topics = weights.T @ truth.vectors  # [K, d]: vector of each topic, up to scale
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


def build_items(world: SyntheticWorld, truth: Truth) -> pl.DataFrame:
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


# Writing to disk, part by part.

_REVISION = 1


def generate(world: SyntheticWorld, out: str | Path, progress: Progress | None = None) -> Path:
    """Draw a world and write its tables, schema, datasheet and truth into a new directory.

    Memory is bounded by ``chunk_rows`` impressions and the users' preferences, whatever the number
    of interactions. The same world gives the same bytes.

    Args:
        world: Its settings.
        out: Directory to write; absent, empty, or already holding this very world.
        progress: Called after each part with the rows written and the rows in all.

    Returns:
        ``out``, with ``users.parquet``, ``items.parquet``, ``interactions/part-00000.parquet`` …,
        ``schema.yaml``, ``DATASHEET.md``, ``world.json`` and ``truth.npz``.

    Raises:
        DataError: If ``out`` holds something else, or cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as directory:
        ...     out = generate(SyntheticWorld(users=50, items=20, interactions=1_000), Path(directory) / "world")
        ...     sorted(path.name for path in out.iterdir() if path.suffix != ".parquet")
        ['.motet-dataset', 'DATASHEET.md', 'interactions', 'schema.yaml', 'truth.npz', 'world.json']
    """
    key = hashlib.sha256(f"{_REVISION} {world.model_dump_json()}".encode()).hexdigest()[:16]

    def write(directory: Path) -> None:
        write_world(world, directory, progress)
        copy_texts("worlds", directory)

    return write_directory(Path(out), key, write)


def write_world(world: SyntheticWorld, directory: Path, progress: Progress | None = None) -> None:
    """Write the tables and the truth of a world into an existing directory."""
    truth = build_truth(world)
    (directory / "world.json").write_text(world.model_dump_json(indent=1) + "\n", encoding="utf-8")
    truth.save(directory / "truth.npz")
    build_users(world, truth).write_parquet(directory / "users.parquet")
    build_items(world, truth).write_parquet(directory / "items.parquet")
    parts = directory / "interactions"
    parts.mkdir()
    total = world.interactions
    for part, first in enumerate(range(0, total, world.chunk_rows)):
        after = min(first + world.chunk_rows, total)
        rows = draw_impressions(
            truth, first / total, after / total, after - first, world.positions, stream(world, 3, part)
        )
        rows.write_parquet(parts / f"part-{part:05d}.parquet", compression_level=1)
        if progress is not None:
            progress("drawing impressions", after, total)
