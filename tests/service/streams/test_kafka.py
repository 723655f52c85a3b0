"""Kafka topics, in and out of a store, with the mock cluster of librdkafka in a process of its own."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from motet.errors import StreamError, StreamUnavailableError
from motet.service.store import Event, Store
from motet.service.streams import StreamAddress, ingest_stream, publish_stream

confluent_kafka = pytest.importorskip("confluent_kafka", reason="the extra 'streams' is not installed")

Waits = Callable[[Callable[[], object], str], None]
ReadAll = Callable[[Store], list[Event]]
_NUMBERS = itertools.count()
_CLUSTER = """
import sys
import time
from confluent_kafka import Producer
producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
broker = next(iter(producer.list_topics(timeout=30).brokers.values()))
print(f"{broker.host}:{broker.port}", flush=True)
sys.stdin.read()
"""


class Cluster:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.server = self._process.stdout.readline().strip()
        self._producer = confluent_kafka.Producer({"bootstrap.servers": self.server, "log_level": 0})

    def put(self, topic: str, *rows: object) -> None:
        for k, row in enumerate(rows):
            content = row if isinstance(row, bytes) else json.dumps(row)
            self._producer.produce(topic, content, partition=k % 3)
        assert self._producer.flush(30) == 0

    def rows(self, topic: str, n: int) -> list[tuple[int, dict[str, Any]]]:
        """The first n messages of a topic, each with its partition."""
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": self.server, "group.id": "test", "log_level": 0}
        )
        parts = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign(
            [confluent_kafka.TopicPartition(topic, one, confluent_kafka.OFFSET_BEGINNING) for one in parts]
        )
        found: list[tuple[int, dict[str, Any]]] = []
        while len(found) < n:
            message = consumer.poll(30)
            assert message is not None
            found.append((message.partition(), json.loads(message.value())))
        assert consumer.poll(0.3) is None
        consumer.close()
        return found

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def close(self) -> None:
        self._producer.purge()
        self._process.communicate("", 30)

    def url(self, topic: str, more: str = "") -> str:
        return f"kafka://{self.server}/{topic}{more}"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    found = Cluster()
    yield found
    found.close()


@pytest.fixture
def topic() -> str:
    return f"clicks{next(_NUMBERS)}"


def clicks(n: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"type": "click", "user": f"u{k % 7}", "item": f"i{k}"} for k in range(first, first + n)]


def test_each_message_counts_once_and_a_bad_one_stops_nothing(
    cluster: Cluster, store: Store, topic: str, read_all: ReadAll
) -> None:
    cluster.put(topic, *clicks(3), b"{no json", {**clicks(1)[0], "id": "own"}, {**clicks(1)[0], "id": "own"})
    address = StreamAddress.parse(cluster.url(topic))
    counts = ingest_stream(store, address, once=True, batch=2)
    assert (counts.events, counts.repeated, counts.dead) == (4, 1, 1)
    again = ingest_stream(store, address, once=True)
    assert (again.events, again.repeated, again.dead) == (0, 0, 0)  # the offsets were committed
    other_group = StreamAddress.parse(cluster.url(topic, "?group=other"))
    again = ingest_stream(store, other_group, once=True)
    assert (again.events, again.repeated) == (0, 5)  # the ids are those of the places
    letters = [letter for _, letter in cluster.rows(f"{topic}.dead", 2)]  # each group has its own
    assert letters[0]["place"].startswith(f"kafka:{topic}:0:1:")
    assert letters[0]["place"] == letters[1]["place"]
    cluster.put(topic, *clicks(1))
    latest = StreamAddress.parse(cluster.url(topic, "?group=late&start=latest"))
    assert ingest_stream(store, latest, once=True).repeated == 0
    assert ingest_stream(store, address, once=True).events == 1
    assert len(read_all(store)) == 5


@pytest.mark.soak
def test_killed_in_the_middle_nothing_is_lost_or_twice(
    cluster: Cluster, store: Store, place: Path, topic: str, command: Any, waits: Waits, read_all: ReadAll
) -> None:
    cluster.put(topic, *clicks(800))
    arguments = ("in", "--store", place, "--from", cluster.url(topic), "--batch", 10)
    process = command(*arguments)
    waits(lambda: store.events.last() >= 100, "some are there")
    process.kill()
    assert store.events.last() < 800
    code, printed = command(*arguments, "--once", "--json").wait()
    assert code == 0
    assert json.loads(printed)["events"] > 0
    assert Counter(event.item for event in read_all(store)) == Counter(f"i{k}" for k in range(800))


@pytest.mark.soak
def test_the_cluster_hangs_and_goes_on(
    cluster: Cluster, store: Store, place: Path, topic: str, command: Any, waits: Waits
) -> None:
    cluster.put(topic, *clicks(5))
    process = command("in", "--store", place, "--from", cluster.url(topic))
    waits(lambda: store.events.last() == 5, "all is read")
    cluster.signal(signal.SIGSTOP)
    try:
        time.sleep(1)
        assert process.is_running
    finally:
        cluster.signal(signal.SIGCONT)
    cluster.put(topic, *clicks(5, 5))
    waits(lambda: store.events.last() == 10, "the rest is read")
    code, printed = process.stop()
    assert code == 0
    assert "10 events, 0 repeated" in printed


@pytest.mark.soak
def test_a_cluster_that_refuses_connections_is_waited_for(
    store: Store, place: Path, topic: str, command: Any, waits: Waits
) -> None:
    cluster = Cluster()
    cluster.put(topic, *clicks(5))
    process = command("in", "--store", place, "--from", cluster.url(topic))
    waits(lambda: store.events.last() == 5, "all is read")
    cluster.close()
    waits(
        lambda: any("waiting" in line and "start the broker" in line for line in process.said), "it is said"
    )
    assert process.stop()[0] == 0


def test_events_are_published_in_the_order_of_each_user(cluster: Cluster, store: Store, topic: str) -> None:
    store.events.add([Event("click", f"u{k % 7}", f"i{k}") for k in range(100)])
    address = StreamAddress.parse(cluster.url(topic))
    assert publish_stream(store, address, once=True, batch=30).published == 100
    assert publish_stream(store, address, once=True).published == 0
    rows = cluster.rows(topic, 100)
    assert sorted(row["seq"] for _, row in rows) == list(range(1, 101))
    for user in range(7):
        own = [(partition, row["seq"]) for partition, row in rows if row["user"] == f"u{user}"]
        assert own == sorted(own)
        assert len({partition for partition, _ in own}) == 1


def test_what_is_wrong_at_the_start_is_said(cluster: Cluster, store: Store, topic: str) -> None:
    address = StreamAddress.parse(cluster.url(topic))
    with pytest.raises(StreamError, match="refuses a setting"):
        ingest_stream(store, address, kafka={"no.such.setting": 1})
    with pytest.raises(StreamError, match="not yours to set"):
        ingest_stream(store, address, kafka={"group.id": "mine"})


def test_a_broker_that_does_not_answer_is_said(cluster: Cluster, store: Store, topic: str) -> None:
    with pytest.raises(StreamUnavailableError, match="start the broker"):
        ingest_stream(store, StreamAddress.parse(f"kafka://127.0.0.1:1/{topic}"))
