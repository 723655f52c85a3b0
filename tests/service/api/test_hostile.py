"""Hostile requests: rows that cannot be stored, revoked keys, unknown methods, pages of other sites."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from motet.errors import LanguageError
from motet.service.engine import Engine, ModelRegistry, RecommendRequest, ShownLog
from motet.service.store import Event, Item, Shown, ShownItem, Store, User

Start = Callable[..., Engine]
Serve = Callable[..., TestClient]
WRONG: tuple[dict[str, Any], ...] = (
    {"kinds": [[1]]},
    {"name": [[1]]},
    {"name": [[]]},
    {"year": {"a": [1]}},
    {"year": 10**400},
)


def counted(client: TestClient, name: str) -> list[str]:
    return [line for line in client.get("/metrics").text.splitlines() if line.startswith(name)]


@pytest.mark.parametrize("fields", WRONG)
def test_an_item_that_the_model_cannot_take_keeps_nothing_else_from_it(
    start: Start, store: Store, fields: dict[str, Any]
) -> None:
    store.items.put([Item("bad", fields=fields), Item("good", fields={"name": "A good film", "year": 2001})])
    store.users.put([User("odd", {"age": [[1]]}), User("ann", {"age": 30})])
    for engine in (start(store), start(store)):  # it starts, and starts again
        assert engine.items.exists("good")
        engine.add_events([Event("liked", "u1", "3")])
        engine.items.put([Item("another", fields={"name": "Another"})])
        assert engine.items.exists("another")
        assert engine.active.seq == store.events.last()
        assert engine.recommend(RecommendRequest(user="u1", k=5)).served_by == "personal"


@pytest.mark.parametrize("fields", WRONG)
def test_an_item_that_the_model_cannot_take_is_refused_before_it_is_stored(
    client: TestClient, store: Store, fields: dict[str, Any]
) -> None:
    (column,) = fields
    wrong = {"id": "bad", "fields": fields}
    for answer in (
        client.put("/v1/items/bad", json={"fields": fields}),
        client.post("/v1/items", json={"items": [{"id": "good"}, wrong]}),
        client.patch("/v1/items/3", json={"fields": fields}),
    ):
        assert answer.status_code == 422, answer.text
        assert column in answer.json()["detail"]
    assert store.items.get_many(["bad", "good", "3"]) == {}


def test_a_new_hidden_item_is_never_shown(
    start: Start, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start(store)
    live, shown = engine.active.parts.live, []
    grow = live._own.grow

    def look(now: Any) -> None:
        shown.append(bool(now.shown[now.row("secret")]))
        grow(now)

    monkeypatch.setattr(live._own, "grow", look)
    engine.items.put([Item("secret", is_hidden=True, fields={"name": "Not yet"})])
    engine.items.put([Item("secret", fields={"name": "Now"})])
    assert shown == [False, True]
    engine.items.put([Item("secret", is_hidden=True, fields={"name": "Now"})])
    assert live.items.hidden("secret")


def test_what_is_imported_and_cannot_be_told_stops_nobody(start: Start, store: Store) -> None:
    store.events.add([Event("x" * 200, "u1", "3"), Event("liked", "u2", "4")])
    engine = start(store)
    assert engine.active.seq == store.events.last()
    assert [event.item for event in engine.active.events_of("u2")] == ["4"]


def test_items_wait_for_an_encoder_that_fails(
    start: Start, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start(store)
    live, ingest = engine.active.parts.live, engine.active.parts.live.upsert_items

    def fail(*rows: object, **more: object) -> None:
        raise LanguageError("the encoder cannot be fetched", "connect the machine")

    monkeypatch.setattr("motet.service.engine._served._AGAIN_S", 0.0)
    monkeypatch.setattr(live, "upsert_items", fail)
    engine.items.put([Item("new", fields={"name": "A new film"})])
    assert not engine.items.exists("new")
    engine.add_events([Event("liked", "u1", "3")])  # all else goes on
    assert engine.active.seq == store.events.last()
    monkeypatch.setattr(live, "upsert_items", ingest)
    engine.model.follow_now()
    assert engine.items.exists("new")
    assert engine.active.refused["items"] == 0


def test_the_last_key_cannot_be_taken_away(serve: Serve, store: Store) -> None:
    client = serve()
    admin = client.post("/v1/keys", json={"scopes": ["admin"]}).json()
    headers = {"X-API-Key": admin["key"]}
    reader = client.post("/v1/keys", json={"scopes": ["read"]}, headers=headers).json()
    refused = client.delete(f"/v1/keys/{admin['id']}", headers=headers)
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "this is the last key with the scope admin",
    )
    assert client.delete(f"/v1/keys/{reader['id']}", headers=headers).status_code == 200
    second = client.post("/v1/keys", json={"scopes": ["admin"]}, headers=headers).json()
    assert client.delete(f"/v1/keys/{admin['id']}", headers={"X-API-Key": second["key"]}).status_code == 200
    store.keys.revoke(second["id"])  # by another process
    client.app.state.context.authenticator.forget()  # type: ignore[attr-defined]
    assert client.get("/v1/users").status_code == 401
    assert client.post("/v1/keys", json={"scopes": ["admin"]}).status_code == 401


@pytest.mark.parametrize("path", ["/v1/recommend", "/v1/rank"])
@pytest.mark.parametrize("item", ["", "x" * 1001, "\ud800"])
def test_an_id_in_a_session_that_can_be_none_is_refused(path: str, item: str, client: TestClient) -> None:
    body = {"history": ["3", item], "k": 3} if path == "/v1/recommend" else {"history": ["3", item], "candidates": ["1"]}  # fmt: skip
    answer = client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert "history.1" in answer.json()["detail"]


def test_made_up_methods_have_one_name(client: TestClient) -> None:
    for k in range(50):
        assert client.request(f"MADEUP{k}", "/v1/health/live").status_code == 405
    client.get("/v1/health/live")
    methods = {
        line.partition('method="')[2].partition('"')[0] for line in counted(client, "motet_requests_total")
    }
    assert methods == {"GET", "other"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1"}, 200),
        ({"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://tools.example"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_no_other_site_changes_anything_while_there_are_no_keys(
    serve: Serve, headers: dict[str, str], status: int
) -> None:
    client = serve(origins=("https://tools.example",))
    (model,) = client.get("/v1/models").json()
    assert client.post(f"/v1/models/{model['name']}/activate", headers=headers).status_code == status


def test_ready_says_whether_the_store_can_be_read(client: TestClient, store: Store, tmp_path: Path) -> None:
    assert counted(client, "motet_ready ") == ["motet_ready 1.0"]
    assert "where" not in client.get("/v1/stats").json()["store"]
    store.close()
    (tmp_path / "store.sqlite").unlink()
    assert counted(client, "motet_ready ") == ["motet_ready 0.0"]
    assert client.get("/api/health/live").status_code == 200
    assert client.get("/api/health/ready").status_code == 503


def test_a_user_deleted_under_one_model_is_gone_from_the_one_before(
    start: Start, store: Store, other_films: Path
) -> None:
    engine = start(store)
    models = ModelRegistry(engine)
    first = str(engine.model.name)
    engine.add_events([Event("liked", "newbie", str(k)) for k in range(4)])
    before = engine.active
    models.activate(models.load(other_films))
    assert engine.delete_user("newbie")
    now = before.parts.live.items.now
    assert not before.parts.live.history.of("newbie", now)
    models.activate(first)
    assert engine.recommend(RecommendRequest(user="newbie")).served_by != "personal"


def test_words_of_people_are_forgotten_with_whom_they_were_of(start: Start, store: Store) -> None:
    engine = start(store)
    forgot: list[str] = []
    engine.active.parts = replace(engine.active.parts, forget=lambda: forgot.append("all"))
    engine.users.put([User("ann", {"age": 30})])
    engine.add_events([Event("liked", "ann", "3")])
    live = engine.active.parts.live
    assert (live.history.users(), live.user_encoder.users()) == (["ann"], ["ann"])
    store.users.delete("ann")  # by another process
    until_s = time.monotonic() + 10
    while (
        not (forgot and live.history.users() == live.user_encoder.users() == [])
        and time.monotonic() < until_s
    ):
        time.sleep(0.02)
    assert forgot
    assert live.history.users() == live.user_encoder.users() == []


def test_a_ranking_is_recorded_if_asked(client: TestClient) -> None:
    asked = {"user": "u1", "candidates": ["1", "2", "3"]}
    assert client.post("/v1/rank", json=asked).json()["list_id"] is None
    list_id = client.post("/v1/rank", json={**asked, "record": True}).json()["list_id"]
    said = client.post(f"/v1/lists/{list_id}/satisfaction", json={"stars": 4})
    assert said.status_code == 200
    event = {"type": "liked", "user": "u1", "item": "2", "list_id": list_id}
    assert client.post("/v1/events", json={"events": [event]}).json()["accepted"] == 1


def test_what_the_log_of_lists_cannot_hold_is_refused_before_there_is_a_list(client: TestClient) -> None:
    for key in ("user", "scenario"):
        answer = client.post("/v1/recommend", json={key: "x" * 513})
        assert answer.status_code == 422, answer.text
        assert key in answer.text


def test_an_empty_scenario_is_logged_as_none(store: Store) -> None:
    log = ShownLog(store, 10)
    list_id = log.record([], user="u1", scenario="", model="m")
    log.close()
    found = store.shown.get(list_id)
    assert found is not None
    assert (found.user, found.scenario, log.lost) == ("u1", None, 0)


def test_what_comes_the_other_way_is_counted_too(client: TestClient) -> None:
    recorded = [{"FeedbackType": "liked", "UserId": "u1", "ItemId": item} for item in ("3", "nowhere")]
    assert client.post("/api/feedback", json=recorded).status_code == 200
    assert client.get("/api/recommend/u1").status_code == 200
    stats = client.get("/v1/stats").json()
    assert stats["served_by"] == {"personal": 1}
    assert stats["ingested"] == {"liked": 2}
    quality = {one["check"]: one["count"] for one in stats["data_quality"]}
    assert quality["unknown items in events"] == 1


def test_what_is_said_of_an_item_of_the_bundle_makes_it_no_newer(client: TestClient) -> None:
    assert client.patch("/api/item/3", json={"IsHidden": False}).status_code == 200
    assert client.patch("/v1/items/4", json={"comment": "a note"}).status_code == 200
    client.put("/v1/items/new", json={"fields": {"name": "A new film"}})
    newest = [one["Id"] for one in client.get("/api/latest?n=3").json()]
    assert newest[0] == "new"
    assert not {"3", "4"} & set(newest)
    assert client.get("/v1/items/3").json()["timestamp"] is None


def test_shown_lists_go_after_their_time_and_events_stay(start: Start, store: Store) -> None:
    engine = start(store, kept_days=0.5)
    old = datetime.now(UTC) - timedelta(days=1)
    engine.add_events([Event("liked", "u1", "3", time=old, id="old")])
    store.shown.add([Shown((ShownItem("3", 1.0),), "before", time=old), Shown((ShownItem("3", 1.0),), "now")])
    engine._retention.forget()
    assert list(store.shown.get_many(["before", "now"])) == ["now"]
    assert [event.id for event in store.events.of_user("u1", 10)] == ["old"]
