from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from motet.data import Dataset, build_dataset
from motet.errors import DataError
from motet.models import build_model
from motet.recommend import LiveRecommender, Objective, Query, Recommender
from motet.schema import Schema
from motet.testing import hashed_words_for_tests, toy_dataset
from motet.training import load_bundle, save_bundle

ODD = ["a b", "x/y/../z", "🦊", str(2**63), "007", "7", "Ünï"]


def served(data: Dataset, place: Path) -> Recommender:
    save_bundle(place / "bundle", model=build_model(data.schema, data.encoder).eval(), data=data, metrics={})
    return Recommender(load_bundle(place / "bundle"), hashed_words_for_tests)


@pytest.fixture(scope="module")
def toy_recommender(toy: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return served(toy, tmp_path_factory.mktemp("served"))


def odd_world(place: Path, **tasks: Any) -> Dataset:
    """Every odd id as a user and as an item; user k has seen items 0 to k."""
    pairs = [(user, item) for k, user in enumerate(ODD) for item in ODD[: k + 1]]
    rows = [(u, i, 1_700_000_000 + n, n % 2) for n, (u, i) in enumerate(pairs * 2)]
    pl.DataFrame(rows, schema=["who", "what", "at", "click"], orient="row").write_csv(place / "x.csv")
    content = {
        "name": "odd",
        "tables": {"interactions": "x.csv"},
        "keys": {"user": "who", "item": "what", "time": "at"},
        "features": {"user": {"who": "id"}, "item": {"what": "id"}},
        "tasks": tasks
        or {
            "click": {"kind": "binary", "label": "click"},
            "next": {"kind": "retrieval", "positive": "click = 1"},
        },
        "split": {"by": "random"},
    }
    return build_dataset(Schema.parse(content), place)


def test_a_task_on_items_does_not_rank_unless_it_is_asked_for(tmp_path: Path) -> None:
    """Recommender, live recommender, explanations and the objective that is shown say the same task."""
    rows = [(f"u{k % 9}", f"i{k % 14}", 1_700_000_000 + k, (k * k) % 3 == 0) for k in range(60)]
    log = pl.DataFrame(rows, schema=["who", "what", "at", "click"], orient="row")
    log.with_columns(pl.col("click").cast(pl.Int8)).write_csv(tmp_path / "x.csv")
    items = pl.DataFrame({"what": [f"i{k}" for k in range(14)], "premium": [k % 2 for k in range(14)]})
    items.write_csv(tmp_path / "items.csv")
    schema = Schema.parse(
        {
            "name": "odd",
            "tables": {"interactions": "x.csv", "items": "items.csv"},
            "keys": {"user": "who", "item": "what", "time": "at"},
            "features": {"user": {"who": "id"}, "item": {"what": "id"}},
            "tasks": {
                "premium": {"kind": "binary", "label": "premium = 1", "on": "item"},
                "click": {"kind": "binary", "label": "click"},
            },
        }
    )
    recommender = served(build_dataset(schema, tmp_path), tmp_path)
    users = [f"u{k}" for k in range(9)]
    asked = recommender.recommend(users, k=5, by="click")
    assert recommender.recommend(users, k=5).equals(asked)
    live = LiveRecommender(recommender)
    by_premium = Objective(weights={"premium": 1})
    differs = False
    for user in users:
        plain = [item.item for item in live.recommend(Query(user=user, k=5)).items]
        by_click = live.recommend(
            Query(user=user, k=5, objective=Objective(weights=schema.default_objective()))
        )
        assert plain == [item.item for item in by_click.items]
        assert plain == asked.filter(pl.col("who") == user)["what"].to_list()
        differs |= plain != [
            i.item for i in live.recommend(Query(user=user, k=5, objective=by_premium)).items
        ]
    assert differs


@pytest.mark.parametrize("by", ["next", "click"])
def test_seen_items_are_left_out_and_the_rest_of_the_catalogue_is_ranked(by: str, tmp_path: Path) -> None:
    recommender = served(odd_world(tmp_path), tmp_path)
    result = recommender.recommend(ODD, k=100, by=by)
    for k, user in enumerate(ODD):
        mine = result.filter(pl.col("who") == user)
        assert sorted(mine["what"]) == sorted(ODD[k + 1 :])
        assert mine["rank"].to_list() == list(range(1, len(ODD) - k))
        assert mine["score"].is_sorted(descending=True)
    everything = recommender.recommend(ODD, k=100, by=by, include_seen=True)
    assert len(everything) == len(ODD) ** 2
    # leaving out does not change the order of what is left
    kept = everything.join(result, on=["who", "what"], how="semi")
    assert kept["what"].to_list() == result["what"].to_list()
    assert recommender.recommend(ODD[:2], k=2, by=by)["rank"].to_list() == [1, 2, 1, 2]


def test_progress_while_many_users_are_ranked(tmp_path: Path) -> None:
    recommender = served(odd_world(tmp_path), tmp_path)
    users = [f"new {k}" for k in range(1_100)]
    reports: list[tuple[str, int, int]] = []
    result = recommender.recommend(users, k=2, progress=lambda *report: reports.append(report))
    assert result["who"].to_list() == [user for user in users for _ in range(2)]
    done = [done for _, done, _ in reports]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, len(users))
    assert len(done) > 3
    assert {(what, total) for what, _, total in reports} == {("recommend", len(users))}


