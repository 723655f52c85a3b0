"""Intervals: seeded, fast, of the right width, and wider where rows hang together."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest

from motet.kinds import BinaryTask, RegressionTask
from motet.metrics import bootstrap

BINARY, NUMBER = BinaryTask(label="y"), RegressionTask(label="y")


def test_ten_thousand_rows_take_less_than_two_seconds() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 10_000).astype(np.float64), rng.random(10_000)
    started = perf_counter()
    first = bootstrap(BINARY, labels, scores)
    assert perf_counter() - started < 2
    assert first == bootstrap(BINARY, labels, scores)
    assert first != bootstrap(BINARY, labels, scores, seed=1)


def test_the_width_is_that_of_the_normal_interval_of_a_mean() -> None:
    errors = np.abs(np.random.default_rng(1).normal(0, 1, 4000))
    interval = bootstrap(NUMBER, errors, np.zeros(4000), replicates=1000)["mae"]
    assert interval is not None
    expected = 2 * 1.96 * errors.std() / np.sqrt(len(errors))
    assert interval[1] - interval[0] == pytest.approx(expected, rel=0.1)
    assert interval[0] < errors.mean() < interval[1]


def test_rows_of_one_user_are_drawn_together() -> None:
    per_user = np.random.default_rng(2).normal(0, 1, 50)
    labels, users = np.repeat(per_user, 40), np.repeat(np.arange(50), 40)
    together = bootstrap(NUMBER, labels, np.zeros(2000), users)["mae"]
    apart = bootstrap(NUMBER, labels, np.zeros(2000))["mae"]
    assert together is not None
    assert apart is not None
    assert together[1] - together[0] > 3 * (apart[1] - apart[0])


def test_an_undefined_metric_has_no_interval() -> None:
    assert bootstrap(BINARY, np.ones(20), np.linspace(0, 1, 20))["auc"] is None
    assert bootstrap(BINARY, np.full(5, np.nan), np.zeros(5)) == {}
