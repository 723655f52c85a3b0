from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
import uvicorn
from fastapi.testclient import TestClient

import motet
from motet.assistant.explain import Profiler
from motet.recommend import LiveRecommender
from motet.schema import Schema
from motet.service.api import build_app
from motet.service.engine import Engine, EngineSettings, HttpSettings, LoadPast, ModelParts, ModelRegistry
from motet.service.store import Store
from motet.training import train

SCHEMA = """\
name: films
tables: {interactions: views.csv, items: films.csv, users: people.csv}
keys: {user: who, item: film, time: when, scenario: place}
features:
  user: {who: id, age: numeric, past: {kind: sequence, of: film, last: 5, where: liked = 1}}
  item: {film: id, kinds: {kind: tags, separator: "|"}, year: numeric}
tasks:
  like: {kind: binary, label: liked}
  stars: {kind: regression, label: stars, range: [1, 5]}
  next: {kind: retrieval, positive: liked = 1}
catalogue: {title: name}
explain: {noun: {en: [film, films], zh: [部, 电影]}}
split: {by: user_time, train: 0.8, validation: 0.1}
model: {architecture: shared_bottom, width: 4}
training: {batch_size: 64, epochs: 2}
"""
KNOWLEDGE = """\
knowledge:
  triples: facts.csv
  names: names.csv
  vectors: none
  relations: {directed_by: {en: directed by, zh: 导演}}
"""
FILMS = 30


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of films."""
    return _trained(tmp_path_factory.mktemp("films"), seed=1)


@pytest.fixture(scope="session")
def other_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the same films with other weights."""
    return _trained(tmp_path_factory.mktemp("others"), seed=2)


@pytest.fixture(scope="session")
def films_with_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the same films that knows who directed them."""
    return _trained(tmp_path_factory.mktemp("graph"), seed=1, graph=True)


def _trained(place: Path, seed: int, *, graph: bool = False) -> Path:
    rng = np.random.default_rng(5)
    kinds = [("Comedy", "Drama"), ("Comedy",), ("Horror",), ("Comedy", "Horror"), ("Drama",)]
    pl.DataFrame(
        {
            "film": range(FILMS),
            "name": [f"The {word} Number {k}" for k, word in enumerate(["Long", "Blue", "Old"] * 10)],
            "kinds": ["|".join(kinds[k % 5]) for k in range(FILMS)],
            "year": [1970 + k for k in range(FILMS)],
        }
    ).write_csv(place / "films.csv")
    pl.DataFrame({"who": [f"u{u}" for u in range(40)], "age": [20 + u for u in range(40)]}).write_csv(
        place / "people.csv"
    )
    views = [(f"u{u}", int(f)) for u in range(40) for f in rng.permutation(FILMS)[:12]]
    liked = [int((int(u[1:]) + f) % 5 < 2) for u, f in views]
    pl.DataFrame(
        {
            "who": [u for u, _ in views],
            "film": [f for _, f in views],
            "when": 1_700_000_000 + np.arange(len(views)) * 60,
            "place": [("home", "search")[k % 2] for k in range(len(views))],
            "liked": liked,
            "stars": [1 + 3 * one + k % 2 for k, one in enumerate(liked)],
        }
    ).write_csv(place / "views.csv")
    if graph:
        facts = [(str(k), "directed_by", f"d{k % 6}") for k in range(FILMS)]
        pl.DataFrame(facts, ["head", "relation", "tail"], orient="row").write_csv(place / "facts.csv")
        names = [(f"d{k}", f"Ann Lee the {k}.") for k in range(6)]
        pl.DataFrame(names, ["entity", "name"], orient="row").write_csv(place / "names.csv")
    (place / "schema.yaml").write_text(SCHEMA + (KNOWLEDGE if graph else ""), encoding="utf-8")
    schema = Schema.load(place / "schema.yaml", [f"training.seed={seed}"])
    train(schema, place, place / "bundle")
    return place / "bundle"


def open_parts(path: Path, load: LoadPast) -> ModelParts:
    """As the command line opens a bundle."""
    assistant = motet.load(path).assistant
    explainer = assistant.explainer
    live = LiveRecommender(explainer.recommender, graph=explainer.evidence.graph, load=load)
    return ModelParts(live, assistant, Profiler.of_bundle(explainer.bundle))


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of SQLite; of each kind of database for tests that use ``url``."""
    place = request.getfixturevalue("url") if "url" in request.fixturenames else tmp_path / "store.sqlite"
    with Store(place) as opened:
        yield opened


