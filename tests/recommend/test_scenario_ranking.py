"""The scenario of a request changes what the catalogue is ranked by: offline, live, and in predictions of pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from motet.recommend import LiveRecommender, Query, Recommender
from motet.schema import Schema
from motet.training import load_bundle, train

SCHEMA = """
name: rooms
tables: {interactions: views.csv}
keys: {user: user, item: item, time: at, scenario: room}
split: {by: user_time}
features: {user: {user: id}, item: {item: id}}
tasks: {next: {kind: retrieval, positive: "true", repeats: true}}
training: {epochs: 12, batch_size: 128, seed: 1, learning_rate: 0.01}
"""
ITEMS = 40


@pytest.fixture(scope="module", params=["[]", "[item_knn]"], ids=["network", "blend"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Even items are looked at in the kitchen, odd ones in the garden, by everybody."""
    place = tmp_path_factory.mktemp("rooms")
    rng = np.random.default_rng(0)
    rows = []
    for at in range(6000):
        garden = int(rng.random() < 0.5)
        item = 2 * int(rng.integers(0, ITEMS // 2)) + garden
        rows.append(
            (
                f"u{rng.integers(0, 80)}",
                f"i{item}",
                1_700_000_000 + 60 * at,
                "garden" if garden else "kitchen",
            )
        )
    pl.DataFrame(rows, ["user", "item", "at", "room"], orient="row").write_csv(place / "views.csv")
    (place / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    train(Schema.load(place / "schema.yaml", [f"model.members={request.param}"]), place, place / "bundle")
    return place / "bundle"


def odd(items: list[str]) -> int:
    return sum(int(item[1:]) % 2 for item in items)


def test_each_scenario_has_its_own_order(bundle: Path) -> None:
    recommender = Recommender(load_bundle(bundle))
    live = LiveRecommender(Recommender(load_bundle(bundle)))
    for user in ("u1", "u2", "never seen"):
        garden = recommender.recommend([user], k=10, scenario="garden")
        kitchen = recommender.recommend([user], k=10, scenario="kitchen")
        if recommender.bundle.blend is None:
            assert odd(garden["item"].to_list()) >= 9
            assert odd(kitchen["item"].to_list()) <= 1
        else:  # neighbours know of no scenario
            assert odd(garden["item"].to_list()) > odd(kitchen["item"].to_list()) + 1
        for scenario, wanted in (("garden", garden), ("kitchen", kitchen)):
            if user == "never seen":
                continue
            answer = live.recommend(Query(user=user, k=10, scenario=scenario))
            assert [one.item for one in answer.items] == wanted["item"].to_list()
            scores = [one.predictions["next"] for one in answer.items]
            np.testing.assert_allclose(scores, wanted["score"].to_numpy(), rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(
                wanted["next"].to_numpy(), wanted["score"].to_numpy(), rtol=1e-3, atol=1e-3
            )


def test_pairs_of_one_user_in_two_scenarios_are_scored_each_in_its_own(bundle: Path) -> None:
    recommender = Recommender(load_bundle(bundle))
    pairs = pl.DataFrame(
        {"user": ["u1"] * 4, "item": ["i0", "i1"] * 2, "room": ["kitchen"] * 2 + ["garden"] * 2}
    )
    found = recommender.predict(pairs)["next"].to_list()
    assert found[3] - found[2] > found[1] - found[0] + 0.1


def test_without_a_scenario_neither_kind_is_preferred(bundle: Path) -> None:
    recommender = Recommender(load_bundle(bundle))
    users = [f"u{k}" for k in range(40)]

    def preference(scenario: str | None) -> float:
        """How much more items of the garden score than those of the kitchen, over users."""
        found = recommender.recommend(users, k=ITEMS, scenario=scenario)
        garden = np.array([int(item[1:]) % 2 for item in found["item"]], bool)
        scores = found["score"].to_numpy()
        return float(scores[garden].mean() - scores[~garden].mean())

    assert preference("garden") > 0 > preference("kitchen")
    # scores of a blend are standardised for each user, so that what little there is without a scenario is stretched
    most = 0.25 if recommender.bundle.blend is None else 0.75
    assert abs(preference(None)) < most * min(preference("garden"), -preference("kitchen"))
