"""Baselines on a small real data set: they find the signal, and they do not peek."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from motet.data import Dataset, Ragged
from motet.errors import DataError
from motet.models.baselines import (
    BASELINES,
    MEMBERS,
    Ease,
    FoldedFactors,
    ItemToItem,
    ItemVectors,
    KeyStatistics,
    had_items,
    read_scores,
    run_baselines,
)


@pytest.fixture(scope="module")
def results(dataset: Dataset) -> dict[str, Any]:
    return run_baselines(dataset)


def test_progress_names_each_baseline(dataset: Dataset) -> None:
    said: list[tuple[str, float]] = []
    run_baselines(
        dataset, names=["popularity", "ease"], progress=lambda name, share: said.append((name, share))
    )
    assert said == [("popularity", 0.0), ("ease", 0.5), ("ease", 1.0)]


def test_every_baseline_runs(results: dict[str, Any]) -> None:
    assert list(results) == list(BASELINES)
    assert [name for name, result in results.items() if "skipped" in result] == [
        "text_neighbours"
    ]  # there are none


def test_taste_is_found_by_those_that_can(results: dict[str, Any]) -> None:
    # Everybody likes half of everything, so only the crossing of user and item tells.
    assert results["popularity"]["ranking"]["ndcg@10"] + 0.2 < results["ease"]["ranking"]["ndcg@10"]
    assert results["popularity"]["ranking"]["ndcg@10"] + 0.2 < results["item_knn"]["ranking"]["ndcg@10"]
    assert results["popularity"]["ranking"]["ndcg@10"] + 0.1 < results["als"]["ranking"]["ndcg@10"]
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
    liked = had_items(dataset, dataset.rows("train"))
    users = np.arange(len(dataset.users), dtype=np.int64)
    fitted = Ease.fit(dataset, known="train").scores
    x = (
        ItemVectors(1.0, np.zeros((len(dataset.items), 1), np.float32))
        .user_weights(liked)
        .toarray()
        .astype(np.float64)
    )
    candidates = []
    for penalty in (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0):
        inverse = np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))
        candidates.append(np.eye(x.shape[1]) - inverse / np.diag(inverse))
    assert isinstance(fitted, ItemToItem)
    assert min(np.abs(fitted.weights.toarray() - each).max() for each in candidates) < 1e-5
    scores = fitted.scores(liked.take(users))
    np.testing.assert_allclose(scores, fitted.user_weights(liked) @ fitted.weights.toarray(), atol=1e-5)


def test_factors_of_a_user_solve_the_equation_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(6, 3)).astype(np.float32)
    member = FoldedFactors(0.5, y, 4.0, 2.0, y.T @ y)
    had = Ragged(np.array([2, 1, 2, 0], np.int32), np.array([0, 3, 3, 4], np.int64))
    weights = [[0, 0.5, 1.25, 0, 0, 0], [0] * 6, [1, 0, 0, 0, 0, 0]]
    wanted = []
    for w in np.array(weights):  # (YᵀCY + λI)⁻¹ YᵀCp with all items written out
        c = np.diag(1 + 4.0 * w)
        x = np.linalg.solve(y.T @ c @ y + 2.0 * np.eye(3), y.T @ c @ (w > 0))
        wanted.append(y @ x)
    np.testing.assert_allclose(member.scores(had), wanted, atol=1e-5)
    again = read_scores(member.kind, member.decay, member.arrays())
    np.testing.assert_array_equal(again.scores(had), member.scores(had))


def test_factors_are_the_same_again_and_a_new_event_moves_the_list(dataset: Dataset) -> None:
    settings = MEMBERS["als"].choose(dataset)
    first, second = (MEMBERS["als"].fit_scores(dataset, settings) for _ in range(2))
    assert isinstance(first, FoldedFactors)
    assert isinstance(second, FoldedFactors)
    np.testing.assert_array_equal(first.vectors, second.vectors)
    had = Ragged(np.array([3, 3, 5], np.int32), np.array([0, 1, 3], np.int64))
    before, after = first.scores(had)
    assert not np.allclose(before, after)
    unused = np.bincount(had_items(dataset, dataset.rows("train")).values, minlength=len(dataset.items)) == 0
    assert not first.vectors[unused].any()


def test_weights_of_a_user_fall_with_age_and_a_set_counts_each_item_once() -> None:
    scores = ItemVectors(0.5, np.eye(4, dtype=np.float32))
    had = Ragged(np.array([2, 1, 2, 0], np.int32), np.array([0, 3, 3, 4], np.int64))
    assert scores.user_weights(had).toarray().tolist() == [[0, 0.5, 1.25, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    as_set = ItemVectors(1.0, np.eye(4, dtype=np.float32)).user_weights(had)
    assert as_set.toarray().tolist() == [[0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]


def test_a_row_is_not_in_its_own_statistic() -> None:
    rng = np.random.default_rng(0)
    groups, target = rng.integers(0, 5, 500), rng.integers(0, 2, (500, 1)).astype(np.float64)
    fold = (rng.permutation(500) % 5).astype(np.uint8)
    before = KeyStatistics.fit(groups, fold, target).columns(groups, fold)
    changed = target.copy()
    changed[7] = 1 - changed[7]
    after = KeyStatistics.fit(groups, fold, changed).columns(groups, fold)
    # All that reaches the row is the overall mean, with the weight of the smoothing.
    assert abs(after[7, 0] - before[7, 0]) < 100 / (100 + 60) * abs(changed.mean() - target.mean())
    noise = (rng.random((5000, 1)) < 0.5).astype(np.float64)
    groups, fold = rng.integers(0, 1000, 5000), (rng.permutation(5000) % 5).astype(np.uint8)
    of_noise = KeyStatistics.fit(groups, fold, noise).columns(groups, fold)
    assert abs(np.corrcoef(of_noise[:, 0], noise[:, 0])[0, 1]) < 0.05


def test_statistics_of_a_group_never_seen_are_those_of_all() -> None:
    labels = np.array([[1.0, np.nan], [0.0, 4.0], [1.0, 2.0]])
    found = KeyStatistics.fit(np.array([3, 3, 9]), np.array([0, 1, 2], np.uint8), labels)
    unseen = found.columns(np.array([5]))
    np.testing.assert_allclose(unseen, [[2 / 3, 3.0, 0.0]], rtol=1e-6)
    assert found.without_folds().columns(np.array([3])).tolist() == found.columns(np.array([3])).tolist()


def test_a_misspelt_baseline_is_refused(dataset: Dataset) -> None:
    with pytest.raises(DataError, match="did you mean 'lightgbm'"):
        run_baselines(dataset, names=["lightgmb"])


def test_without_validation_and_test_rows_nothing_is_measured_and_nothing_breaks(dataset: Dataset) -> None:
    everything = dataclasses.replace(dataset, split=np.zeros_like(dataset.split))
    results = run_baselines(everything)
    assert [name for name, result in results.items() if "skipped" in result] == [
        "text_neighbours",  # there are none
        "fm",  # nothing says when to stop
    ]
    assert results["linear"]["tasks"]["like"]["auc"] is None
    assert results["linear"]["tasks"]["like"]["undefined"] == "no label is known"
    assert results["ease"]["ranking"]["undefined"] == "no user has anything to find"
