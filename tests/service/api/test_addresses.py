"""Any id can stand in an address; every path says which methods it takes. Through a real server."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from motet.service.api import keep_ids

IDS = [
    "a/b",
    "a/similar",
    "a/b/history",
    "/",
    "//a//",
    "similar",
    "a%2Fb",
    "100%",
    "a b",
    " ",
    ".hidden",
    "a/../b",
    "a?b#c&d=e",
    "a+b;c=d,e",
    "a\\b\"c'",
    "日本/映画",
    "naïve 🎬",
    "x" * 512,
    "/" * 512,
    "\n",
    "one\ntwo\n",
]
ONLY_RAW = [".", "..", "../a", "a/.."]
"""Most clients shorten an address with these before they send it, unless the dots are hidden as well."""


@pytest.fixture(scope="module")
def http_client(shared_client: TestClient, on_a_port: Callable[[TestClient], str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=on_a_port(shared_client), timeout=30, trust_env=False) as found:
        yield found


def test_any_id_names_an_item(http_client: httpx.Client) -> None:
    for id in IDS:
        where = f"/v1/items/{quote(id, safe='')}"
        put = http_client.put(where, json={"fields": {"name": "Item"}, "comment": f"this is {id}"})
        assert (put.status_code, put.json().get("id")) == (200, id), (id, put.text)
        assert http_client.get(where).json()["comment"] == f"this is {id}"
        assert http_client.patch(where, json={"comment": "changed"}).json()["comment"] == "changed"
        similar = http_client.get(f"{where}/similar?k=3")
        assert similar.status_code == 200, (id, similar.text)
        assert id not in [one["id"] for one in similar.json()["items"]]
        assert http_client.get(f"{where}/description").status_code != 404
    shown = {one["id"] for one in http_client.get("/v1/items?n=1000").json()["items"]}
    assert set(IDS) <= shown
    for id in IDS:
        where = f"/v1/items/{quote(id, safe='')}"
        assert http_client.delete(where).json() == {"done": True}
        assert http_client.get(where).status_code == 404


def test_any_id_names_a_user(http_client: httpx.Client) -> None:
    for id in IDS:
        where = f"/v1/users/{quote(id, safe='')}"
        assert http_client.put(where, json={"labels": {"age": 30}}).json()["id"] == id
        event = {"type": "liked", "user": id, "item": "3", "id": f"of {id}"[:512]}
        assert http_client.post("/v1/events", json={"events": [event]}).json()["accepted"] == 1
        assert http_client.patch(where, json={"comment": "changed"}).json()["comment"] == "changed"
        history = http_client.get(f"{where}/history").json()
        assert (history["user"], [one["item"] for one in history["events"]]) == (id, ["3"])
        assert http_client.get(f"{where}/profile").json()["user"] == id
        assert http_client.delete(where).json() == {"done": True}
        assert http_client.get(f"{where}/history").json()["events"] == []


def raw(address: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """What a path brings that no client has looked at."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    recorded = answer.read()
    connection.close()
    return answer.status, json.loads(recorded) if recorded else None


def test_dots_are_letters(http_client: httpx.Client) -> None:
    address = str(http_client.base_url)
    for id in ONLY_RAW:
        where = f"/v1/items/{quote(id, safe='')}"
        assert raw(address, "PUT", where, {"fields": {"name": "Dots"}})[1]["id"] == id
        assert raw(address, "GET", f"{where}/similar?k=1")[0] == 200
        assert raw(address, "DELETE", where)[0] == 200


def test_a_plain_slash_is_part_of_an_id_unless_it_names_something(http_client: httpx.Client) -> None:
    for id in ("a/b", "a/similar", "a"):
        http_client.put(f"/v1/items/{quote(id, safe='')}", json={"fields": {"name": id}})
    assert http_client.get("/v1/items/a/b").json()["id"] == "a/b"
    assert "items" in http_client.get("/v1/items/a/similar").json()
    assert http_client.get("/v1/items/a%2fsimilar").json()["id"] == "a/similar"
    assert "items" in http_client.get("/v1/items/a/similar/similar").json()
    refused = http_client.delete("/v1/items/a/similar")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")
    assert http_client.get("/v1/items/a%2fsimilar").status_code == 200
    assert http_client.delete("/v1/users/a/history").status_code == 405


@pytest.mark.parametrize("id", ["x" * 513, "a%00b", "%2F%00", ""])
def test_what_is_no_id_is_refused(http_client: httpx.Client, id: str) -> None:
    answer = http_client.put(f"/v1/items/{id}", json={})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_other_paths_are_left_as_they_are() -> None:
    for path, raw_path in (
        ("/v1/keys/a/b", b"/v1/keys/a%2Fb"),
        ("/item/a/b", b"/item/a%2Fb"),
        ("/v1/items/a", None),
    ):
        scope = {"type": "http", "path": path, "raw_path": raw_path}
        assert keep_ids(scope) is scope


def test_a_line_break_at_the_end_is_kept(http_client: httpx.Client) -> None:
    """The framework's own routes leave it out, and would change and delete what was not named."""
    for id in ("e", "e\n"):
        http_client.post("/api/user", json={"UserId": id, "Comment": id})
    assert http_client.delete("/api/user/e%0A").json() == {"RowAffected": 1}
    assert http_client.get("/api/user/e").json()["Comment"] == "e"
    assert http_client.delete("/v1/keys/e%0A").status_code in (404, 422)


def test_a_hidden_slash_opens_no_door(client: TestClient) -> None:
    """The scope that a request needs is looked up for the path that is then answered."""
    made = client.post("/v1/keys", json={"scopes": ["admin"]}).json()["key"]
    reader = client.post("/v1/keys", json={"scopes": ["read"]}, headers={"X-API-Key": made}).json()["key"]
    for path in (
        "/v1%2Fkeys",
        "/v1/items%2F..%2Fkeys",
        "/v1/items/..%2Fkeys",
        "/v1/%69tems/..%2f..%2fv1%2fkeys",
    ):
        for key in (None, reader):
            answer = client.get(path, headers={"X-API-Key": key} if key else {})
            assert answer.status_code in (401, 403, 404), path


def test_every_path_names_its_methods(shared_client: TestClient) -> None:
    described = shared_client.get("/openapi.json").json()["paths"]
    for path, operations in described.items():
        takes = ", ".join(sorted(method.upper() for method in operations))
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            if method.lower() not in operations:
                where = path.replace("{what}", "items").replace("{", "").replace("}", "")
                answer = shared_client.request(method, where)
                assert (answer.status_code, answer.headers.get("allow")) == (405, takes), (method, path)
                assert answer.headers["x-request-id"]
