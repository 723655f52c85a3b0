from __future__ import annotations

import gc
import shutil
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from safetensors.numpy import load_file, save_file

from motet.errors import BundleError
from motet.service.engine import (
    ConflictError,
    Engine,
    ModelRegistry,
    RecommendRequest,
    ServedModel,
    quiet_memory,
)
from motet.service.store import Event, Item, Store
from motet.training import write_manifest

Start = Callable[..., Engine]
FILMS = 30


def values(engine: Engine) -> list[tuple[str, float]]:
    return [(one.id, one.value) for one in engine.recommend(RecommendRequest(user="u1", k=5)).items]


def spoiled(films: Path, place: Path) -> Path:
    """A whole bundle whose weights are not numbers."""
    shutil.copytree(films, place)
    weights = {
        name: np.full_like(one, np.nan) for name, one in load_file(place / "weights.safetensors").items()
    }
    save_file(weights, place / "weights.safetensors")
    write_manifest(place)
    return place


def test_activate_and_roll_back(engine: Engine, other_films: Path, store: Store) -> None:
    models = ModelRegistry(engine)
    first, before = engine.model.name, values(engine)
    name = models.load(other_films)
    assert values(engine) == before
    states = {one.name: one.state for one in models.all()}
    assert states == {first: "active", name: "loaded"}
    engine.add_events([Event("liked", "u1", "3")])
    models.activate(name)
    after = values(engine)
    assert engine.model.name == name
    assert after != before
    assert engine.active.seq == store.events.last()  # earlier events count for the new one
    assert models.roll_back() == first
    assert engine.model.name == first
    assert models.roll_back() == name
    assert values(engine) == after


def test_the_active_version_survives_a_restart(start: Start, store: Store, other_films: Path) -> None:
    engine = start(store)
    models = ModelRegistry(engine)
    first = engine.model.name
    models.activate(models.load(other_films))
    second = engine.model.name
    engine.close()
    assert start(store).model.name == second
    ModelRegistry(engine).roll_back()
    assert start(store).model.name == first


def test_a_user_who_has_had_nearly_everything_keeps_no_model_from_starting(
    start: Start, store: Store
) -> None:
    engine = start(store)
    had = [str(film) for film in range(FILMS - 3)]
    engine.add_events([Event("liked", user, film) for user in ("u0", "u39") for film in had])
    few = engine.recommend(RecommendRequest(user="u0", k=10)).items
    assert 0 < len(few) <= 3
    engine.close()
    assert [one.id for one in start(store).recommend(RecommendRequest(user="u0", k=10)).items] == [
        one.id for one in few
    ]


def test_nothing_to_roll_back_to(engine: Engine) -> None:
    with pytest.raises(ConflictError, match="no version was active before"):
        ModelRegistry(engine).roll_back()


@pytest.mark.parametrize("how", ["nan", "cut", "missing"])
def test_a_bad_bundle_is_refused_with_the_reason(
    engine: Engine, films: Path, tmp_path: Path, how: str
) -> None:
    place = tmp_path / "bad"
    if how == "nan":
        spoiled(films, place)
    elif how == "cut":
        shutil.copytree(films, place)
        (place / "users.safetensors").write_bytes(b"")
    models, before = ModelRegistry(engine), values(engine)
    with pytest.raises(BundleError) as error:
        models.load(place)
    assert values(engine) == before
    if how == "nan":
        assert "not a number" in str(error.value)
        refused = [one for one in models.all() if one.state == "refused"]
        assert [one.reason for one in refused] == [refused[0].reason]
        assert "not a number" in refused[0].reason
        with pytest.raises(BundleError):
            models.activate(refused[0].name)
    assert engine.model.name in [one.name for one in models.all() if one.state == "active"]


