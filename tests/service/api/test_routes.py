from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

import polars as pl
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from motet.service.store import Event, Store

Serve = Callable[..., TestClient]

ANSWERS: list[tuple[str, str, Any]] = [
    ("POST", "/v1/recommend", {"user": "u1", "k": 3, "explain": True, "trace": True, "scenario": "home"}),
    ("POST", "/v1/recommend", {"history": ["3", {"item": "4", "type": "liked", "value": 0}], "diversity": {"strength": 0.5}}),
    ("POST", "/v1/recommend", {"user": "u2", "objective": {"weights": {"like": 1, "stars": -0.2}}, "rules": [{"kind": "pin", "item": "9"}]}),
    ("POST", "/v1/ask", {"text": "two comedies, no horror", "user": "u1"}),
    ("POST", "/v1/lists", {"text": "three comedies, no horror", "user": "u1"}),
    ("POST", "/v1/rank", {"user": "u1", "candidates": ["1", "2", "nothing"]}),
    ("GET", "/v1/items/3/similar?k=2", None),
    ("GET", '/v1/items/3/similar?filter={"field":"kinds","op":"has","value":"Horror"}', None),
    ("GET", "/v1/explain?user=u1&item=3&language=zh", None),
    ("GET", "/v1/items/3/description", None),
    ("GET", "/v1/users/u1/profile", None),
    ("GET", "/v1/users/u1/history?n=3", None),
    ("POST", "/v1/events", {"events": [{"type": "liked", "user": "u1", "item": "3", "id": "1"}]}),
    ("POST", "/v1/items", {"items": [{"id": "new", "fields": {"name": "New", "year": 2020}}]}),
    ("PUT", "/v1/items/new", {"fields": {"name": "Newer"}}),
    ("PATCH", "/v1/items/new", {"is_hidden": True}),
    ("GET", "/v1/items/new", None),
    ("GET", "/v1/items?n=2&q=long", None),
    ("DELETE", "/v1/items/new", None),
    ("POST", "/v1/users", {"users": [{"id": "ann", "labels": {"age": 3}}]}),
    ("PUT", "/v1/users/ann", {"comment": "hello"}),
    ("PATCH", "/v1/users/ann", {"labels": {"age": 4}}),
    ("GET", "/v1/users/ann", None),
    ("GET", "/v1/users?n=2", None),
    ("DELETE", "/v1/users/ann", None),
    ("GET", "/v1/satisfaction?days=3", None),
    ("GET", "/v1/schema", None),
    ("GET", "/v1/models", None),
    ("GET", "/v1/stats?minutes=5", None),
    ("GET", "/v1/stats/timeline?minutes=43200", None),
    ("GET", "/v1/jobs?n=5", None),
    ("GET", "/v1/keys", None),
    ("GET", "/v1/health/live", None),
    ("GET", "/v1/health/ready", None),
]  # fmt: skip


