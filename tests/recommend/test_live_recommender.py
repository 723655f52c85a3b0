from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from motet.data import Dataset, Ragged, build_dataset
from motet.errors import DataError, RequestError
from motet.kinds import SequenceFeature
from motet.models import build_model
from motet.recommend import LiveRecommender, Query, Recommender, read_filter, read_query
from motet.recommend.live import LiveEvent
from motet.testing import hashed_words_for_tests, toy_dataset, toy_schema, toy_tables
from motet.training import load_bundle, save_bundle

CLOSE = 1e-5


def served(data: Dataset, place: Path) -> Recommender:
    model = build_model(data.schema, data.encoder, seed=3).eval()
    save_bundle(place, model=model, data=data, metrics={})
    return Recommender(load_bundle(place), hashed_words_for_tests)


@pytest.fixture(scope="module")
def recommender(toy: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return served(toy, tmp_path_factory.mktemp("live") / "bundle")


@pytest.fixture
def live(recommender: Recommender) -> LiveRecommender:
    return LiveRecommender(recommender)


def test_known_users_get_what_the_recommender_gives(live: LiveRecommender, recommender: Recommender) -> None:
    for user in ("u0", "u5"):
        wanted = recommender.recommend([user], k=30, scenario="search")
        answer = live.recommend(Query(user=user, k=len(wanted), scenario="search", duplicates=True))
        assert answer.served_by == "personal"
        assert [item.item for item in answer.items] == wanted["item"].to_list()
        for name in ("click", "stars", "next"):
            found = [item.predictions[name] for item in answer.items]
            np.testing.assert_allclose(found, wanted[name].to_numpy(), atol=CLOSE)
        assert [item.predictions["mood"]["label"] for item in answer.items] == wanted["mood"].to_list()
        assert [item.predictions["marks"] for item in answer.items] == wanted["marks"].to_list()


@pytest.mark.parametrize("sequences", [("mean", "gru"), ("target",)], ids=["sums", "target attention"])
def test_live_events_count_as_if_the_bundle_held_them(sequences: tuple[str, ...], tmp_path: Path) -> None:
    tables = toy_tables(rows=240, seed=1)
    order = pl.col("at").rank("ordinal")
    log = tables["interactions"].with_columns(
        at=1_700_000_000 + 3600 * order, click=pl.col("click").fill_null(0)
    )
    late = log.filter(pl.col("at").rank("ordinal", descending=True).over("user") <= 3)
    template = "features.interaction.request.template='{query}'"
    schema = toy_schema(sequences=sequences, overrides=(template,))
    for name, frame in (tables | {"interactions": log}).items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    after = served(build_dataset(schema, tmp_path, encode_text=hashed_words_for_tests), tmp_path / "bundle")
    live = LiveRecommender(as_before(after, late))
    events = [
        LiveEvent(user=user, item=str(item), type="click", value=click, at_s=at, scenario=place)
        for user, item, click, at, place in late.select("user", "item", "click", "at", "place").iter_rows()
    ]
    users, items = sorted({event.user for event in events})[:6], ["10", "70", "150"]
    pairs = pl.DataFrame({"user": users}).join(pl.DataFrame({"item": items}), how="cross")
    wanted = after.predict(pairs.with_columns(place=pl.lit("home")))
    blind = {user: live.rank(Query(user=user, scenario="home"), items) for user in users}
    assert live.add_events(events).events == len(events)
    for user in users:
        before = {item.item: item.predictions for item in blind[user].items}
        moved = False
        for item in live.rank(Query(user=user, scenario="home"), items).items:
            row = wanted.filter((pl.col("user") == user) & (pl.col("item") == item.item))
            for task in ("click", "stars", "next", "buy"):
                assert item.predictions[task] == pytest.approx(row[task][0], abs=CLOSE)
                moved |= abs(item.predictions[task] - before[item.item][task]) > 1e-4
            assert item.predictions["plan"]["label"] == row["plan"][0]
        assert moved


def as_before(after: Recommender, late: pl.DataFrame) -> Recommender:
    """The bundle as it would be, had the late events not happened yet."""
    data = after.bundle.data
    users = {user: row for row, user in enumerate(data.user_ids)}
    items = {item: row for row, item in enumerate(data.item_ids)}
    histories = {}
    for name, history in data.histories.items():
        lists = [some.tolist() for some in np.split(history.items.values, history.items.offsets[1:-1])]
        feature = after.schema.features.user[name]
        clicks_only = isinstance(feature, SequenceFeature) and feature.where is not None
        backwards = late.sort("at", descending=True)
        for user, item, click in backwards.select("user", "item", "click").iter_rows():
            if click == 1 or not clicks_only:
                assert lists[users[user]].pop() == items[str(item)]
        lengths = np.array([len(some) for some in lists], np.int64)
        kept = Ragged.from_lengths(np.array([row for some in lists for row in some], np.int32), lengths)
        known = lengths.astype(np.int32)
        histories[name] = replace(history, items=kept, known=known, train=known)
    behaviour = after.bundle.behaviour
    behaviour = replace(
        behaviour, time=np.zeros_like(behaviour.time)
    )  # so that all that is recorded is later
    bundle = replace(after.bundle, data=replace(data, histories=histories), behaviour=behaviour)
    return Recommender(bundle, hashed_words_for_tests)


def test_new_items_are_recommended_from_the_next_request_on(live: LiveRecommender) -> None:
    row = {
        "item": "999",
        "title": "night river storm",
        "price": 12.5,
        "brand": "ace",
        "genres": "crime",
        "odd": 1,
    }
    done = live.upsert_items([row])
    assert (done.new, done.replaced, done.ignored) == (1, 0, ("odd",))
    answer = live.recommend(Query(user="u1", k=100))
    assert "999" in [item.item for item in answer.items]
    only = live.recommend(
        Query(user="u1", k=100, filter=read_filter({"field": "id", "op": "eq", "value": 999}))
    )
    assert [item.item for item in only.items] == ["999"]
    live.delete_items(["999"])
    assert "999" not in [item.item for item in live.recommend(Query(user="u1", k=100)).items]
    assert live.rank(Query(user="u1"), ["999", "10"]).unknown == ("999",)


def test_a_new_item_gets_the_same_numbers_as_in_a_prediction(
    live: LiveRecommender, recommender: Recommender
) -> None:
    row = {
        "item": "999",
        "title": "night river storm",
        "price": 12.5,
        "brand": "ace",
        "genres": "crime|drama",
    }
    live.upsert_items([row])
    pairs = pl.DataFrame([{"user": "u3", "place": "home", **row}])
    wanted = recommender.predict(pairs)
    found = live.rank(Query(user="u3", scenario="home"), ["999"]).items[0].predictions
    for task in ("click", "stars", "next", "stock", "dear"):
        assert found[task] == pytest.approx(wanted[task][0], abs=CLOSE)


def test_a_patch_changes_what_it_names_and_nothing_else(live: LiveRecommender) -> None:
    before = live.rank(Query(user="u2"), ["30"]).items[0]
    live.patch_items([{"item": "30", "price": live.items.recorded("30")["price"]}])  # type: ignore[index]
    same = live.rank(Query(user="u2"), ["30"]).items[0]
    assert same.row == before.row
    for task, value in before.predictions.items():
        assert same.predictions[task] == (
            pytest.approx(value, abs=CLOSE) if isinstance(value, float) else value
        )
    live.patch_items([{"item": "30", "genres": "nature"}])
    recorded = live.items.recorded("30")
    assert recorded is not None
    assert recorded["genres"] == "nature"
    only = live.recommend(
        Query(
            user="u2",
            k=100,
            include_seen=True,
            filter=read_filter({"field": "id", "op": "eq", "value": "30"}),
        )
    )
    assert [item.item for item in only.items] == ["30"]
    with pytest.raises(DataError, match="'nope' is not known"):
        live.patch_items([{"item": "nope", "price": 1}])


def test_a_session_moves_the_answer_and_is_not_kept(live: LiveRecommender) -> None:
    anonymous = live.recommend(Query(k=5))
    assert anonymous.served_by == "popular"
    session = live.recommend(Query(k=5, history=("10", "20", "30")))
    assert session.served_by == "session"
    assert not {"10", "20", "30"} & {item.item for item in session.items}
    assert live.recommend(Query(k=5)).served_by == "popular"
    assert len(live.history) == 0


def test_a_list_is_never_empty_while_an_item_may_come(live: LiveRecommender) -> None:
    everything = [str(10 * (k + 1)) for k in range(30)]
    live.add_events(
        [
            LiveEvent(user="new", item=item, type="click", value=1, at_s=1e9 + n)
            for n, item in enumerate(everything)
        ]
    )
    again = live.recommend(Query(user="new", k=3))
    assert again.served_by == "again"
    assert len(again.items) == 3
    assert not live.recommend(Query(user="new", k=3, exclude=tuple(everything))).items


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"user": "u1", "filter": {"field": "prise", "op": "lt", "value": 3}}, "did you mean 'price'"),
        ({"user": "u1", "filter": {"field": "price", "op": "lt", "value": "3"}}, "holds numbers"),
        ({"user": "u1", "objective": {"weights": {"clik": 1}}}, "did you mean 'click'"),
        ({"user": "u1", "objective": {"weights": {"mood": 1}}}, "no one number"),
        ({"user": "u1", "scenario": "hom"}, "did you mean 'home'"),
        ({"user": "u1", "kk": 3}, "no part 'kk'"),
        ({"user": "u1", "k": 0}, "wrong at 'k'"),
        ({"user": "u1", "context": {"divice": "web"}}, "did you mean 'device'"),
    ],
)
def test_mistakes_are_named(live: LiveRecommender, content: dict[str, object], match: str) -> None:
    with pytest.raises(RequestError, match=match):
        live.recommend(read_query(content))


