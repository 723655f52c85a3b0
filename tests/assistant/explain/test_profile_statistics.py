"""What the intervals and certainties promise, by simulation."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit

from motet.assistant.explain import (
    ProfileSettings,
    Trait,
    Traits,
    false_discovery,
    is_sensitive,
    named_ranges,
    population_of,
    tastes_of,
    trait_words,
    wilson_interval,
)
from motet.data import Behaviour, Ragged


def behaviour(items: list[np.ndarray], likes: list[np.ndarray]) -> tuple[Behaviour, np.ndarray]:
    lengths = np.array([len(part) for part in items])
    label = np.concatenate(likes).astype(np.float32)
    found = Behaviour(
        Ragged.from_lengths(np.concatenate(items).astype(np.int32), lengths),
        np.zeros(lengths.sum(), np.int64),
        label[:, None],
        ("like",),
    )
    return found, label.astype(np.float64)


def traits(of_item: np.ndarray) -> Traits:
    matrix = sp.csr_array(of_item.astype(float))
    names = tuple(Trait("tag", "tags", str(v), {"en": str(v), "zh": str(v)}) for v in range(of_item.shape[1]))
    return Traits(names, matrix, matrix, 0)


def test_intervals_cover_the_truth() -> None:
    """Shares of likes drawn from the prior itself: a posterior interval then covers as it says."""
    rng = np.random.default_rng(0)
    settings = ProfileSettings(half_life_days=None)
    sigma, users, events = 0.2, 600, 40
    shares = rng.beta(settings.prior_events * sigma, settings.prior_events * (1 - sigma), users)
    items = [(rng.random(events) < share).astype(np.int64) for share in shares]
    found, likes = behaviour(items, [np.ones(events)] * users)
    both = traits(np.array([[0], [1]]))
    population = population_of(found, likes, both)
    assert population.like_share[0] == pytest.approx(sigma, abs=0.02)
    tastes = tastes_of(found, likes, both, population, settings, np.arange(users))
    truth = logit(shares) - logit(population.like_share[0])
    ends = np.array([tastes.liking.interval(user, 0) for user in range(users)])
    covered = ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()
    assert 0.92 <= covered <= 0.98
    assert (ends[:, 0] < tastes.liking.value[:, 0]).all()
    assert (ends[:, 1] > tastes.liking.value[:, 0]).all()


def test_users_like_everybody_have_next_to_no_interests() -> None:
    """A hundred traits, common and rare, no user with a taste: what is said is wrong, so little may be said."""
    rng = np.random.default_rng(1)
    matrix = rng.random((400, 100)) < rng.uniform(0.01, 0.4, 100)
    items = [rng.integers(0, 400, 60) for _ in range(300)]
    found, likes = behaviour(items, [rng.random(60) < 0.6 for _ in range(300)])
    everything = traits(matrix)
    settings = ProfileSettings(half_life_days=None)
    population = population_of(found, likes, everything)
    tastes = tastes_of(found, likes, everything, population, settings, np.arange(300))
    assert tastes.aversion is not None
    for chance in (tastes.liking.below, 1 - tastes.aversion.below):
        rate = false_discovery(chance, np.ones(chance.shape, bool))
        assert (rate <= 0.1).any(axis=1).mean() <= 0.15
        assert (rate <= 0.01).any(axis=1).mean() <= 0.03


def test_plain_sums_without_decay_or_labels() -> None:
    found, likes = behaviour(
        [np.array([0, 0, 1, 2]), np.array([], int), np.array([2])],
        [np.array([1, 0, 1, np.nan]), np.array([]), np.array([0])],
    )
    of_item = np.array([[1, 0], [1, 1], [0, 1]])
    found_traits = traits(of_item)
    population = population_of(found, likes, found_traits)
    tastes = tastes_of(
        found, likes, found_traits, population, ProfileSettings(half_life_days=None), np.array([0, 1, 2, 9])
    )
    np.testing.assert_array_equal(tastes.events, [[3, 2], [0, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(tastes.labelled, [[3, 1], [0, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(tastes.likes, [[2, 1], [0, 0], [0, 0], [0, 0]])
    sigma = population.like_share
    expected = np.log((np.array([2, 1]) + 10 * sigma) / (2 - np.array([2, 1]) + 10 * (1 - sigma)))
    np.testing.assert_allclose(tastes.liking.value[0], expected - logit(sigma))
    np.testing.assert_allclose(tastes.liking.value[1], 0, atol=1e-12)  # of whom nothing is known


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_false_discovery_is_as_defined(chances: list[float]) -> None:
    p = np.array([chances])
    n, ordered = len(chances), np.sort(p[0])
    direct = [min(*(ordered[j] * n / (j + 1) for j in range(n) if ordered[j] >= x), 1.0) for x in p[0]]
    np.testing.assert_allclose(false_discovery(p, np.ones(p.shape, bool))[0], direct)


def test_wilson_covers() -> None:
    rng = np.random.default_rng(2)
    draws = rng.binomial(12, 0.3, 2000)
    inside = [low <= 0.3 <= high for low, high in (wilson_interval(int(k), 12) for k in draws)]
    assert np.mean(inside) > 0.93


def test_ranges_cover_every_number_once() -> None:
    rng = np.random.default_rng(3)
    for values in (
        rng.lognormal(3, 1, 500),
        rng.integers(1900, 2020, 500).astype(float),
        np.array([1.0, 2.0]),
    ):
        ranges = named_ranges(np.append(values, np.nan))
        inside = np.array([(values >= r.low) & (values < r.high) for r in ranges])
        assert (inside.sum(axis=0) == 1).all()
        assert len({r.words["en"] for r in ranges}) == len(ranges)
    assert named_ranges(np.array([5.0, 5.0, np.nan])) == []
    assert named_ranges(np.array([])) == []


def test_chinese_is_cut_into_pairs_and_form_is_left_out() -> None:
    texts = pl.Series(["红色连衣裙", "红色的鞋", "The red shoe 1999", "A red dress", None])
    found = trait_words(texts, fewest=2, largest_share=1.0)
    assert found.rows() == [(0, "红色"), (1, "红色"), (2, "red"), (3, "red")]


@pytest.mark.parametrize(
    "text", ["Politics", "gender", "Gay & Lesbian", "mental_health", "宗教", "Pregnancy"]
)
def test_sensitive_words(text: str) -> None:
    assert is_sensitive(text)


@pytest.mark.parametrize(
    "text", ["Romance", "War", "Racing", "Sussex", "Classical", "Healing Crystals", "家庭"]
)
def test_harmless_words(text: str) -> None:
    assert not is_sensitive(text)
