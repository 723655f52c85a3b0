"""Answers while something fails: full queues, a full, read-only or missing store, a failing source or language model."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

import motet
from motet.assistant import Assistant
from motet.assistant.explain import Profiler
from motet.assistant.understand import Reader, Request, Understanding
from motet.recommend import LiveRecommender
from motet.recommend.retrieve import CandidateQuery
from motet.schema import LanguageSettings
from motet.service.api import build_app
from motet.service.engine import Engine, EngineSettings, HttpSettings, LoadPast, ModelParts, ModelRegistry
from motet.service.store import Store, StoreSettings
from motet.testing import PostgresServer
from motet.text.encode import text_encoder

Start = Callable[[Store], Engine]
Serve = Callable[..., TestClient]
_QUICK = StoreSettings(patience_s=1.0, answer_s=5.0)


@pytest.fixture
def answering(start: Start) -> Iterator[Callable[[Store], TestClient]]:
    """An application over a store of one's own."""
    running: list[TestClient] = []

    def one(store: Store) -> TestClient:
        app = build_app(start(store), HttpSettings())
        found = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        found.__enter__()
        running.append(found)
        return found

    yield one
    for client in running:
        client.__exit__(None, None, None)


def event(id: str, **more: Any) -> dict[str, Any]:
    return {"events": [{"id": id, "type": "liked", "user": "u1", "item": "3", **more}]}


def check_reads(client: TestClient) -> None:
    answer = client.post("/v1/recommend", json={"user": "u1", "k": 5, "include_seen": True})
    assert (answer.status_code, len(answer.json()["items"])) == (200, 5)
    assert len(client.post("/v1/ask", json={"text": "two comedies"}).json()["items"]) >= 1
    assert client.post("/v1/rank", json={"user": "u1", "candidates": ["1", "2"]}).status_code == 200
    assert client.get("/v1/items/3/similar").status_code == 200
    assert client.get("/v1/schema").status_code == 200
    assert client.get("/v1/stats").status_code == 200
    assert client.get("/api/recommend/u1").status_code == 200
    assert client.get("/v1/health/live").status_code == 200


def check_refused(answer: Any) -> Any:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["content-type"] == "application/problem+json"
    recorded = answer.json()
    assert recorded["title"] == "not possible just now"
    assert recorded["detail"]
    assert recorded["cure"]
    check_says_not_where(answer.text)
    return recorded


def check_says_not_where(text: str) -> None:
    for part in ("sqlite", "postgres", "://", "127.0.0.1", "localhost", str(Path(tempfile.gettempdir()))):
        assert part not in text


def check_writes_are_refused(client: TestClient, words: str) -> None:
    for method, path, body in (
        (
            "POST",
            "/v1/events",
            {"events": [one for k in range(30) for one in event(f"no{k}{'y' * 500}")["events"]]},
        ),
        ("PUT", "/v1/items/new", {"comment": "x" * 50_000}),
        ("PUT", "/v1/users/new", {"comment": "x" * 50_000}),
    ):
        recorded = check_refused(client.request(method, path, json=body))
        assert words in f"{recorded['detail']}; {recorded['cure']}", path
    recorded = {"FeedbackType": "liked", "UserId": "u", "ItemId": "3", "Comment": "x" * 50_000}
    answer = client.post("/api/feedback", json=[recorded])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    check_says_not_where(answer.text)
    assert client.get("/v1/items/new").status_code in (404, 503)  # 503 where only the store could say


def test_a_full_queue_says_when_to_come_again(serve: Serve) -> None:
    client = serve(workers=1, waiting=1)
    gate = threading.Event()
    pool = client.app.state.context.work._pools["model"]  # type: ignore[attr-defined]
    held = [pool.submit(gate.wait) for _ in range(2)]
    try:
        recorded = check_refused(client.post("/v1/recommend", json={"user": "u1"}))
        assert "wait already" in recorded["detail"]
        assert client.post("/v1/rank", json={"user": "u1", "candidates": ["1"]}).status_code == 503
        assert client.get("/api/latest").status_code == 200  # of another kind
        assert client.post("/v1/events", json=event("1")).status_code == 200
        assert client.get("/v1/health/ready").status_code == 200
    finally:
        gate.set()
    assert [one.result(10) for one in held] == [True, True]
    assert client.post("/v1/recommend", json={"user": "u1"}).status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(serve: Serve) -> None:
    client = serve(workers=1, request_s=0.3)
    gate = threading.Event()
    held = client.app.state.context.work._pools["model"].submit(gate.wait)  # type: ignore[attr-defined]
    try:
        recorded = check_refused(client.post("/v1/recommend", json={"user": "u1"}))
        assert "too long" in recorded["detail"]
    finally:
        gate.set()
    assert held.result(10)


def test_a_full_store_is_read_and_not_written(
    answering: Callable[[Store], TestClient], tmp_path: Path
) -> None:
    with Store(tmp_path / "s.sqlite", _QUICK) as store:
        client = answering(store)

        def limit(pages: int) -> None:
            with store._database.writing() as connection:
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        limit(1)  # as small as it is now
        accepted = set()
        for k in range(200):
            answer = client.post("/v1/events", json=event(f"e{k}", context={"said": "y" * 500}))
            if answer.status_code != 200:
                break
            accepted.add(f"e{k}")
        recorded = check_refused(answer)
        assert "make room" in recorded["cure"]
        assert "make room" in recorded["cure"]
        check_writes_are_refused(client, "make room")
        check_reads(client)
        shown = client.get("/v1/users/u1/history?n=1000").json()["events"]
        assert {one["id"] for one in shown if one["source"] == "store"} == accepted
        limit(1_000_000)
        assert client.post("/v1/events", json=event("last")).json()["accepted"] == 1
        assert client.put("/v1/items/new", json={}).status_code == 200