def test_every_answer_is_as_the_description_says(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    for method, path, body in ANSWERS:
        answer = client.request(method, path, json=body)
        assert answer.status_code == 200, (method, path, answer.text)
        assert answer.headers["x-request-id"]
        _validate(description, method, path.partition("?")[0], answer)


def _validate(description: dict[str, Any], method: str, path: str, answer: Any) -> None:
    parts = path.strip("/").split("/")
    for template, operations in description["paths"].items():
        wanted = template.strip("/").split("/")
        same = len(parts) == len(wanted) and all(
            w.startswith("{") or p == w for p, w in zip(parts, wanted, strict=True)
        )
        if same and method.lower() in operations:
            recorded = operations[method.lower()]["responses"][str(answer.status_code)]["content"]
            schema = recorded[answer.headers["content-type"].partition(";")[0]]["schema"]
            Draft202012Validator({**schema, "components": description["components"]}).validate(answer.json())
            return
    raise AssertionError(f"{method} {path} is not described")


WRONG: list[tuple[str, str, Any, int]] = [
    ("POST", "/v1/recommend", {"user": "u1", "kk": 3}, 422),
    ("POST", "/v1/recommend", {"user": "u1", "k": 201}, 422),
    ("POST", "/v1/recommend", {"user": "u1", "filter": {"field": "yeer", "op": "ge", "value": 1}}, 422),
    ("POST", "/v1/recommend", {"user": "u1", "objective": {"weights": {"lik": 1}}}, 422),
    ("POST", "/v1/recommend", {"user": "u1", "scenario": "nowhere"}, 422),
    ("POST", "/v1/recommend", [], 422),
    ("POST", "/v1/ask", {"text": ""}, 422),
    ("POST", "/v1/rank", {"user": "u1", "candidates": ["1"] * 10_001}, 422),
    ("POST", "/v1/events", {"events": []}, 422),
    ("POST", "/v1/events", {"events": [{"type": "a", "user": "u", "item": "i\x00"}]}, 422),
    ("GET", "/v1/items/nothing", None, 404),
    ("GET", "/v1/items/nothing/similar", None, 404),
    ("GET", "/v1/explain?user=u1&item=nothing", None, 404),
    ("GET", "/v1/items/3/similar?filter={", None, 422),
    ("PATCH", "/v1/items/nothing", {"comment": "?"}, 404),
    ("DELETE", "/v1/users/nobody", None, 404),
    ("POST", "/v1/lists/nothing/satisfaction", {"stars": 3}, 404),
    ("POST", "/v1/models/nothing/activate", None, 404),
    ("POST", "/v1/models/rollback", None, 409),
    ("GET", "/v1/users/u1/history?cursor=x", None, 422),
    ("GET", "/nothing", None, 404),
    ("GET", "/v1/recommend", None, 405),
    ("GET", "/v1/export/nothing", None, 422),
]  # fmt: skip


def _every(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        included = getattr(route, "effective_candidates", None)
        yield from _every(included()) if included is not None else [route]


def test_no_route_is_left_out_of_the_description(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]
    known = {(path, method.upper()) for path, methods in described.items() for method in methods}
    served = set()
    for route in _every(client.app.routes):  # type: ignore[attr-defined]
        if not route.endpoint.__name__.startswith("refuse"):
            path = re.sub(r":\w+}", "}", route.path)
            served |= {(path, method) for method in route.methods or () if method != "HEAD"}
    assert known <= served
    pages = {"/docs", "/docs/docs.css", "/docs/docs.js", "/openapi.json", "/api/docs", "/apidocs.json"}
    assert {
        path
        for path, method in served - known
        if path not in pages and (path.rstrip("/"), method) not in known  # Gorse takes a slash at the end
    } == set()


def test_every_error_is_a_problem_with_a_cure(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    for method, path, body, status in WRONG:
        answer = client.request(method, path, json=body, headers={"X-Request-Id": "mine-1"})
        assert answer.status_code == status, (method, path, answer.text)
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (problem["status"], problem["request_id"]) == (status, "mine-1")
        assert problem["detail"]
        assert problem["cure"]
        schema = description["components"]["schemas"]["Problem"]
        Draft202012Validator({**schema, "components": description["components"]}).validate(problem)


def test_what_is_no_json_or_too_much_is_refused(serve: Serve) -> None:
    client = serve(most_body_bytes=10_000)
    assert (
        client.post("/v1/recommend", content=b"{", headers={"content-type": "application/json"}).status_code
        == 422
    )
    assert client.post("/v1/recommend", data={"user": "u1"}).status_code == 415
    for content in (b'{"user": "u1"}', b'{"user": "u1"}' + b" " * 9_000):
        for kind, status in (("text/x+json", 415), ("application/x+json", 200)):
            answer = client.post("/v1/recommend", content=content, headers={"content-type": kind})
            assert answer.status_code == status, kind
    deep = b"[" * 100 + b"]" * 100
    answer = client.post("/v1/recommend", content=deep, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert "levels deep" in answer.json()["detail"]
    large = client.post("/v1/events", json={"events": [{"type": "a", "user": "u", "item": "i" * 500}] * 30})
    assert large.status_code == 413

    def parts() -> Any:
        for _ in range(100):
            yield b" " * 1_000

    streamed = client.post("/v1/events", content=parts(), headers={"content-type": "application/json"})
    assert streamed.status_code == 413


def test_security_headers(client: TestClient) -> None:
    answer = client.get("/v1/health/live")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in client.get(
        "/v1/schema", headers={"Origin": "https://elsewhere.example"}
    ).headers  # fmt: skip
    odd = client.get("/v1/health/live", headers={"X-Request-Id": "a b\x7f" * 30})
    assert odd.headers["x-request-id"].isalnum()


def test_only_named_sites_may_call_from_a_browser(serve: Serve) -> None:
    client = serve(origins=("https://shop.example",))
    asked = {"Access-Control-Request-Method": "POST"}
    mine = client.options("/v1/recommend", headers={"Origin": "https://shop.example", **asked})
    assert mine.headers["access-control-allow-origin"] == "https://shop.example"
    other = client.options("/v1/recommend", headers={"Origin": "https://elsewhere.example", **asked})
    assert "access-control-allow-origin" not in other.headers


def test_keys_and_their_scopes(serve: Serve, store: Store) -> None:
    client = serve()
    assert client.post("/v1/keys", json={"scopes": ["read"]}).status_code == 409
    admin = client.post("/v1/keys", json={"scopes": ["admin"], "name": "me"}).json()
    with_admin = {"X-API-Key": admin["key"]}
    event = {"events": [{"type": "liked", "user": "u1", "item": "3"}]}
    assert client.post("/v1/recommend", json={"user": "u1"}).status_code == 401
    assert client.get("/metrics").status_code == 401
    assert client.get("/openapi.json").status_code == 401
    assert client.get("/api/users").status_code == 401
    assert client.get("/v1/health/ready").status_code == 200
    made = client.post("/v1/keys", json={"scopes": ["read"]}, headers=with_admin).json()
    bearer = {"Authorization": f"Bearer {made['key']}"}
    assert client.post("/v1/recommend", json={"user": "u1"}, headers=bearer).status_code == 200
    refused = client.post("/v1/events", json=event, headers=bearer)
    assert refused.status_code == 403
    assert "write" in refused.json()["detail"]
    assert client.get("/v1/keys", headers=bearer).status_code == 403
    assert client.get("/v1/export/users", headers=bearer).status_code == 403
    assert client.post("/v1/events", json=event, headers=with_admin).status_code == 200
    recorded = client.get("/v1/keys", headers=with_admin)
    assert made["key"] not in recorded.text
    assert client.delete(f"/v1/keys/{made['id']}", headers=with_admin).status_code == 200
    assert client.post("/v1/recommend", json={"user": "u1"}, headers=bearer).status_code == 401
    wrong = client.get("/v1/schema", headers={"X-API-Key": admin["key"][:-1] + "x"})
    assert wrong.status_code == 401
    assert admin["key"][:-1] not in wrong.text


def test_who_comes_too_often_waits(serve: Serve) -> None:
    client = serve(requests_per_s=0.5, burst=3)
    answers = [client.get("/v1/schema") for _ in range(5)]
    assert [one.status_code for one in answers] == [200] * 3 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) in (1, 2, 3, 4)
    assert client.get("/v1/health/live").status_code == 200


def test_another_host_is_not_answered_without_keys(serve: Serve) -> None:
    client = serve(hosts=("127.0.0.1", "localhost"))
    assert client.get("/v1/schema").status_code == 200
    assert client.get("/v1/schema", headers={"Host": "evil.example"}).status_code == 403


def test_satisfaction_is_kept_with_its_list(client: TestClient) -> None:
    shown = client.post("/v1/recommend", json={"user": "u1", "k": 2, "scenario": "home"}).json()
    place = f"/v1/lists/{shown['list_id']}/satisfaction"
    assert client.post(place, json={"stars": 2}).status_code == 200
    assert client.post(place, json={"stars": 4, "answers": {"varied": True}}).status_code == 200
    assert client.post(place, json={}).status_code == 422
    days = client.get("/v1/satisfaction").json()
    assert [(one["scenario"], one["count"], one["mean"]) for one in days] == [("home", 1, 4.0)]


def test_export_and_import(client: TestClient, store: Store) -> None:
    store.events.add([Event("liked", "u1", str(k), id=f"e{k}") for k in range(5)])
    lines = client.get("/v1/export/events")
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line)["id"] for line in lines.text.splitlines()] == [f"e{k}" for k in range(5)]
    parquet = client.get("/v1/export/events?format=parquet")
    assert pl.read_parquet(BytesIO(parquet.content))["id"].to_list() == [f"e{k}" for k in range(5)]
    more = lines.text + json.dumps(
        {"id": "e9", "type": "liked", "user": "u2", "item": "4", "time": "2026-01-01T00:00:00Z"}
    )
    kind = {"content-type": "application/x-ndjson"}
    done = client.post("/v1/import/events", content=more.encode(), headers=kind)
    assert done.json() == {"rows": 6, "new": 1}
    assert client.post("/v1/import/events", content=b"{", headers=kind).status_code == 422
    assert (
        client.post("/v1/import/events", content=b"", headers={"content-type": "text/csv"}).status_code == 422
    )
    again = client.post(
        "/v1/import/events",
        content=parquet.content,
        headers={"content-type": "application/vnd.apache.parquet"},
    )
    assert again.json() == {"rows": 5, "new": 0}


def test_the_numbers_of_the_operate_page(client: TestClient) -> None:
    for user in [f"u{k}" for k in range(30, 40)] * 6:
        client.post("/v1/recommend", json={"user": user, "k": 1})
    client.post("/v1/recommend", json={"user": "stranger"})
    client.post("/v1/events", json={"events": [{"type": "liked", "user": "u1", "item": "3"}] * 2})
    client.get("/v1/items/nothing")
    stats = client.get("/v1/stats").json()
    assert sum(one["routes"].get("/v1/recommend", 0) for one in stats["traffic"]) == 61
    assert stats["latency_ms"]["/v1/recommend"]["n"] == 61
    assert stats["latency_ms"]["/v1/recommend"]["p50"] <= stats["latency_ms"]["/v1/recommend"]["p99"]
    assert stats["errors"] == {"404": 1}
    assert stats["served_by"]["personal"] == 60
    assert stats["feedback"] == {"liked": 2}  # events, though one row of user and item
    assert stats["ingested"] == {"liked": 2}
    assert stats["told"] == stats["ingested"]  # the old name, until 0.3
    quality = {one["check"]: one["count"] for one in stats["data_quality"]}
    assert quality["unknown users in requests"] == 1
    drift = {one["feature"]: one for one in stats["drift"]}
    assert drift["user.age"]["level"] == "much"  # the ten oldest alone asked
    text = client.get("/metrics").text
    assert 'motet_requests_total{method="POST",route="/v1/recommend",status="200"} 61.0' in text
    assert "u30" not in text


def test_the_old_name_of_a_field_is_accepted(client: TestClient) -> None:
    for body in (
        {},
        {"exclude": [f"none {k}" for k in range(8_000)]},
    ):  # a large body is parsed in another way
        request = {"user": "u1", "k": 30, **body}
        new, old = (
            client.post("/v1/recommend", json={**request, name: True}).json()
            for name in ("include_seen", "keep_seen")
        )
        assert len(new["items"]) == 30
        assert old["items"] == new["items"]
