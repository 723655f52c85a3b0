from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from motet.errors import DataError, RequestError
from motet.recommend import Query, read_filter
from motet.service.engine import AskRequest, Engine, ListRequest, RankRequest, RecommendRequest
from motet.service.store import Event, Item, Store, User

Start = Callable[[Store], Engine]


def ids(engine: Engine, **request: Any) -> list[str]:
    return [one.id for one in engine.recommend(RecommendRequest(**request)).items]


def values(engine: Engine, user: str) -> dict[str, float]:
    answer = engine.recommend(RecommendRequest(user=user, k=30, include_seen=True))
    return {one.id: one.value for one in answer.items}


def test_an_answer_names_what_served_it(engine: Engine) -> None:
    known = engine.recommend(RecommendRequest(user="u1", k=5, scenario="home"))
    assert known.served_by == "personal"
    assert len(known.items) == 5
    assert known.model == engine.model.name
    assert known.objective == {"next": 1.0}
    assert [one.rank for one in known.items] == [1, 2, 3, 4, 5]
    assert all(set(one.predictions) == {"like", "stars", "next"} for one in known.items)
    assert known.items[0].title.startswith("The ")
    assert set(known.items[0].fields) == {"kinds", "year"}
    session = engine.recommend(RecommendRequest(history=("3", "8"), k=5))
    assert session.served_by == "session"
    unknown_user = engine.recommend(RecommendRequest(k=5))
    assert unknown_user.served_by in ("scenario_popular", "popular")
    assert len(unknown_user.items) == 5


def test_reasons_come_if_asked(engine: Engine) -> None:
    plain = engine.recommend(RecommendRequest(user="u1", k=3))
    assert all(one.reason is None for one in plain.items)
    recorded = engine.recommend(RecommendRequest(user="u1", k=3, explain=True, trace=True))
    assert any(one.reason for one in recorded.items)
    assert "reasons" in recorded.timings_ms
    assert all(one.trace is not None for one in recorded.items)
    chinese = engine.recommend(RecommendRequest(user="u1", k=3, explain=True, language="zh"))
    assert any("《" in (one.reason or "") or "电影" in (one.reason or "") for one in chinese.items)


def test_what_was_done_counts_at_once_and_after_a_restart(start: Start, store: Store) -> None:
    engine = start(store)
    before = values(engine, "u1")
    first = ids(engine, user="u1", k=3)
    done = engine.add_events(
        [Event("liked", "u1", first[0], 1.0, id="a"), Event("hide", "u1", first[1], id="b")]
    )
    assert (done.accepted, done.repeated) == (2, 0)
    assert done.seq == store.events.last()
    after = values(engine, "u1")
    assert after != before
    assert not {first[0], first[1]} & set(ids(engine, user="u1", k=3))
    again = engine.add_events([Event("liked", "u1", first[0], 1.0, id="a")])
    assert (again.accepted, again.repeated) == (0, 1)
    assert values(engine, "u1") == after
    engine.close()
    assert values(start(store), "u1") == after


def test_hiding_is_no_liking(engine: Engine) -> None:
    past = engine.active.parts.live.history
    now = engine.active.parts.live.items.now
    before = past.of("new", now)
    engine.add_events([Event("hide", "new", "3")])
    hidden = past.of("new", now)
    assert (len(hidden.seen), len(hidden.liked.rows)) == (len(before.seen) + 1, len(before.liked.rows))
    engine.add_events([Event("like", "new", "4")])
    assert len(past.of("new", now).liked.rows) == 1


def test_events_that_cannot_be_are_not_stored(engine: Engine, store: Store) -> None:
    bad = Event("click", "u1", "3", context={"liked": "many"})
    with pytest.raises(DataError):
        engine.add_events([Event("click", "u1", "4"), bad])
    assert store.events.last() == 0


