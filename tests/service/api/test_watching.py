"""Monitoring: predictions against outcomes; logs without user data; headers on every answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from motet.service.monitor import log_as_json

Serve = Callable[..., TestClient]


def test_shadow_evaluation_gives_the_auc_that_was_made(client: TestClient) -> None:
    engine = client.app.state.context.engine  # type: ignore[attr-defined]
    answer = client.post(
        "/v1/recommend", json={"user": "u1", "k": 10, "scenario": "home", "include_seen": True}
    ).json()
    predicted = sorted(((one["predictions"]["like"], one["id"]) for one in answer["items"]), reverse=True)
    assert len({p for p, _ in predicted}) == 10
    liked = [1, 1, 0, 1, 0, 0, 1, 0, 0, 0]  # 20 of the 24 pairs of a liked and another stand rightly
    events = [
        {
            "type": "liked",
            "user": "u1",
            "item": item,
            "value": y,
            "list_id": answer["list_id"],
            "scenario": "home",
        }
        for (_, item), y in zip(predicted, liked, strict=True)
    ]
    events.append(
        {"type": "liked", "user": "u1", "item": predicted[0][1], "value": 0}
    )  # of no list: not counted
    assert client.post("/v1/events", json={"events": events}).status_code == 200
    engine.shown_log.flush(5.0)
    engine.shadow.compute(engine.active.schema)
    (found,) = [one for one in client.get("/v1/stats").json()["shadow"] if one["task"] == "like"]
    assert (found["scenario"], found["n"]) == ("home", 10)
    assert found["auc"] == pytest.approx(20 / 24)
    assert found["calibration"] == pytest.approx(sum(p for p, _ in predicted) / 10 / 0.4)


def _shown(client: TestClient, user: str) -> tuple[str, list[str]]:
    """A list of ten that a user was shown: its id, and its items."""
    answer = client.post(
        "/v1/recommend", json={"user": user, "k": 10, "scenario": "home", "include_seen": True}
    ).json()
    client.app.state.context.engine.shown_log.flush(5.0)  # type: ignore[attr-defined]
    return answer["list_id"], [one["id"] for one in answer["items"]]


def _ingest(client: TestClient, list_id: str, labels: dict[str, float], user: str = "u1") -> None:
    events = [
        {"type": "liked", "user": user, "item": item, "value": y, "list_id": list_id}
        for item, y in labels.items()
    ]
    assert client.post("/v1/events", json={"events": events}).status_code == 200


def test_shadow_evaluation_goes_on_with_a_model_of_other_tasks(client: TestClient) -> None:
    engine = client.app.state.context.engine  # type: ignore[attr-defined]
    list_id, items = _shown(client, "u1")
    _ingest(client, list_id, {item: float(k < 3) for k, item in enumerate(items)})
    tasks = dict(engine.active.schema.tasks)
    assert {one["task"] for one in engine.shadow.compute(engine.active.schema)} == {"like"}
    without = engine.active.schema.model_copy(update={"tasks": {"stars": tasks["stars"]}})
    assert engine.shadow.compute(without) == []
    of_other_kind = engine.active.schema.model_copy(update={"tasks": {"like": tasks["next"]}})
    assert engine.shadow.compute(of_other_kind) == []
    assert {one["task"] for one in engine.shadow.compute(engine.active.schema)} == {"like"}


def test_only_what_was_shown_counts_and_no_list_grows_without_end(client: TestClient) -> None:
    engine = client.app.state.context.engine  # type: ignore[attr-defined]
    list_id, items = _shown(client, "u1")
    _ingest(client, list_id, {items[0]: 1, items[1]: 1, items[2]: 5})  # 5 is no yes and no no
    _ingest(client, list_id, {f"made up {k}": 0 for k in range(1_500)})
    _ingest(client, "home", {f"made up {k}": 1 for k in range(1_500)})
    assert {id: len(labels) for id, labels in engine.shadow.outcomes.copy().items()} == {
        list_id: 1_000,
        "home": 1_000,
    }
    (found,) = engine.shadow.compute(engine.active.schema)
    # All outcomes of the list are positive, so the other items count as negatives.
    assert (found["task"], found["n"]) == ("like", 10)
    assert found["auc"] is not None
    assert engine.shadow.outcomes.copy().keys() == {list_id}  # there is no list "home"


def test_nothing_stays_of_the_outcomes_of_a_deleted_user(client: TestClient) -> None:
    engine = client.app.state.context.engine  # type: ignore[attr-defined]
    lists = {user: _shown(client, user) for user in ("u1", "zoe")}
    for user, (list_id, items) in lists.items():
        _ingest(client, list_id, {items[0]: 1, items[1]: 0}, user)
    assert "zoe" not in repr(engine.shadow.outcomes.copy())
    assert client.delete("/v1/users/zoe").status_code in (200, 204)
    (found,) = engine.shadow.compute(engine.active.schema)
    assert found["n"] == 2
    assert engine.shadow.outcomes.copy().keys() == {lists["u1"][0]}


@pytest.fixture
def quiet_again() -> Iterator[None]:
    """Leaves logging as it was."""
    loggers = [logging.getLogger(name) for name in ("motet", "uvicorn.error")]
    before = [(one.handlers, one.propagate, one.level) for one in loggers]
    yield
    for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


def test_no_key_no_id_and_nobodys_words_are_logged(
    client: TestClient,
    quiet_again: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_as_json(logging.DEBUG)
    key = client.post("/v1/keys", json={"scopes": ["admin"], "name": "Zimtstern"}).json()["key"]
    client.headers["X-API-Key"] = key
    user, item, words = "Zimtstern-user", "Zimtstern/item", "Zimtstern words"
    event = {"type": "liked", "user": user, "item": item, "context": {"said": words}}
    for method, path, body in (
        ("PUT", "/v1/users/Zimtstern-user", {"labels": {"age": 3}, "comment": words}),
        ("PUT", "/v1/items/Zimtstern%2Fitem", {"comment": words}),
        ("POST", "/v1/events", {"events": [event]}),
        ("POST", "/v1/events", {"events": [{**event, "value": words}]}),
        ("POST", "/v1/events", {"events": [{**event, "item": item + "\0"}]}),
        ("POST", "/v1/recommend", {"user": user, "explain": True, "text": words}),
        ("POST", "/v1/recommend", {"user": user + "\0", "text": words}),
        ("POST", "/v1/recommend", {"user": user, "filter": {"field": words, "op": "eq", "value": words}}),
        ("POST", "/v1/recommend", {"user_features": {words: words}}),
        ("POST", "/v1/ask", {"text": f"{words} like {item}, no horror", "user": user}),
        ("POST", "/v1/lists", {"text": f"three comedies for {words}", "user": user}),
        ("POST", "/v1/models", {"path": f"/no/{words}"}),
        ("GET", f"/v1/explain?user={user}&item=3", None),
        ("GET", "/v1/users/Zimtstern-user/history?cursor=Zimtstern", None),
        ("GET", "/v1/items/Zimtstern%0A/similar", None),
        ("GET", "/Zimtstern?Zimtstern=Zimtstern", None),
        ("GET", "/api/user/Zimtstern-user", None),
        ("POST", "/api/feedback", [{"FeedbackType": words, "UserId": user, "ItemId": item}]),
        ("DELETE", "/v1/users/Zimtstern-user", None),
    ):
        answer = client.request(method, path, json=body)
        assert answer.status_code < 500, (path, answer.text)
    assert client.get("/v1/schema", headers={"X-API-Key": key + "Zimtstern"}).status_code == 401
    engine = client.app.state.context.engine  # type: ignore[attr-defined]

    def fails(request: object) -> None:
        raise ValueError(words, user, request)

    monkeypatch.setattr(engine, "rank", fails)
    assert client.post("/v1/rank", json={"user": user, "candidates": [item]}).status_code == 500
    said = capsys.readouterr().err
    lines = [json.loads(line) for line in said.splitlines()]
    assert sum(one["message"] == "request" for one in lines) >= 20
    (failure,) = [one for one in lines if one["message"] == "a request failed"]
    assert (failure["error"], failure["at"][-1].rpartition(" ")[2]) == ("ValueError", "fails")
    assert "Zimtstern" not in said
    assert key not in said
    assert key.split("_")[-1] not in said


def test_every_kind_of_answer_has_its_headers(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(requests_per_s=0.001, burst=30, most_body_bytes=2_000)
    engine = client.app.state.context.engine  # type: ignore[attr-defined]

    def fails(request: object) -> None:
        raise ValueError

    monkeypatch.setattr(engine, "rank", fails)
    asked: list[tuple[int, str, str, dict[str, object]]] = [
        (200, "GET", "/v1/schema", {}),
        (200, "GET", "/v1/export/events", {}),
        (200, "GET", "/v1/export/items?format=parquet", {}),
        (200, "GET", "/v1/health/live", {}),
        (200, "GET", "/api/health/live", {}),
        (200, "GET", "/metrics", {}),
        (200, "GET", "/openapi.json", {}),
        (200, "GET", "/docs", {}),
        (200, "GET", "/docs/docs.js", {}),
        (404, "GET", "/v1/items/none", {}),
        (404, "GET", "/v1/none", {}),
        (404, "GET", "/none", {}),
        (404, "GET", "/api/user/none", {}),
        (405, "PUT", "/v1/schema", {}),
        (405, "PUT", "/api/latest", {}),
        (400, "POST", "/v1/events", {"content": b"\xff", "headers": {"Content-Type": "application/json"}}),
        (422, "POST", "/v1/events", {"json": {}}),
        (415, "POST", "/v1/events", {"content": b"a=b"}),
        (413, "POST", "/v1/events", {"json": {"events": ["x" * 3_000]}}),
        (500, "POST", "/v1/rank", {"json": {"candidates": ["1"]}}),
        (409, "POST", "/v1/models/rollback", {}),
        (201, "POST", "/v1/keys", {"json": {"scopes": ["admin"]}}),
        (401, "GET", "/v1/schema", {}),
        (401, "GET", "/api/latest", {}),
        (401, "GET", "/docs", {}),
        (429, "GET", "/none", {}),
    ]
    for status, method, path, more in asked:
        answer = client.request(method, path, **more)  # type: ignore[arg-type]
        if status == 429:
            for _ in range(40):
                answer = client.request(method, path)
        assert answer.status_code == status, (method, path, answer.text)
        where = (status, path)
        assert answer.headers["x-content-type-options"] == "nosniff", where
        assert answer.headers["x-frame-options"] in ("DENY", "SAMEORIGIN"), where
        assert answer.headers["referrer-policy"] == "no-referrer", where
        assert "default-src" in answer.headers["content-security-policy"], where
        assert answer.headers["x-request-id"], where
        if path.startswith(("/v1", "/api")):
            assert answer.headers["cache-control"] == "no-store", where
            kind = "text/plain" if path.startswith("/api") else "application/problem+json"
            assert status < 400 or answer.headers["content-type"].startswith(kind), where
        if status in (429, 503):
            assert int(answer.headers["retry-after"]) >= 1
