from __future__ import annotations

import itertools
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

import pytest
import uvicorn
from gorse import AsyncGorse, Gorse
from httpx import Client
from tests.service.api.conftest import Service

from motet.assistant import Assistant
from motet.assistant.explain import Explainer, Profiler
from motet.assistant.understand import FastReader, Lexicon
from motet.data import Dataset
from motet.models import build_model
from motet.recommend import LiveRecommender, Recommender
from motet.service.api import build_app
from motet.service.engine import Engine, EngineSettings, LoadPast, ModelParts, ModelRegistry
from motet.service.learner import write_empty_bundle
from motet.service.store import Event, Item, Store, User
from motet.testing import PostgresServer, hashed_words_for_tests, toy_tables
from motet.training import load_bundle, save_bundle

_NUMBERS = itertools.count()
Start: TypeAlias = Literal["bundle", "empty"]
"""Whether the service begins with a trained model, or with nothing but what its store holds."""


@pytest.fixture(scope="session")
def bundle(toy: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real bundle."""
    place = tmp_path_factory.mktemp("gorse") / "bundle"
    save_bundle(place, model=build_model(toy.schema, toy.encoder, seed=3).eval(), data=toy, metrics={})
    return place


@cache
def opened(path: Path) -> tuple[Recommender, Assistant, Profiler]:
    """What no request changes, loaded once."""
    loaded = load_bundle(path)
    catalogue = loaded.data.catalogue
    assert catalogue is not None
    recommender = Recommender(loaded, hashed_words_for_tests)
    assistant = Assistant(recommender, Explainer(recommender), FastReader(Lexicon(catalogue)))
    return recommender, assistant, Profiler(loaded.data, loaded.behaviour)


def open_parts(path: Path, past: LoadPast) -> ModelParts:
    recommender, assistant, profiler = opened(path)
    return ModelParts(LiveRecommender(recommender, load=past), assistant, profiler)


@contextmanager
def engine_on(url: str, bundle: Path, start: Start = "bundle") -> Iterator[Engine]:
    with Store(url) as store:
        engine = Engine(store, open_parts, EngineSettings(insert_missing=start == "empty"))
        if start == "bundle":
            engine.model.use(engine.model.open("first", bundle))
        else:
            fill(store)
            ModelRegistry(engine).start_empty(write_empty_bundle(bundle.with_name("empty")))
        yield engine
        engine.close()


def fill(store: Store) -> None:
    """What the bundle was trained with, in a store; as with the bundle, none of it is feedback."""
    if store.items.count():
        return
    tables = toy_tables()
    store.users.put([User(id) for id in tables["users"]["user"]])
    store.items.put(
        [
            Item(str(one["item"]), categories=tuple(one["genres"].split("|")), comment=one["title"] or "")
            for one in tables["items"].iter_rows(named=True)
        ]
    )
    rows = enumerate(tables["interactions"].iter_rows(named=True))
    events = [
        Event("click", one["user"], str(one["item"]), 1.0, datetime.fromtimestamp(one["at"], UTC), f"toy{k}")
        for k, one in rows
        if one["click"]
    ]
    store.events.add(events, feedback="none", insert_missing=True)


@contextmanager
def served(engine: Engine) -> Iterator[str]:
    """A real server on a free port of the loopback interface."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        app = build_app(engine)
        config = uvicorn.Config(app, log_level="error", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until_s = time.monotonic() + 30
        while not server.started:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module", params=["bundle", "empty"])
def start(request: pytest.FixtureRequest) -> Start:
    """Every test of the API runs on both."""
    found: Start = request.param
    return found


only_with_a_bundle = pytest.mark.parametrize("start", ["bundle"], indirect=True)
"""Marks a test of what a trained model adds."""


@pytest.fixture
def engine(bundle: Path, start: Start, tmp_path: Path) -> Iterator[Engine]:
    with engine_on(str(tmp_path / "store.sqlite"), bundle, start) as found:
        yield found


@pytest.fixture
def address(engine: Engine) -> Iterator[str]:
    with served(engine) as there:
        yield there


@pytest.fixture
def http(address: str) -> Iterator[Client]:
    with Client(base_url=f"{address}/api", timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def calm(bundle: Path, start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a service that no test changes."""
    url = str(tmp_path_factory.mktemp("calm") / "store.sqlite")
    with (
        engine_on(url, bundle, start) as engine,
        served(engine) as there,
        Client(base_url=f"{there}/api", timeout=30) as client,
    ):
        yield client


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    if PostgresServer.programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def serve(bundle: Path, start: Start) -> Callable[[str], AbstractContextManager[Client]]:
    """Starts a service on a store, and stops it."""

    @contextmanager
    def run(url: str) -> Iterator[Client]:
        with (
            engine_on(url, bundle, start) as engine,
            served(engine) as there,
            Client(base_url=f"{there}/api", timeout=30) as client,
        ):
            yield client

    return run


@pytest.fixture(params=["sqlite", "postgresql", "alone"])
def anywhere(request: pytest.FixtureRequest, bundle: Path, tmp_path: Path) -> Iterator[str]:
    """The service with a bundle on each kind of database, and ``motet serve`` alone in a process of its own."""
    url = str(tmp_path / "store.sqlite")
    if request.param == "alone":
        with Store(url) as store:
            fill(store)
        service = Service("--store", url, "--port", "0", "--no-pages")
        yield service.address
        assert service.end(signal.SIGTERM) == 0
        return
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database(f"gorse{next(_NUMBERS)}")
    with engine_on(url, bundle) as engine, served(engine) as there:
        yield there


@pytest.fixture
def client(anywhere: str) -> Gorse:
    return Gorse(anywhere, "")


@pytest.fixture
def new_async(anywhere: str) -> Callable[[], AsyncGorse]:
    return lambda: AsyncGorse(anywhere, "")
