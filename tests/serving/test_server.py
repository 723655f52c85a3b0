"""A real process on a real port: started, killed, asked slowly."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from motet.cli import main
from motet.errors import RequestError
from motet.serving import listen

Run = Callable[..., "Service"]


class Service:
    """``motet serve`` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "motet", "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if "motet serves" in line:
                break
        found = re.search(r"motet serves \S+ on (http://127\.0\.0\.1:(\d+))", self.said)
        assert found, self.said
        self.address, self.port = found.group(1), int(found.group(2))
        self.client = httpx.Client(base_url=self.address, timeout=30)

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        code = self.process.wait(60)
        self.client.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def run(films: Path, tmp_path: Path) -> Iterator[Run]:
    running: list[Service] = []

    def one(*arguments: str) -> Service:
        place = ("--store", str(tmp_path / "store.sqlite"), "--port", "0", "--no-pages")
        running.append(Service(str(films), *place, *arguments))
        return running[-1]

    yield one
    for service in running:
        if service.process.poll() is None:
            service.end(signal.SIGKILL)


def recommended(service: Service, user: str) -> list[tuple[str, float]]:
    answer = service.client.post("/v1/recommend", json={"user": user, "k": 10, "keep_seen": True})
    return [(one["id"], one["value"]) for one in answer.json()["items"]]


@pytest.mark.slow
def test_killed_at_work_it_keeps_what_it_acknowledged(run: Run) -> None:
    service = run()
    before = recommended(service, "u1")
    accepted: list[str] = []

    def tell(name: str) -> None:
        for k in range(1_000):
            event = {"id": f"{name}-{k}", "type": "liked", "user": "u1", "item": str(k % 30)}
            try:
                answer = service.client.post("/v1/events", json={"events": [event]})
            except httpx.HTTPError:
                return
            if answer.status_code == 200:
                accepted.append(event["id"])

    threads = [threading.Thread(target=tell, args=(name,)) for name in "abc"]
    for one in threads:
        one.start()
    while len(accepted) < 30:
        time.sleep(0.01)
    service.process.kill()
    for one in threads:
        one.join()
    service.end(signal.SIGKILL)
    again = run()
    lines = again.client.get("/v1/export/events").text.splitlines()
    ids = re.findall(r'"id": ?"([abc]-\d+)"', "\n".join(lines))
    assert set(accepted) <= set(ids)
    assert len(ids) == len(set(ids))
    after = recommended(again, "u1")
    assert after != before
    assert "no keys" in again.process.stdout.readline()  # type: ignore[union-attr]
    assert again.end(signal.SIGTERM) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{again.address}/v1/health/live")
    assert recommended(run(), "u1") == after


def test_beyond_loopback_it_needs_a_key(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "store.sqlite")
    command = ["serve", str(films), "--store", store, "--host", "0.0.0.0", "--port", "0"]  # noqa: S104
    assert main(command) == 2
    assert "needs a key" in capsys.readouterr().err


def test_a_taken_port_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RequestError, match="cannot be listened on"):
            listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(RequestError, match="cannot be listened on"):
        listen("no such host.invalid", 0)


def test_a_key_made_at_the_start_is_needed_from_then_on(run: Run) -> None:
    service = run("--new-key")
    found = re.search(r"key: (motet_\S+)", service.said)
    assert found
    assert service.client.get("/v1/schema").status_code == 401
    key = {"X-API-Key": found.group(1)}
    assert service.client.get("/v1/schema", headers=key).status_code == 200


@pytest.mark.slow
def test_slow_and_large_clients_harm_nobody(run: Run) -> None:
    service = run()
    slow = []
    for _ in range(40):
        one = socket.create_connection(("127.0.0.1", service.port), timeout=30)
        one.sendall(b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
        slow.append(one)
    for one in slow[:20]:
        one.sendall(b"Content-Length: 100\r\n\r\n{")
    again = socket.create_connection(("127.0.0.1", service.port), timeout=40)
    again.sendall(b"GET /v1/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    answer = b""
    while not answer.endswith(b"}"):
        answer += again.recv(10_000)
    again.sendall(b"G")
    began_s = time.monotonic()
    assert recommended(service, "u1")
    assert time.monotonic() - began_s < 5
    head = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as large:
        large.sendall(head + b"Content-Length: 999999999999\r\n\r\n")
        assert b" 413 " in large.recv(1000)
    assert b" 408 " in slow[0].recv(1000)  # its body did not come
    assert slow[-1].recv(1000) == b""  # its head did not come
    assert again.recv(1000) == b""  # the head of its second request did not come
    for one in (*slow, again):
        one.close()
    assert recommended(service, "u1")
