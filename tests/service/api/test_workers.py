"""Several processes that answer for one service: real ones, on one socket and one store."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.api.conftest import Service

from motet.service.api import RateLimit, SharedState

CONNECTIONS = 12  # the kernel gives each to any worker: all to one by chance once in two thousand times


def children(parent: int) -> list[int]:
    """Processes that a process has started, its threads included."""
    found = []
    for task in Path(f"/proc/{parent}/task").iterdir():
        found += [int(one) for one in (task / "children").read_text().split()]
    return sorted(found)


def is_alive(process: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    end_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.05)


@contextmanager
def connections(service: Any) -> Iterator[list[httpx.Client]]:
    """Clients, each with an open connection of its own."""
    with ExitStack() as stack:
        made = (httpx.Client(base_url=service.address, timeout=30) for _ in range(CONNECTIONS))
        clients = [stack.enter_context(one) for one in made]
        for one in clients:
            assert one.get("/v1/health/live").status_code == 200
        yield clients


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc")


@needs_proc
def test_workers_answer_as_one(run: Callable[..., Any]) -> None:
    service = run("--workers", "2", "--rate", "100000", "--drain", "0")
    assert " · workers: 2" in service.said
    workers = children(service.process.pid)
    assert len(workers) == 2

    def listed(client: httpx.Client, k: int = 5) -> list[str]:
        items = client.post("/v1/recommend", json={"user": "visitor", "k": k}).json()["items"]
        return [one["id"] for one in items]

    with connections(service) as clients:
        # an event counts in the next answer, whichever worker took it and whichever answers
        for client in clients[:6]:
            item = listed(client)[0]
            event = {"user": "visitor", "item": item, "type": "like", "value": 1}
            sent = client.post("/v1/events", json={"events": [event]})
            assert sent.status_code == 200, sent.text
            assert not [other for other in clients if item in listed(other)]
        assert len({tuple(listed(client, 10)) for client in clients}) == 1
        # and a user is deleted everywhere
        assert clients[0].delete("/v1/users/visitor").status_code == 200
        for client in clients:
            assert client.get("/v1/users/visitor/history").json()["events"] == []
        # metrics are those of all
        text = clients[0].get("/metrics").text
        counted = re.findall(r'motet_requests_total\{[^}]*/v1/recommend"[^}]*\} (\S+)', text)
        assert sum(map(float, counted)) == 6 + 7 * CONNECTIONS
        assert "motet_ready 1.0" in text
    assert service.end(signal.SIGTERM) == 0
    assert not any(map(is_alive, workers))


def test_workers_say_at_the_start_what_one_says(tmp_path: Path) -> None:
    place = ("--store", str(tmp_path / "store.sqlite"), "--port", "0", "--models", str(tmp_path / "trained"))
    service = Service("--workers", "2", "--drain", "0", "--train-set", "training.epochs=2", *place)
    assert service.process.stdout is not None
    try:
        # what is counted in memory is of one of them, which is said
        assert service.client.get("/v1/stats").json()["workers"] == 2
        for language, words in (("en", "2 processes answer"), ("zh", "共有 2 个进程应答")):
            assert words in service.client.get(f"/operate?lang={language}").text
    finally:
        service.process.send_signal(signal.SIGTERM)
        said = service.process.stdout.read().splitlines()
        service.end(signal.SIGTERM)
    assert said[0].startswith("no keys: everything is allowed")
    assert said[1] == f"it trains on what it is sent; models: {tmp_path / 'trained'}"


@pytest.mark.soak
@needs_proc
def test_a_worker_that_dies_is_started_again_and_none_outlives_the_service(run: Callable[..., Any]) -> None:
    service = run("--workers", "2", "--rate", "100000", "--drain", "0")
    first = children(service.process.pid)
    event = {"user": "v", "item": "1", "type": "like", "value": 1}
    sent = service.client.post("/v1/events", json={"events": [event]})
    assert sent.status_code == 200, sent.text
    os.kill(first[0], signal.SIGKILL)
    until(lambda: len(set(children(service.process.pid)) - set(first)) == 1)
    now = children(service.process.pid)
    assert first[1] in now
    assert first[0] not in now
    with connections(service) as clients:  # the other one answers meanwhile
        for client in clients:
            assert client.get("/v1/users/v/history").json()["events"][0]["item"] == "1"
    assert service.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: not any(map(is_alive, now)))


@needs_proc
def test_a_rate_counts_over_all_workers(run: Callable[..., Any]) -> None:
    service = run("--workers", "2", "--rate", "5", "--drain", "0")  # ten at once
    with connections(service) as clients:
        began_s = time.monotonic()
        answers = [client.get("/v1/schema").status_code for _ in range(4) for client in clients]
        took_s = time.monotonic() - began_s
    passed = answers.count(200)
    assert passed + answers.count(429) == len(answers)
    assert 10 <= passed <= 11 + 5 * took_s


def test_a_mistake_is_explained_once(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "motet",
        "serve",
        str(tmp_path / "none"),
        "--workers",
        "2",
        "--port",
        "0",
    ]
    command += ["--store", str(tmp_path / "store.sqlite")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("none") == 1, ended.stderr
    assert "Traceback" not in ended.stderr


# -- shared memory -------------------------------------------------------------------------------


class _TokenBucket:
    """The textbook's: so many tokens a second up to a burst."""

    def __init__(self, per_s: float, burst: int) -> None:
        self.per_s, self.burst, self.tokens, self.last_s = per_s, burst, float(burst), 0.0

    def takes(self, now_s: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now_s - self.last_s) * self.per_s)
        self.last_s = now_s
        if self.tokens < 1 - 1e-6:
            return False
        self.tokens -= 1
        return True


@given(
    per_s=st.sampled_from([0.5, 5.0, 200.0]),
    burst=st.integers(1, 20),
    waits=st.lists(st.sampled_from([0.0, 0.001, 0.1, 0.5, 3.0]), max_size=60),
)
def test_the_rate_is_that_of_a_token_bucket(per_s: float, burst: int, waits: list[float]) -> None:
    limit, bucket, now_s = RateLimit(per_s, burst), _TokenBucket(per_s, burst), 1000.0
    bucket.last_s = now_s
    for wait_s in waits:
        now_s += wait_s
        left_s = limit.wait_s("ann", now_s=now_s)
        assert (left_s == 0) is bucket.takes(now_s)
        assert left_s <= 1 / per_s + 1e-6


def test_workers_share_rates_and_hear_of_each_other(tmp_path: Path) -> None:
    SharedState.make(tmp_path / "shared")
    one, two = (SharedState(tmp_path / "shared", index) for index in (0, 1))
    limits = [RateLimit(1.0, 4, each) for each in (one, two)]
    assert [limits[n % 2].wait_s("ann", now_s=10.0) for n in range(6)] == [0, 0, 0, 0, 1, 1]
    assert limits[1].wait_s("bob", now_s=10.0) == 0
    assert not one.changed()
    two.notify()
    assert one.changed()
    assert not one.changed()
    assert not two.changed()  # its own
    again = SharedState(tmp_path / "shared", 1)  # started again with the same number
    again.notify()
    assert one.changed()


def test_many_addresses_take_no_more_memory_and_push_the_emptiest_bucket_not_out() -> None:
    limit = RateLimit(1.0, 2)
    assert [limit.wait_s("busy", now_s=5.0 + n / 10) for n in range(20)][-1] > 0
    for n in range(100_000):
        assert limit.wait_s(f"address {n}", now_s=6.95) == 0
    assert limit.wait_s("busy", now_s=6.95) > 0  # its bucket is the emptiest of its group
