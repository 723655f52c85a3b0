"""What the guide says of what goes in and out, and of training on it, is done as it stands there."""

from __future__ import annotations

import re
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient
from tests.service.api.conftest import open_parts

from motet import datasets
from motet.schema import Schema
from motet.service.api import build_app
from motet.service.engine import Engine, EngineSettings, HttpSettings, ModelRegistry
from motet.service.store import Event, Item, Store, User
from motet.training import train

GUIDE = Path(__file__).parents[3] / "docs" / "guide"


def few_films(place: Path) -> None:
    """The demo's tables as far as 40 people go, for one epoch."""
    whole = datasets.fetch("movielens-100k", place.parent / "whole")
    place.mkdir()
    user_encoder = pl.col("user_id") <= 40
    ratings = pl.read_parquet(whole / "ratings.parquet").filter(user_encoder)
    rated = ratings["item_id"].unique().head(300).implode()
    ratings.filter(pl.col("item_id").is_in(rated)).write_parquet(place / "ratings.parquet")
    pl.read_parquet(whole / "users.parquet").filter(user_encoder).write_parquet(place / "users.parquet")
    items = pl.read_parquet(whole / "items.parquet").filter(pl.col("item_id").is_in(rated))
    items.write_parquet(place / "items.parquet")
    for name in ("knowledge", "links"):
        shutil.copy(whole / f"{name}.parquet", place)
    schema = Schema.load(whole / "schema.yaml").with_overrides("training.epochs=1")
    (place / "schema.yaml").write_text(schema.to_yaml(), encoding="utf-8")


@pytest.mark.slow
def test_what_was_told_is_trained_on_and_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = Path("data/movielens-100k")
    data.parent.mkdir()
    few_films(data)
    train(Schema.load(data / "schema.yaml"), data, "runs/demo")
    with Store("runs/demo.sqlite") as store:
        engine = Engine(store, open_parts, EngineSettings(follow_s=0.1))
        models = ModelRegistry(engine)
        models.start(Path("runs/demo"))
        try:
            app = build_app(engine, HttpSettings(), models=models)
            with TestClient(app, base_url="http://127.0.0.1") as client:
                _ingest(client)
                known = [one["item"] for one in _history(client, "1")]
                for what in ("events", "items", "users"):
                    found = client.get(f"/v1/export/{what}", params={"format": "parquet"})
                    Path(f"{what}.parquet").write_bytes(found.content)
                _run_the_guide()
                done = client.post("/v1/models", json={"path": "runs/demo-2", "activate": True})
                assert done.status_code == 201, done.text
                after = _history(client, "1")
                assert sorted(str(one["item"]) for one in after) == sorted({str(item) for item in known})
                assert {one["source"] for one in after} == {"bundle"}  # each of them once
                assert [one["item"] for one in _history(client, "ann")] == ["new"]
        finally:
            engine.close()
    films = pl.read_parquet("data/movielens-and-events/items.parquet")
    assert films.filter(pl.col("item_id") == "new").row(0) == ("new", "A film of today", 2026, "Drama")
    assert films.filter(pl.col("item_id") == "1")["title"].to_list() == [
        "Toy Story"
    ]  # of which a year was sent
    users = pl.read_parquet("data/movielens-and-events/users.parquet")
    assert users.filter(pl.col("user_id") == "ann")["age"].to_list() == [30]
    ratings = pl.read_parquet("data/movielens-and-events/ratings.parquet")
    assert "2" not in {*ratings["user_id"], *users["user_id"]}  # was deleted
    assert "2" in films["item_id"]
    assert ratings.filter(user_id="1", item_id="1")["rating"].to_list() == [1]


def _ingest(client: TestClient) -> None:
    for address, body in {
        "items/new": {"fields": {"title": "A film of today", "year": 2026, "genres": "Drama"}},
        "items/1": {"fields": {"year": 1996}},
        "users/ann": {"labels": {"age": 30}},
    }.items():
        assert client.put(f"/v1/{address}", json=body).status_code == 200
    events = [
        {"type": "rating", "user": "ann", "item": "new", "value": 5},
        {"type": "rating", "user": "1", "item": "1", "value": 4},
        {"type": "rating", "user": "1", "item": "1", "value": 1},
        {"type": "rating", "user": "1", "item": "new", "value": 3},
    ]
    assert client.post("/v1/events", json={"events": events}).status_code == 200
    assert client.delete("/v1/users/2").status_code == 200


def _history(client: TestClient, user: str) -> list[dict[str, object]]:
    found = client.get(f"/v1/users/{user}/history", params={"n": 1000}).json()["events"]
    return [one for one in found if isinstance(one, dict)]


def _run_the_guide() -> None:
    text = (GUIDE / "service.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    exec(compile(code, "service.md", "exec"), {"__name__": "guide"})  # noqa: S102 (the code is ours)


def test_the_lines_that_the_guide_shows_go_in_and_come_out(client: TestClient) -> None:
    text = (GUIDE / "store.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(shown) == 3
    for what, line in zip(("users", "items", "events"), shown, strict=True):
        recorded: dict[str, Any] = {"content": line, "headers": {"content-type": "application/x-ndjson"}}
        assert client.post(f"/v1/import/{what}", **recorded).json() == {"rows": 1, "new": 1}
        assert client.post(f"/v1/import/{what}", **recorded).json() == {"rows": 1, "new": 0}
        assert client.get(f"/v1/export/{what}").text == line
        table = client.get(f"/v1/export/{what}", params={"format": "parquet"}).content
        kind = {"content-type": "application/vnd.apache.parquet"}
        assert client.post(f"/v1/import/{what}", content=table, headers=kind).json() == {"rows": 1, "new": 0}
        assert client.get(f"/v1/export/{what}").text == line


def test_every_column_of_the_store_is_in_the_guide() -> None:
    said = (GUIDE / "store.md").read_text(encoding="utf-8").split("| column | of |")[1].split("\n\n")[0]
    rows = [line.split("|")[1:3] for line in said.splitlines()[2:]]
    for what, record in {"users": User, "items": Item, "events": Event}.items():
        named = {
            name for names, of in rows if what in of or "all" in of for name in re.findall(r"`(\w+)`", names)
        }
        assert named == {field.name for field in fields(record)}
