"""Factors of features: tastes that averages and counts do not see, in scenarios, across tasks, served as measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from motet.data import Dataset, Frames, build_dataset
from motet.models.baselines import BASELINES, PAIR_MEMBERS, PairMember, Pairs
from motet.recommend import LiveRecommender, Query, Recommender
from motet.schema import Schema
from motet.training import NETWORK, ModelPredictor, load_bundle, train

SCHEMA = """
name: tastes
tables: {interactions: seen.csv, items: things.csv}
keys: {user: user, item: thing, scenario: place}
split: {by: random, train: 0.7, validation: 0.15}
features:
  user: {user: id}
  item: {thing: id, size: numeric, marks: tags}
  interaction: {slot: numeric}
tasks:
  click: {kind: binary, label: click}
  stars: {kind: regression, label: stars, range: [-9, 9], after: click}
model: {architecture: linear, width: 2}
training: {epochs: 1, batch_size: 2048, learning_rate: 0.0001, seed: 1}
"""
USERS, ITEMS, ROWS = 80, 60, 6_000


def _write(place: Path, *, turned: bool) -> Dataset:
    """Tastes of two dimensions: a click follows them, and in the other place, where they are turned, their reverse."""
    rng = np.random.default_rng(0)
    tastes, things = rng.normal(size=(USERS, 2)), rng.normal(size=(ITEMS, 2))
    user, item, there = rng.integers(0, USERS, ROWS), rng.integers(0, ITEMS, ROWS), rng.integers(0, 2, ROWS)
    match = (tastes[user] * things[item]).sum(axis=1) * np.where(there == 1, -1 if turned else 1, 1)
    click = rng.random(ROWS) < 1 / (1 + np.exp(-1.5 * match))
    stars = np.where(click & (rng.random(ROWS) < 0.2), np.clip(match + rng.normal(0, 1, ROWS), -9, 9), np.nan)
    pl.DataFrame(
        {
            "user": [f"u{k}" for k in user],
            "thing": [f"i{k}" for k in item],
            "place": np.where(there == 1, "shop", "home"),
            "slot": rng.integers(1, 9, ROWS),
            "click": click.astype(int),
            "stars": pl.Series(stars, nan_to_null=True).round(2),
        }
    ).write_csv(place / "seen.csv")
    pl.DataFrame(
        {
            "thing": [f"i{k}" for k in range(ITEMS)],
            "size": rng.normal(size=ITEMS).round(3),
            "marks": ["red|big" if k % 3 else "" for k in range(ITEMS)],
        }
    ).write_csv(place / "things.csv")
    (place / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    return build_dataset(Schema.load(place / "schema.yaml"), place)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tastes")
    _write(place, turned=False)
    train(Schema.load(place / "schema.yaml"), place, place / "bundle")
    return place


@pytest.fixture(scope="module")
def data(place: Path) -> Dataset:
    return build_dataset(Schema.load(place / "schema.yaml"), place)


@pytest.fixture(scope="module")
def member(data: Dataset) -> PairMember:
    return PAIR_MEMBERS["hybrid_mf"].fit(data, data.rows("train"))


def _auc(data: Dataset, click: np.ndarray) -> float:
    return float(roc_auc_score(data.label("click", data.rows("test")), click))


def test_it_finds_tastes_that_averages_do_not_see(data: Dataset, member: PairMember) -> None:
    rows = data.rows("test")
    assert _auc(data, BASELINES["like_ratio"].fit(data).predict(rows)["click"]) < 0.6
    assert _auc(data, member.predict(Pairs.of(data, rows))["click"]) > 0.75
    baseline = BASELINES["hybrid_mf"].fit(data, splits=("train", "validation")).predict(rows)
    assert _auc(data, baseline["click"]) > 0.75


def test_where_tastes_turn_by_scenario_users_are_told_apart_in_each(
    tmp_path: Path, member: PairMember
) -> None:
    data = _write(tmp_path, turned=True)
    turned = PAIR_MEMBERS["hybrid_mf"].fit(data, data.rows("train"))
    assert _auc(data, turned.predict(Pairs.of(data, data.rows("test")))["click"]) > 0.7
    # where they do not turn, there are no vectors of users in scenarios
    assert len(turned.arrays()["weights.click"]) > len(member.arrays()["weights.click"])


def test_a_task_of_few_rows_learns_from_the_one_of_most(data: Dataset, member: PairMember) -> None:
    *_, share, passes = member.arrays()["numbers.stars"].tolist()
    assert share > 0
    assert passes >= 1
    rows = data.rows("test")
    labels = data.label("stars", rows)
    known = ~np.isnan(labels)
    found = member.predict(Pairs.of(data, rows), ["stars"])["stars"]
    averages = BASELINES["like_ratio"].fit(data).predict(rows)["stars"]
    error = [float(((one - labels)[known] ** 2).mean()) for one in (found, averages)]
    assert error[0] < 0.97 * error[1]


def test_a_task_that_stays_alone_is_fitted_again_as_it_was(data: Dataset, member: PairMember) -> None:
    pairs = Pairs.of(data, data.rows("test"))
    alone = type(member).read(member.only(["stars"]).arrays()).refit(data, data.rows("train"))
    assert alone.tasks == ("stars",)
    np.testing.assert_array_equal(alone.predict(pairs)["stars"], member.predict(pairs)["stars"])


def test_it_helps_a_network_and_is_weighed(place: Path, data: Dataset) -> None:
    bundle = load_bundle(place / "bundle")
    report = bundle.metrics["blend"]["tasks"]["click"]
    assert report["weights"]["hybrid_mf"] > 0.3
    assert report["loss"]["blend"] < 0.9 * report["loss"][NETWORK]


def test_the_member_is_read_as_it_was_written_and_repeats_itself(data: Dataset, member: PairMember) -> None:
    kind, rows = PAIR_MEMBERS["hybrid_mf"], data.rows("train")
    pairs = Pairs.of(data, data.rows("test"))
    read, again = kind.read(member.arrays()), member.refit(data, rows)
    for task, values in member.predict(pairs).items():
        np.testing.assert_array_equal(read.predict(pairs)[task], values)
        np.testing.assert_array_equal(again.predict(pairs)[task], values)
    assert set(member.only(["click"]).predict(pairs)) == {"click"}
    refitted = member.refit(data, np.sort(np.concatenate([rows, data.rows("validation")])))
    assert refitted.tasks == member.tasks
    assert refitted.arrays()["numbers.click"][-3:].tolist() == member.arrays()["numbers.click"][-3:].tolist()


def test_served_is_what_was_measured_also_of_what_is_new(place: Path, data: Dataset) -> None:
    bundle = load_bundle(place / "bundle")
    rows = data.rows("test")[:20]
    wanted = ModelPredictor(bundle.model, data, task_blend=bundle.task_blend).predict(rows)["click"]
    frame = pl.read_csv(place / "seen.csv")[rows].select("user", "thing", "place", "slot")
    live = LiveRecommender(Recommender(bundle))
    for at in range(5):
        user, thing, scenario, slot = frame.row(at)
        query = Query(user=user, scenario=scenario, context={"slot": slot})
        found = {one.item: one.predictions["click"] for one in live.rank(query, [thing, "i1", "i2"]).items}
        assert found[thing] == pytest.approx(wanted[at], abs=1e-4)
    (item,) = live.rank(Query(user="u-new"), ["i1"]).items
    assert 0 < item.predictions["click"] < 1


def test_what_is_kept_of_items_gives_the_same(data: Dataset, member: PairMember) -> None:
    pairs = Pairs.of(data, data.rows("test")[:50])
    part = member.item_part(pairs.tables, np.arange(len(data.items)))
    assert part is not None
    one = pairs.take(np.zeros(30, np.int64))
    same = Pairs(one.tables, {**one.rows, "item": np.arange(30)}, one.known, one.texts)
    kept = Pairs(same.tables, same.rows, same.known, same.texts, {member: part})
    assert kept.is_one_request
    for task, values in member.predict(same).items():
        np.testing.assert_allclose(member.predict(kept)[task], values, rtol=1e-5)


def test_it_steps_aside_without_items() -> None:
    schema = Schema.parse(
        {
            "name": "rows",
            "tables": {"interactions": "rows"},
            "split": {"by": "random"},
            "features": {"interaction": {"a": "numeric"}},
            "tasks": {"good": {"kind": "binary", "label": "good"}},
        }
    )
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0] * 10, "good": [0, 1, 1, 0] * 10})
    data = build_dataset(schema, Frames({"rows": frame}))
    assert BASELINES["hybrid_mf"].steps_aside(data) == "no features of items, or none of users and contexts"
    assert not PAIR_MEMBERS["hybrid_mf"].fit(data, data.rows("train")).tasks
