"""Plain methods by name, from files to answers: what is served is the method and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import motet
from motet.cli import main
from motet.data import Dataset
from motet.errors import ModelError
from motet.models.baselines import run_baselines
from motet.recommend import LiveRecommender, Query, Recommender
from motet.recommend.live import LiveEvent
from motet.schema import Schema
from motet.training import ModelPredictor, evaluate_bundle, load_bundle, load_data, train

SCHEMA = """
name: circles
tables: {interactions: views.csv}
keys: {user: user, item: item, time: at}
split: {by: user_time, train: 0.7, validation: 0.15}
features: {user: {user: id}, item: {item: id, colour: categorical}, interaction: {daytime: categorical}}
tasks:
  next: {kind: retrieval, positive: "true"}
  like: {kind: binary, label: liked, positive_weight: 2}
  stars: {kind: regression, label: stars, range: [1, 5]}
  mood: {kind: multiclass, label: mood}
training: {epochs: 1, batch_size: 256, seed: 1}
"""
RANKING = ("ease", "item_knn", "als")
CIRCLES, SIZE = 6, 20


@dataclass(frozen=True)
class Trained:
    """A bundle by its method."""

    name: str
    bundle: Path
    place: Path
    data: Dataset


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who stay within one circle of items each, and like by daytime what their circle likes."""
    place = tmp_path_factory.mktemp("plain")
    rng = np.random.default_rng(0)
    rows = []
    for user in range(240):
        circle = user % CIRCLES
        items = rng.permutation(SIZE)[:14] + SIZE * circle
        for k, item in enumerate(items):
            night = rng.random() < 0.5
            p = 0.9 if night == (item % 2 == 0) else 0.2
            liked = int(rng.random() < p)
            row = (f"u{user}", f"i{item}", 1_700_000_000 + 60 * k, "night" if night else "day", liked)
            rows.append((*row, 1 + 4 * p, ("good", "bad", "ugly")[int(3 * p)], ("red", "blue")[item % 2]))
    names = ["user", "item", "at", "daytime", "liked", "stars", "mood", "colour"]
    frame = pl.DataFrame(rows, names, orient="row")
    frame.drop("colour").write_csv(place / "views.csv")
    frame.select("item", "colour").unique().write_csv(place / "items.csv")
    schema = SCHEMA.replace("views.csv}", "views.csv, items: items.csv}")
    (place / "schema.yaml").write_text(schema, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def made(place: Path) -> Callable[[str], Trained]:
    @cache
    def of(name: str) -> Trained:
        schema = Schema.load(place / "schema.yaml", [f"model.architecture={name}"])
        train(schema, place, place / name)
        return Trained(name, place / name, place, load_data(schema, place).data)

    return of


@pytest.fixture
def trained(request: pytest.FixtureRequest, made: Callable[[str], Trained]) -> Trained:
    return made(request.param)


of_all = pytest.mark.parametrize("trained", [*RANKING, "lightgbm", "hybrid_mf"], indirect=True)
of_ranking = pytest.mark.parametrize("trained", RANKING, indirect=True)


@of_ranking
def test_the_bundle_ranks_as_the_baseline_of_that_name(trained: Trained) -> None:
    wanted = run_baselines(trained.data, "test", [trained.name])[trained.name]["ranking"]
    found = load_bundle(trained.bundle).metrics["ranking"]
    assert found["ndcg@10"] == pytest.approx(wanted["ndcg@10"], abs=1e-6)
    assert found["ndcg@10"] > 0.3
    assert evaluate_bundle(trained.bundle, trained.place, seed=1)["ranking"] == found


@of_ranking
def test_tasks_it_does_not_predict_have_their_base_rates(trained: Trained) -> None:
    data = trained.data
    bundle = load_bundle(trained.bundle)
    assert bundle.task_blend is None
    found = ModelPredictor(bundle.model, data).predict(data.rows("test")[:5])
    train_rows = data.rows("train")
    np.testing.assert_allclose(found["like"], data.label("like", train_rows).mean(), atol=1e-5)
    np.testing.assert_allclose(found["stars"], data.label("stars", train_rows).mean(), atol=1e-4)
    share = np.bincount(data.label("mood", train_rows).astype(int)) / len(train_rows)
    np.testing.assert_allclose(found["mood"], np.tile(share, (5, 1)), atol=1e-3)


@pytest.mark.parametrize("trained", ["lightgbm"], indirect=True)
def test_boosted_trees_predict_every_task_they_can(place: Path, trained: Trained) -> None:
    bundle = load_bundle(trained.bundle)
    assert bundle.blend is None
    assert bundle.task_blend is not None
    assert set(bundle.task_blend.weights) == {"like", "stars", "mood"}
    assert bundle.metrics["tasks"]["like"]["auc"] > 0.8
    assert bundle.metrics["tasks"]["mood"]["accuracy"] > 0.95
    labels_alone = Schema.load(place / "schema.yaml", ["model.architecture=lightgbm"])
    tasks = {name: task for name, task in labels_alone.tasks.items() if name != "next"}
    labels_alone = labels_alone.model_copy(update={"tasks": tasks})
    metrics = train(labels_alone, place, place / "labels").metrics
    wanted = run_baselines(load_data(labels_alone, place).data, "test", ["lightgbm"], seed=1)["lightgbm"]
    for task, metric in (("like", "auc"), ("stars", "rmse"), ("mood", "log_loss")):
        assert metrics["tasks"][task][metric] == pytest.approx(wanted["tasks"][task][metric], abs=1e-4)
    recommender = Recommender(load_bundle(place / "labels"))
    listed = recommender.recommend(["u1"], k=5)  # by the first task
    assert listed["like"].is_sorted(descending=True)


@of_all
def test_what_is_served_is_what_was_measured(trained: Trained) -> None:
    bundle = load_bundle(trained.bundle)
    recommender = Recommender(bundle)
    live = LiveRecommender(Recommender(bundle))
    for user in ("u0", "u7"):
        every = recommender.recommend([user], k=SIZE * CIRCLES)
        answer = live.recommend(Query(user=user, k=15))
        scores = [one.predictions["next"] for one in answer.items]
        np.testing.assert_allclose(scores, every["score"].to_numpy()[:15], rtol=1e-3, atol=1e-4)
        if trained.name != "als":  # whose items of almost one score may change places
            assert [one.item for one in answer.items] == every["item"].to_list()[:15]
        offline = dict(zip(every["item"], every["score"], strict=True))
        alone = [offline[one.item] for one in answer.items]
        np.testing.assert_allclose(alone, scores, rtol=1e-3, atol=1e-4)
    rows = trained.data.rows("test")[:20]
    of_rows = ModelPredictor(bundle.model, trained.data, task_blend=bundle.task_blend).predict(rows)
    frame = pl.read_csv(trained.place / "views.csv")[rows].select("user", "item", "daytime")
    found = recommender.predict(frame)
    np.testing.assert_allclose(found["like"].to_numpy(), of_rows["like"], atol=1e-4)
    np.testing.assert_allclose(found["stars"].to_numpy(), of_rows["stars"], atol=1e-3)


@of_ranking
def test_events_of_this_minute_move_the_list(trained: Trained) -> None:
    live = LiveRecommender(Recommender(load_bundle(trained.bundle)))
    live.add_events([LiveEvent(user="visitor", item=f"i{SIZE * 3 + k}") for k in (1, 5, 7)])
    items = [one.item for one in live.recommend(Query(user="visitor", k=8)).items]
    assert all(3 * SIZE <= int(item[1:]) < 4 * SIZE for item in items)


@of_ranking
def test_somebody_of_whom_nothing_is_known_gets_what_is_popular(trained: Trained) -> None:
    bundle, data = load_bundle(trained.bundle), trained.data
    scores = Recommender(bundle).scores("nobody")
    rows = data.rows("train")
    count = np.bincount(data.item_row[rows], minlength=len(data.items))
    assert count[np.argmax(scores)] == count.max()


@of_all
def test_the_other_verbs_work(trained: Trained, tmp_path: Path) -> None:
    model = motet.load(trained.bundle)
    assert model.explain("u1", "i1").text
    model.save(tmp_path / "again")
    assert motet.load(tmp_path / "again").recommend(["u1"], k=3).equals(model.recommend(["u1"], k=3))
    metrics = evaluate_bundle(trained.bundle, trained.place, baselines=["popularity", "single_task"])
    assert set(metrics["baselines"]) == {"popularity"}
    page = (trained.bundle / "report.html").read_text(encoding="utf-8")
    called = {
        "ease": "EASE",
        "item_knn": "item–item neighbours",
        "lightgbm": "LightGBM",
        "hybrid_mf": "hybrid matrix factorisation",
    }
    assert called.get(trained.name, "alternating least squares") in page


def test_the_command_line_trains_one(place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", str(place / "schema.yaml"), "--data", str(place), "--out", str(tmp_path / "ease")]
    assert main([*arguments, "--set", "model.architecture=ease", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["architecture"] == "ease"


@pytest.mark.parametrize(
    ("changes", "problem", "cure"),
    [
        (
            {"tasks": {"like": {"kind": "binary", "label": "liked"}}, "model": {"architecture": "ease"}},
            "no retrieval task",
            {"tasks": {"next": {"kind": "retrieval", "positive": "true"}}},
        ),
        (
            {
                "tasks": {"next": {"kind": "retrieval", "positive": "true"}},
                "model": {"architecture": "lightgbm"},
            },
            "no yes-or-no, number or class task",
            {"tasks": {"like": {"kind": "binary", "label": "stars > 3"}}},
        ),
        (
            {"model": {"architecture": "als", "members": ["ease"]}},
            "has no members beside it",
            {"model": {"architecture": "als"}},
        ),
    ],
)
def test_what_a_method_cannot_do_is_refused_before_any_work(
    place: Path, tmp_path: Path, changes: dict[str, object], problem: str, cure: dict[str, object]
) -> None:
    content = Schema.load(place / "schema.yaml").model_dump(exclude_unset=True) | changes
    with pytest.raises(ModelError, match=problem):
        train(Schema.model_validate(content), tmp_path / "no such directory", tmp_path / "out")
    bundle = train(Schema.model_validate(content | cure), place, tmp_path / "out")
    assert bundle.metrics["architecture"] == content["model"]["architecture"]


def test_options_of_another_architecture_are_taken_away_as_the_message_says(place: Path) -> None:
    settings = ["model.architecture=ease", "model.options={hidden: [64]}"]
    with pytest.raises(ModelError, match=r"--set 'model\.options=\{\}'"):
        train(Schema.load(place / "schema.yaml", settings), place, place / "options")
    cured = Schema.load(place / "schema.yaml", [*settings, "model.options={}"])
    assert train(cured, place, place / "options").blend is not None