def test_users_who_come_back_are_offered_what_they_had(tmp_path: Path) -> None:
    data = odd_world(tmp_path, next={"kind": "retrieval", "positive": "click = 1", "repeats": True})
    recommender = served(data, tmp_path)
    assert len(recommender.recommend([ODD[-1]], k=100)) == len(ODD)


def test_ids_are_words_whatever_they_look_like(tmp_path: Path) -> None:
    recommender = served(odd_world(tmp_path), tmp_path)
    pairs = pl.DataFrame({"who": ODD, "what": ODD})
    result = recommender.predict(pairs)
    assert result["who"].to_list() == ODD
    assert recommender.predict(pairs[3:4])["click"][0] == pytest.approx(result["click"][3], abs=1e-6)
    seven = recommender.predict(pl.DataFrame({"who": [7], "what": [7]}))
    assert seven["click"][0] == pytest.approx(result["click"][5], abs=1e-6)
    assert seven["click"][0] != pytest.approx(result["click"][4], abs=1e-6)  # 007 is someone else
    large = recommender.predict(pl.DataFrame({"who": [2**63], "what": [2**63]}, schema_overrides={"who": pl.UInt64, "what": pl.UInt64}))  # fmt: skip
    assert large["click"][0] == pytest.approx(result["click"][3], abs=1e-6)


def test_whole_numbers_and_their_words_are_one_key(toy_recommender: Recommender) -> None:
    users = toy_recommender.bundle.data.user_ids[:4]
    numbers = pl.DataFrame({"user": users, "item": [10, 20, 30, 10]})
    words = numbers.with_columns(pl.col("item").cast(pl.String))
    floats = numbers.with_columns(pl.col("item").cast(pl.Float64))
    one, two, three = (toy_recommender.predict(p).drop("item") for p in (numbers, words, floats))
    assert one.equals(two)
    assert one.equals(three)


@pytest.mark.parametrize("column", ["user", "item"])
def test_an_empty_key_is_refused_with_its_row(column: str, toy_recommender: Recommender) -> None:
    pairs = pl.DataFrame({"user": ["u1", "u2", "u3"], "item": ["10", "20", "30"]})
    pairs = pairs.with_columns(pl.when(pl.arange(3) != 1).then(pl.col(column)).alias(column))
    with pytest.raises(DataError, match=rf"no {column} in data row 2, column '{column}'"):
        toy_recommender.predict(pairs)
    with pytest.raises(DataError, match=rf"no column '{column}'"):
        toy_recommender.predict(pairs.drop(column))
    with pytest.raises(DataError, match="no rows"):
        toy_recommender.predict(pairs.clear())
    with pytest.raises(DataError, match="no user in data row 1"):
        toy_recommender.recommend([None])  # type: ignore[list-item]
    with pytest.raises(DataError, match="at least one user"):
        toy_recommender.recommend([])


def test_a_user_never_seen_gets_the_whole_catalogue(toy_recommender: Recommender) -> None:
    items = len(toy_recommender.bundle.data.items)
    one = toy_recommender.recommend(["nobody", "nobody else"], k=items)
    assert len(one) == 2 * items
    half = one["item"].to_list()
    assert half[:items] == half[items:]  # nothing is known of either
    about = pl.DataFrame({"user": ["nobody", "nobody else"], "age": [20, 70], "job": ["cook", "nurse"]})
    other = toy_recommender.recommend(about, k=items)
    scores = other["score"].to_numpy().reshape(2, -1)
    assert not np.allclose(np.sort(scores[0]), np.sort(scores[1]))
    # the columns of a user whom the bundle knows change nothing
    known = toy_recommender.bundle.data.user_ids[0]
    given = toy_recommender.recommend(pl.DataFrame({"user": [known], "age": [99]}))
    assert given.equals(toy_recommender.recommend([known]))


def test_new_entities_do_not_change_the_answers_for_others(toy_recommender: Recommender) -> None:
    known = pl.DataFrame({"user": ["u1", "u2"], "item": ["10", "20"]})
    mixed = pl.concat([pl.DataFrame({"user": ["new"], "item": ["new"]}), known])
    alone, among = toy_recommender.predict(known), toy_recommender.predict(mixed)[1:]
    np.testing.assert_allclose(alone["click"], among["click"], atol=1e-6)
    np.testing.assert_allclose(alone["next"], among["next"], atol=1e-5)