def test_another_process_is_followed(start: Start, store: Store) -> None:
    one, two = start(store), start(store)
    before = values(two, "u2")
    item = ids(one, user="u2", k=1)[0]
    one.add_events([Event("liked", "u2", item)])
    two.model.follow_now()
    assert values(two, "u2") == values(one, "u2") != before
    one.items.put([Item("fresh", fields={"name": "Fresh", "kinds": ["Horror"], "year": 2020})])
    assert one.delete_user("u2")
    two.model.follow_now()
    assert two.items.exists("fresh")
    assert not two.active.is_of_bundle("u2")


def test_a_deleted_user_is_forgotten_everywhere(start: Start, store: Store) -> None:
    engine = start(store)
    engine.add_events([Event("liked", "u3", "1", id="x")])
    engine.language.ask(AskRequest(text="a comedy", user="u3"))
    assert engine.recommend(RecommendRequest(user="u3")).served_by == "personal"
    forgot: list[str] = []
    engine.active.parts = replace(engine.active.parts, forget=lambda: forgot.append("all"))
    assert engine.delete_user("u3")
    assert forgot  # of the words of users and requests, whose they were is not known
    assert store.shown.of_user("u3") == []
    for one in (engine, start(store)):
        assert one.recommend(RecommendRequest(user="u3")).served_by != "personal"
        assert one.users.get("u3") is None
        assert one.users.history("u3").events == ()
        assert not one.language.profile("u3").known
        assert all(user.id != "u3" for user in one.users.page(100).users)
        assert values(one, "u3") == values(one, "never seen")


def test_a_deleted_user_may_come_back_as_new(start: Start, store: Store) -> None:
    engine = start(store)
    engine.delete_user("u3")
    engine.add_events([Event("liked", "u3", "7", time=datetime.now(UTC))])
    back = engine.recommend(RecommendRequest(user="u3", k=30))
    assert back.served_by == "personal"
    engine.add_events([Event("liked", "somebody", "7")])
    assert values(engine, "u3") == values(engine, "somebody")
    assert [one.item for one in engine.users.history("u3").events] == ["7"]
    engine.close()
    assert values(start(store), "u3") == values(engine, "somebody")


