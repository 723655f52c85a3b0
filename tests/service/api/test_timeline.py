"""What happened over time: requests, errors by cause, latency, events and lists; and jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from fastapi.testclient import TestClient

from motet.errors import StoreUnavailableError
from motet.service.monitor import Watch
from motet.service.store import Event

Serve = Callable[..., TestClient]


def timeline(client: TestClient, minutes: int = 60) -> Any:
    answer = client.get(f"/v1/stats/timeline?minutes={minutes}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def failures(client: TestClient) -> dict[tuple[str, int, str], int]:
    return {(one["route"], one["status"], one["cause"]): one["count"] for one in timeline(client)["failures"]}


@pytest.mark.parametrize("minutes", [1, 15, 60, 101, 1_440, 10_080, 43_200])
def test_steps_are_even_aligned_and_reach_to_now(client: TestClient, minutes: int) -> None:
    found = timeline(client, minutes)
    times = [step["time"] for step in found["steps"]]
    assert 1 <= len(times) <= 100
    assert len(times) * found["step_s"] >= 60 * minutes
    assert {b - a for a, b in pairwise(times)} <= {found["step_s"]}
    assert all(at % found["step_s"] == 0 for at in times)
    assert times[-1] <= time.time() < times[-1] + found["step_s"]
    assert found["kept_minutes"] == 1_440


@pytest.mark.parametrize("minutes", ["0", "-1", "43201", "x", "1e3", ""])
def test_other_times_are_refused(client: TestClient, minutes: str) -> None:
    assert client.get(f"/v1/stats/timeline?minutes={minutes}").status_code == 422


def test_what_was_before_the_process_is_null_and_not_nothing(client: TestClient) -> None:
    steps = timeline(client)["steps"]
    assert [step["requests"] for step in steps[:-2]] == [None] * (len(steps) - 2)
    assert steps[-1]["requests"] is not None
    assert steps[0]["p50_ms"] is None
    assert all(step["events"] == 0 for step in steps)  # the store would know of some


def test_events_stand_at_their_own_times_and_lists_when_they_were_shown(client: TestClient) -> None:
    engine = client.app.state.context.engine  # type: ignore[attr-defined]
    now = datetime.now(UTC)
    old = now - timedelta(minutes=30, seconds=now.second)
    engine.store.events.add([Event("like", "u1", str(at), time=old) for at in range(3)])
    engine.store.events.add([Event("like", "u1", "9", time=now - timedelta(days=8))])
    client.post("/v1/recommend", json={"user": "u1"})
    engine.shown_log.flush(5.0)
    found = timeline(client)
    by_time = {step["time"]: step for step in found["steps"]}
    assert by_time[int(old.timestamp()) // 60 * 60]["events"] == 3
    assert sum(step["events"] for step in found["steps"]) == 3
    assert sum(step["lists"] for step in found["steps"]) == 1
    assert sum(step["events"] for step in timeline(client, 43_200)["steps"]) == 4


def test_a_store_that_cannot_be_read_leaves_requests(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = client.app.state.context.engine.store.counts  # type: ignore[attr-defined]

    def gone(*_: object) -> None:
        raise StoreUnavailableError("gone", "wait")

    monkeypatch.setattr(type(counts), "by_step", gone)
    last = timeline(client)["steps"][-1]
    assert (last["events"], last["lists"]) == (None, None)
    assert last["requests"] is not None


def test_errors_are_counted_by_route_status_and_cause(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve()
    engine = client.app.state.context.engine  # type: ignore[attr-defined]
    text = {"content-type": "application/json"}
    for _ in range(2):
        client.post("/v1/recommend", json={"k": 0})
    client.post("/v1/recommend", content=b"{", headers=text)
    client.post("/v1/recommend", json={"filter": {"field": "nope", "op": "has", "value": "x"}})
    client.get("/v1/items/no-such")
    client.get("/v1/nowhere")
    client.delete("/v1/recommend")
    client.post("/v1/events", content=b"a=b", headers={"content-type": "text/plain"})
    client.post("/v1/models/none/activate")
    client.get("/api/user/no-such")
    client.get("/api/recommend/u1?n=x")

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the user u1 divided")

    with monkeypatch.context() as some:
        some.setattr(type(engine.items), "page", broken)
        assert client.get("/v1/items").status_code == 500
    found = failures(client)
    assert found["POST /v1/recommend", 422, "invalid_request"] == 3 or (
        found["POST /v1/recommend", 422, "invalid_request"] == 2
        and found["POST /v1/recommend", 400, "unreadable_body"] == 1
    )
    assert found["GET /v1/items/{id}", 404, "not_found"] == 1
    assert found["GET none", 404, "no_route"] == 1
    assert found["POST none", 415, "content_type"] == 1
    assert found["POST /v1/models/{name}/activate", 404, "not_found"] == 1
    assert found["GET /v1/items", 500, "unexpected ZeroDivisionError"] == 1
    assert any(route.startswith("GET /api") and cause == "not_found" for route, _, cause in found)
    assert any(status == 405 and cause == "method" for _, status, cause in found)
    assert "u1" not in json.dumps(timeline(client)["failures"])
    steps = timeline(client)["steps"]
    assert sum(step["errors"] or 0 for step in steps) == sum(found.values())


def test_refusals_before_any_route_have_causes(serve: Serve) -> None:
    client = serve(requests_per_s=0.001, burst=4)
    context = client.app.state.context  # type: ignore[attr-defined]
    context.engine.store.keys.create({"admin"}, "of a test")
    context.authenticator.forget()
    for _ in range(6):
        client.get("/v1/items")
    found = context.engine.watch.timeline(60, 1)["failures"]
    assert {(one["status"], one["cause"]) for one in found} == {(401, "key"), (429, "rate")}
    assert all(one["request_id"] for one in found)


def test_a_day_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, now = Watch(), 1_700_000_000.0
    watch.since = datetime.fromtimestamp(now, UTC)
    for minute in range(1_500):
        monkeypatch.setattr(time, "time", lambda at=now + 60 * minute: at)
        watch.request("GET", "/v1/x", 200 if minute % 10 else 503, 5.0, cause="late", request_id=f"r{minute}")
    found = watch.timeline(10_080, 120)
    counted = [step["requests"] for step in found["steps"] if step["requests"]]
    assert sum(counted) == 1_440
    assert sum(step["errors"] for step in found["steps"] if step["errors"]) == 144
    (failure,) = found["failures"]
    assert (failure["route"], failure["count"], failure["request_id"]) == ("GET /v1/x", 144, "r1490")
    (route,) = found["routes"]
    assert sum(route["by_step"]) == route["requests"] == 1_440
    assert route["latency_ms"]["p50"] == pytest.approx(5.0, rel=0.06)


# -- jobs ----------------------------------------------------------------------------------------


def test_jobs_say_how_they_ended(client: TestClient, films: Any) -> None:
    kind = {"content-type": "application/x-ndjson"}
    client.post("/v1/import/users", content=b'{"id":"a"}\n{"id":"b"}\n', headers=kind)
    client.post("/v1/import/users", content=b'{"id":"a"}\nno json\n', headers=kind)
    assert client.get("/v1/export/users?format=parquet").status_code == 200
    client.post("/v1/models", json={"path": "/no/such/place/films9"})
    jobs = client.get("/v1/jobs").json()
    assert [(one["kind"], one["what"], one["state"]) for one in jobs] == [
        ("load", "films9", "failed"),
        ("export", "users", "done"),
        ("import", "users", "failed"),
        ("import", "users", "done"),
    ]
    assert "/no/such" not in jobs[0]["reason"]
    assert "line 2" in jobs[2]["reason"]
    assert jobs[3]["details"] == {"rows": 2, "new": 2}
    assert all(one["began"] <= one["ended"] for one in jobs)
    assert len(client.get("/v1/jobs?n=2").json()) == 2
    assert client.get("/v1/jobs?n=101").status_code == 422
