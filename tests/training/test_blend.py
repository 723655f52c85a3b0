"""Plain members beside the network: weighed on validation rows, and served as they were measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from motet.data import Dataset, Ragged, build_dataset
from motet.errors import MotetError
from motet.evaluation import ranking_metrics
from motet.models.baselines import ItemToItem, ItemVectors
from motet.recommend import LiveRecommender, Query, Recommender
from motet.recommend.live import LiveEvent
from motet.schema import Schema
from motet.training import (
    NETWORK,
    ModelPredictor,
    NetworkMoments,
    RankingBlend,
    evaluate_bundle,
    fit_blend,
    fit_members,
    load_bundle,
    train,
)
from motet.training.blending import EarlierLists, weigh_by_lists

SCHEMA = """
name: circles
tables: {interactions: views.csv}
keys: {user: user, item: item, time: at}
split: {by: user_time, train: 0.7, validation: 0.15}
features: {user: {user: id}, item: {item: id}}
tasks: {next: {kind: retrieval, positive: "true"}}
training: {epochs: 2, batch_size: 256, seed: 1}
"""
CIRCLES, SIZE = 6, 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who stay within one circle of items each, so that neighbours know what an untrained network does not."""
    place = tmp_path_factory.mktemp("circles")
    rng = np.random.default_rng(0)
    rows = []
    for user in range(240):
        items = rng.permutation(SIZE)[:14] + SIZE * (user % CIRCLES)
        rows += [(f"u{user}", f"i{item}", 1_700_000_000 + 60 * k) for k, item in enumerate(items)]
    pl.DataFrame(rows, ["user", "item", "at"], orient="row").write_csv(place / "views.csv")
    (place / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    train(Schema.load(place / "schema.yaml"), place, place / "bundle")
    return place


@pytest.fixture(scope="module")
def data(place: Path) -> Dataset:
    return build_dataset(Schema.load(place / "schema.yaml"), place)


def test_members_that_know_more_are_let_in_and_the_report_says_what_each_adds(
    place: Path, data: Dataset
) -> None:
    bundle = load_bundle(place / "bundle")
    assert bundle.blend is not None
    report = bundle.metrics["blend"]["ranking"]
    members = report["members"]
    assert set(members) == {NETWORK, "ease", "item_knn", "als", "recent_popularity"}
    assert max(members["ease"]["weight"], members["item_knn"]["weight"]) > 0
    assert report["ndcg@10"] >= max(one["alone"] for one in members.values())
    alone = ranking_metrics(data, ModelPredictor(bundle.model, data), intervals=False)
    blended = ranking_metrics(data, ModelPredictor(bundle.model, data, blend=bundle.blend), intervals=False)
    assert alone is not None
    assert blended is not None
    assert blended["ndcg@10"] == bundle.metrics["ranking"]["ndcg@10"]
    assert blended["ndcg@10"] > alone["ndcg@10"] + 0.05  # type: ignore[operator]


def test_weights_are_means_over_halves_of_the_users(place: Path) -> None:
    """Those of each half sum to 1, so that their mean does, less what members that few halves choose would have had."""
    blend = load_bundle(place / "bundle").blend
    assert blend is not None
    weights = [blend.weights[name] for name in blend.members]
    assert all(0 < weight <= 1 for weight in weights)
    assert (
        0.5 < sum(blend.weights.values()) <= 1.001 + 1e-9
    )  # 0.001 is what a network that does not help keeps


def test_what_is_measured_again_is_what_was_measured(place: Path) -> None:
    before = load_bundle(place / "bundle").metrics["ranking"]
    assert evaluate_bundle(place / "bundle", place, seed=1)["ranking"] == before


def test_test_rows_reach_no_weight(place: Path, data: Dataset) -> None:
    rng = np.random.default_rng(0)
    items = data.item_row.copy()
    test = data.rows("test")
    items[test] = rng.permutation(items[test])
    from dataclasses import replace  # noqa: PLC0415

    bundle = load_bundle(place / "bundle")
    found = []
    for one in (data, replace(data, item_row=items)):
        network = ModelPredictor(bundle.model, one, known="train")
        blend = fit_blend(one, fit_members(one), network)
        assert blend is not None
        found.append((dict(blend.weights), {name: m.decay for name, m in blend.members.items()}))
    assert found[0] == found[1]


def test_lists_served_and_recommended_and_predicted_are_ranked_alike(place: Path, data: Dataset) -> None:
    bundle = load_bundle(place / "bundle")
    recommender = Recommender(bundle)
    live = LiveRecommender(Recommender(bundle))
    for user in ("u0", "u7"):
        wanted = recommender.recommend([user], k=20)
        answer = live.recommend(Query(user=user, k=20))
        assert [one.item for one in answer.items] == wanted["item"].to_list()
        scores = [one.predictions["next"] for one in answer.items]
        np.testing.assert_allclose(scores, wanted["score"].to_numpy(), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(
            wanted["next"].to_numpy(), wanted["score"].to_numpy(), rtol=1e-3, atol=1e-3
        )
        pairs = wanted.select("user", "item")
        np.testing.assert_allclose(
            recommender.predict(pairs)["next"].to_numpy(), wanted["score"].to_numpy(), rtol=1e-3, atol=1e-3
        )


def test_a_live_event_moves_the_list_at_once(place: Path) -> None:
    """A visitor never seen who looks at two items of a circle is shown that circle."""
    live = LiveRecommender(Recommender(load_bundle(place / "bundle")))
    live.add_events([LiveEvent(user="visitor", item=f"i{SIZE * 3 + k}") for k in (1, 5)])
    items = [one.item for one in live.recommend(Query(user="visitor", k=8)).items]
    assert all(3 * SIZE <= int(item[1:]) < 4 * SIZE for item in items)
    session = live.recommend(Query(k=8, history=(f"i{SIZE * 2}", f"i{SIZE * 2 + 9}")))
    assert all(2 * SIZE <= int(one.item[1:]) < 3 * SIZE for one in session.items)


def test_without_members_the_network_ranks_alone(place: Path, tmp_path: Path) -> None:
    schema = Schema.load(place / "schema.yaml", ["model.members=[]"])
    bundle = train(schema, place, tmp_path / "alone")
    assert bundle.blend is None
    assert bundle.metrics["blend"] == {"ranking": None, "tasks": {}}


def test_an_unknown_member_is_named_before_any_work(place: Path, tmp_path: Path) -> None:
    schema = Schema.load(place / "schema.yaml", ["model.members=[eese]"])
    with pytest.raises(MotetError, match="did you mean 'ease'"):
        train(schema, place, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_one_user_is_scored_as_all_are() -> None:
    rng = np.random.default_rng(0)
    items, width = 30, 5
    occurs = np.arange(items) < 25
    weights = np.where(rng.random((items, items)) < 0.3, rng.normal(size=(items, items)), 0).astype(
        np.float32
    )
    weights[25:] = weights[:, 25:] = 0  # what does not occur has no weight
    vectors = rng.normal(size=(items, width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    members = {"ease": ItemToItem(0.9, sp.csr_array(weights)), "text_neighbours": ItemVectors(0.8, vectors)}
    blend = RankingBlend(members, {NETWORK: 1.0, "ease": 0.5, "text_neighbours": 0.3}, occurs, {})
    query, bias = rng.normal(size=width).astype(np.float32), rng.normal(size=items).astype(np.float32)
    network = vectors @ query + bias
    moments = NetworkMoments(vectors, bias, occurs).of(query)
    rows = np.array([3, 29, 7, 0, 24])
    for had in ([4, 2, 4, 11], [28], []):
        history = Ragged(np.array(had, np.int32), np.array([0, len(had)], np.int64))
        wanted = blend.scores(network[None], history)[0]
        found = blend.of_user(network[rows], moments, np.array(had, np.int32), rows)
        np.testing.assert_allclose(found, wanted[rows], rtol=1e-4, atol=1e-4)
    nearest = blend.touched(np.array([4, 2], np.int32))  # of so few items all are near by vectors
    assert nearest.tolist() == list(range(items))
    ease = RankingBlend({"ease": members["ease"]}, {NETWORK: 1.0, "ease": 0.5}, occurs, {})
    touched = ease.touched(np.array([4, 2], np.int32))
    assert set(touched.tolist()) == set(np.flatnonzero((weights[4] != 0) | (weights[2] != 0)).tolist())
    new = blend.of_members(np.array([4], np.int32), np.array([items + 3]))  # an item that came later
    assert np.isfinite(new).all()


def lists_of(seed: int, signal: float, queries: int = 600) -> EarlierLists:
    """Scores of 60 items by two members; of the second the item that is taken up says so much above noise."""
    rng = np.random.default_rng(seed)
    items = rng.integers(0, 60, queries)
    parts = {name: rng.normal(size=(queries, 60)).astype(np.float32) for name in ("network", "item_knn")}
    parts["item_knn"][np.arange(queries), items] += np.float32(signal)
    closed = rng.random((queries, 60)) < 0.1
    return EarlierLists.of(parts, items, closed)


def test_weights_follow_what_would_have_made_better_lists_beyond_noise() -> None:
    before = {"network": 0.9, "item_knn": 0.1}
    after = weigh_by_lists(lists_of(0, 1.5), before)
    assert after is not None
    assert after["item_knn"] > 0.7
    assert sum(after.values()) == pytest.approx(1.0, abs=0.01)
    assert weigh_by_lists(lists_of(0, 1.5, queries=200), before) is None  # too few
    assert weigh_by_lists(lists_of(0, 1.5), after) is None  # nothing is better than these


def test_lists_are_of_items_that_were_open_each_once_with_the_one_that_was_taken_up_first() -> None:
    rng = np.random.default_rng(1)
    parts = {name: rng.normal(size=(5, 70)).astype(np.float32) for name in ("network", "ease")}
    items, closed = np.arange(5), np.zeros((5, 70), bool)
    closed[:, 30:] = True
    lists = EarlierLists.of(parts, items, closed)
    for q in range(5):
        there = lists.scores[q][~np.isnan(lists.scores[q, :, 0])]
        assert len({tuple(one) for one in there.tolist()}) == len(there) <= 30
        assert there[0] == pytest.approx([parts["network"][q, q], parts["ease"][q, q]], abs=0.01)
        best = max(np.delete(parts["ease"][q, :30], q))
        assert there[1:, 1].max() == pytest.approx(best, abs=0.01)
    longer = EarlierLists.together([None, lists, lists_of(0, 1.0)], ("network", "ease"))
    assert longer is not None
    assert len(longer.scores) == 5  # those of other members say nothing of these
    full = EarlierLists.together([lists_of(k, 1.0) for k in range(5)], ("network", "item_knn"))
    assert full is not None
    assert full.scores[-1].tobytes() == lists_of(4, 1.0).scores[-1].tobytes()
    assert len(full.scores) == 2_000