def test_a_failing_model_still_answers(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(query: Query) -> None:
        raise RuntimeError("weights are gone")

    monkeypatch.setattr(engine.active.parts.live, "recommend", fail)
    wanted = read_filter({"field": "kinds", "op": "has", "value": "Horror"})
    answer = engine.recommend(RecommendRequest(user="u1", k=4, exclude=("2",), filter=wanted))
    assert answer.served_by == "popular"
    assert len(answer.items) == 4
    assert all("Horror" in one.fields["kinds"] and one.id != "2" for one in answer.items)
    assert "failed" in answer.notes[0]


def test_shown_lists_are_recorded_with_predictions(engine: Engine, store: Store) -> None:
    answer = engine.recommend(RecommendRequest(user="u1", k=3, scenario="home"))
    assert engine.shown_log.flush(5)
    shown = store.shown.get(answer.list_id)
    assert shown is not None
    assert [one.item for one in shown.items] == [one.id for one in answer.items]
    assert shown.items[0].predictions == answer.items[0].predictions
    assert (shown.user, shown.scenario, shown.model) == ("u1", "home", engine.model.name)


def test_rank_gives_all_tasks_and_names_the_unknown(engine: Engine) -> None:
    answer = engine.rank(RankRequest(user="u1", candidates=("5", "nothing", "2", "5")))
    assert answer.unknown == ("nothing",)
    assert {one.id for one in answer.items} == {"5", "2"}
    assert answer.items[0].value >= answer.items[1].value
    assert set(answer.items[0].predictions) == {"like", "stars", "next"}


def test_a_conversation_goes_on(start: Start, store: Store) -> None:
    engine = start(store)
    first = engine.language.ask(AskRequest(text="two comedies, no horror", user="u1"))
    assert [tag.value for tag in first.understood.must_not] == ["Horror"]
    assert len(first.items) == 2
    assert all(one.reason for one in first.items)
    engine.close()
    engine = start(store)
    more = engine.language.ask(AskRequest(text="not the first one", conversation=first.conversation))
    assert more.conversation == first.conversation
    assert first.items[0].id not in [one.id for one in more.items]
    with pytest.raises(RequestError, match="another user"):
        engine.language.ask(AskRequest(text="more", user="u2", conversation=first.conversation))
    with pytest.raises(RequestError, match="not known"):
        engine.language.ask(AskRequest(text="more", conversation="nothing"))


def test_words_of_all_kinds(engine: Engine) -> None:
    found = engine.language.explain("u1", "3")
    assert found.reason
    assert found.evidence
    assert set(found.predictions) == {"like", "stars", "next"}
    assert engine.language.describe("3").text
    profile = engine.language.profile("u1")
    assert profile.known
    assert profile.sentences
    made = engine.language.make_list(ListRequest(text="three comedies, no horror", user="u1"))
    assert (made.status, len(made.items)) == ("complete", 3)


def test_history_is_what_was_told_and_then_what_was_trained_with(engine: Engine) -> None:
    engine.add_events([Event("liked", "u1", str(k), id=f"h{k}") for k in range(3)])
    page = engine.users.history("u1", 4)
    assert [one.source for one in page.events] == ["store"] * 3 + ["bundle"]
    assert [one.item for one in page.events[:3]] == ["2", "1", "0"]
    everything = list(page.events)
    while page.cursor:
        page = engine.users.history("u1", 4, page.cursor)
        everything += page.events
    assert len(everything) == 3 + 12
    assert engine.users.history("u1", 100).events == tuple(everything)
    times = [one.time for one in everything if one.time is not None]
    assert times == sorted(times, reverse=True)


def test_what_a_model_was_trained_with_counts_once(start: Start, store: Store) -> None:
    engine = start(store)
    trained = engine.users.history("u1", 100).events
    before, popular = values(engine, "u1"), engine.recommend(RecommendRequest(k=5)).items
    # what a store holds whose export the model was trained on
    times = [one.time for one in trained if one.time is not None]
    recorded = zip(trained, times, strict=True)
    engine.add_events([Event("liked", "u1", one.item, time=time, id=one.item) for one, time in recorded])
    assert engine.users.history("u1", 100).events == trained
    assert engine.active.events_of("u1") == []
    assert values(engine, "u1") == before
    assert engine.recommend(RecommendRequest(k=5)).items == popular
    unseen = next(str(k) for k in range(30) if str(k) not in {one.item for one in trained})
    engine.add_events([Event("liked", "u1", unseen, time=times[-1])])  # late, and not trained with
    engine.add_events([Event("liked", "u1", trained[0].item, time=datetime.now(UTC))])  # again
    new = [one.item for one in engine.users.history("u1", 100).events if one.source == "store"]
    assert new == [trained[0].item, unseen]
    for one in (engine, start(store)):
        assert [event.item for event in one.active.events_of("u1")] == [unseen, trained[0].item]
        assert values(one, "u1") != before


def test_users_are_those_of_the_bundle_and_of_the_store(engine: Engine) -> None:
    engine.users.put([User("ann", {"age": 30}), User("u1", None, "the first")])
    found, cursor = [], ""
    while True:
        page = engine.users.page(7, cursor)
        found += [one.id for one in page.users]
        cursor = page.cursor
        if not cursor:
            break
    assert found == sorted({"ann", *(f"u{k}" for k in range(40))})
    assert engine.users.get("u1").comment == "the first"  # type: ignore[union-attr]
    assert [one.id for one in engine.users.page(50, text="ann").users] == ["ann"]
    assert engine.users.patch("ann", labels={"age": 31})
    assert engine.users.get("ann").labels == {"age": 31}  # type: ignore[union-attr]
    assert not engine.users.patch("nobody", comment="?")
