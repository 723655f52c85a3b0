from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from motet.errors import StoreError, StoreUnavailableError
from motet.recommend.live import LiveEvent
from motet.service.store import METADATA, Event, Store, StoreSettings

T0 = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def test_an_event_comes_back_as_it_went_in(store: Store) -> None:
    event = Event(
        "click",
        "安",
        "p/1",
        2.5,
        T0,
        "e1",
        "home",
        {"device": "☎", "n": 1, "none": None, "yes": True, "half": 0.5},
        "list-1",
        0.25,
    )
    assert store.events.add([event]) == [True]
    (found,) = store.events.after(0)
    assert found == Event(**{name: getattr(event, name) for name in event.__slots__ if name != "seq"}, seq=1)
    assert store.events.get("e1") == found
    assert store.events.get("e2") is None


def test_times_are_utc_to_the_microsecond(store: Store) -> None:
    east = datetime(2026, 3, 1, 20, 0, 0, 7, tzinfo=timezone(timedelta(hours=8)))
    store.events.add([Event("click", "u", "i", time=east, id="1")])
    store.events.add([Event("click", "u", "i", time=datetime(1, 1, 1, tzinfo=UTC), id="2")])
    found = store.events.after(0)
    assert found[0].time == east
    assert found[0].time.tzinfo is UTC
    assert found[1].time == datetime(1, 1, 1, tzinfo=UTC)


def test_an_id_counts_once(store: Store, url: str) -> None:
    one, two = Event("click", "u", "i", id="1"), Event("click", "u", "i", id="2")
    assert store.events.add([one, one, two]) == [True, False, True]
    assert store.events.add([two, Event("like", "other", "j", id="1")]) == [False, False]
    with Store(url) as again:
        assert again.events.add([one]) == [False]
        assert [event.id for event in again.events.after(0)] == ["1", "2"]
        assert again.feedback.of_user("u")[0].value == 2.0
    assert store.events.add([]) == []


def test_ids_are_made_where_missing(store: Store) -> None:
    assert store.events.add([Event("click", "u", "i") for _ in range(50)]) == [True] * 50


def test_order_and_paging(store: Store) -> None:
    store.events.add([Event("click" if i % 2 else "view", f"u{i % 3}", "i", id=str(i)) for i in range(30)])
    seen: list[str] = []
    place = 0
    while found := store.events.after(place, 7):
        assert [event.seq for event in found] == sorted(event.seq for event in found)
        seen += [event.id for event in found]
        place = found[-1].seq
    assert seen == [str(i) for i in range(30)]
    assert store.events.last() == place
    assert [e.id for e in store.events.of_user("u1", 3)] == ["28", "25", "22"]
    assert [e.id for e in store.events.of_user("u1", 3, types=["click"])] == ["25", "19", "13"]
    assert {e.type for e in store.events.after(0, types=["view"])} == {"view"}


def test_a_reader_never_misses_an_event_while_many_write(url: str) -> None:
    """Every event appears after the place read so far, whoever committed first; two stores write, as two processes do."""
    with Store(url) as first, Store(url) as second:
        written: set[str] = set()
        done = threading.Event()

        def write(store: Store, name: str) -> None:
            for i in range(25):
                ids = [f"{name}-{i}-{k}" for k in range(3)]
                assert all(store.events.add([Event("click", "u", "i", id=id) for id in ids]))
                written.update(ids)

        threads = [
            threading.Thread(target=write, args=(store, f"{n}-{k}"))
            for n, store in enumerate((first, second))
            for k in range(3)
        ]
        seen: list[str] = []

        def read() -> None:
            place = 0
            while True:
                last = done.is_set()
                while found := second.events.after(place, 20):
                    place = found[-1].seq
                    seen.extend(event.id for event in found)
                if last:
                    return

        reader = threading.Thread(target=read)
        for thread in [*threads, reader]:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        reader.join()
        assert len(seen) == len(set(seen)) == 6 * 25 * 3
        assert set(seen) == written
        assert first.feedback.of_user("u")[0].value == 450.0


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"type": ""}, "event.type"),
        ({"user": "a\0b"}, "event.user"),
        ({"item": "\ud800"}, "event.item"),
        ({"id": "x" * 513}, "event.id"),
        ({"value": float("nan")}, "event.value"),
        ({"value": True}, "event.value"),
        ({"value": 10**400}, "event.value"),
        ({"time": datetime(2026, 1, 1)}, "event.time"),
        ({"propensity": 0}, "event.propensity"),
        ({"propensity": 1.5}, "event.propensity"),
        ({"scenario": ""}, "event.scenario"),
        ({"context": [1]}, "event.context"),
        ({"context": {"said": ["a", "b"]}}, "event.context"),
        ({"context": {"of": {"a": 1}}}, "event.context"),
        ({"context": {"n": 2**63}}, "event.context"),
        ({"context": {"n": float("inf")}}, "event.context"),
        ({"context": {1: "a"}}, "event.context"),
        ({"context": {f"c{k}": k for k in range(201)}}, "event.context"),
        ({"type": "t" * 201}, "event.type"),
        ({"value": 1.1e15}, "event.value"),
        ({"value": -1.1e15}, "event.value"),
        ({"time": datetime(5000, 1, 1, 0, 0, 1, tzinfo=UTC)}, "event.time"),
    ],
)
def test_what_no_database_holds_is_refused(parts: dict[str, object], field: str) -> None:
    given: dict[str, object] = {"type": "click", "user": "u", "item": "i", **parts}
    with pytest.raises(StoreError, match=field) as caught:
        Event(**given)  # type: ignore[arg-type]
    assert caught.value.cure


