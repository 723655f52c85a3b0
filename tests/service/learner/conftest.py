from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import motet
from motet.assistant.explain import Profiler
from motet.recommend import LiveRecommender
from motet.service.engine import LoadPast, ModelParts
from motet.service.learner import RunSettings, run_training
from motet.service.store import Event, Item, Store, Training, User

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
USERS, ITEMS, GROUPS = 24, 24, 3
EDITED = """\
name: edited
tables: {interactions: interactions.parquet, items: items.parquet, users: users.parquet}
keys: {user: user_id, item: item_id, time: timestamp}
features:
  user: {user_id: id}
  item: {item_id: id, categories: tags}
tasks:
  like: {kind: binary, label: like}
  next: {kind: retrieval, positive: like = 1}
catalogue: {title: title}
split: {by: user_time, train: 0.8, validation: 0.15}
model: {architecture: item_knn}
"""
"""A schema as a person may write it: a plain method, which is trained in a moment."""
NETWORK = EDITED.replace("{architecture: item_knn}", "{architecture: shared_bottom, width: 4}")
NETWORK += "training: {epochs: 2, batch_size: 64}\n"
"""The same with a small network."""


def stream(start: int = 0, stop: int | None = None) -> list[Event]:
    """Users view items of three groups, and like those of their own group; in the order of their times."""
    rng = np.random.default_rng(3)
    found = []
    for k in range(USERS * 12):
        user = int(rng.integers(USERS))
        own = rng.random() < 0.8
        item = int(rng.integers(ITEMS // GROUPS)) * GROUPS + (
            user % GROUPS if own else int(rng.integers(GROUPS))
        )
        liked = item % GROUPS == user % GROUPS
        time = BEGAN + timedelta(minutes=k)
        found.append(Event("view", f"u{user}", str(item), time=time, id=f"v{k}"))
        if liked:
            found.append(Event("like", f"u{user}", str(item), time=time, id=f"l{k}"))
    return found[start:stop]


def fill(store: Store, events: list[Event] | None = None) -> None:
    """Items, users and events of the world."""
    store.items.put(
        [
            Item(str(k), comment=f"Thing {k}", categories=(f"group {k % GROUPS}",), fields={"size": k})
            for k in range(ITEMS)
        ]
    )
    store.users.put([User(f"u{k}", labels={"age": 20 + k}) for k in range(USERS)])
    store.events.add(stream() if events is None else events)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the store is: in SQLite, and in each kind of database for tests that use ``url``."""
    is_both = "url" in request.fixturenames
    return str(request.getfixturevalue("url") if is_both else tmp_path / "store.sqlite")


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    with Store(place) as opened:
        yield opened


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The directory of the models."""
    return tmp_path / "models"


@pytest.fixture
def edited(home: Path) -> Path:
    """The directory of the models with a schema that a person wrote."""
    home.mkdir()
    (home / "schema.yaml").write_text(EDITED, encoding="utf-8")
    return home


def open_parts(path: Path, load: LoadPast) -> ModelParts:
    """As the command line opens a bundle."""
    assistant = motet.load(path).assistant
    explainer = assistant.explainer
    live = LiveRecommender(explainer.recommender, graph=explainer.evidence.graph, load=load)
    return ModelParts(live, assistant, Profiler.of_bundle(explainer.bundle))


FEW = RunSettings(judged=15, tolerance=1.0)  # so few events decide nothing
Learned = tuple[Store, Path, Training]


def begun(store: Store, share: float = 0.8) -> Training:
    """A training that was begun, of a share of the events."""
    last = store.events.last()
    active = store.models.in_state("active")
    return store.learner.begin("asked", int(share * last), last, active.name if active else None)


@pytest.fixture(scope="session")
def learned_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one training that ended well, and its models; a first one has no canary, whatever is asked for."""
    place = tmp_path_factory.mktemp("learned")
    (place / "models").mkdir()
    (place / "models" / "schema.yaml").write_text(EDITED, encoding="utf-8")
    with Store(place / "store.sqlite") as store:
        fill(store)
        done = run_training(
            store, place / "models", begun(store).number, open_parts, replace(FEW, canary=0.5)
        )
    assert (done.state, done.details["reason"]) == ("active", "")
    return place


@pytest.fixture
def learned(learned_once: Path, tmp_path: Path) -> Iterator[Learned]:
    """A copy of it; the store still names the models by their first place."""
    shutil.copytree(learned_once / "models", tmp_path / "models")
    shutil.copy(learned_once / "store.sqlite", tmp_path / "store.sqlite")
    with Store(tmp_path / "store.sqlite") as store:
        done = store.learner.get(1)
        assert done is not None
        yield store, tmp_path / "models", done
