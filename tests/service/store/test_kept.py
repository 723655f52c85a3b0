"""Shown lists, satisfaction, states, models, keys, values, counts and forgetting."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, date, datetime, timedelta

import pytest

from motet.errors import StoreError
from motet.service.store import (
    DayCount,
    Event,
    Forgotten,
    ModelVersion,
    Shown,
    ShownItem,
    State,
    Store,
    SurveyAnswer,
    User,
)

T0 = datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC)
DAY = timedelta(days=1)
LIST = Shown(
    (ShownItem("i1", 0.9, 0.5, ("model", "popular"), {"click": 0.2, "genre": [0.1, 0.9]}), ShownItem("i2")),
    "l1",
    "u",
    "s",
    "home",
    T0,
    "m-1",
)


def test_a_shown_list_comes_back(store: Store) -> None:
    store.shown.add([LIST])
    assert store.shown.add([LIST]) == [True]
    assert store.shown.get("l1") == LIST
    assert store.shown.get("l2") is None
    assert (LIST.rank("i1"), LIST.rank("i2"), LIST.rank("i3")) == (1, 2, None)
    with pytest.raises(StoreError, match="twice"):
        store.shown.add([Shown((ShownItem("a"), ShownItem("a")))])


def test_lists_of_a_user_and_of_a_day(store: Store) -> None:
    lists = [Shown((ShownItem("i"),), f"l{k:04}", "u", time=T0 + DAY * (k // 600)) for k in range(1300)]
    store.shown.add(lists)
    assert [one.id for one in store.shown.of_user("u", 2)] == ["l1200", "l1201"]
    assert store.counts.shown(T0, T0 + DAY) == [DayCount(date(2026, 3, 1), "", 600)]


def test_satisfaction(store: Store) -> None:
    store.shown.add([LIST, Shown((), "l2", scenario="home", time=T0)])
    assert not store.satisfaction.put(SurveyAnswer("nowhere", 5))
    assert store.satisfaction.put(SurveyAnswer("l1", 2, time=T0))
    assert store.satisfaction.put(SurveyAnswer("l1", 5, {"fits": "yes"}, T0))
    assert store.satisfaction.put(SurveyAnswer("l2", 2, time=T0 + timedelta(microseconds=1)))
    assert store.satisfaction.get("l1") == SurveyAnswer("l1", 5, {"fits": "yes"}, T0)
    assert store.counts.satisfaction(T0 - DAY, T0 + DAY) == [
        DayCount(date(2026, 3, 1), "home", 1, 5.0),
        DayCount(date(2026, 3, 2), "home", 1, 2.0),
    ]
    for rating in (0, 6, 2.5, True, None):
        with pytest.raises(StoreError, match="answer"):
            SurveyAnswer("l1", rating)  # type: ignore[arg-type]


def test_days_are_counted_also_before_1970(store: Store) -> None:
    start = datetime(1969, 12, 31, tzinfo=UTC)
    context_rows = [
        start,
        start + DAY - timedelta(microseconds=1),
        start + DAY,
        start - timedelta(microseconds=1),
    ]
    store.events.add([Event("click", "u", "i", time=moment) for moment in context_rows])
    assert store.counts.events(start - DAY, start + DAY * 2) == [
        DayCount(date(1969, 12, 30), "click", 1),
        DayCount(date(1969, 12, 31), "click", 2),
        DayCount(date(1970, 1, 1), "click", 1),
    ]


def test_counts_of_all_time_and_in_steps(store: Store) -> None:
    hour = timedelta(hours=1)
    times = [T0, T0 + hour, T0 + hour + timedelta(minutes=7), T0 + DAY]
    store.events.add([Event(type, "u", "i", time=one) for type in ("view", "like") for one in times])
    store.shown.add([LIST])
    assert store.counts.by_type() == {"like": 4, "view": 4}
    began = datetime(2026, 3, 1, 23, tzinfo=UTC)
    assert store.counts.by_step("events", T0, T0 + DAY, hour) == {
        began: 2,
        began + hour: 2,
        began + 2 * hour: 2,
    }
    assert store.counts.by_step("shown", T0, T0 + DAY, timedelta(minutes=15)) == {began + 0.75 * hour: 1}


def test_states(store: Store) -> None:
    first = State("conversation", "c1", {"turn": 1}, "u", T0)
    store.states.put(first)
    store.states.put(State("session", "c1", ["i1"]))
    assert store.states.get("conversation", "c1") == first
    second = State("conversation", "c1", {"turn": 2, "后": None}, None, T0)
    store.states.put(second)
    assert store.states.get("conversation", "c1") == second
    assert store.states.delete("conversation", "c1")
    assert not store.states.delete("conversation", "c1")
    assert store.states.get("session", "c1") is not None
    with pytest.raises(StoreError, match="session"):
        State("sesion", "c", 1)  # type: ignore[arg-type]


def test_what_is_old_is_forgotten(store: Store) -> None:
    store.shown.add([Shown((), f"old{k}", time=T0 - DAY) for k in range(2_500)])
    store.shown.add([LIST])
    store.states.put(State("session", "old", 1, time=T0 - DAY))
    store.states.put(State("session", "new", 1, time=T0))
    store.satisfaction.put(SurveyAnswer("old7", 4, time=T0 - DAY))
    assert store.forget_before(T0) == Forgotten(2_500, 1)
    assert store.forget_before(T0) == Forgotten(0, 0)
    assert store.shown.get("l1") == LIST
    assert store.states.get("session", "new") is not None
    assert store.satisfaction.get("old7") is not None


def test_forgetting_stops_where_it_is_told_to(store: Store) -> None:
    store.shown.add([Shown((), f"old{k}", time=T0 - DAY * (100 - k)) for k in range(90)])
    store.states.put(State("session", "old", 1, time=T0 - DAY))
    assert store.forget_before(T0, most=50) == Forgotten(50, 1)
    assert store.shown.get("old49") is None
    assert store.shown.get("old50") is not None
    assert store.forget_before(T0, most=50) == Forgotten(40, 0)
    with pytest.raises(StoreError, match="most is 0"):
        store.forget_before(T0, most=0)


def test_forgetting_lets_others_write_in_between(store: Store) -> None:
    items = tuple(ShownItem(f"item {k}", k / 7, 0.5, ("model",), {"click": k / 9}) for k in range(50))
    for start in range(0, 2_000, 500):
        store.shown.add([Shown(items, f"{start + k}", "u", time=T0 - DAY) for k in range(500)])
    user = User("u")
    store.users.put([user])
    store.events.add([Event("click", "u", "i", time=T0 - DAY)])
    done = threading.Event()

    def forget() -> None:
        assert store.forget_before(T0) == Forgotten(2_000, 0)
        done.set()

    thread = threading.Thread(target=forget)
    thread.start()
    beside = 0
    while not done.is_set():
        store.events.add([Event("click", "u", "i")])
        beside += 1
    thread.join()
    assert beside > 20
    assert len(store.events.of_user("u", 10_000)) == beside + 1
    assert store.users.get("u") is not None


def test_models(store: Store) -> None:
    models = [ModelVersion(f"m{k}", f"/bundles/m{k}", created=T0 + DAY * k, changed=T0) for k in range(3)]
    for model in models:
        store.models.put(model)
    store.models.put(ModelVersion("bad", "/bundles/bad", "refused", "no manifest.json", T0 - DAY, T0))
    assert store.models.in_state("active") is None
    for name in ("m0", "m1", "m2", "m2"):
        store.models.activate(name)
    assert {model.name: model.state for model in store.models.all()} == {
        "m0": "loaded",
        "m1": "previous",
        "m2": "active",
        "bad": "refused",
    }
    assert [model.name for model in store.models.all()] == ["m2", "m1", "m0", "bad"]
    previous = store.models.in_state("previous")
    assert previous is not None
    store.models.activate(previous.name)  # rolled back
    active = store.models.in_state("active")
    assert active is not None
    assert (active.name, active.path) == ("m1", "/bundles/m1")
    with pytest.raises(StoreError, match="refused"):
        store.models.activate("bad")
    with pytest.raises(StoreError, match="no model 'm9'"):
        store.models.activate("m9")
    with pytest.raises(StoreError, match="activate"):
        store.models.put(ModelVersion("m3", "/x", "active"))
    assert not store.models.delete("m1")
    assert store.models.delete("m0")


def test_one_model_is_active_however_many_activate(store: Store) -> None:
    for k in range(4):
        store.models.put(ModelVersion(f"m{k}", "/x"))
    threads = [threading.Thread(target=store.models.activate, args=(f"m{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = sorted(model.state for model in store.models.all())
    assert states == ["active", "loaded", "loaded", "previous"]


def test_keys(store: Store, url: str) -> None:
    assert not store.keys.any()
    text, key = store.keys.create(["read", "write"], "the shop")
    assert store.keys.verify(text) == key
    assert key.scopes == {"read", "write"}
    assert store.keys.any()
    _, id, secret = text.split("_", 2)
    for wrong in (
        "",
        "x",
        id,
        f"motet_{id}_",
        f"motet_{id}_{secret[:-1]}",
        f"motet_{'0' * 16}_{secret}",
        text + "é",
    ):
        assert store.keys.verify(wrong) is None
    assert store.keys.verify(f"motet_{id}_{chr(0xD800)}") is None
    with Store(url) as second:
        assert second.keys.verify(text) == key
        assert second.keys.all() == [key]
        assert second.keys.revoke(key.id)
        assert second.keys.verify(text) is None
        assert not second.keys.revoke(key.id)
    store.keys._cache.clear()  # what five seconds do
    assert store.keys.verify(text) is None
    assert not store.keys.any()
    assert store.keys.all()[0].revoked is not None
    for scopes in ([], ["root"]):
        with pytest.raises(StoreError, match="scope"):
            store.keys.create(scopes)  # type: ignore[arg-type]


def test_no_key_is_in_the_file(store: Store, url: str) -> None:
    text, _ = store.keys.create(["admin"])
    if "://" in url:
        with store._database.reading() as connection:
            kept = repr(connection.exec_driver_sql("SELECT * FROM keys").all())
    else:
        with sqlite3.connect(url) as file:
            kept = "\n".join(file.iterdump())
        file.close()
    assert text.split("_")[1] in kept
    assert text.split("_", 2)[2] not in kept


def test_values(store: Store, url: str) -> None:
    assert store.values.get("theme", "light") == "light"
    store.values.put("theme", {"dark": True})
    store.values.put("theme", {"dark": False})
    with Store(url) as second:
        assert second.values.get("theme") == {"dark": False}
    assert store.can_read()
