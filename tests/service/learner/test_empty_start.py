"""A service that begins with nothing: plain lists from what it was sent, until a model is trained."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient
from tests.service.learner.conftest import fill, open_parts

from motet.recommend.retrieve import LiveItemItem
from motet.service import web as pages
from motet.service.api import build_app
from motet.service.engine import NO_MODEL, Engine, EngineSettings, ModelRegistry
from motet.service.learner import RunSettings, run_training, write_empty_bundle
from motet.service.store import Item, Store
from motet.training import load_bundle

Serve = Callable[[], TestClient]


@pytest.fixture
def serve(store: Store, home: Path) -> Iterator[Serve]:
    running: list[tuple[Engine, TestClient]] = []

    def one() -> TestClient:
        engine = Engine(store, open_parts, EngineSettings(follow_s=0.05, insert_missing=True))
        models = ModelRegistry(engine)
        models.start_empty(write_empty_bundle(home / "plain-lists"))
        app = build_app(engine, models=models)
        client = TestClient(app, base_url="http://127.0.0.1")
        client.__enter__()
        running.append((engine, client))
        return client

    yield one
    for engine, client in running:
        client.__exit__(None, None, None)
        engine.close()


def happened(client: TestClient, *events: tuple[str, str]) -> None:
    body = [{"type": "click", "user": user, "item": item} for user, item in events]
    assert client.post("/v1/events", json={"events": body}).status_code == 200


def listed(client: TestClient, **query: Any) -> tuple[str, list[str]]:
    answer = client.post("/v1/recommend", json={"k": 5, **query}).json()
    assert NO_MODEL in answer["notes"]
    assert all(one["predictions"] == {} for one in answer["items"])
    return answer["served_by"], [one["id"] for one in answer["items"]]


def test_an_empty_bundle_knows_nothing_and_is_written_once(tmp_path: Path) -> None:
    place = write_empty_bundle(tmp_path / "plain-lists")
    before = (place / "manifest.json").read_bytes()
    assert write_empty_bundle(place) == place
    assert (place / "manifest.json").read_bytes() == before
    bundle = load_bundle(place)
    assert bundle.is_empty
    assert len(bundle.data.user_ids) == len(bundle.data.item_ids) == 0


def test_lists_come_from_what_was_sent_and_say_from_where(serve: Serve) -> None:
    client = serve()
    for health in ("live", "ready"):
        answer = client.get(f"/v1/health/{health}")
        assert (answer.status_code, answer.json()["message"]) == (200, NO_MODEL)
    assert listed(client) == ("nothing", [])
    client.post(
        "/v1/items", json={"items": [{"id": "new", "comment": "A new thing", "categories": ["toys"]}]}
    )
    assert listed(client, user="ann") == ("newest", ["new"])
    happened(
        client,
        ("ann", "a"),
        ("bob", "a"),
        ("bob", "b"),
        ("eve", "b"),
        ("eve", "c"),
        ("ann", "b"),
        ("joe", "a"),
    )
    assert listed(client, user="nobody") == ("popular", ["a", "b", "c", "new"])
    assert listed(client, user="joe") == ("together", ["b", "c", "new"])
    assert listed(client, history=["c"], include_seen=False)[0] == "together"
    assert listed(client, user="joe", sources=["trending"])[0] == "trending"
    assert listed(client, filter={"field": "categories", "op": "eq", "value": "toys"}) == ("newest", ["new"])
    # nobody knows yet which scenarios and tasks there will be
    wished = listed(client, user="joe", scenario="home", objective={"weights": {"like": 1.0}})
    assert wished[0] == "together"
    ranked = client.post("/v1/rank", json={"candidates": ["new", "c", "a", "?"]}).json()
    assert [one["id"] for one in ranked["items"]] == ["a", "c", "new"]
    assert ranked["unknown"] == ["?"]
    similar = client.get("/v1/items/a/similar").json()["items"]
    assert (similar[0]["id"], similar[0]["by"]) == ("b", {"together": 1})
    assert client.get("/v1/items/new").json()["title"] == "A new thing"
    for route, body in (("ask", {"text": "a toy"}), ("lists", {"text": "two toys"})):
        answer = client.post(f"/v1/{route}", json=body)
        assert (answer.status_code, answer.json()["detail"]) == (503, NO_MODEL)
    assert client.get("/v1/explain?user=ann&item=a").status_code == 503
    for route in (
        "/v1/users/ann/profile",
        "/v1/items/new/description",
        "/v1/schema",
        "/v1/stats",
        "/metrics",
    ):
        assert client.get(route).status_code == 200


def test_a_restart_knows_what_was_sent_and_a_deletion_forgets_it(serve: Serve) -> None:
    client = serve()
    happened(client, ("ann", "a"), ("ann", "b"), ("bob", "a"))
    again = serve()
    assert listed(again, user="bob") == ("together", ["b"])
    assert again.delete("/v1/users/ann").json() == {"done": True}
    similar = again.get("/v1/items/a/similar").json()["items"]
    assert similar == []


def test_the_gorse_api_works_on_an_empty_start(serve: Serve) -> None:
    client = serve()
    rows = [
        {"FeedbackType": "read", "UserId": user, "ItemId": item} for user, item in ("aw", "bw", "bx", "cy")
    ]
    assert client.post("/api/feedback", json=rows).json() == {"RowAffected": 4}
    client.post("/api/item", json={"ItemId": "z", "Categories": ["new"], "Comment": "Z"})
    assert client.get("/api/recommend/a?n=2").json() == ["x", "y"]
    assert client.get("/api/popular?n=1").json()[0]["Id"] == "w"
    assert client.get("/api/latest/new").json()[0]["Id"] == "z"
    assert [one["Id"] for one in client.get("/api/item/w/neighbors").json()] == ["x"]
    assert client.get("/api/non-personalized/trending?n=1").json()[0]["Id"] == "w"
    assert client.get("/api/health/ready").json()["Ready"] is True
    # of a type that nobody knows yet, no value is a yes
    assert client.get("/api/feedback/read/a/w").json()["Value"] == 1.0


@pytest.mark.usefixtures("url")
def test_the_service_follows_a_model_that_another_process_made_active(
    serve: Serve, store: Store, home: Path
) -> None:
    client = serve()
    fill(store)
    small = ("training.epochs=1", "model.architecture=shared_bottom", "model.width=4", "model.members=[]")
    training = store.learner.begin("asked", store.events.last(), store.events.last())
    done = run_training(store, home, training.number, open_parts, RunSettings(changes=small))
    assert done.state == "active"
    for _ in range(2_000):
        health = client.get("/v1/health/live").json()
        if health["model"] == done.model:
            break
    assert health == {"live": True, "ready": True, "model": done.model}
    answer = client.post("/v1/recommend", json={"user": "u1", "k": 3}).json()
    assert (answer["model"], answer["served_by"], answer["notes"]) == (done.model, "personal", [])


def test_the_page_of_operators_shows_trainings_in_both_languages(store: Store, home: Path) -> None:
    engine = Engine(store, open_parts, EngineSettings(follow_s=0.05, insert_missing=True))
    models = ModelRegistry(engine)
    models.start_empty(write_empty_bundle(home / "plain-lists"))
    app = build_app(engine, models=models)
    place = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{place.getsockname()[1]}"
    pages.mount(app, address)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
    thread.start()
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            before = client.get("/operate").text
            assert "Train now" not in before
            training = store.learner.begin("first", 0, 0)
            judged = {"ndcg": 0.125, "active_ndcg": 0.25}
            store.learner.change(training.number, "kept", reason="it is <worse>", judged=judged, events=1200)
            for language, words in (
                ("en", ("Train now", "kept, not activated")),
                ("zh", ("立即训练", "保留，未启用")),
            ):
                page = client.get(f"/operate?lang={language}").text
                wanted = (*words, "it is &lt;worse&gt;", "0.125", "0.250", "1200")
                assert [word for word in wanted if word not in page] == []
            origin = {"Origin": address, "Sec-Fetch-Site": "same-origin"}
            done = client.post("/pages/model", data={"do": "train"}, headers=origin)
            assert done.status_code == 303
            assert store.values.get("learner.asked")["cause"] == "asked"
            assert "A training was asked for." in client.get(f"{done.headers['location']}&lang=en").text
    finally:
        server.should_exit = True
        thread.join(30)
        place.close()
        engine.close()


def test_live_item_item_forgets_and_computes_much_in_a_thread() -> None:
    source = LiveItemItem()
    source.add([f"u{k % 900}" for k in range(9_000)], [k % 7 for k in range(9_000)])
    for _ in range(10_000):
        if len(source.neighbours(0)[0]):
            break
    assert 0 not in source.neighbours(0)[0]
    source.forget("nobody")
    source.add(["x"], [500])
    assert len(source.neighbours(500)[0]) == 0


def test_items_are_as_old_after_a_restart_as_before(serve: Serve, store: Store) -> None:
    dated = datetime.now(UTC) - timedelta(days=1)
    store.items.put([Item("undated"), Item("old", timestamp=dated), Item("also undated")])  # not by the API
    client = serve()
    happened(client, ("ann", "made by an event"))
    assert client.post("/v1/items", json={"items": [{"id": "sent"}]}).status_code == 200
    before = client.get("/api/latest?n=10").json()
    assert [one["Id"] for one in before][:3] == ["sent", "made by an event", "old"]
    assert [one["Score"] for one in before][3:] == [0.0, 0.0]
    time.sleep(0.01)
    again = serve()
    assert again.get("/api/latest?n=10").json() == before
    assert listed(again, sources=["newest"]) == listed(client, sources=["newest"])
    assert listed(again, sources=["newest"])[1][0] == "sent"