@pytest.mark.parametrize("context", [{"x": {1, 2}}, {"x": float("inf")}, {"x": "\udc00"}, {"x": "y" * 9000}])
def test_contexts_that_are_no_small_json_are_refused(store: Store, context: dict[str, object]) -> None:
    with pytest.raises(StoreError, match=r"event\.context"):
        store.events.add([Event("click", "u", "i", context=context)])
    assert store.events.after(0) == []


def test_a_context_nested_too_deeply_is_refused(store: Store) -> None:
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"x": deep}
    with pytest.raises(StoreError, match=r"event\.context"):
        store.events.add([Event("click", "u", "i", context=deep)])


def test_ids_too_long_for_an_index_are_refused_and_fail_no_other_call(store: Store, url: str) -> None:
    """SQLite takes them; PostgreSQL's message must not read as if the same call could succeed later."""
    codes = np.random.default_rng(0).integers(0x4E00, 0x9FA5, 1_224)  # drawn, for PostgreSQL compresses
    drawn = "".join(map(chr, codes))
    event = Event(drawn[:200], drawn[200:712], drawn[712:])
    # Until the block ends writes wait; what comes after the first is written together.
    with ThreadPoolExecutor() as threads, Store(url) as other, other._database.writing():
        threads.submit(store.events.add, [Event("view", "u", "first")])
        while store.written.waiting != 1:
            time.sleep(0.01)
        time.sleep(0.05)
        long = threads.submit(store.events.add, [event])
        short = threads.submit(store.events.add, [Event("view", "u", "i")])
        while store.written.waiting != 3:
            time.sleep(0.01)
    assert short.result() == [True]
    if "://" not in url:
        assert long.result() == [True]
        return
    with pytest.raises(StoreError, match="index row size") as caught:
        long.result()
    assert not isinstance(caught.value, StoreUnavailableError)
    assert "shorter ids" in caught.value.cure


def test_what_is_at_the_limits_can_be_told_to_a_model(store: Store) -> None:
    context = {f"c{k}": (k, 0.5, "x", None, True, -(2**63))[k % 6] for k in range(200)}
    event = Event(
        "t" * 200, "u" * 512, "i" * 512, -1e15, datetime(5000, 1, 1, tzinfo=UTC), "1", None, context
    )
    store.events.add([event])
    (found,) = store.events.after(0)
    recorded = LiveEvent(
        user=found.user,
        item=found.item,
        type=found.type,
        value=found.value,
        at_s=found.time.timestamp(),
        columns=dict(found.context),
    )
    assert recorded.columns == context


def test_an_event_of_an_older_store_is_read_within_the_limits(store: Store, tmp_path: Path) -> None:
    context = {"a": [1], "b": "kept", **{f"c{k}": k for k in range(300)}}
    row = {
        "id": "1",
        "type": "t" * 300,
        "user_id": "u",
        "item_id": "i",
        "value": 1e308,
        "time": int(datetime(9000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000,
        "context": json.dumps(context),
    }
    with store._database.writing() as connection:
        connection.execute(METADATA.tables["events"].insert(), [row])
    (found,) = store.events.after(0)
    assert (found.type, found.value, found.time) == ("t" * 200, 1e15, datetime(5000, 1, 1, tzinfo=UTC))
    assert len(found.context) == 200
    assert found.context["b"] == "kept"
    assert "a" not in found.context
    with Store(tmp_path / "second.sqlite") as second:  # what it exports, another store takes
        assert second.import_lines("events", store.export_lines("events")).new == 1


@pytest.mark.parametrize("limit", [0, -1, 10_001, True])
def test_a_limit_out_of_range_is_refused(store: Store, limit: int) -> None:
    with pytest.raises(StoreError, match="page of"):
        store.events.after(0, limit)


def test_too_many_at_once_are_refused(url: str) -> None:
    with Store(url, StoreSettings(most_rows=10)) as store:
        with pytest.raises(StoreError, match="11 rows"):
            store.events.add([Event("click", "u", "i") for _ in range(11)])
        assert store.events.add([Event("click", "u", "i") for _ in range(10)]) == [True] * 10


def test_unknown_users_and_items_are_made_when_asked(store: Store) -> None:
    store.events.add([Event("click", "ann", "tea")])
    assert store.users.get("ann") is None
    store.events.add([Event("click", "ann", "tea"), Event("click", "ann", "tea")], insert_missing=True)
    user, item = store.users.get("ann"), store.items.get("tea")
    assert user is not None
    assert item is not None
    assert not item.is_hidden
    assert [(c.what, c.key, c.deleted) for c in store.changes.after(0)] == [
        ("user", "ann", False),
        ("item", "tea", False),
    ]


@pytest.mark.parametrize(("mode", "value"), [("add", 3.0), ("overwrite", 2.0)])
def test_events_fold_into_feedback_as_asked(store: Store, mode: str, value: float) -> None:
    store.events.add([Event("click", "u", "i", 1.0, T0)])
    store.events.add([Event("click", "u", "i", 2.0, T0 + timedelta(hours=1))], feedback=mode)  # type: ignore[arg-type]
    store.events.add([Event("click", "u", "i", 4.0, T0)], feedback="none")
    (found,) = store.feedback.of_user("u")
    assert found.value == value
    assert found.updated == T0 + timedelta(hours=1)
    assert found.time == (T0 if mode == "add" else found.updated)


def test_without_group_commit_all_is_the_same(url: str) -> None:
    with Store(url, StoreSettings(group_commit=False)) as store:
        assert store.events.add([Event("click", "u", "i", id="1")]) == [True]
        assert store.events.add([Event("click", "u", "i", id="1")]) == [False]
        assert store.written.transactions == 2