Start = Callable[..., Engine]


@pytest.fixture
def start(films: Path, store: Store) -> Iterator[Start]:
    """Starts an engine on a store, as often as one likes; each is closed before the store is."""
    running: list[Engine] = []

    def one(store: Store, bundle: Path = films, **settings: object) -> Engine:
        engine = Engine(store, open_parts, EngineSettings(follow_s=0.1, **settings))  # type: ignore[arg-type]
        running.append(engine)
        ModelRegistry(engine).start(bundle)
        return engine

    yield one
    for engine in running:
        engine.close()


@pytest.fixture
def engine(start: Start, store: Store) -> Engine:
    return start(store)


Serve = Callable[..., TestClient]


@pytest.fixture
def serve(store: Store, films: Path) -> Iterator[Serve]:
    """An application with its client."""
    running: list[tuple[Engine, TestClient]] = []

    def one(bundle: Path = films, **settings: object) -> TestClient:
        engine = Engine(store, open_parts, EngineSettings(follow_s=0.1))
        models = ModelRegistry(engine)
        models.start(bundle)
        app = build_app(engine, HttpSettings(**settings), models=models)  # type: ignore[arg-type]
        client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        client.__enter__()
        running.append((engine, client))
        return client

    yield one
    for engine, client in running:
        client.__exit__(None, None, None)
        engine.close()


@pytest.fixture
def client(serve: Serve) -> TestClient:
    return serve()


@pytest.fixture(scope="module")
def shared_client(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One for the tests of a file that do not disturb each other; it lets as many requests in as come."""
    with Store(tmp_path_factory.mktemp("store") / "store.sqlite") as opened:
        engine = Engine(opened, open_parts, EngineSettings(follow_s=0.1))
        models = ModelRegistry(engine)
        models.start(films)
        app = build_app(engine, HttpSettings(requests_per_s=1e6, burst=1_000_000), models=models)
        try:
            with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as found:
                yield found
        finally:
            engine.close()


Listen = Callable[[TestClient], str]


@pytest.fixture(scope="module")
def on_a_port() -> Iterator[Listen]:
    """Lets a client's application answer on a real port; gives its address."""
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def one(client: TestClient) -> str:
        place = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(client.app, log_config=None, lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
        thread.start()
        running.append((server, thread, place))
        until_s = time.monotonic() + 30
        while not server.started:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        return f"http://127.0.0.1:{place.getsockname()[1]}"

    yield one
    for server, thread, place in running:
        server.should_exit = True
        thread.join(30)
        place.close()


Run = Callable[..., "Service"]


class Service:
    """``motet serve`` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "motet", "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if "motet serves" in line:
                break
        found = re.search(r"motet serves \S+ on (http://127\.0\.0\.1:(\d+))", self.said)
        assert found, self.said
        self.address, self.port = found.group(1), int(found.group(2))
        self.client = httpx.Client(base_url=self.address, timeout=30)

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        code = self.process.wait(60)
        self.client.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def run(films: Path, tmp_path: Path) -> Iterator[Run]:
    running: list[Service] = []

    def one(*arguments: str) -> Service:
        place = ("--store", str(tmp_path / "store.sqlite"), "--port", "0", "--no-pages")
        running.append(Service(str(films), *place, *arguments))
        return running[-1]

    yield one
    for service in running:
        if service.process.poll() is None:
            service.end(signal.SIGKILL)
