from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import pytest
import uvicorn
from gorse import AsyncGorse, Gorse
from httpx import Client

from motet.assistant import Assistant
from motet.assistant.explain import Explainer, Profiler
from motet.assistant.understand import FastReader, Lexicon
from motet.data import Dataset
from motet.models import build_model
from motet.recommend import LiveRecommender, Recommender
from motet.service.api import build_app
from motet.service.engine import Engine, EngineSettings, LoadPast, ModelParts
from motet.service.store import Store
from motet.testing import PostgresServer, hashed_words_for_tests
from motet.training import load_bundle, save_bundle

_NUMBERS = itertools.count()


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
def engine_on(url: str, bundle: Path) -> Iterator[Engine]:
    with Store(url) as store:
        engine = Engine(store, open_parts, EngineSettings())
        engine.model.use(engine.model.open("first", bundle))
        yield engine
        engine.close()


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


@pytest.fixture
def engine(bundle: Path, tmp_path: Path) -> Iterator[Engine]:
    with engine_on(str(tmp_path / "store.sqlite"), bundle) as found:
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
def calm(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a service that no test changes."""
    url = str(tmp_path_factory.mktemp("calm") / "store.sqlite")
    with (
        engine_on(url, bundle) as engine,
        served(engine) as there,
        Client(base_url=f"{there}/api", timeout=30) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    if PostgresServer.programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    if PostgresServer.programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def serve(bundle: Path) -> Callable[[str], AbstractContextManager[Client]]:
    """Starts a service on a store, and stops it."""

    @contextmanager
    def run(url: str) -> Iterator[Client]:
        with (
            engine_on(url, bundle) as engine,
            served(engine) as there,
            Client(base_url=f"{there}/api", timeout=30) as client,
        ):
            yield client

    return run


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request: pytest.FixtureRequest, bundle: Path, tmp_path: Path) -> Iterator[str]:
    """The service on each kind of database."""
    url = str(tmp_path / "store.sqlite")
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