@pytest.mark.parametrize("bundle_there", [True, False])
def test_rows_that_no_longer_count_are_let_go(
    start: Start,
    films: Path,
    store: Store,
    tmp_path: Path,
    bundle_there: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bundle = shutil.copytree(films, tmp_path / "bundle")
    engine = start(store, bundle, outdated_rows=40)
    if not bundle_there:
        bundle.rename(tmp_path / "elsewhere")
    first = engine.active
    engine.items.put([Item("new", fields={"name": "A new film", "year": 1999})])
    engine.items.put([Item("28", is_hidden=True)])
    engine.items.delete("29")
    engine.add_events([Event("liked", "u1", "new", value=1.0)])
    for k in range(75):  # more than there are items
        engine.items.patch("3", fields={"year": 1900 + k})
    until_s = time.monotonic() + 20
    while engine.active is first and "cannot be tidied" not in caplog.text and time.monotonic() < until_s:
        time.sleep(0.02)
    time.sleep(0.3)  # and it is tried once
    assert (engine.active is first) != bundle_there
    assert (len(engine.active.parts.live.items.now) >= FILMS + 75) != bundle_there
    assert caplog.text.count("cannot be tidied") == int(not bundle_there)
    (recorded,) = engine.items.views(["3"])
    assert recorded.fields["year"] == 1974
    answer = engine.recommend(RecommendRequest(user="u1", k=FILMS))
    assert not {"new", "28", "29"} & {one.id for one in answer.items}  # seen, hidden, deleted
    assert "new" in {one.id for one in engine.recommend(RecommendRequest(user="u2", k=FILMS)).items}


@pytest.mark.soak
def test_a_dropped_model_is_gone_before_the_next_is_opened(
    engine: Engine, other_films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ModelRegistry(engine)
    paths = [Path(shutil.copytree(other_films, tmp_path / f"films{k}")) for k in range(4)]
    quiet_memory()  # as a service does when it has started
    try:
        names = [models.load(path) for path in paths[:3]]
        first = weakref.ref(models._held[names[0]])
        opened, alive = engine.model.open, []

        def open_next(name: str, path: str | Path) -> ServedModel:
            alive.append(first() is not None)
            return opened(name, path)

        monkeypatch.setattr(engine.model, "open", open_next)
        models.load(paths[3])
    finally:
        gc.unfreeze()
    assert alive == [False]


def test_models_over_http(client: TestClient, other_films: Path, tmp_path: Path) -> None:
    first = client.get("/v1/models").json()[0]
    assert (first["state"], first["in_memory"]) == ("active", True)
    assert first["metrics"]["tasks"]["like"]["auc"] > 0
    made = client.post("/v1/models", json={"path": str(other_films), "activate": True})
    assert made.status_code == 201
    assert client.post("/v1/recommend", json={}).json()["model"] == made.json()["name"]
    assert client.get(f"/v1/models/{first['name']}/metrics").json()["tasks"]
    report = client.get(f"/v1/models/{first['name']}/report")
    assert report.headers["content-type"].startswith("text/html")
    assert report.headers["x-frame-options"] == "SAMEORIGIN"
    assert client.post("/v1/models/rollback").json()["name"] == first["name"]
    assert client.post("/v1/models", json={"path": str(tmp_path)}).status_code == 422


def test_twenty_swaps_under_load_fail_no_request(engine: Engine, other_films: Path) -> None:
    models = ModelRegistry(engine)
    first = str(engine.model.name)
    second = models.load(other_films)
    models.load(engine.active.path)
    failed: list[BaseException] = []
    served: set[str] = set()
    stop = threading.Event()

    def ask(user: str) -> None:
        k = 0
        while not stop.is_set():
            k += 1
            try:
                engine.add_events([Event("liked", user, str(k % 30))])
                answer = engine.recommend(RecommendRequest(user=user, k=5, include_seen=True))
                assert len(answer.items) == 5
                served.add(answer.model)
            except BaseException as error:
                failed.append(error)

    threads = [threading.Thread(target=ask, args=(f"u{k}",)) for k in range(3)]
    for one in threads:
        one.start()
    for swap in range(20):
        models.activate(second if swap % 2 == 0 else first)
    stop.set()
    for one in threads:
        one.join()
    assert failed == []
    assert served == {first, second}
    engine.model.follow_now()
    assert engine.active.seq == engine.store.events.last()
