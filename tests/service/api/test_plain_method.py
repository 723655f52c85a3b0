"""A service on a bundle whose architecture is a plain method: the same answers as offline, and its own words for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from motet.recommend import Recommender
from motet.schema import Schema
from motet.service.engine import Engine, RankRequest, RecommendRequest
from motet.service.store import Event, Store
from motet.training import load_bundle, train

Start = Callable[..., Engine]


@pytest.fixture(scope="module", params=["ease", "als", "lightgbm"])
def bundle(request: pytest.FixtureRequest, films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plain") / str(request.param)
    train(
        Schema.load(films.parent / "schema.yaml", [f"model.architecture={request.param}"]), films.parent, out
    )
    return out


def test_the_service_answers_what_the_bundle_says_offline(bundle: Path, start: Start, store: Store) -> None:
    engine, recommender = start(store, bundle), Recommender(load_bundle(bundle))
    wanted = recommender.recommend(["u1"], k=10)
    answer = engine.recommend(RecommendRequest(user="u1", k=10))
    assert [one.id for one in answer.items] == wanted["film"].to_list()
    for one, score, like in zip(answer.items, wanted["next"], wanted["like"], strict=True):
        assert one.predictions["next"] == pytest.approx(score, rel=1e-3, abs=1e-4)
        assert abs(one.value) < 20  # so many deviations, whatever the scale of the method
        assert one.predictions["like"] == pytest.approx(like, abs=1e-4)
    ranked = engine.rank(RankRequest(user="u1", candidates=["2", "9"]))
    pairs = pl.DataFrame({"who": ["u1", "u1"], "film": ["2", "9"]})
    of_pairs = dict(zip(["2", "9"], recommender.predict(pairs)["like"], strict=True))
    assert all(one.predictions["like"] == pytest.approx(of_pairs[one.id], abs=1e-4) for one in ranked.items)
    explained = engine.recommend(RecommendRequest(user="u1", k=3, explain=True))
    assert any(one.reason for one in explained.items)


def test_an_event_changes_the_order_of_a_method_that_ranks(bundle: Path, start: Start, store: Store) -> None:
    engine = start(store, bundle)

    def others() -> list[str]:
        answer = engine.recommend(RecommendRequest(user="u1", k=30, include_seen=True))
        return [one.id for one in answer.items if one.id not in ("3", "8")]

    before = others()
    engine.add_events([Event("liked", "u1", item, 1.0) for item in ("3", "8")])
    ranks = load_bundle(bundle).blend is not None  # the list of trees is of what is popular
    assert (others() != before) == ranks
