"""A real process on a real port: started, killed, asked slowly."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import polars as pl
import pytest

from motet.cli import main
from motet.errors import RequestError
from motet.schema import Schema
from motet.service.api import listen

Run = Callable[..., Any]


def recommended(service: Any, user: str) -> list[tuple[str, float]]:
    answer = service.client.post("/v1/recommend", json={"user": user, "k": 10, "include_seen": True})
    return [(one["id"], one["value"]) for one in answer.json()["items"]]


@pytest.mark.slow
def test_killed_at_work_it_keeps_what_it_acknowledged(run: Run) -> None:
    service = run()
    before = recommended(service, "u1")
    accepted: list[str] = []

    def ingest(name: str) -> None:
        for k in range(1_000):
            event = {"id": f"{name}-{k}", "type": "liked", "user": "u1", "item": str(k % 30)}
            try:
                answer = service.client.post("/v1/events", json={"events": [event]})
            except httpx.HTTPError:
                return
            if answer.status_code == 200:
                accepted.append(event["id"])

    threads = [threading.Thread(target=ingest, args=(name,)) for name in "abc"]
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
    assert "no keys" in again.process.stdout.readline()
    assert again.end(signal.SIGTERM) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{again.address}/v1/health/live")
    assert recommended(run(), "u1") == after


def test_a_replay_says_how_much_there_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pl.DataFrame({"film": [f"f{k}" for k in range(700)]}).write_csv(tmp_path / "films.csv")
    views = {"who": ["a", "b"], "film": ["f1", "f2"], "when": [1, 2], "liked": [1, 0]}
    pl.DataFrame(views).write_csv(tmp_path / "views.csv")
    (tmp_path / "schema.yaml").write_text(
        "name: few\ntables: {interactions: views.csv, items: films.csv}\n"
        "keys: {user: who, item: film, time: when}\nfeatures: {user: {who: id}, item: {film: id}}\n"
        "tasks: {like: {kind: binary, label: liked}}\n",
        encoding="utf-8",
    )
    found = SimpleNamespace(schema=Schema.load(tmp_path / "schema.yaml"), directory=tmp_path)
    monkeypatch.setattr("motet.datasets.load", lambda name: found)
    service = run("--rate", "100000")
    assert main(["datasets", "replay", "few", "--url", service.address, "--rate", "1000"]) == 0
    said = capsys.readouterr()
    assert [line for line in said.err.splitlines() if line.startswith("sending items")] == [
        "sending items: 500 of 700",
        "sending items: 700 of 700",
    ]
    assert "sent 700 items, 0 users and 2 events" in said.out


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


@pytest.mark.soak
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


@pytest.mark.slow
def test_half_open_connections_keep_nobody_out(run: Run) -> None:
    service = run()
    open_ones = []
    try:
        for _ in range(1_000):
            one = socket.create_connection(("127.0.0.1", service.port), timeout=30)
            one.sendall(b"GET /v1/health/live HTTP/1.1\r\n")
            open_ones.append(one)
        assert httpx.get(f"{service.address}/v1/health/ready", timeout=10).status_code == 200
        assert recommended(service, "u1")
    finally:
        for one in open_ones:
            one.close()


def test_where_every_connection_has_a_request_health_is_answered(run: Run) -> None:
    service = run()
    head = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    busy = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(200)]
    try:
        for one in busy:
            one.sendall(head)
        time.sleep(0.5)
        assert httpx.get(f"{service.address}/v1/health/live", timeout=10).status_code == 200
        refused = httpx.get(f"{service.address}/v1/schema", timeout=10)
        assert refused.status_code == 503
        assert "too many connections" in refused.json()["detail"]
    finally:
        for one in busy:
            one.close()


def test_behind_a_trusted_proxy_each_visitor_has_a_rate_of_their_own(run: Run) -> None:
    service = run("--new-key", "--rate", "5", "--trusted-proxy", "127.0.0.0/8")
    key = re.search(r"key: (motet_\S+)", service.said)
    assert key

    def status(key: str, forwarded: str) -> int:
        headers = {"X-API-Key": key, "X-Forwarded-For": forwarded}
        return int(service.client.get("/v1/schema", headers=headers).status_code)

    # what the visitor says of itself stands left of what the proxy saw
    bad = [status(f"motet_wrong{n}", f"198.51.100.{n}, 203.0.113.9, 127.0.0.1") for n in range(30)]
    assert bad[0] == 401
    assert bad[-1] == 429
    assert status(key.group(1), "203.0.113.10") == 200


def test_nobody_is_believed_who_is_no_trusted_proxy(run: Run) -> None:
    service = run("--new-key", "--rate", "1", "--trusted-proxy", "192.0.2.1")
    found = [
        service.client.get(
            "/v1/schema", headers={"X-API-Key": f"motet_x{n}", "X-Forwarded-For": f"203.0.113.{n}"}
        )
        for n in range(30)
    ]
    assert found[-1].status_code == 429


def test_a_trusted_proxy_that_is_no_address_is_refused(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "store.sqlite")
    command = ["serve", str(films), "--store", store, "--port", "0", "--trusted-proxy", "proxy.example"]
    assert main(command) == 2
    assert "10.0.0.0/8" in capsys.readouterr().err


def test_at_sigterm_no_request_fails(run: Run) -> None:
    service = run("--rate", "100000")
    failed: list[str] = []
    closed: list[bool] = []
    answered: list[int] = []

    def ask(n: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        connection.connect()
        try:
            while True:
                body = json.dumps({"user": f"u{n}", "k": 5})
                connection.request("POST", "/v1/recommend", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                answered.append(answer.status)
                if answer.getheader("Connection") == "close":
                    closed.append(True)
                    return
                time.sleep(0.05)
        except (OSError, http.client.HTTPException) as error:
            failed.append(repr(error))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
    for one in threads:
        one.start()
    while len(answered) < 64:
        time.sleep(0.01)
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    ready = httpx.get(f"{service.address}/v1/health/ready")
    assert (ready.status_code, ready.headers["Connection"]) == (503, "close")
    assert httpx.get(f"{service.address}/api/health/ready").status_code == 503
    assert httpx.get(f"{service.address}/v1/health/live").status_code == 200
    for one in threads:
        one.join(30)
    assert failed == []
    assert len(closed) == 16
    assert set(answered) == {200}
    assert service.end(signal.SIGTERM) == 0
