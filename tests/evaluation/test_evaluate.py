"""The whole evaluation on a small real data set, against plain loops."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from motet.data import Dataset
from motet.errors import DataError
from motet.evaluation import (
    evaluate,
    label_correlation,
    negative_transfer,
    paired_intervals,
    primary_values,
    ranking_metrics,
    task_relations,
    validation_score,
)


@dataclass
class Noisy:
    """Predicts labels hidden under noise, and scores items by taste under noise."""

    dataset: Dataset
    noise: float
    seed: int = 0

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        rng = np.random.default_rng(self.seed)
        like = np.clip(self.dataset.label("like", rows) + rng.normal(0, self.noise, len(rows)), 0.01, 0.99)
        stars = self.dataset.label("stars", rows) + rng.normal(0, self.noise, len(rows))
        mood = rng.dirichlet(np.ones(3), len(rows))
        words = np.clip(self.dataset.label("words", rows) + rng.normal(0, self.noise, (len(rows), 3)), 0, 1)
        values = {"like": like, "stars": stars, "mood": mood, "words": words}
        return {name: value.astype(np.float32) for name, value in values.items()}

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        rng = np.random.default_rng([self.seed, 1])
        parity = np.array([int(name[1:]) % 2 for name in self.dataset.item_ids])
        own = np.array([int(name[1:]) % 2 for name in self.dataset.user_ids])
        everything = (own[:, None] == parity) + rng.normal(0, self.noise, (len(own), len(parity)))
        scores: NDArray[np.float32] = everything[users].astype(np.float32)
        return scores

    def predict_entities(self, entity: Literal["user", "item"]) -> dict[str, NDArray[np.float32]]:
        return (
            {"cheap": np.linspace(0, 1, len(self.dataset.items), dtype=np.float32)}
            if entity == "item"
            else {}
        )


def test_an_evaluation_holds_every_task_scenario_and_group(dataset: Dataset) -> None:
    result = evaluate(dataset, Noisy(dataset, 0.7))
    json.dumps(result, allow_nan=False)
    assert list(result["tasks"]) == ["like", "stars", "mood", "words", "cheap"]
    assert set(result["scenarios"]) == {"home", "search"}
    assert set(result["groups"]) == {"warm", "cold_user", "cold_item"}
    rows = dataset.rows("test")
    assert result["rows"]["total"] == len(rows)
    assert sum(result["rows"]["scenarios"].values()) == len(rows)
    cold = np.array([dataset.user_ids[int(u)] == "u59" for u in dataset.user_row[rows]])
    assert result["rows"]["groups"]["cold_user"] == cold.sum() > 0
    low, high = result["tasks"]["like"]["auc_interval"]
    assert low < result["tasks"]["like"]["auc"] < high
    likes = Noisy(dataset, 0.7).predict(rows)["like"][cold], dataset.label("like", rows)[cold]
    assert result["groups"]["cold_user"]["like"]["auc"] == pytest.approx(roc_auc_score(likes[1], likes[0]))


def test_each_scenario_says_whom_it_shares_and_whether_its_predictions_are_right_on_average(
    dataset: Dataset,
) -> None:
    predictor = Noisy(dataset, 0.4)
    result = evaluate(dataset, predictor)
    rows, predicted = dataset.rows("test"), predictor.predict(dataset.rows("test"))
    place = [dataset.encoder.scenarios[code] for code in dataset.scenario[rows]]
    assert set(result["traffic"]) == {"home", "search"}
    for name, other in (("home", "search"), ("search", "home")):
        of, here = result["traffic"][name], np.array([p == name for p in place])
        assert of["rows"] == here.sum() == result["rows"]["scenarios"][name]
        for entity, row_of in (("users", dataset.user_row), ("items", dataset.item_row)):
            mine, theirs = set(row_of[rows][here]), set(row_of[rows][[p == other for p in place]])
            assert of[entity] == len(mine)
            assert of[f"shared_{entity}"] == pytest.approx(len(mine & theirs) / len(mine))
        assert set(of["tasks"]) == {"like", "stars"}  # one number a row
        for task, means in of["tasks"].items():
            label = dataset.label(task, rows[here])
            assert means["observed"] == pytest.approx(label.mean(), rel=1e-5)
            assert means["predicted"] == pytest.approx(predicted[task][here].mean(), rel=1e-5)
            assert means["ratio"] == pytest.approx(means["predicted"] / means["observed"])
        assert {"auc", "gauc", "ece"} <= set(result["scenarios"][name]["like"])
        assert "rmse" in result["scenarios"][name]["stars"]
    assert evaluate(dataset, predictor, intervals=False, slices=False)["traffic"] == {}


def test_the_ranking_equals_one_made_by_loops(dataset: Dataset) -> None:
    predictor = Noisy(dataset, 0.5)
    result = ranking_metrics(dataset, predictor)
    assert result is not None
    ndcg, recall, reciprocal, users = [], [], [], 0
    for user in range(len(dataset.users)):
        mine = dataset.user_row == user
        seen = set(dataset.item_row[mine & (dataset.split < 2)].tolist())
        liked = mine & (dataset.split == 2) & (dataset.labels[:, 0] == 1)
        wanted = set(dataset.item_row[liked].tolist()) - seen
        scores = predictor.score_items(np.array([user]))
        if not wanted or scores is None:
            continue
        users += 1
        order = [item for item in np.argsort(-scores[0], kind="stable").tolist() if item not in seen]
        gains = [1 / np.log2(r + 2) for r, item in enumerate(order[:10]) if item in wanted]
        ndcg.append(sum(gains) / sum(1 / np.log2(r + 2) for r in range(min(10, len(wanted)))))
        recall.append(len(gains) / len(wanted))
        reciprocal.append(1 / (1 + min(order.index(item) for item in wanted)))
    assert result["users"] == users
    assert result["ndcg@10"] == pytest.approx(np.mean(ndcg))
    assert result["recall@10"] == pytest.approx(np.mean(recall))
    assert result["mrr"] == pytest.approx(np.mean(reciprocal))


def test_lists_of_one_genre_are_less_diverse(dataset: Dataset) -> None:
    pure, mixed = (
        ranking_metrics(dataset, Noisy(dataset, 0.01)),
        ranking_metrics(dataset, Noisy(dataset, 9.0)),
    )
    assert pure is not None
    assert mixed is not None
    assert isinstance(pure["diversity@10"], float)
    assert isinstance(mixed["diversity@10"], float)
    assert pure["diversity@10"] < mixed["diversity@10"]
    assert isinstance(pure["novelty@10"], float)
    assert pure["novelty@10"] == pytest.approx(np.log2(len(dataset.items)), rel=0.1)


def test_primary_values_are_those_of_the_evaluation_and_make_the_score(dataset: Dataset) -> None:
    predictor = Noisy(dataset, 0.5)
    result = evaluate(dataset, predictor, "validation", intervals=False)
    values = primary_values(dataset, predictor)
    assert values["like"] == result["tasks"]["like"]["auc"]
    assert values["stars"] == result["tasks"]["stars"]["skill"]
    assert values["next"] == result["ranking"]["ndcg@10"]
    defined = [value for value in values.values() if value is not None]
    assert validation_score(dataset.schema, result) == pytest.approx(np.mean(defined))
    with pytest.raises(DataError, match="no task with a score weight"):
        validation_score(dataset.schema, {"tasks": {}})


def test_a_worse_joint_model_is_flagged_and_an_equal_one_is_not(dataset: Dataset) -> None:
    good, bad = Noisy(dataset, 0.3), Noisy(dataset, 1.5, seed=1)
    of_good, of_bad = (evaluate(dataset, each, intervals=False) for each in (good, bad))
    intervals = paired_intervals(dataset, bad, good, replicates=50)
    flagged = negative_transfer(dataset.schema, of_bad, of_good, intervals)
    assert flagged["like"]["negative_transfer"]
    assert flagged["stars"]["negative_transfer"]
    assert flagged["next"]["negative_transfer"]
    assert flagged["like"]["interval"][0] < flagged["like"]["difference"] < flagged["like"]["interval"][1]
    same = negative_transfer(dataset.schema, of_good, of_good, paired_intervals(dataset, good, good))
    assert not any(each["negative_transfer"] for each in same.values())


def test_labels_correlate_as_numpy_says_on_common_rows(dataset: Dataset) -> None:
    rng = np.random.default_rng(0)
    labels = rng.normal(0, 1, (300, 3))
    labels[:, 1] += 1000 + labels[:, 0]
    labels[rng.random((300, 3)) < 0.3] = np.nan
    matrix, count = label_correlation(labels)
    both = ~np.isnan(labels[:, 0]) & ~np.isnan(labels[:, 1])
    assert matrix[0, 1] == pytest.approx(np.corrcoef(labels[both, 0], labels[both, 1])[0, 1])
    assert count[0, 1] == both.sum()
    relations = task_relations(dataset, gradient_cosine=np.eye(6))
    assert relations["label_correlation"]["tasks"] == ["like", "stars", "next"]
    assert relations["label_correlation"]["matrix"][0][2] == pytest.approx(1)
    with pytest.raises(DataError, match=r"shape \(2, 2\) for 6 tasks"):
        task_relations(dataset, gradient_cosine=np.eye(2))


def test_bad_input_is_refused(dataset: Dataset) -> None:
    with pytest.raises(DataError, match="did you mean 'test'"):
        evaluate(dataset, Noisy(dataset, 0.1), "tests")
    with pytest.raises(DataError, match=r"task 'like': .* not finite"):
        evaluate(dataset, Noisy(dataset, float("nan")), intervals=False)
