from __future__ import annotations

import numpy as np
import pytest

from motet.data import Dataset
from motet.evaluation import evaluate
from motet.metrics import METRICS
from motet.models.baselines import BASELINES
from motet.testing import toy_dataset
from motet.training.tuning import (
    Measured,
    Questions,
    baseline_answers,
    difference,
    item_texts,
    mean_of,
    measure_answers,
    measure_predictor,
    sample_questions,
)


@pytest.fixture(scope="module")
def cold_world() -> Dataset:
    return toy_dataset(rows=600, sequences=("mean",), overrides=["split.hold_out_items=0.2"])


def test_values_are_those_of_the_evaluation(cold_world: Dataset) -> None:
    baseline = BASELINES["like_ratio"].fit(cold_world)
    found = measure_predictor(cold_world, baseline, replicates=20)
    groups = evaluate(cold_world, baseline, "test", intervals=False)["groups"]
    assert found.values["click auc, cold"] == pytest.approx(groups["cold_item"]["click"]["auc"])
    assert found.values["stars rmse, cold"] == pytest.approx(groups["cold_item"]["stars"]["rmse"])
    assert not any("ndcg" in name for name in found.values)  # biases rank nothing
    for name, (value, low, high) in mean_of([found]).items():
        assert value == found.values[name]
        assert low <= high


def test_a_ranking_is_measured_among_warm_and_among_cold_items(cold_world: Dataset) -> None:
    data = cold_world

    class Oracle:
        def predict(self, rows: np.ndarray) -> dict[str, np.ndarray]:
            return {}

        def score_items(self, users: np.ndarray) -> np.ndarray:
            scores = np.zeros((len(data.users), len(data.items)), np.float32)
            rows = data.rows("test")
            rows = rows[data.label("next", rows) > 0]
            scores[data.user_row[rows], data.item_row[rows]] = 1
            return np.asarray(scores[users])

    found = measure_predictor(data, Oracle(), replicates=3)
    assert found.values == {"next ndcg@10, warm": 1.0, "next ndcg@10, cold": 1.0}


def test_differences_are_paired(cold_world: Dataset) -> None:
    baseline = BASELINES["like_ratio"].fit(cold_world)
    one, two = (measure_predictor(cold_world, baseline, replicates=20, seed=3) for _ in range(2))
    assert set(difference([one], [two]).values()) == {(0.0, 0.0, 0.0)}
    shifted = Measured({"a": 3.0}, {"a": np.array([2.0, 3.0, 4.0])})
    base = Measured({"a": 1.0}, {"a": np.array([0.0, 1.0, 2.0])})
    assert difference([shifted], [base])["a"] == (2.0, 2.0, 2.0)
    assert mean_of([shifted, base])["a"][0] == 2.0


def test_answers_are_measured_by_task(cold_world: Dataset) -> None:
    data = cold_world
    questions = Questions(data, item_texts(data), history=3, candidates=3)
    asked = [
        question
        for task in questions.tasks
        for question in sample_questions(questions, task, questions.rows(task, "test"), 30, 0)
    ]
    perfect = []
    for question in asked:
        p = np.full(len(question.choices), 1e-9)
        p[question.right[0]] = 1
        perfect.append(p)
    found = measure_answers(data, asked, perfect, "all", replicates=5).values
    assert found["click auc, all"] == 1
    assert found["stars rmse, all"] == pytest.approx(0, abs=1e-6)
    assert found["next hit@1, all"] == 1
    assert found["topics hit@1, all"] == 1


def test_baselines_answer_what_they_know(cold_world: Dataset) -> None:
    data = cold_world
    questions = Questions(data, item_texts(data), history=3, candidates=3)
    cold = np.bincount(data.item_row[data.rows("train")], minlength=len(data.items)) == 0
    bias = BASELINES["like_ratio"].fit(data)
    rows = questions.rows("click", "test")
    asked = sample_questions(questions, "click", rows, 1000, 0)
    answers = baseline_answers(data, asked)
    yes = np.array([p[0] for p in answers if p is not None])
    wanted = bias.predict(np.array([q.row for q in asked]))["click"]
    np.testing.assert_allclose(yes, wanted, atol=1e-6)
    labels = data.label("click", np.array([q.row for q in asked]))
    found = measure_answers(data, asked, answers, "all", replicates=2).values
    assert found["click auc, all"] == pytest.approx(METRICS["auc"](labels, wanted))
    stars = sample_questions(questions, "stars", questions.rows("stars", "test"), 20, 0)
    for question, p in zip(stars, baseline_answers(data, stars), strict=True):
        assert p is not None
        expected = float(p @ np.arange(1, 6))
        assert expected == pytest.approx(float(bias.predict(np.array([question.row]))["stars"][0]), abs=1e-5)
    for question in sample_questions(questions, "next", questions.rows("next", "test"), 40, 0):
        assert len({bool(cold[item]) for item in question.items}) == 1  # cold stands among cold
        assert (baseline_answers(data, [question])[0] is None) == bool(cold[question.items[0]])