def test_an_unknown_scenario_names_the_nearest(toy_recommender: Recommender) -> None:
    known = toy_recommender.bundle.data.encoder.scenarios[1]
    with pytest.raises(DataError, match=f"did you mean '{known}'"):
        toy_recommender.recommend(["u1"], scenario=known[:-1] + "x")
    with pytest.raises(
        DataError, match=r"the task to rank by 'clik' is not known\. Cure: did you mean 'click'"
    ):
        toy_recommender.recommend(["u1"], by="clik")
    with pytest.raises(DataError, match="k is 0"):
        toy_recommender.recommend(["u1"], k=0)


def test_a_scenario_where_there_are_none_is_refused(tmp_path: Path) -> None:
    recommender = served(odd_world(tmp_path), tmp_path)
    with pytest.raises(DataError, match="has no scenarios"):
        recommender.recommend([ODD[0]], scenario="home")


def test_scenarios_change_predictions_and_a_new_one_counts_as_unknown(toy_recommender: Recommender) -> None:
    pair = {"user": ["u1"], "item": ["10"]}
    scenarios = [*toy_recommender.bundle.data.encoder.scenarios[1:], "never seen"]
    found = [toy_recommender.predict(pl.DataFrame(pair | {"place": [s]}))["click"][0] for s in scenarios]
    assert len(set(found)) == len(scenarios)
    assert found[-1] == toy_recommender.predict(pl.DataFrame(pair))["click"][0]


@pytest.mark.parametrize("items", [True, False], ids=["no users", "neither users nor items"])
def test_schemas_without_users(items: bool, tmp_path: Path) -> None:
    data = toy_dataset(users=False, items=items, rows=150)
    recommender = served(data, tmp_path)
    rows = pl.DataFrame({"device": ["phone", "web"], "wait": [1.0, None], "item": ["10", "new"]})
    result = recommender.predict(rows)
    assert result.columns[0] == ("item" if items else "row")
    assert result["click"].is_between(0, 1).all()
    assert result["click"].n_unique() == 2
    with pytest.raises(DataError, match="no users or no items"):
        recommender.recommend(["u1"])


def test_a_task_named_like_another_column_gets_a_column_of_its_own(tmp_path: Path) -> None:
    data = odd_world(
        tmp_path,
        who={"kind": "binary", "label": "click"},
        seen={"kind": "multiclass", "label": "click"},
        seen_probability={"kind": "regression", "label": "click"},
    )
    found = served(data, tmp_path).predict(pl.DataFrame({"who": ["007", "7"], "what": ["7", "7"]}))
    assert found.columns == [
        *("who", "what", "who_prediction"),
        *("seen", "seen_probability", "seen_probability_prediction"),
    ]
    assert found["who"].to_list() == ["007", "7"]
    assert set(found["seen"]) <= {"0", "1"}
    assert found["seen_probability"].is_between(0.5, 1).all()


def test_rankings_of_many_users_are_those_of_each(
    toy_recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = toy_recommender.bundle.data.user_ids[:7].to_list()
    whole = toy_recommender.recommend(users, 4)
    monkeypatch.setattr("motet.recommend._recommender._SCORES", 2 * len(toy_recommender.bundle.data.items))
    parts = toy_recommender.recommend(users, 4)
    assert whole.select("user", "rank", "item").equals(parts.select("user", "rank", "item"))
    assert parts["user"].to_list() == [u for u in users for _ in range(4)]


@pytest.mark.parametrize("by", ["next", "click"])
def test_scores_are_what_recommend_ranks_by(by: str, tmp_path: Path) -> None:
    recommender = served(odd_world(tmp_path), tmp_path)
    scores = recommender.scores(ODD[2], by=by)
    ranked = recommender.recommend([ODD[2]], k=100, by=by, include_seen=True)
    ids = recommender.bundle.data.item_ids
    expected = ids.gather(np.argsort(-scores, kind="stable").astype(np.int64))
    if by == "click":  # a retrieval task without repeats leaves seen items out unless asked not to
        assert ranked["what"].to_list() == expected.to_list()
    at = {item: row for row, item in enumerate(ids)}
    assert ranked["score"].to_numpy() == pytest.approx([scores[at[item]] for item in ranked["what"]])


def test_seen_items_of_a_user(tmp_path: Path) -> None:
    recommender = served(odd_world(tmp_path), tmp_path)
    ids = recommender.bundle.data.item_ids
    assert sorted(ids.gather(recommender.seen(ODD[3]))) == sorted(ODD[:4])
    assert not len(recommender.seen("nobody"))