def test_the_schema_must_have_users(tmp_path: Path) -> None:
    recommender = served(toy_dataset(rows=120, users=False), tmp_path / "b")
    with pytest.raises(DataError, match="has no users"):
        LiveRecommender(recommender)


def test_an_item_that_was_turned_down_is_seen_and_not_liked(recommender: Recommender) -> None:
    """The types that every schema knows mean the same from Python as from the service."""
    live = LiveRecommender(recommender)
    events = [LiveEvent(user="none", item="10", type=type, at_s=2e9) for type in ("hide", "click", "view")]
    parsed = live.history.reader.read(events)
    assert [(one.liked, one.refused) for one in parsed] == [(False, True), (True, False), (None, False)]
    live.add_events([LiveEvent(user="somebody", item="10", type="dislike", at_s=2e9)])
    history = live.history.of("somebody", live.items.now)
    assert (len(history.seen), len(history.liked.rows)) == (1, 0)


def test_who_is_known_is_answered_personally(recommender: Recommender) -> None:
    """One definition of an unknown user: what `knows` says is what an answer says it was made from."""
    live = LiveRecommender(recommender)
    live.add_events([LiveEvent(user="of events", item="10", type="view", at_s=2e9)])
    live.upsert_users([{"user": "of features", "age": 44}])
    for user, known in (("u0", True), ("of events", True), ("of features", True), ("never seen", False)):
        assert live.knows(user) is known
        assert (live.recommend(Query(user=user, k=3)).served_by == "personal") is known
    for user in ("u0", "of events", "of features"):
        live.erase_user(user)
        assert not live.knows(user)
        assert live.recommend(Query(user=user, k=3)).served_by != "personal"
    live.add_events([LiveEvent(user="u0", item="10", type="view", at_s=2.1e9)])
    assert live.knows("u0")
