from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from motet.errors import DataError
from motet.models import build_model
from motet.recommend import LiveRecommender, Objective, Query, Recommender, read_filter
from motet.recommend.live import LiveEvent
from motet.recommend.rerank import Boost, Bury, Cap, Explore, Fresh, Pin
from motet.testing import hashed_words_for_tests, toy_dataset
from motet.training import load_bundle, save_bundle


@pytest.fixture(scope="module", params=["with words of the pair", "ahead"])
def recommender(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """The toy world; only where no template joins words of user and item can items be computed ahead."""
    template = ("features.interaction.request.template='{query}'",) if request.param == "ahead" else ()
    toy = toy_dataset(overrides=template)
    place = tmp_path_factory.mktemp("items") / "bundle"
    save_bundle(place, model=build_model(toy.schema, toy.encoder, seed=3).eval(), data=toy, metrics={})
    return Recommender(load_bundle(place), hashed_words_for_tests)


@pytest.fixture
def live(recommender: Recommender) -> LiveRecommender:
    return LiveRecommender(recommender)


def ids(live: LiveRecommender, **query: object) -> list[str]:
    return [
        item.item for item in live.recommend(Query.model_validate({"user": "u1", "k": 100, **query})).items
    ]


def test_rows_are_stable_and_snapshots_do_not_change(live: LiveRecommender) -> None:
    early = live.items.now
    table, shown = early.view.table.codes.copy(), early.shown.copy()
    rows = {item: early.row(item) for item in ("10", "20")}
    live.upsert_items([{"item": f"n{k}", "title": "x", "price": k} for k in range(200)])
    live.upsert_items([{"item": "10", "title": "changed title", "price": 3}])
    live.delete_items(["20"])
    assert {item: early.row(item) for item in rows} == rows
    assert early.row("n3") == -1
    np.testing.assert_array_equal(early.view.table.codes, table)
    np.testing.assert_array_equal(early.shown, shown)
    late = live.items.now
    assert late.row("20") == -1
    assert late.origin[late.row("10")] == rows["10"]
    assert late.ids[late.row("n3")] == "n3"
    answer = live.rank(Query(user="u1"), ["10"])
    assert answer.items[0].row == rows["10"]
    recorded = live.items.recorded("10")
    assert recorded is not None
    assert recorded["title"] == "changed title"


def test_an_item_upserted_twice_comes_once_and_events_follow_it(live: LiveRecommender) -> None:
    for price in (5, 6, 7):
        live.upsert_items([{"item": "n", "title": "storm", "price": price}])
    assert ids(live).count("n") == 1
    assert (
        live.items.eligible(live.items.now, read_filter({"field": "price", "op": "eq", "value": 6})).count
        == 0
    )
    live.add_events([LiveEvent(user="u1", item="n", at_s=2e9)])
    assert "n" not in ids(live)  # seen
    live.upsert_items([{"item": "n", "title": "storm", "price": 8}])
    assert "n" not in ids(live)
    assert "n" in ids(live, include_seen=True)


def test_an_item_upserted_unchanged_needs_no_row(live: LiveRecommender) -> None:
    row = {"item": "n", "title": "storm", "price": 5}
    live.upsert_items([row])
    before = live.items.now
    assert live.upsert_items([row, {**row, "unused": 1}]).replaced == 1
    live.patch_items([{"item": "n", "price": 5}])
    assert live.items.now is before
    live.patch_items([{"item": "n", "price": 6}])
    live.upsert_items([{"item": "n", "price": 6}])  # now without a title
    assert live.items.now.outdated == before.outdated + 2
    found = live.items.recorded("n")
    assert found is not None
    assert (found["title"], found["price"]) == (None, 6)
    live.delete_items(["n"])
    live.upsert_items([{"item": "n", "price": 6}])
    assert "n" in ids(live)


def test_hidden_and_deleted_items_and_their_return(live: LiveRecommender) -> None:
    first = ids(live, include_seen=True, duplicates=True)
    live.hide_items([first[0]])
    assert live.items.hidden(first[0])
    assert sorted(ids(live, include_seen=True, duplicates=True)) == sorted(first[1:])
    assert live.rank(Query(user="u1"), [first[0]]).items  # known all the same
    live.hide_items([first[0]], hidden=False)
    assert live.delete_items([first[1], "nobody"]) == 1
    live.upsert_items([{"item": first[1], "title": "back"}])
    assert sorted(ids(live, include_seen=True, duplicates=True)) == sorted(first)


def test_wrong_items_change_nothing(live: LiveRecommender) -> None:
    version = live.items.now.version
    wrong: tuple[tuple[list[dict[str, object]], str], ...] = (
        ([{"title": "no id"}], "no id"),
        ([{"item": "a", "price": "dear"}], "price"),
        ([{"item": "a", "price": 1}, {"item": "b", "price": [1]}], "several kinds"),
    )
    for rows, match in wrong:
        with pytest.raises(DataError, match=match):
            live.upsert_items(rows)
    assert live.items.now.version == version
    assert live.items.now.row("a") == -1
    assert len(live.items.now) == 30


def test_a_new_user_with_words_is_the_same_everywhere(
    live: LiveRecommender, recommender: Recommender
) -> None:
    known = {"user": "stranger", "about": "night river storm", "age": 31, "hobbies": "ski|tea"}
    wanted = recommender.recommend(pl.DataFrame([known]), k=5, scenario="search")
    np.testing.assert_allclose(wanted["score"].to_numpy(), wanted["next"].to_numpy(), atol=1e-5)
    live.upsert_users([known])
    answer = live.recommend(Query(user="stranger", k=5, scenario="search", duplicates=True))
    assert [item.item for item in answer.items] == wanted["item"].to_list()
    for name in ("click", "stars", "next", "worth"):
        found = [item.predictions[name] for item in answer.items]
        np.testing.assert_allclose(found, wanted[name].to_numpy(), atol=1e-5)


def test_words_of_people_and_words_of_items_are_kept_apart(recommender: Recommender) -> None:
    of_items: list[str] = []
    of_people: list[str] = []

    def encode(seen: list[str], texts: Sequence[str]) -> NDArray[np.float32]:
        seen += texts
        return hashed_words_for_tests(texts)

    opened = Recommender(
        recommender.bundle, partial(encode, of_items), encode_private=partial(encode, of_people)
    )
    live = LiveRecommender(opened)
    assert of_items == of_people == []
    live.upsert_items([{"item": "n", "title": "a storm at sea", "price": 5}])
    assert any("storm" in text for text in of_items)
    assert not any("storm" in text for text in of_people)
    of_items.clear()
    live.upsert_users([{"user": "somebody", "about": "sails alone"}])
    live.recommend(Query(user="somebody", k=5, context={"query": "quiet harbours"}))
    assert of_items == []
    assert any("sails" in text for text in of_people)
    assert any("harbours" in text for text in of_people)


def test_the_context_of_a_request_counts(live: LiveRecommender, recommender: Recommender) -> None:
    context = {"device": "web", "wait": 2.5, "query": "secret garden", "notes": "gift"}
    pairs = pl.DataFrame([{"user": "u1", "item": "10", "place": "search", **context}])
    wanted = recommender.predict(pairs)
    found = live.rank(Query.model_validate({"user": "u1", "scenario": "search", "context": context}), ["10"])
    for task in ("click", "stars", "next"):
        assert found.items[0].predictions[task] == pytest.approx(wanted[task][0], abs=1e-5)
    plain = live.rank(Query(user="u1", scenario="search"), ["10"])
    assert abs(plain.items[0].predictions["click"] - wanted["click"][0]) > 1e-5


def test_new_texts_are_found_by_words(live: LiveRecommender) -> None:
    live.upsert_items([{"item": "n", "title": "secret garden train", "blurb": "garden"}])
    answer = live.recommend(Query(text="secret garden train", k=30, sources=("text",)))
    assert answer.items[0].served_by == "session"
    found = {item.item: item.sources for item in answer.items}
    assert "text" in found["n"]


def test_masks_grow_with_the_catalogue(live: LiveRecommender) -> None:
    cheap = read_filter({"field": "price", "op": "lt", "value": 1})
    before = live.items.eligible(live.items.now, cheap)
    assert live.items.eligible(live.items.now, cheap) is before
    live.upsert_items([{"item": "n", "title": "x", "price": 0.5}, {"item": "m", "title": "y", "price": 50}])
    after = live.items.eligible(live.items.now, cheap)
    assert after.count == before.count + 1
    assert after.mask[live.items.now.row("n")]


def test_rules_say_what_they_did(live: LiveRecommender) -> None:
    plain = ids(live, include_seen=True)
    last, first = plain[-1], plain[0]
    only_first = read_filter({"field": "id", "op": "eq", "value": first})
    only_last = read_filter({"field": "id", "op": "eq", "value": last})
    answer = live.recommend(
        Query(
            user="u1",
            k=100,
            include_seen=True,
            trace=True,
            rules=(Pin(item=last, position=2), Bury(where=only_first)),
        )
    )
    order = [item.item for item in answer.items]
    assert order[1] == last
    assert order[-1] == first
    steps = {item.item: item.steps for item in answer.items}
    assert [(s.name, s.before, s.reason) for s in steps[first]][:1] == [("bury", 1, "the rule buries it")]
    assert steps[last][-1].reason == "pinned by a rule"
    assert ids(live, include_seen=True, rules=[Boost(where=only_last, by=100)])[0] == last
    # a pin does not bring back what may not come
    assert last not in ids(live, include_seen=True, rules=[Pin(item=last, position=1)], exclude=[last])


def test_caps_count_values(live: LiveRecommender) -> None:
    answer = live.recommend(
        Query(
            user="u1",
            k=8,
            include_seen=True,
            rules=(Cap(field="genres", at_most=2), Cap(field="brand", value="ace", at_most=0)),
        )
    )
    frame = live.items.now.view.frame
    rows = [live.items.now.row(item.item) for item in answer.items]
    genres = [
        genre for row in rows for genre in (frame["genres"][row] if frame["genres"][row] is not None else [])
    ]
    assert all(genres.count(genre) <= 2 for genre in set(genres))
    assert "ace" not in [frame["brand"][row] for row in rows]


def test_freshness_brings_new_items_up(live: LiveRecommender) -> None:
    live.upsert_items([{"item": "n", "title": "x"}])
    plain = ids(live, include_seen=True).index("n")
    fresh = ids(live, include_seen=True, rules=[Fresh(weight=1000.0, half_life_days=1)])
    assert fresh.index("n") == 0 <= plain


def test_items_that_read_alike_come_once(live: LiveRecommender) -> None:
    twins = [
        {"item": f"t{k}", "title": " Twin Peaks" if k else "twin peaks", "price": 9, "genres": "crime"}
        for k in range(3)
    ]
    live.upsert_items(twins)
    assert len([item for item in ids(live) if item.startswith("t")]) == 1
    assert len([item for item in ids(live, duplicates=True) if item.startswith("t")]) == 3
    answer = live.recommend(Query(user="u1", k=100, trace=True))
    assert all(step.reason for item in answer.items for step in item.steps)


def test_objectives_move_the_order(live: LiveRecommender) -> None:
    def column(weights: dict[str, float], task: str, scale: str) -> list[float]:
        query = Query.model_validate(
            {
                "user": "u1",
                "k": 30,
                "include_seen": True,
                "duplicates": True,
                "objective": {"weights": weights, "scale": scale},
            }
        )
        answer = live.recommend(query)
        values = [item.value for item in answer.items]
        assert values == sorted(values, reverse=True)
        return [item.predictions[task] for item in answer.items]

    for scale in ("standard", "label"):
        for task in ("click", "stars", "next", "dear"):
            assert column({task: 1.0}, task, scale) == sorted(column({task: 1.0}, task, scale), reverse=True)
            down = column({task: -2.0}, task, scale)
            assert down == sorted(down)
    answer = live.recommend(
        Query(user="u1", k=5, objective=Objective(weights={"click": 1, "stars": 2}, scale="label"))
    )
    for item in answer.items:
        assert item.value == pytest.approx(
            item.predictions["click"] + 2 * item.predictions["stars"], abs=1e-5
        )


def test_drawn_lists_can_be_drawn_again(live: LiveRecommender) -> None:
    query = Query(user="u1", k=5, include_seen=True, explore=Explore(temperature=1.0))
    answer = live.recommend(query)
    again = live.recommend(query.model_copy(update={"seed": answer.seed}))
    assert [(i.item, i.propensity) for i in again.items] == [(i.item, i.propensity) for i in answer.items]
    assert all(0 < item.propensity < 1 for item in answer.items)
    lists = {tuple(i.item for i in live.recommend(query).items) for _ in range(10)}
    assert len(lists) > 1


def test_users_recorded_while_serving(live: LiveRecommender) -> None:
    assert live.recommend(Query(user="stranger", k=3)).served_by == "popular"
    predictions = (
        live.rank(Query(user="stranger", user_features={"age": 70, "job": "cook"}), ["10"])
        .items[0]
        .predictions
    )
    live.upsert_users([{"user": "stranger", "age": 70, "job": "cook"}])
    assert live.recommend(Query(user="stranger", k=3)).served_by == "personal"
    assert live.rank(Query(user="stranger"), ["10"]).items[0].predictions == predictions
    live.add_events([LiveEvent(user="other", item="10", at_s=1e9)])
    assert live.recommend(Query(user="other", k=3)).served_by == "personal"
    assert live.forget_user("other")
    assert live.forget_user("stranger")
    assert live.recommend(Query(user="other", k=3)).served_by == "popular"
    assert live.recommend(Query(user="stranger", k=3)).served_by == "popular"


def test_events_without_a_time_are_the_latest(live: LiveRecommender) -> None:
    clicks = [("70", 5e8), ("80", 0.0), ("90", 3e8), ("100", 0.0), ("110", 9e8)]
    live.add_events([LiveEvent(user="new", item=item, type="click", at_s=at_s) for item, at_s in clicks])
    now = live.items.now
    past = live.history.of("new", now)
    assert [now.ids[row] for row in past.liked.rows] == ["90", "70", "80", "100", "110"]
    after = live.history.after(past, [LiveEvent(item="10")], now)
    assert now.ids[after.liked.rows[-1]] == "10"
    assert len(live.history.of("new", now).liked.rows) == 5


def test_a_clock_that_is_ahead_does_not_stop_the_trend(live: LiveRecommender) -> None:
    live.add_events([LiveEvent(user="v", item="70", type="click", at_s=9e9, scenario="search")])
    live.add_events([LiveEvent(user=f"v{k}", item="80", type="click", scenario="search") for k in range(3)])
    assert live.recommend(Query(scenario="search", k=2)).items[0].item == "80"


def test_events_taken_back_and_users_erased(live: LiveRecommender) -> None:
    before = live.rank(Query(user="u1"), ["10", "20"])
    events = [LiveEvent(user="u1", item=item, type="click", value=1, at_s=2e9) for item in ("70", "80")]
    live.add_events(events)
    both = live.rank(Query(user="u1"), ["10", "20"])
    live.replace_events("u1", events[:1])
    one = live.rank(Query(user="u1"), ["10", "20"])
    live.replace_events("u1", [])
    assert live.rank(Query(user="u1"), ["10", "20"]).items == before.items
    assert len({answer.items[0].value for answer in (before, both, one)}) == 3
    assert live.erase_user("u1")
    assert not live.erase_user("nobody")
    unknown = live.rank(Query(user="never seen"), ["10", "20"])
    assert live.rank(Query(user="u1"), ["10", "20"]).items == unknown.items
    assert live.recommend(Query(user="u1", k=3)).served_by == "popular"


def test_what_is_popular_in_a_scenario(live: LiveRecommender) -> None:
    events = [
        LiveEvent(user=f"v{k}", item="70", type="click", value=1, at_s=2e9, scenario="search")
        for k in range(9)
    ]
    live.add_events(
        [*events, LiveEvent(user="v", item="80", type="click", value=0, at_s=2e9, scenario="search")]
    )
    answer = live.recommend(Query(scenario="search", k=3))
    assert answer.served_by == "scenario_popular"
    assert answer.items[0].item == "70"
    assert answer.links == {"scenario_popular": 3}
    assert live.recommend(Query(k=3)).served_by == "popular"


@pytest.mark.parametrize("place", ["home", "search", "checkout"])
def test_what_was_popular_in_a_scenario_is_known_from_the_start(live: LiveRecommender, place: str) -> None:
    behaviour, data = live.bundle.behaviour, live.bundle.data
    assert behaviour.scenario is not None
    task = live.schema.liking_task
    liked = behaviour.label(str(task)) > 0
    here = liked & (behaviour.scenario == data.encoder.scenarios.index(place))
    age_s = (behaviour.time[liked].max() - behaviour.time[here]) / 1e6
    weight = np.bincount(behaviour.items.values[here], 0.5 ** (age_s / (30 * 86_400)), len(data.items))
    answer = live.recommend(Query(scenario=place, k=3))
    assert answer.served_by == "scenario_popular"
    assert [one.item for one in answer.items] == [
        data.item_ids[int(at)] for at in np.argsort(-weight, kind="stable")[:3]
    ]


def test_a_bundle_that_kept_no_scenarios_has_what_is_recorded(recommender: Recommender) -> None:
    bundle = replace(recommender.bundle, behaviour=replace(recommender.bundle.behaviour, scenario=None))
    older = LiveRecommender(Recommender(bundle))
    assert older.recommend(Query(scenario="home", k=3)).served_by == "popular"
    older.add_events([LiveEvent(user="v", item="70", type="click", value=1, at_s=2e9, scenario="home")])
    assert older.recommend(Query(scenario="home", k=3)).items[0].item == "70"


def test_memory_of_users_is_bounded_and_can_be_loaded(recommender: Recommender) -> None:
    kept: dict[str, list[LiveEvent]] = {}
    live = LiveRecommender(recommender, users=10, load=lambda user: kept.get(user, []))
    for k in range(50):
        event = LiveEvent(user=f"v{k}", item="70", at_s=1e9)
        live.add_events([event])
        kept[event.user] = [event]
    assert len(live.history) == 10
    assert "70" not in [item.item for item in live.recommend(Query(user="v0", k=100)).items]
    assert len(live.history) == 10


def test_events_of_unknown_items_are_named(live: LiveRecommender) -> None:
    added = live.add_events([LiveEvent(user="u1", item="nope"), LiveEvent(user="u1", item="10")])
    assert (added.events, added.unknown_items) == (1, ("nope",))
    with pytest.raises(DataError, match="has no user"):
        live.add_events([LiveEvent(item="10")])


def test_similar_items(live: LiveRecommender) -> None:
    live.upsert_items(
        [
            {"item": "a", "title": "storm city love", "genres": "crime"},
            {"item": "b", "title": "storm city love", "genres": "crime"},
        ]
    )
    found = live.similar("a", 5)
    assert found[0].item == "b"
    assert "text" in found[0].by
    assert "a" not in [one.item for one in found]
    none = live.similar("a", 5, wanted=read_filter({"field": "id", "op": "eq", "value": "zzz"}))
    assert none == []


def test_many_read_while_one_writes(live: LiveRecommender) -> None:
    """No request fails, and every answer is one of the catalogue of its snapshot."""
    stop, errors = threading.Event(), list[BaseException]()

    def read(user: int) -> None:
        while not stop.is_set():
            try:
                answer = live.recommend(Query(user=f"u{user}", k=10, include_seen=True))
                assert len(answer.items) == 10
                assert len({item.item for item in answer.items}) == 10
                time.sleep(0.005)  # so that the writer comes to its turn
            except BaseException as error:  # reported below
                errors.append(error)
                return

    readers = [threading.Thread(target=read, args=(k,)) for k in range(2)]
    for reader in readers:
        reader.start()
    for k in range(25):
        live.upsert_items([{"item": f"n{k % 20}", "title": f"title {k}", "price": k}])
        live.add_events([LiveEvent(user=f"u{k % 3}", item=f"n{k % 20}", at_s=2e9 + k)])
        if k % 3 == 0:
            live.delete_items([f"n{(k + 7) % 20}"])
            live.patch_items([{"item": "10", "price": float(k)}])
    stop.set()
    for reader in readers:
        reader.join(10)
    assert not errors, errors[0]


def test_a_new_item_that_is_hidden_is_never_shown(live: LiveRecommender) -> None:
    """Hiding it after it was added would leave a time in which it can be recommended."""
    shown: list[bool] = []
    publish = live.items._publish

    def published(**changes: object) -> None:
        publish(**changes)  # type: ignore[arg-type]
        now = live.items.now
        shown.extend(bool(now.shown[now.latest[row]]) for row, item in enumerate(now.ids) if item == "secret")

    live.items._publish = published  # type: ignore[method-assign]
    rows = [{"item": "secret", "title": "storm", "price": 3}, {"item": "open", "title": "sun", "price": 4}]
    live.upsert_items(rows, hidden=["secret", "never added"])
    assert shown == [False]
    assert live.items.hidden("secret")
    assert not live.items.hidden("open")
    live.patch_items([{"item": "secret", "price": 5}])
    assert live.items.hidden("secret")  # nothing was said of it
    live.patch_items([{"item": "secret", "price": 6}, {"item": "open", "price": 6}], hidden={"open"})
    assert (live.items.hidden("secret"), live.items.hidden("open")) == (False, True)
    live.patch_items([{"item": "secret", "price": 6}], hidden={"secret"})  # known already, but for that
    assert live.items.hidden("secret")
    version = live.items.now.version
    live.patch_items([{"item": "secret", "price": 6}], hidden={"secret"})
    assert live.items.now.version == version
    live.delete_items(["secret"])
    live.upsert_items(rows[:1])
    assert "secret" in ids(live)
    with pytest.raises(DataError):
        live.upsert_items([{"item": "secret", "genres": [[1]]}], hidden=["secret"])
    assert not live.items.hidden("secret")
