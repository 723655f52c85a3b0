"""Ranking against worked cases, scikit-learn's NDCG, and a full sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from motet.metrics import METRICS, rank_users, top_items


def test_a_worked_case() -> None:
    # Ranking: items 2, 0, 3, 1; to be found: 0 (rank 2) and 1 (rank 4).
    scores = np.array([[0.8, 0.1, 0.9, 0.5]])
    ranked = rank_users(scores, np.array([[True, True, False, False]]), k=3)
    assert ranked.top.tolist() == [[2, 0, 3]]
    assert ranked.ndcg[0] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert ranked.recall[0] == 0.5
    assert ranked.hit[0] == 1.0
    assert ranked.reciprocal_rank[0] == 0.5


def test_equal_scores_rank_by_item_row() -> None:
    scores = np.zeros((1, 5))
    assert top_items(scores, 2).tolist() == [[0, 1]]
    ranked = rank_users(scores, np.array([[False, False, False, True, True]]), k=2)
    assert ranked.reciprocal_rank[0] == pytest.approx(1 / 4)
    assert ranked.hit[0] == 0.0


def test_fewer_items_than_asked_for() -> None:
    assert top_items(np.array([[-np.inf, 0.3]]), 3).tolist() == [[1, -1, -1]]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), levels=st.integers(1, 30), k=st.integers(1, 15))
def test_top_items_are_those_of_a_stable_sort(seed: int, levels: int, k: int) -> None:
    scores = np.random.default_rng(seed).integers(0, levels, (4, 12)).astype(np.float64)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert top_items(scores, k)[:, : expected.shape[1]].tolist() == expected.tolist()


def test_ndcg_equals_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores, relevant = rng.random((20, 30)), rng.random((20, 30)) < 0.2
    relevant[:, 0] = True
    assert METRICS["ndcg@10"](relevant.astype(np.float64), scores) == pytest.approx(
        ndcg_score(relevant, scores, k=10)
    )


def test_items_that_may_not_be_shown_and_users_with_nothing_to_find_do_not_count() -> None:
    labels = np.array([[np.nan, 1.0, 0.0], [0.0, 0.0, 0.0]])
    scores = np.array([[0.9, 0.5, 0.1], [0.1, 0.2, 0.3]])
    assert METRICS["mrr"](labels, scores) == 1.0
    assert METRICS["hit@10"](labels, scores) == 1.0
