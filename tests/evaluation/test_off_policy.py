"""Off-policy estimates: by hand, by simulation in a small form, and on the choices of a real shop."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motet.errors import DataError
from motet.evaluation import cross_fitted_rewards, off_policy_values, ridge_rewards


@pytest.fixture(scope="module")
def simulations() -> Any:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    try:
        return importlib.import_module("benchmarks.experiments")
    finally:
        sys.path.pop(0)


def test_by_hand() -> None:
    reward = np.array([1.0, 0.0, 1.0, 0.0])
    propensity, target = np.array([0.5, 0.25, 0.2, 1.0]), np.array([0.25, 0.5, 0.6, 0.0])
    weight = np.array([0.5, 2.0, 3.0, 0.0])
    predicted, expected = np.array([0.6, 0.1, 0.4, 0.2]), np.array([0.3, 0.4, 0.5, 0.2])
    found = off_policy_values(reward, propensity, target, predicted=predicted, expected=expected)
    assert found["ips"].value == pytest.approx(3.5 / 4)
    assert found["snips"].value == pytest.approx(3.5 / 5.5)
    assert found["dr"].value == pytest.approx(np.mean(expected + weight * (reward - predicted)))
    assert found["ips"].effective_choices == pytest.approx(5.5**2 / (0.25 + 4 + 9))
    assert found["ips"].standard_error == pytest.approx(np.std(weight * reward, ddof=1) / 2)
    clipped = off_policy_values(reward, propensity, target, clip=2.0)["ips"]
    assert (clipped.value, clipped.clipped, clipped.largest_weight) == (2.5 / 4, 0.25, 2.0)


def test_the_logging_policy_earns_what_it_earned() -> None:
    rng = np.random.default_rng(0)
    reward, propensity = rng.random(500), rng.uniform(0.1, 1, 500)
    for one in off_policy_values(reward, propensity, propensity).values():
        assert one.value == pytest.approx(reward.mean())
        assert one.effective_choices == pytest.approx(500)


def test_a_perfect_reward_model_leaves_no_variance_of_the_weights() -> None:
    rng = np.random.default_rng(0)
    action = rng.integers(0, 2, 400)
    reward = action.astype(np.float64)
    policy = np.tile([0.1, 0.9], (400, 1))
    found = off_policy_values(
        reward,
        np.full(400, 0.5),
        policy[np.arange(400), action],
        predicted=reward,
        expected=np.full(400, 0.9),
    )
    assert found["dr"].value == pytest.approx(0.9)
    assert found["dr"].standard_error == pytest.approx(0)
    assert found["ips"].standard_error > 0.02


def test_intervals_hold_the_truth_and_dr_errs_least(simulations: Any) -> None:
    for users in (False, True):
        found = simulations.bandit_runs(100, 1_000, users=users, seed=7)
        errors = {name: float(np.sqrt((one[:, 0] ** 2).mean())) for name, one in found.items()}
        for one in found.values():
            assert one[:, 1].mean() >= 0.88
        assert errors["dr"] <= errors["ips"]


def test_users_whose_rewards_are_alike_count_once() -> None:
    rng = np.random.default_rng(3)
    user = np.repeat(np.arange(100), 10)
    reward = rng.random(100)[user]
    half = np.full(1_000, 0.5)
    alone = off_policy_values(reward, half, half)["ips"]
    together = off_policy_values(reward, half, half, users=user)["ips"]
    assert together.value == alone.value
    assert together.standard_error == pytest.approx(alone.standard_error * np.sqrt(10), rel=0.01)


def test_no_row_is_predicted_by_a_model_that_saw_it() -> None:
    seen: list[np.ndarray] = []
    n = 60
    rows = np.arange(n, dtype=float)[:, None]
    users = np.repeat(np.arange(20), 3)

    def fit(context: Any, action: Any, reward: Any) -> Any:
        seen.append(context[:, 0].astype(int))

        def predict(out: Any) -> Any:
            assert not set(users[out[:, 0].astype(int)]) & set(users[seen[-1]])
            return np.tile(reward.mean(), (len(out), 2))

        return predict

    policy = np.full((n, 2), 0.5)
    cross_fitted_rewards(rows, np.zeros(n, int), np.ones(n), policy, fit=fit, users=users, folds=4)
    assert len(seen) == 4


def test_the_ridge_is_the_mean_where_there_is_little() -> None:
    rng = np.random.default_rng(0)
    context = rng.standard_normal((4_000, 2))
    action = rng.integers(0, 3, 4_000)
    reward = context[:, 0] * (action == 1) + 0.5 * (action == 2)
    predict = ridge_rewards(context, action, reward, 4)
    found = predict(np.array([[1.0, 0.0], [-1.0, 5.0]]))
    np.testing.assert_allclose(found[:, 1], [1, -1], atol=0.03)
    np.testing.assert_allclose(found[:, 2], [0.5, 0.5], atol=0.03)
    np.testing.assert_allclose(found[:, 3], reward.mean())  # never chosen


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"propensity": np.array([0.5, 0.0])}, "propensity of row 1 is 0"),
        ({"propensity": np.array([0.5, np.nan])}, "propensity of row 1 is nan"),
        ({"target": np.array([1.5, 0.5])}, "target of row 0 is 1.5"),
        ({"reward": np.array([np.nan, 0.5])}, "reward"),
        ({"target": np.ones(3)}, r"target of shape \(3,\)"),
        ({"predicted": np.ones(2)}, "belong together"),
        ({"users": np.array([7, 7])}, "fewer than two"),
        ({"clip": 0.0}, "clip is 0"),
    ],
)
def test_wrong_logs_are_named(change: dict[str, Any], match: str) -> None:
    right = {"reward": np.ones(2), "propensity": np.full(2, 0.5), "target": np.full(2, 0.5)}
    with pytest.raises(DataError, match=match):
        off_policy_values(**{**right, **change})
    with pytest.raises(DataError, match="folds"):
        cross_fitted_rewards(np.ones((2, 1)), np.zeros(2, int), np.ones(2), np.ones((2, 1)))
    with pytest.raises(DataError, match="action"):
        cross_fitted_rewards(np.ones((9, 1)), np.full(9, 2), np.ones(9), np.ones((9, 2)))
    with pytest.raises(DataError, match="do not fit"):
        cross_fitted_rewards(np.ones((9, 1)), np.full(8, 0), np.ones(9), np.ones((9, 2)))
