"""Baselines on a small real data set: they find the signal, and they do not peek."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from motet.data import Dataset
from motet.errors import DataError
from motet.models.baselines import BASELINES, Ease, TargetStatistics, positives, run_baselines


@pytest.fixture(scope="module")
def results(dataset: Dataset) -> dict[str, Any]:
    return run_baselines(dataset)


def test_every_baseline_runs(results: dict[str, Any]) -> None:
    assert list(results) == list(BASELINES)
    assert not [name for name, result in results.items() if "skipped" in result]


def test_taste_is_found_by_those_that_can(results: dict[str, Any]) -> None:
    # Everybody likes half of everything, so only the crossing of user and item tells.
    assert results["popularity"]["ranking"]["ndcg@10"] + 0.2 < results["ease"]["ranking"]["ndcg@10"]
    assert results["popularity"]["ranking"]["ndcg@10"] + 0.2 < results["item_item"]["ranking"]["ndcg@10"]
    assert results["popularity"]["tasks"]["like"]["auc"] == pytest.approx(0.5, abs=0.1)
    assert results["tfidf"]["tasks"]["like"]["auc"] > 0.99
    assert results["linear"]["tasks"]["mood"]["macro_f1"] > 0.5
    assert results["lightgbm"]["tasks"]["stars"]["rmse"] < 1.5


@pytest.mark.parametrize("name", list(BASELINES))
def test_labels_of_the_test_do_not_reach_a_prediction(dataset: Dataset, name: str) -> None:
    rows = dataset.rows("test")
    labels = dataset.labels.copy()
    labels[rows, :2] = 1 - labels[rows, :2]
    labels[rows, -1] = 1 - labels[rows, -1]
    changed = dataclasses.replace(dataset, labels=labels)
    before, after = BASELINES[name].fit(dataset), BASELINES[name].fit(changed)
    for task, values in before.predict(rows).items():
        np.testing.assert_array_equal(values, after.predict(rows)[task], err_msg=task)
    users = np.arange(len(dataset.users), dtype=np.int64)
    scores = before.score_items(users), after.score_items(users)
    if scores[0] is not None and scores[1] is not None:
        np.testing.assert_array_equal(scores[0], scores[1])


def test_a_ranking_for_validation_does_not_look_at_validation(dataset: Dataset) -> None:
    users = np.arange(len(dataset.users), dtype=np.int64)
    blind = Ease.fit(dataset, known="train").score_items(users)
    seeing = Ease.fit(dataset, known="validation").score_items(users)
    assert blind is not None
    assert seeing is not None
    assert not np.allclose(blind, seeing)


def test_ease_solves_its_equation(dataset: Dataset) -> None:
    liked = positives(dataset, dataset.rows("train"))
    scores = Ease.fit(dataset, known="train").score_items(np.arange(len(dataset.users), dtype=np.int64))
    x = liked.toarray().astype(np.float64)
    candidates = []
    for penalty in (50.0, 100.0, 200.0, 500.0, 1000.0):
        inverse = np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))
        weights = np.eye(x.shape[1]) - inverse / np.diag(inverse)
        candidates.append(x @ weights)
    assert scores is not None
    assert min(np.abs(scores - each).max() for each in candidates) < 1e-5


def test_a_row_is_not_in_its_own_statistic() -> None:
    rng = np.random.default_rng(0)
    groups, target = rng.integers(0, 5, 500), rng.integers(0, 2, (500, 1)).astype(np.float64)
    before = TargetStatistics.fit(groups, 5, target)
    changed = target.copy()
    changed[7] = 1 - changed[7]
    after = TargetStatistics.fit(groups, 5, changed)
    # All that reaches the row is the overall mean, with the weight of the smoothing.
    moved = (after.out_of_fold[7] - before.out_of_fold[7]).item() / (changed.mean() - target.mean())
    others = 10 / moved - 10
    assert others == pytest.approx(round(others))
    assert 0.6 * before.count[groups[7]] < others < before.count[groups[7]]
    noise = rng.random((5000, 1)) < 0.5
    of_noise = TargetStatistics.fit(rng.integers(0, 1000, 5000), 1000, noise.astype(np.float64))
    correlation = np.corrcoef(of_noise.out_of_fold[:, 0], noise[:, 0])[0, 1]
    assert abs(correlation) < 0.05


def test_a_large_catalogue_makes_ease_step_aside_with_a_reason(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motet.models.baselines._ease._LARGEST_CATALOGUE", 10)
    assert "40 items" in run_baselines(dataset, names=["ease"])["ease"]["skipped"]


def test_a_misspelt_baseline_is_refused(dataset: Dataset) -> None:
    with pytest.raises(DataError, match="did you mean 'lightgbm'"):
        run_baselines(dataset, names=["lightgmb"])


def test_without_validation_and_test_rows_nothing_is_measured_and_nothing_breaks(dataset: Dataset) -> None:
    everything = dataclasses.replace(dataset, split=np.zeros_like(dataset.split))
    results = run_baselines(everything)
    assert not [name for name, result in results.items() if "skipped" in result]
    assert results["linear"]["tasks"]["like"]["auc"] is None
    assert results["linear"]["tasks"]["like"]["undefined"] == "no label is known"
    assert results["ease"]["ranking"]["undefined"] == "no user has anything to find"
