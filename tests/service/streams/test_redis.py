"""Redis streams, in and out of a store, with a real server."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from motet.errors import StreamError, StreamUnavailableError
from motet.service.store import Event, Shown, ShownItem, Store
from motet.service.streams import StreamAddress, ingest_stream, publish_stream

Waits = Callable[[Callable[[], object], str], None]
ReadAll = Callable[[Store], list[Event]]
_NUMBERS = itertools.count()


@pytest.fixture
def name() -> str:
    return f"clicks{next(_NUMBERS)}"


def clicks(n: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"type": "click", "user": f"u{k % 7}", "item": f"i{k}"} for k in range(first, first + n)]


def test_each_message_counts_once_and_a_bad_one_stops_nothing(
    redis_server: Any, store: Store, name: str, read_all: ReadAll
) -> None:
    redis_server.put(
        name, *clicks(3), b"{no json", {"type": "click", "user": "u"}, {**clicks(1)[0], "id": "own"}
    )
    redis_server.client.xadd(name, {"other": "field"})
    redis_server.put(name, {**clicks(1)[0], "context": {"x": "y" * 9_000}}, b'"' + b"a" * 70_000 + b'"')
    redis_server.put(name, {**clicks(1)[0], "id": "own"}, {**clicks(1)[0], "value": 2, "time": 1_700_000_000})
    address = StreamAddress.parse(redis_server.url(name))
    counts = ingest_stream(store, address, once=True, batch=4)
    assert (counts.events, counts.repeated, counts.dead) == (5, 1, 5)
    assert [event.item for event in read_all(store)] == ["i0", "i1", "i2", "i0", "i0"]
    reasons = [row["reason"] for row in redis_server.rows(f"{name}.dead")]
    assert "not JSON" in reasons[0]
    assert "'item'" in reasons[1]
    assert "not JSON" in reasons[2]
    assert "context" in reasons[3]
    assert "65,536 bytes" in reasons[4]
    letter = redis_server.rows(f"{name}.dead")[4]
    assert letter["bytes"] == 70_002
    assert len(letter["content"]) == 4_096
    assert redis_server.client.xpending(name, "motet")["pending"] == 0


def test_what_was_written_and_not_acknowledged_counts_once(
    redis_server: Any, store: Store, name: str, read_all: ReadAll
) -> None:
    redis_server.put(name, *clicks(10))
    address = StreamAddress.parse(redis_server.url(name))
    assert ingest_stream(store, address, once=True).events == 10
    redis_server.client.xgroup_setid(name, "motet", "0")  # as if no acknowledgement had arrived
    again = ingest_stream(store, address, once=True)
    assert (again.events, again.repeated) == (0, 10)
    assert len(read_all(store)) == 10


def test_a_time_that_is_not_given_is_that_of_the_server(redis_server: Any, store: Store, name: str) -> None:
    redis_server.client.xadd(name, {"event": json.dumps(clicks(1)[0])}, id="1700000000123-0")
    ingest_stream(store, StreamAddress.parse(redis_server.url(name)), once=True)
    assert store.events.after(0)[0].time.timestamp() == 1_700_000_000.123


def test_killed_in_the_middle_nothing_is_lost_or_twice(
    redis_server: Any, store: Store, place: Path, name: str, command: Any, waits: Waits, read_all: ReadAll
) -> None:
    total, arguments = 1_500, ("in", "--store", place, "--from", redis_server.url(name), "--batch", 20)
    redis_server.put(name, *clicks(total - 1), b"[]")
    process = command(*arguments)
    waits(lambda: store.events.last() >= 200, "some are there")
    process.kill()
    assert store.events.last() < total - 1
    code, printed = command(*arguments, "--once", "--json").wait()
    assert code == 0
    assert json.loads(printed)["dead"] == 1
    assert Counter(event.item for event in read_all(store)) == Counter(f"i{k}" for k in range(total - 1))
    sums: Counter[str] = Counter()
    for row in store.feedback.page(10_000).rows:
        sums[row.user] += int(row.value)
    assert sums == Counter(f"u{k % 7}" for k in range(total - 1))


def test_the_server_goes_away_and_comes_back(
    redis_server: Any, store: Store, place: Path, name: str, command: Any, waits: Waits, read_all: ReadAll
) -> None:
    process = command("in", "--store", place, "--from", redis_server.url(name))
    redis_server.put(name, *clicks(50))
    waits(lambda: store.events.last() == 50, "all is read")
    redis_server.stop()
    waits(lambda: any("cannot be reached" in line for line in process.said), "the outage is said")
    redis_server.start()
    redis_server.put(name, *clicks(50, 50))
    waits(lambda: store.events.last() == 100, "the rest is read")
    code, printed = process.stop()
    assert code == 0
    assert "100 events, 0 repeated" in printed
    assert any("going on after" in line for line in process.said)


def test_a_stream_that_was_deleted_is_read_from_its_new_beginning(
    redis_server: Any, store: Store, name: str, waits: Waits
) -> None:
    stop = threading.Event()
    address = StreamAddress.parse(redis_server.url(name))
    reader = threading.Thread(target=ingest_stream, args=(store, address), kwargs={"stop": stop})
    reader.start()
    redis_server.put(name, *clicks(2))
    waits(lambda: store.events.last() == 2, "all is read")
    redis_server.client.delete(name)
    redis_server.put(name, *clicks(2))
    waits(lambda: store.events.last() == 4, "the new ones are read")
    stop.set()
    reader.join()


def test_entries_of_a_consumer_that_died_long_ago_are_read(
    redis_server: Any, store: Store, name: str
) -> None:
    redis_server.put(name, *clicks(3))
    redis_server.client.xgroup_create(name, "motet", "0")
    redis_server.client.xreadgroup("motet", "dead", {name: ">"}, count=2)
    ids = [one["message_id"] for one in redis_server.client.xpending_range(name, "motet", "-", "+", 10)]
    redis_server.client.xclaim(name, "motet", "dead", 0, ids, idle=120_000)
    assert ingest_stream(store, StreamAddress.parse(redis_server.url(name)), once=True).events == 3


def test_an_entry_that_was_deleted_before_it_was_read_again_is_a_dead_letter(
    redis_server: Any, store: Store, name: str
) -> None:
    redis_server.put(name, *clicks(2))
    redis_server.client.xgroup_create(name, "motet", "0")
    redis_server.client.xreadgroup("motet", "motet", {name: ">"}, count=1)
    redis_server.client.xdel(name, redis_server.client.xrange(name)[0][0])
    counts = ingest_stream(store, StreamAddress.parse(redis_server.url(name)), once=True)
    assert (counts.events, counts.dead) == (1, 1)
    assert "trimmed" in redis_server.rows(f"{name}.dead")[0]["reason"]
    assert redis_server.client.xpending(name, "motet")["pending"] == 0


def test_events_are_published_in_order_and_once(
    redis_server: Any, store: Store, place: Path, name: str, command: Any, waits: Waits
) -> None:
    store.events.add([Event(("click", "view")[k % 2], "ann", f"i{k}", id=str(k)) for k in range(800)])
    arguments = ("out", "--store", place, "--to", redis_server.url(name), "--batch", 10)
    process = command(*arguments)
    waits(lambda: redis_server.client.xlen(name) >= 100, "some are written")
    process.kill()
    assert redis_server.client.xlen(name) < 800
    process = command(*arguments)
    waits(lambda: redis_server.client.xlen(name) == 800, "all are written")
    store.events.add([Event("click", "bob", "i1", id="new")])
    waits(lambda: redis_server.client.xlen(name) == 801, "the new one is written")
    assert process.stop()[0] == 0
    assert [row["seq"] for row in redis_server.rows(name)] == list(range(1, 802))


def test_what_is_published_can_be_read(
    redis_server: Any, store: Store, tmp_path: Path, name: str, read_all: ReadAll
) -> None:
    event = Event("rate", "ann", "tea", 4.5, scenario="home", context={"a": 1}, list_id="l", propensity=0.5)
    store.events.add([event, Event("view", "ann", "tea")])
    address = StreamAddress.parse(redis_server.url(name))
    assert publish_stream(store, address, types=["rate"], once=True).published == 1
    with Store(tmp_path / "other.sqlite") as other:
        assert ingest_stream(other, address, once=True).events == 1
        assert read_all(other) == read_all(store)[:1]
    # again, from where it ended, and from where it is said
    assert publish_stream(store, address, types=["rate"], once=True).published == 0
    assert publish_stream(store, address, after=0, once=True).published == 2


def test_lists_are_published_some_seconds_after(redis_server: Any, store: Store, name: str) -> None:
    old = datetime.now(UTC) - timedelta(minutes=1)
    items = (ShownItem("tea", 0.5, 0.25, ("popular",), {"like": 0.75}), ShownItem("rice"))
    store.shown.add([Shown(items, f"l{k}", "ann", time=old + timedelta(seconds=k % 2)) for k in range(5)])
    store.shown.add([Shown(items, "now", "ann")])
    address = StreamAddress.parse(redis_server.url(name))
    assert publish_stream(store, address, "recommendations", batch=2, once=True).published == 5
    assert publish_stream(store, address, "recommendations", once=True).published == 0
    rows = redis_server.rows(name)
    assert [row["list_id"] for row in rows] == ["l0", "l2", "l4", "l1", "l3"]
    assert rows[0]["items"][0] == {
        "rank": 1,
        "item": "tea",
        "score": 0.5,
        "propensity": 0.25,
        "sources": ["popular"],
        "predictions": {"like": 0.75},
    }


def test_what_is_wrong_at_the_start_is_said(redis_server: Any, store: Store, name: str) -> None:
    redis_server.client.set(name, "a text")
    for work in (ingest_stream, publish_stream):
        with pytest.raises(StreamError, match="is no stream, but a string"):
            work(store, StreamAddress.parse(redis_server.url(name)))
        with pytest.raises(StreamError, match="correct db="):
            work(store, StreamAddress.parse(redis_server.url(name, "?db=99")))
        with pytest.raises(StreamUnavailableError, match="start the server"):
            work(store, StreamAddress.parse(f"redis://127.0.0.1:1/{name}"))
    redis_server.client.config_set("requirepass", "right")
    try:
        with pytest.raises(StreamError, match="refuses the user") as raised:
            ingest_stream(store, StreamAddress.parse(f"redis://:wrong@127.0.0.1:{redis_server.port}/other"))
        assert ":wrong@" not in str(raised.value)
        right = StreamAddress.parse(f"redis://:right@127.0.0.1:{redis_server.port}/other")
        ingest_stream(store, right, once=True)
    finally:
        redis_server.client.auth("right")
        redis_server.client.config_set("requirepass", "")
