"""The network and plain members learn from the validation rows once these have served to choose them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from motet.data import Dataset, build_dataset
from motet.evaluation import evaluate
from motet.models.baselines import BASELINES, Ease, ranking_queries, run_baselines
from motet.schema import Schema
from motet.training import ModelPredictor, evaluate_bundle, load_bundle, refit_network, train, train_model

SCHEMA = """
name: drift
tables: {interactions: views.csv, items: items.csv}
keys: {user: user, item: item, time: at}
split: {by: time, train: 0.8, validation: 0.1}
features: {user: {user: id}, item: {item: id, colour: categorical}}
tasks: {like: {kind: binary, label: liked}, next: {kind: retrieval, positive: liked = 1}}
training: {epochs: 3, batch_size: 128, learning_rate: 0.02}
"""
ROWS = 6000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likes go by colour, and after four fifths of the time by other colours than before."""
    place = tmp_path_factory.mktemp("drift")
    rng = np.random.default_rng(0)
    item, user = rng.integers(0, 60, ROWS), rng.integers(0, 80, ROWS)
    red = item % 2 == 0
    late = np.arange(ROWS) >= 0.8 * ROWS
    liked = rng.random(ROWS) < np.where(red ^ late, 0.8, 0.2)
    pl.DataFrame(
        {
            "user": [f"u{u}" for u in user],
            "item": [f"i{i}" for i in item],
            "at": 1_700_000_000 + 60 * np.arange(ROWS),
            "liked": liked.astype(np.int64),
        }
    ).write_csv(place / "views.csv")
    colours = {"item": [f"i{i}" for i in range(60)], "colour": ["red", "blue"] * 30}
    pl.DataFrame(colours).write_csv(place / "items.csv")
    (place / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def data(place: Path) -> Dataset:
    return build_dataset(Schema.load(place / "schema.yaml"), place)


def auc(data: Dataset, predictor: object) -> float:
    found = evaluate(data, predictor, "test", intervals=False)  # type: ignore[arg-type]
    return float(found["tasks"]["like"]["auc"])


def test_a_network_learns_what_changed_after_its_training_rows(data: Dataset) -> None:
    model = train_model(data).model
    before = auc(data, ModelPredictor(model, data))
    refit = refit_network(data, model)
    assert refit is not None
    assert refit.passes > 0
    assert refit.after > refit.before
    assert auc(data, ModelPredictor(model, data)) > before + 0.05


def test_nothing_is_learnt_where_that_does_not_help_and_test_rows_decide_nothing(data: Dataset) -> None:
    rng = np.random.default_rng(0)
    noise, test = data.labels.copy(), data.rows("test")
    noise[test] = rng.permutation(noise[test])
    weights = []
    for one in (data, replace(data, labels=noise)):
        model = train_model(one).model
        refit_network(one, model)
        weights.append(model.state_dict())
    assert all(bool((weights[0][name] == weights[1][name]).all()) for name in weights[0])
    steady = replace(data, labels=np.where(data.split[:, None] == 1, 1 - data.labels, data.labels))
    halves = np.where(np.arange(len(data)) % 2 == 0, data.labels[:, 0], 1 - data.labels[:, 0])
    steady.labels[:, 0] = np.where(data.split == 1, halves, data.labels[:, 0])  # validation rows say nothing
    model = train_model(data).model
    refit = refit_network(steady, model)
    assert refit is not None
    assert refit.after >= refit.before


@pytest.mark.parametrize(
    ("scores", "passes"),
    [
        ([0.50, 0.48, 0.47, 0.49, 0.55, 0.56, 0.55, 0.55, 0.55, 0.55], 5),  # the first three go wrong
        ([0.50, 0.60, 0.699, 0.70, 0.69, 0.69, 0.69, 0.69], 2),  # the third adds next to nothing
        ([0.50, 0.49, 0.48, 0.47, 0.46], 0),
        ([0.50] + [0.50 + 0.01 * k for k in range(1, 13)], 12),  # never more
    ],
)
def test_passes_are_those_of_nearly_the_best_score(
    scores: list[float], passes: int, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter(scores)
    monkeypatch.setattr("motet.training._refit.score_of", lambda *_: next(given))
    refit = refit_network(data, train_model(data).model)
    assert refit is not None
    assert (refit.passes, refit.after) == (passes, max(scores))
    assert list(given) == []  # each was asked for, and no other


def test_few_rows_and_a_deadline_change_nothing(data: Dataset) -> None:
    model = train_model(data).model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    split = data.split.copy()
    split[data.rows("validation")[:500]] = 3
    assert refit_network(replace(data, split=split), model) is None
    assert refit_network(data, model, deadline_s=0.0) is None
    assert all(bool((tensor == before[name]).all()) for name, tensor in model.state_dict().items())


def test_half_of_one_class_and_a_pass_without_a_number_leave_the_network_as_it_was(data: Dataset) -> None:
    rare = data.labels.copy()
    rows = data.rows("validation")
    rare[rows[len(rows) // 2 :]] = 0  # the second half by time
    rare[rows[:5]] = 1
    model = train_model(data).model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    only = data.schema.model_copy(update={"tasks": {"like": data.schema.tasks["like"]}})
    assert refit_network(replace(data, labels=rare), model, only) is None
    training = data.schema.training.model_copy(update={"learning_rate": 1e30})
    assert refit_network(data, model, data.schema.model_copy(update={"training": training})) is None
    assert all(bool((tensor == before[name]).all()) for name, tensor in model.state_dict().items())


def test_measuring_rows_that_were_learnt_from_is_marked(place: Path) -> None:
    out = place / "marked"
    train(Schema.load(place / "schema.yaml", ["training.epochs=1"]), place, out)
    assert evaluate_bundle(out, place)["learnt_from"] is False
    assert evaluate_bundle(out, place, split="validation")["learnt_from"] is True
    assert "learnt from: what it reaches there says little" in (out / "report.html").read_text("utf-8")


def test_a_bundle_says_how_it_learnt_and_can_be_kept_from_it(place: Path) -> None:
    schema = Schema.load(place / "schema.yaml")
    found = {}
    for refit in (True, False):
        training = schema.training.model_copy(update={"refit": refit})
        out = place / f"bundle-{refit}"
        train(schema.model_copy(update={"training": training}), place, out)
        found[refit] = load_bundle(out)
    assert found[True].metrics["refit"]["passes"] > 0
    assert found[False].metrics["refit"] is None
    of_task = {refit: bundle.metrics["tasks"]["like"]["auc"] for refit, bundle in found.items()}
    assert of_task[True] > of_task[False] + 0.05


def test_baselines_learn_from_validation_rows_as_the_model_does(data: Dataset) -> None:
    training = data.schema.training.model_copy(update={"refit": False})
    apart = replace(data, schema=data.schema.model_copy(update={"training": training}))
    for name in ("like_ratio", "linear", "lightgbm"):
        both = auc(data, BASELINES[name].fit(data, splits=("train", "validation")))
        alone = auc(data, BASELINES[name].fit(data))
        assert both != alone
        for one, wanted in ((data, both), (apart, alone)):
            found = run_baselines(one, names=[name])[name]["tasks"]["like"]["auc"]
            assert found == pytest.approx(wanted)


def test_queries_are_users_at_the_end_of_training_and_events_with_all_before_them(data: Dataset) -> None:
    queries = ranking_queries(data)
    assert queries is not None
    assert len(queries.events)
    known = np.concatenate([data.rows("train"), data.rows("validation")])
    liked = known[data.label("next", known) > 0]
    for number, user in enumerate(queries.users[:20]):
        mine = liked[(data.user_row[liked] == user) & (data.split[liked] == 0)]
        assert sorted(queries.had.take(np.array([number])).values) == sorted(data.item_row[mine])
    for place, row in enumerate(queries.events[:50]):
        earlier = (data.user_row[liked] == data.user_row[row]) & (data.time[liked] < data.time[row])
        mine = liked[earlier][np.argsort(data.time[liked][earlier], kind="stable")]
        at = np.array([len(queries.users) + place])
        assert queries.had.take(at).values.tolist() == data.item_row[mine].tolist()
        wanted = queries.task.relevant[at].indices
        assert wanted.tolist() == [data.item_row[row]]
        met = known[(data.user_row[known] == data.user_row[row]) & (data.time[known] < data.time[row])]
        assert set(queries.task.seen[at].indices) == set(data.item_row[met])
        assert data.item_row[row] not in data.item_row[met]


def test_without_times_only_users_are_asked_for(data: Dataset) -> None:
    content = data.schema.model_copy(update={"split": data.schema.split.model_copy(update={"by": "random"})})
    queries = ranking_queries(replace(data, schema=content))
    assert queries is not None
    assert not len(queries.events)


def test_what_is_in_season_ranks_where_the_season_changed(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    item = np.where(np.arange(4000) < 2600, rng.integers(0, 20, 4000), rng.integers(20, 40, 4000))
    frame = pl.DataFrame(
        {
            "user": [f"u{u}" for u in rng.integers(0, 300, 4000)],
            "item": [f"i{i}" for i in item],
            "at": np.arange(4000),
        }
    )
    frame.write_csv(tmp_path / "views.csv")
    text = (
        SCHEMA.replace(", colour: categorical", "")
        .replace(", items: items.csv", "")
        .replace("like: {kind: binary, label: liked}, ", "")
    )
    (tmp_path / "schema.yaml").write_text(text.replace("liked = 1", '"true"'), encoding="utf-8")
    seasonal = build_dataset(Schema.load(tmp_path / "schema.yaml"), tmp_path)
    found = run_baselines(seasonal, names=["popularity", "recent_popularity"])
    ndcg = {name: one["ranking"]["ndcg@10"] for name, one in found.items()}
    assert ndcg["recent_popularity"] > ndcg["popularity"] + 0.02


def test_fitted_again_ease_knows_items_that_came_late(data: Dataset) -> None:
    settings = Ease.choose(data)
    early, both = Ease.fit_scores(data, settings), Ease.fit_scores(data, settings, ("train", "validation"))
    assert early.arrays()["values"].sum() != both.arrays()["values"].sum()


def test_where_each_user_has_a_time_of_its_own_the_halves_are_of_each_user(tmp_path: Path) -> None:
    """Users come one after the other, and each changes its mind in its last fifth: only its own rows tell."""
    rng = np.random.default_rng(1)
    users, each = 100, 100
    user = np.repeat(np.arange(users), each)
    late = np.tile(np.arange(each) >= 0.8 * each, users)
    liked = rng.random(len(user)) < np.where((user % 2 == 0) ^ late, 0.9, 0.1)
    pl.DataFrame(
        {
            "user": [f"u{u}" for u in user],
            "item": [f"i{i}" for i in rng.integers(0, 60, len(user))],
            "at": 1_700_000_000 + 60 * np.arange(len(user)),
            "liked": liked.astype(np.int64),
        }
    ).write_csv(tmp_path / "views.csv")
    colours = {"item": [f"i{i}" for i in range(60)], "colour": ["red", "blue"] * 30}
    pl.DataFrame(colours).write_csv(tmp_path / "items.csv")
    (tmp_path / "schema.yaml").write_text(SCHEMA.replace("by: time", "by: user_time"), encoding="utf-8")
    schema = Schema.load(tmp_path / "schema.yaml")
    data = build_dataset(schema, tmp_path)
    model = train_model(data).model
    before = auc(data, ModelPredictor(model, data))
    refit = refit_network(data, model)
    assert refit is not None
    assert refit.passes > 0
    assert auc(data, ModelPredictor(model, data)) > before + 0.05