def test_a_store_that_may_not_be_written_is_read(
    answering: Callable[[Store], TestClient], tmp_path: Path
) -> None:
    with Store(tmp_path / "s.sqlite", _QUICK) as store:
        client = answering(store)
        assert client.post("/v1/events", json=event("before")).json()["accepted"] == 1

        def allow(may_write: bool) -> None:
            with store._database._writers.connect() as connection:
                plain: Any = connection.connection.driver_connection
                plain.execute(f"PRAGMA query_only = {int(not may_write)}")

        allow(False)
        check_writes_are_refused(client, "let the service write there")
        check_reads(client)
        allow(True)
        answer = client.post(
            "/v1/events", json={"events": event("before")["events"] + event("last")["events"]}
        )
        assert (answer.json()["accepted"], answer.json()["repeated"]) == (1, 1)


def test_a_store_whose_file_was_taken_away_is_missed_by_nobody_who_asks(
    answering: Callable[[Store], TestClient], tmp_path: Path
) -> None:
    with Store(tmp_path / "s.sqlite", _QUICK) as store:
        client = answering(store)
        assert client.post("/v1/events", json=event("before")).json()["accepted"] == 1
        files = list(tmp_path.glob("s.sqlite*"))
        for one in files:
            one.rename(one.with_name(f"away-{one.name}"))
        check_writes_are_refused(client, "gone")
        check_reads(client)
        for one in files:
            one.with_name(f"away-{one.name}").rename(one)
        answer = client.post(
            "/v1/events", json={"events": event("before")["events"] + event("last")["events"]}
        )
        assert (answer.json()["accepted"], answer.json()["repeated"]) == (1, 1)


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    if PostgresServer.programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def on_postgres(postgres: PostgresServer) -> Iterator[Store]:
    """A store that is closed after the engines that follow it, for they would connect again."""
    with Store(postgres.new_database("gone"), _QUICK) as opened:
        yield opened


def test_a_database_that_is_gone_is_missed_by_nobody_who_asks(
    on_postgres: Store, answering: Callable[[Store], TestClient], postgres: PostgresServer
) -> None:
    client = answering(on_postgres)
    assert client.post("/v1/events", json=event("before")).json()["accepted"] == 1
    assert client.put("/v1/items/mine", json={"fields": {"name": "Mine"}}).status_code == 200
    postgres.stop()
    check_writes_are_refused(client, "cannot be used now")
    check_reads(client)
    check_refused(client.get("/v1/items/mine"))  # its labels and comment are nowhere else
    ready = client.get("/v1/health/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert int(ready.headers["retry-after"]) >= 1
    check_refused(client.get("/v1/users/u1/history"))  # only the store knows all of it
    postgres.start()
    answer = client.post("/v1/events", json={"events": event("before")["events"] + event("last")["events"]})
    assert (answer.status_code, answer.json()["accepted"], answer.json()["repeated"]) == (200, 1, 1)
    assert client.get("/v1/health/ready").status_code == 200
    assert len(client.get("/v1/users/u1/history").json()["events"]) > 2


_PLACE = "http://10.0.0.7:9000/v1"


class _FailingSource:
    """A source of candidates whose server is gone."""

    name, inline = "elsewhere", True

    def candidates(self, query: CandidateQuery, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        raise ConnectionError(f"no connection to {_PLACE}")


class _FailingReader:
    """A reader whose language model is gone."""

    def __init__(self, rules: Reader) -> None:
        self._rules = rules

    def understand(
        self, text: str, previous: Request | None = None, shown: Sequence[str] = ()
    ) -> Understanding:
        found = self._rules.understand(text, previous, shown)
        return replace(found, problem=f"{_PLACE} does not answer, and /var/cache/motet/model.gguf is missing")


def _parts_that_fail(path: Path, load: LoadPast) -> ModelParts:
    assistant = motet.load(path).assistant
    explainer = assistant.explainer
    live = LiveRecommender(explainer.recommender, load=load, sources=[_FailingSource()])
    failing = Assistant(explainer.recommender, explainer, _FailingReader(assistant.reader))
    return ModelParts(live, failing, Profiler.of_bundle(explainer.bundle))


def test_no_answer_says_where_something_is_that_fails(
    store: Store, films: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(store, _parts_that_fail, EngineSettings(follow_s=0.1))
    models = ModelRegistry(engine)
    app = build_app(engine, HttpSettings(), models=models)

    @app.get("/v1/encoded")
    def encoded() -> None:
        text_encoder(LanguageSettings(encoder="/var/cache/motet/encoder"))(["a text"])

    try:
        models.start(films)
        with TestClient(app, base_url="http://127.0.0.1") as client, caplog.at_level(logging.WARNING):
            listed = client.post("/v1/recommend", json={"user": "u1", "k": 3}).json()
            asked = client.post("/v1/ask", json={"user": "u1", "text": "two comedies"}).json()
            refused = client.get("/v1/encoded")
    finally:
        engine.close()
    assert "elsewhere: failed (ConnectionError)" in listed["notes"]
    assert [one for one in asked["notes"] if "does not answer" in one]
    assert (refused.status_code, refused.json()["detail"]) == (
        422,
        "language.encoder: there is no folder '…'",
    )
    for answer in (listed["notes"], asked["notes"], refused.text):
        for part in ("10.0.0.7", "9000", "/var/cache", "motet/"):
            assert part not in str(answer)
    assert _PLACE in caplog.text  # the operator reads it in the log
    assert "/var/cache/motet/encoder" in caplog.text
