"""Statistics of experiments: against formulas, and by simulation in a small form (benchmarks/experiments.py has the full one)."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from motet.errors import DataError
from motet.service.experiments import (
    Effect,
    UserTotals,
    decide,
    effect_of,
    guardrail_state,
    interleaving_preference,
    planned_users,
    sample_ratio,
    sequential_p,
    sequential_radius,
    team_draft,
)


@pytest.fixture(scope="module")
def simulations() -> Any:
    sys.path.insert(0, str(Path(__file__).parents[3]))
    try:
        return importlib.import_module("benchmarks.experiments")
    finally:
        sys.path.pop(0)


def test_the_interval_and_the_p_value_agree() -> None:
    f = np.geomspace(1e-4, 100, 200)
    for level in (0.8, 0.95, 0.99):
        radius = sequential_radius(f, level)
        np.testing.assert_allclose(sequential_p(radius, f, level), 1 - level, rtol=1e-6)
        np.testing.assert_allclose(sequential_p(-radius, f, level), 1 - level, rtol=1e-6)
        assert (sequential_p(radius * 1.01, f, level) < 1 - level).all()
        assert (sequential_p(0 * radius, f, level) == 1).all()
        assert (radius > stats.norm.ppf((1 + level) / 2)).all()
    half_width = sequential_radius(f) / np.sqrt(f)
    assert (np.diff(half_width) < 0).all()  # more users, narrower
    with pytest.raises(DataError, match="above 0"):
        sequential_radius(0.0)


def test_the_mixture_is_a_martingale() -> None:
    # Under no effect the mean of the likelihood ratio is 1 at every time; the p-value is its inverse, cut at 1.
    z = np.linspace(-12, 12, 200_001)
    density = stats.norm.pdf(z)
    for f in (0.01, 0.3, 1.0, 3.0):
        p = sequential_p(z, f)
        ratio = np.where(p < 1, 1 / p, np.nan)
        some = p < 1
        # where the ratio is below 1 it is cut off, so what is left has a mean between 0 and 1
        mean = float((ratio[some] * density[some]).sum() * (z[1] - z[0]))
        assert 0 < mean <= 1
        if f >= 1:
            assert mean > 0.4


@pytest.mark.parametrize("name", ["a click or none, 10 %", "adjusted by what was before", "users come again, ratio", "users come again, mean"])  # fmt: skip
def test_looking_after_every_event_finds_nothing_that_is_not_there(name: str, simulations: Any) -> None:
    ours, naive = simulations.share_found(simulations.aa_tests(2_000)[name], 200)
    assert ours <= stats.binom.ppf(0.999, 200, 0.05) / 200
    assert naive > 0.2  # what looking again and again does to an interval for one look


def test_an_effect_is_found_by_1_6_times_the_sample(simulations: Any) -> None:
    power, single, mean, _ = simulations.power_of("click", 300, 2_000)
    assert power > 0.83 - 3 * math.sqrt(0.83 * 0.17 / 300)
    assert 0.7 < single < 0.9
    assert mean < 1.1


def test_the_simulation_computes_what_the_package_does(simulations: Any) -> None:
    rng = np.random.default_rng(5)
    variant = rng.random((1, 800)) < 0.5
    y = (rng.random((1, 800)) < 0.3) * 1.0

    class Fixed:
        def random(self, shape: Any) -> Any:
            return np.where(variant, 0.0, 1.0)

    made = simulations.one_outcome_each(Fixed(), 1, 800, 800, lambda *_: y)
    for users in (300, 800):
        arms = [y[0, :users][variant[0, :users] == side] for side in (False, True)]
        effect = effect_of(UserTotals(arms[0]), UserTotals(arms[1]), users / 800)
        assert effect.difference / effect.standard_error == pytest.approx(made.z[0, users - 1])
        assert effect.p is not None
        assert (effect.p < 0.05) == made.found()[0, users - 1]


def test_a_mismatch_is_found_and_a_sound_experiment_is_left_alone(simulations: Any) -> None:
    ever, _, _ = simulations.mismatches(0.5, 300, 3_000)
    assert ever <= 0.03
    _, _, last = simulations.mismatches(0.55, 100, 5_000)
    assert last > 0.95
    found = sample_ratio([60, 40], [0.5, 0.5])
    assert found.chi_square_p == pytest.approx(stats.chisquare([60, 40]).pvalue)
    assert sample_ratio([0, 0], [0.5, 0.5]).passed
    assert not sample_ratio([900, 1_100, 1_300], [1 / 3] * 3).passed
    for counts, shares in (([1], [1.0]), ([1, 2], [0.5, 0.6]), ([1, -2], [0.5, 0.5]), ([1, 2, 3], [0.5, 0.5])):  # fmt: skip
        with pytest.raises(DataError, match="shares"):
            sample_ratio(counts, shares)


def test_the_ratio_has_the_error_of_drawn_users() -> None:
    rng = np.random.default_rng(0)
    lists = (rng.poisson(3, 3_000) + 1).astype(np.float64)
    clicks = rng.binomial(lists.astype(int), rng.beta(2, 6, 3_000)).astype(float)
    arm = UserTotals(clicks, lists)
    influence = arm.influence()
    formula = math.sqrt(float(influence @ influence)) / len(lists)
    draws = rng.integers(0, 3_000, (1_000, 3_000))
    drawn = (clicks[draws].sum(1) / lists[draws].sum(1)).std()
    assert formula == pytest.approx(float(drawn), rel=0.08)
    naive = math.sqrt(arm.value * (1 - arm.value) / lists.sum())
    assert formula > 1.1 * naive  # lists of one user are alike


def test_what_was_before_changes_the_error_and_not_the_effect() -> None:
    rng = np.random.default_rng(1)
    differences = []
    for _ in range(200):
        before = rng.normal(5, 2, (2, 400))
        after = before + rng.normal(0, 1, (2, 400)) + np.array([[0.0], [0.3]])
        arms = [UserTotals(a, before=b) for a, b in zip(after, before, strict=True)]
        effect = effect_of(arms[0], arms[1], 1.0)
        differences.append(effect.difference)
        assert effect.variance_saved == pytest.approx(0.8, abs=0.06)
    assert np.mean(differences) == pytest.approx(0.3, abs=4 * 0.0707 / math.sqrt(200))
    assert np.std(differences) == pytest.approx(effect.standard_error, rel=0.2)
    one, two = (UserTotals(a, before=np.ones(400)) for a in after)
    plain = effect_of(one, two, 1.0)  # what was before says nothing
    assert plain.variance_saved == 0


def test_intervals_hold_the_difference_and_the_relative_one() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(300):
        effect = effect_of(UserTotals(rng.gamma(2, 1, 500)), UserTotals(rng.gamma(2, 1.1, 500)), 1.0)
        assert effect.interval is not None
        assert effect.relative_interval is not None
        held += effect.interval[0] < 0.2 < effect.interval[1] and effect.relative_interval[0] < 0.1 < effect.relative_interval[1]  # fmt: skip
    assert held >= 293  # 2.84 standard errors at a single look


def test_too_little_is_no_interval() -> None:
    few = UserTotals(np.ones(10))
    assert effect_of(few, few, 0.1).interval is None
    empty = UserTotals(np.zeros(0))
    assert math.isnan(effect_of(empty, few, 0.1).baseline)
    rare = UserTotals(np.r_[np.ones(2), np.zeros(500)])
    assert effect_of(rare, rare, 0.1).interval is None
    nothing = UserTotals(np.zeros(100), np.zeros(100))
    assert math.isnan(effect_of(nothing, nothing, 0.1).difference)
    with pytest.raises(DataError, match="denominator"):
        UserTotals(np.ones(3), np.ones(2))


def effect_with(low: float, high: float) -> Effect:
    middle = (low + high) / 2
    return Effect((99, 99), 1.0, 1 + middle, middle, 0.1, (low, high), middle, (low, high), 0.5, 0.95, 0.0)


@pytest.mark.parametrize(
    ("low", "high", "up", "expected"),
    [
        (-0.01, 0.10, True, "kept"),
        (-0.05, 0.10, True, "open"),
        (-0.20, -0.10, True, "violated"),
        (-0.20, -0.01, True, "open"),
        (-0.20, -0.10, False, "kept"),
        (0.10, 0.20, False, "violated"),
    ],
)
def test_guardrails(low: float, high: float, up: bool, expected: str) -> None:
    assert guardrail_state(effect_with(low, high), 0.02, up) == expected


def test_stop_rules() -> None:
    sound, broken = sample_ratio([500, 500], [0.5, 0.5]), sample_ratio([500, 900], [0.5, 0.5])
    better, worse, nothing = effect_with(0.1, 0.2), effect_with(-0.2, -0.1), effect_with(-0.1, 0.1)

    def kind(ratio: Any, effect: Effect, guard: str, fraction: float = 0.5) -> tuple[str, bool]:
        found = decide(ratio, [("new", effect, True)], [("new", guard)], fraction)  # type: ignore[list-item]
        return found.kind, found.stop

    assert kind(broken, better, "kept") == ("mismatch", True)
    assert kind(sound, better, "kept") == ("better", True)
    assert kind(sound, better, "open") == ("better_unguarded", False)
    assert kind(sound, better, "violated") == ("harmful", True)
    assert kind(sound, worse, "kept") == ("harmful", True)
    assert kind(sound, nothing, "open") == ("running", False)
    assert kind(sound, nothing, "kept", 1.0) == ("no_difference", True)
    down = decide(sound, [("new", worse, False)], [], 0.5)
    assert (down.kind, down.variants) == ("better", ("new",))
    two = decide(sound, [("a", worse, True), ("b", nothing, True)], [], 0.5)
    assert (two.kind, two.variants) == ("running", ("b",))


def test_planned_users_are_those_of_the_textbook_times_one_and_a_half() -> None:
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert planned_users(1.0, 0.1) == math.ceil(1.5 * 2 * 2 * (z / 0.1) ** 2)
    assert planned_users(1.0, 0.1, shares=(0.9, 0.1)) > planned_users(1.0, 0.1)
    with pytest.raises(DataError, match="effect"):
        planned_users(1.0, 0.0)


def test_team_draft_gives_both_rankings_the_same_chance() -> None:
    rng = np.random.default_rng(0)
    first, second = list("abcdefgh"), list("badcxyzw")
    begins = []
    for _ in range(400):
        items, teams = team_draft(first, second, 6, rng)
        assert len(items) == len(set(items)) == 6
        assert teams.count(0) == teams.count(1) == 3
        begins.append(teams[0])
        for team, ranking in ((0, first), (1, second)):
            own = [item for item, of in zip(items, teams, strict=True) if of == team]
            assert own == sorted(own, key=ranking.index)
    assert 150 < sum(begins) < 250
    assert team_draft([], ["a"], 3, rng) == (["a"], [1])
    assert team_draft([], [], 3, rng) == ([], [])
    short = team_draft(["a"], ["a"], 3, rng)[0]
    assert short == ["a"]


def test_equal_rankings_are_not_told_apart_and_better_ones_are(simulations: Any) -> None:
    equal, _ = simulations.interleaved(0.0, 12, 300)
    assert equal <= 2 / 12
    better, _ = simulations.interleaved(0.8, 6, 600)
    assert better >= 4 / 6


def test_a_preference_counts_lists_with_credit() -> None:
    users = np.repeat(np.arange(100), 2)
    first = np.zeros(200)
    second = np.zeros(200)
    second[:160] = 1
    first[160:180] = 1
    found = interleaving_preference(first, second, users, 1.0)
    assert (found.lists, found.users, found.wins) == (180, 90, (20, 0, 160))
    assert found.value == pytest.approx(140 / 180)
    assert found.interval is not None
    assert found.interval[0] > 0
    early = interleaving_preference(first, second, users, 0.001)  # a thousandth of the planned users is in
    assert early.interval is not None
    assert -1.0 <= early.interval[0] < early.value < early.interval[1] <= 1.0
    none = interleaving_preference(np.zeros(3), np.zeros(3), np.arange(3), 1.0)
    assert (none.lists, none.p) == (0, None)
    assert interleaving_preference(np.ones(1), np.zeros(1), np.zeros(1), 1.0).interval is None
    with pytest.raises(DataError, match="credits"):
        interleaving_preference(np.ones(2), np.ones(3), np.ones(3), 1.0)
