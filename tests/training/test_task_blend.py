"""Plain members that predict tasks beside the network: weighed on validation rows, served as they were measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from motet.data import Dataset, build_dataset
from motet.evaluation import evaluate
from motet.recommend import LiveRecommender, Objective, Query, Recommender
from motet.schema import Schema
from motet.training import NETWORK, ModelPredictor, evaluate_bundle, fit_pair_members, load_bundle, train

SCHEMA = """
name: habits
tables: {interactions: use.csv}
keys: {user: user, item: app, time: at}
split: {by: user_time, train: 0.7, validation: 0.15}
features:
  user: {user: id}
  item: {app: id}
  interaction: {daytime: categorical}
tasks:
  used: {kind: binary, label: used, positive_weight: 2}
  minutes: {kind: regression, label: minutes, range: [0, 60]}
  mood: {kind: multiclass, label: mood}
training: {epochs: 1, batch_size: 512, seed: 1}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People with habits of their own: who uses what is drawn once a pair, so that counts of pairs say it."""
    place = tmp_path_factory.mktemp("habits")
    rng = np.random.default_rng(0)
    users, apps, n = 60, 20, 12_000
    habit = rng.random((users, apps))
    user, app = rng.integers(0, users, n), rng.integers(0, apps, n)
    p = habit[user, app]
    pl.DataFrame(
        {
            "user": [f"u{k}" for k in user],
            "app": [f"a{k}" for k in app],
            "at": 1_700_000_000 + 60 * np.arange(n),
            "daytime": rng.choice(["morning", "noon", "night"], n),
            "used": (rng.random(n) < p).astype(int),
            "minutes": np.clip(60 * p + rng.normal(0, 5, n), 0, 60).round(2),
            "mood": rng.choice(["good", "bad"], n),
        }
    ).write_csv(place / "use.csv")
    (place / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    train(Schema.load(place / "schema.yaml"), place, place / "bundle")
    return place


@pytest.fixture(scope="module")
def data(place: Path) -> Dataset:
    return build_dataset(Schema.load(place / "schema.yaml"), place)


def test_counts_of_pairs_help_a_network_that_knows_keys_alone(place: Path, data: Dataset) -> None:
    bundle = load_bundle(place / "bundle")
    assert bundle.task_blend is not None
    report = bundle.metrics["blend"]["tasks"]
    assert set(bundle.task_blend.weights) == {"used", "minutes"}
    for task in ("used", "minutes"):
        assert report[task]["weights"]["lightgbm"] > 0.3
        assert report[task]["loss"]["blend"] < 0.95 * report[task]["loss"][NETWORK]
    alone = evaluate(data, ModelPredictor(bundle.model, data), intervals=False)["tasks"]
    blended = bundle.metrics["tasks"]
    assert blended["used"]["auc"] > alone["used"]["auc"] + 0.1
    assert blended["minutes"]["rmse"] < 0.8 * alone["minutes"]["rmse"]
    assert blended["mood"]["macro_f1"] == alone["mood"]["macro_f1"]


def test_probabilities_stay_calibrated_where_positives_weigh_more(place: Path) -> None:
    rates = load_bundle(place / "bundle").metrics["tasks"]["used"]
    assert rates["ece"] < 0.05


def test_what_is_measured_again_is_what_was_measured(place: Path) -> None:
    before = load_bundle(place / "bundle").metrics["tasks"]
    assert evaluate_bundle(place / "bundle", place, seed=1)["tasks"] == before


def test_served_and_predicted_are_what_was_measured(place: Path, data: Dataset) -> None:
    bundle = load_bundle(place / "bundle")
    rows = data.rows("test")[:50]
    wanted = ModelPredictor(bundle.model, data, task_blend=bundle.task_blend).predict(rows)
    pairs = pl.read_csv(place / "use.csv")[rows].select("user", "app", "daytime")
    found = Recommender(bundle).predict(pairs)
    live = LiveRecommender(Recommender(bundle))
    for task in ("used", "minutes"):
        np.testing.assert_allclose(found[task].to_numpy(), wanted[task], atol=1e-4)
        for at in range(5):
            user, app, daytime = pairs.row(at)
            query = Query(user=user, context={"daytime": daytime})
            (item,) = live.rank(query, [app]).items
            assert item.predictions[task] == pytest.approx(wanted[task][at], abs=1e-4)


def test_a_list_is_ranked_by_what_it_shows(place: Path) -> None:
    live = LiveRecommender(Recommender(load_bundle(place / "bundle")))
    query = Query(user="u1", k=10, include_seen=True, objective=Objective(weights={"used": 1.0}))
    items = live.recommend(query).items
    shown = [one.predictions["used"] for one in items]
    assert shown == sorted(shown, reverse=True)
    assert len(set(shown)) > 5
    others = live.rank(query, [one.item for one in items])
    minutes = {one.item: one.predictions["minutes"] for one in others.items}
    for one in items:  # tasks that are not ranked by are blended for what is shown alone
        assert one.predictions["minutes"] == pytest.approx(minutes[one.item], abs=1e-4)
    wanted = Recommender(load_bundle(place / "bundle")).recommend(["u1"], k=10, by="used", include_seen=True)
    assert wanted["app"].to_list() == [one.item for one in items]


def test_a_user_never_seen_gets_the_members_means(place: Path) -> None:
    live = LiveRecommender(Recommender(load_bundle(place / "bundle")))
    (item,) = live.rank(Query(user="nobody-known"), ["a3"]).items
    found = Recommender(load_bundle(place / "bundle")).predict(
        pl.DataFrame({"user": ["nobody-known"], "app": ["a3"]})
    )
    assert item.predictions["used"] == pytest.approx(found["used"][0], abs=1e-4)


def test_few_validation_rows_weigh_nothing(data: Dataset) -> None:
    from dataclasses import replace  # noqa: PLC0415

    split = data.split.copy()
    validation = np.flatnonzero(split == 1)
    split[validation[100:]] = 3
    assert not fit_pair_members(replace(data, split=split)).fitted
