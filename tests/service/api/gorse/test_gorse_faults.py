"""Known faults of the original, which are not copied; and what happens when something else fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest
from gorse import Gorse, GorseException
from httpx import Client
from tests.service.api.gorse.conftest import Start

from motet.service.engine import Engine
from motet.testing import PostgresServer

READ = {"FeedbackType": "read", "UserId": "ann", "ItemId": "10", "Value": 1, "Timestamp": "2026-01-02"}


class Keyed(Protocol):
    """A client with a key of some scopes."""

    def __call__(self, *scopes: str) -> Client: ...


class Serve(Protocol):
    """Starts a service on a store, and stops it."""

    def __call__(self, url: str) -> AbstractContextManager[Client]: ...


@pytest.fixture
def keyed(engine: Engine, address: str) -> Iterator[Keyed]:
    clients: list[Client] = []

    def make(*scopes: str) -> Client:
        key = engine.store.keys.create(scopes)[0] if scopes else ""  # type: ignore[arg-type]
        clients.append(Client(base_url=f"{address}/api", headers={"X-API-Key": key}, timeout=30))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_keys_open_what_their_scopes_say(keyed: Keyed) -> None:
    reader, writer, unknown_user = keyed("read"), keyed("write"), keyed()
    assert reader.get("/recommend/u0").status_code == 200
    assert reader.post("/session/recommend", json=[READ]).status_code == 200
    assert writer.post("/feedback", json=[READ]).status_code == 200
    assert writer.get("/recommend/u0?write-back-type=read").status_code == 200
    assert unknown_user.get("/health/ready").status_code == 200
    for client, path, status in (
        (unknown_user, "/recommend/u0", 401),
        (unknown_user, "/user/u0", 401),
        (reader, "/recommend/u0?write-back-type=read", 403),
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert reader.post("/feedback", json=[READ]).status_code == 403
    assert reader.get("/user/u0/feedback/read").json() != []  # by the key that may write


def test_the_published_client_with_keys(engine: Engine, address: str) -> None:
    key = engine.store.keys.create(["write"])[0]
    assert Gorse(address, key).get_user("u0")["UserId"] == "u0"
    with pytest.raises(GorseException) as refused:
        Gorse(address, key[:-1]).get_user("u0")
    assert refused.value.status_code == 401


def test_no_key_and_nobody_stands_in_the_log(keyed: Keyed, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = keyed("read")
    key = client.headers["X-API-Key"]
    wrong = Client(base_url=client.base_url, headers={"X-API-Key": "not-the-key-at-all"}, timeout=30)
    with wrong:
        assert wrong.get("/user/somebody-secret").status_code == 401
    assert client.get("/user/somebody-secret").status_code == 404
    assert client.post("/feedback", json=[READ | {"UserId": "somebody-secret"}]).status_code == 403
    said = "\n".join(
        f"{one.getMessage()} {one.__dict__}" for one in caplog.records if one.name.startswith("motet")
    )
    assert "somebody-secret" not in said
    assert key not in said
    assert key.split("_", 2)[2] not in said  # the secret part, which may hold the separator itself
    assert "not-the-key-at-all" not in said


def test_bodies_have_limits(http: Client) -> None:
    large = http.post("/user", json={"UserId": "ann", "Comment": "x" * 9_000_000})
    assert (large.status_code, large.headers["content-type"]) == (413, "text/plain; charset=utf-8")
    deep = http.post(
        "/user", content='{"UserId": "ann", "Labels": ' + "[" * 5000 + "]" * 5000 + "}",
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert deep.status_code in (400, 422)
    many = http.post("/feedback", json=[READ] * 10_001)
    assert (many.status_code, many.text) == (
        400,
        "body: There may be at most 10000 of them",
    )
    assert http.get("/user/ann").status_code == 404


def test_retries_at_the_same_time_count_once(http: Client) -> None:
    once = {"Idempotency-Key": "one"}
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(http.post, "/feedback", json=[READ], headers=once) for _ in range(24)]
        assert {one.result().status_code for one in sent} == {200}
    assert http.get("/feedback/read/ann/10").json()["Value"] == 1.0


def test_additions_at_the_same_time_all_count(http: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(http.post, "/feedback", json=[READ]) for _ in range(24)]
        assert {one.result().status_code for one in sent} == {200}
    assert http.get("/feedback/read/ann/10").json()["Value"] == 24.0


def answers(http: Client) -> list[Any]:
    """What a service says of all it knows; when an item without a time appeared is known to a process alone."""
    listed = [http.get(path).json() for path in ("/recommend/u0?n=1000", "/items?n=100")]
    return [*listed, [one["Id"] for one in http.get("/latest").json()]]


def test_a_service_started_anew_answers_the_same(tmp_path: Path, serve: Serve, start: Start) -> None:
    url = str(tmp_path / "store.sqlite")
    with serve(url) as http:
        shown = http.get("/recommend/u0?n=4").json()
        http.patch(f"/item/{shown[0]}", json={"IsHidden": True})
        if start == "bundle":  # plain lists use what is known of a deleted item until they start anew
            http.delete(f"/item/{shown[1]}")
        http.post("/feedback", json=[READ | {"UserId": "u0", "ItemId": shown[2]}])
        http.post("/items", json=[{"ItemId": "new", "Timestamp": "2031-01-01", "Categories": ["x"]}])
        time.sleep(1.0)  # what is taken together is computed at most every half second
        before = answers(http)
        assert not {shown[0], shown[2]} & set(before[0])
        assert (shown[1] in before[0]) == (start == "empty")
    with serve(url) as http:
        assert answers(http) == before
        assert http.get("/recommend/u0/x").json() == ["new"]


def test_reads_go_on_while_the_database_is_gone(serve: Serve, own_postgres: PostgresServer) -> None:
    with serve(own_postgres.new_database("gone")) as http:
        assert http.post("/feedback", json=[READ]).status_code == 200
        assert len(http.get("/recommend/u0").json()) == 10
        own_postgres.stop()
        assert len(http.get("/recommend/u0").json()) == 10
        assert len(http.get("/recommend/u0?category=g1").json()) >= 0
        for path in ("/latest", "/popular", "/item/10/neighbors", "/collaborative-filtering/u0"):
            assert http.get(path).json()
        for refused in (
            http.post("/feedback", json=[READ]),
            http.get("/feedback"),
            http.get("/health/ready"),
            http.get("/recommend/u0?write-back-type=read"),
        ):
            assert (refused.status_code, refused.headers["content-type"]) == (
                503,
                "text/plain; charset=utf-8",
            )
        assert http.get("/health/live").json()["DataStoreConnected"] is False
        own_postgres.start()
        assert http.post("/feedback", json=[READ]).status_code == 200
        assert http.get("/health/ready").json()["Ready"] is True
        assert http.get("/feedback/read/ann/10").json()["Value"] == 2.0


def test_a_model_that_fails_leaves_categories_and_what_was_read_out(
    http: Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id, categories in (("a", ["x"]), ("b", ["x", "y"]), ("c", ["y"])):
        assert http.post("/item", json={"ItemId": id, "Categories": categories}).is_success
    assert http.post("/feedback", json=[{**READ, "UserId": "ann", "ItemId": "a"}]).is_success

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the model")

    monkeypatch.setattr(type(engine.active.parts.live), "recommend", broken)
    assert set(http.get("/recommend/bob?category=x").json()) == {"a", "b"}
    assert http.get("/recommend/ann?category=x").json() == ["b"]
    assert http.get("/recommend/bob?category=x&category=y").json() == ["b"]
    assert http.get("/recommend/bob?category=nothing").json() == []
    assert len(http.get("/recommend/bob").json()) == 10
    session = http.post("/session/recommend?category=x", json=[{**READ, "ItemId": "b"}]).json()
    assert [one["Id"] for one in session] == ["a"]
