"""Methods beside a baseline: draws are paired, noise is rarely taken for a difference, and differences are found."""

from __future__ import annotations

import json

import numpy as np
import pytest

from motet.errors import DataError
from motet.evaluation import DrawnMetric, holm, mean_draws, metric_draws, paired_differences
from motet.evaluation.report import render_comparison
from motet.kinds import BinaryTask, MulticlassTask, RegressionTask

Measured = dict[str, dict[int, DrawnMetric]]
USERS = 60


def world(
    rng: np.random.Generator, methods: int, seeds: int, sd: list[float], users: float, gain: float = 0.0
) -> Measured:
    """Values of methods with noise of seeds and of users; the last is the baseline, the first gains."""
    of_users = rng.normal(0, users, (methods + 1, USERS))
    weights = rng.multinomial(USERS, np.full(USERS, 1 / USERS), size=100) / USERS
    found: Measured = {}
    for m in range(methods + 1):
        found[f"m{m}"] = {}
        for seed in range(seeds):
            level = rng.normal(0, sd[m]) + gain * (m == 0)
            found[f"m{m}"][seed] = DrawnMetric(
                float(of_users[m].mean() + level), weights @ of_users[m] + level, USERS
            )
    return found


def share_of_findings(
    methods: int, seeds: int, sd: list[float], users: float, gain: float = 0.0, of: str = ""
) -> float:
    rng, hits, runs = np.random.default_rng(0), 0, 300
    for _ in range(runs):
        found = paired_differences(world(rng, methods, seeds, sd, users, gain), f"m{methods}")
        p = dict(zip(found, holm([float(one.p or 0) for one in found.values()]), strict=True))
        hits += (p[of] if of else min(p.values())) <= 0.05
    return hits / runs


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("users", [1e-6, 4.0])
def test_noise_of_seeds_and_users_is_no_difference(seeds: int, users: float) -> None:
    """Of six methods that are all alike, hardly ever one differs; drawing two seeds anew would find half of the time."""
    assert share_of_findings(6, seeds, [1.0] * 7, users) <= 0.08


def test_a_method_that_varies_more_is_no_difference_either() -> None:
    assert share_of_findings(4, 3, [3.0, 1.0, 1.0, 1.0, 1.0], 1e-6) <= 0.1


def test_a_difference_is_found() -> None:
    assert share_of_findings(4, 3, [1.0] * 5, 1.0, gain=8.0, of="m0") > 0.9


def test_the_same_predictions_differ_by_nothing() -> None:
    rng = np.random.default_rng(0)
    found = world(rng, 1, 2, [1.0, 1.0], 1.0)
    found["m0"] = found["m1"]
    found["other"] = world(rng, 0, 2, [5.0], 1.0)["m0"]
    same = paired_differences(found, "m1")["m0"]
    assert (same.value, same.interval, same.p) == (0.0, (0.0, 0.0), 1.0)


def test_what_is_hard_about_a_user_cancels() -> None:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 20)
    labels = rng.normal(size=800) + np.repeat(rng.normal(0, 3, 40), 20)  # some users are hard to predict
    task = RegressionTask(label="x")
    bad = metric_draws(task, labels, np.zeros(800), users, metric="mae")
    good = metric_draws(task, labels, 0.05 * labels, users, metric="mae")
    assert bad is not None
    assert good is not None
    assert bad.units == 40
    found = paired_differences({"bad": {0: bad}, "good": {0: good}}, "bad")["good"]
    assert found.interval is not None
    alone = np.quantile(good.draws, [0.025, 0.975])
    assert found.interval[1] - found.interval[0] < 0.2 * (alone[1] - alone[0])
    assert found.interval[1] < 0
    assert found.value == pytest.approx(good.value - bad.value)


def test_draws_hold_the_value_and_a_skill_its_sign() -> None:
    rng = np.random.default_rng(1)
    labels = rng.normal(size=300)
    task = RegressionTask(label="x")
    error = metric_draws(task, labels, 0.5 * labels, metric="rmse")
    skill = metric_draws(task, labels, 0.5 * labels, deviation=2.0)
    assert error is not None
    assert skill is not None
    np.testing.assert_allclose(skill.draws, 1 - error.draws / 2)
    assert skill.value == 1 - error.value / 2
    assert abs(skill.draws.mean() - skill.value) < 0.02
    assert metric_draws(task, labels, 0.5 * labels) is None  # no deviation, no skill
    assert metric_draws(BinaryTask(label="x"), np.full(5, np.nan), np.full(5, 0.5)) is None
    classes = MulticlassTask(label="x")
    assert metric_draws(classes, np.array([0.0, 1.0]), np.eye(2), metric="accuracy", draws=7) is not None


def test_what_is_undefined_has_no_interval() -> None:
    one = DrawnMetric(0.5, np.full(10, np.nan), 20)
    other = DrawnMetric(0.4, np.zeros(10), 20)
    found = paired_differences({"a": {0: one}, "b": {0: other}, "c": {7: other}}, "b")
    assert found["a"].interval is None
    assert found["a"].p is None
    assert "c" not in found  # no seed in common


def test_holm_is_between_nothing_and_bonferroni() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(30) ** 3
    corrected = np.array(holm(p.tolist()))
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(1, 30 * p)).all()
    assert corrected.min() == min(1, 30 * p.min())
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()
    assert holm([]) == []


def test_draws_of_means_are_of_users() -> None:
    values = np.repeat([1.0, -1.0], 50)
    assert set(mean_draws(values, np.repeat([0, 1], 50))) == {1.0, 0.0, -1.0}
    assert np.std(mean_draws(values)) < 0.2


def test_a_page_needs_a_comparison() -> None:
    with pytest.raises(DataError, match=r"no 'schemas'.*compare\.json"):
        render_comparison(json.loads('{"tasks": {}}'))
