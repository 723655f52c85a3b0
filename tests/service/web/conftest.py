from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

import motet
from motet.assistant.explain import Profiler
from motet.recommend import LiveRecommender
from motet.schema import Schema
from motet.service import web as pages
from motet.service.api import build_app
from motet.service.engine import Engine, HttpSettings, LoadPast, ModelParts, ModelRegistry
from motet.service.store import Store
from motet.training import evaluate_bundle, train

CHROMIUM = shutil.which("chromium")
FILMS, PEOPLE = 60, 40
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
catalogue:
  title: name
  image: poster
  price: cost
  currency: EUR
  columns: {kinds: {en: kind, zh: 类型}, cost: {en: price, zh: 价格}}
  words: {Comedy: {zh: [喜剧]}, Drama: {zh: [剧情]}, Horror: {zh: [恐怖]}}
explain: {noun: {en: [film, films], zh: [部, 电影]}}
split: {by: user_time, train: 0.8, validation: 0.1}
model: {architecture: shared_bottom, width: 4}
training: {batch_size: 64, epochs: 2}
"""


def _trained(place: Path, seed: int) -> Path:
    """A small bundle: half of the people like comedies, old films get more stars."""
    rng = np.random.default_rng(5)
    kinds = [("Comedy", "Drama"), ("Comedy",), ("Horror",), ("Comedy", "Horror"), ("Drama",)]
    years = [1960 + k for k in range(FILMS)]
    pl.DataFrame(
        {
            "film": range(FILMS),
            "name": [
                f"The {word} Number {k}" for k, word in enumerate(["Long", "Blue", "Old"] * (FILMS // 3))
            ],
            "kinds": ["|".join(kinds[k % 5]) for k in range(FILMS)],
            "year": years,
            "poster": [f"posters/{k}.png" if k % 2 else None for k in range(FILMS)],
            "cost": [4.5 + k for k in range(FILMS)],
        }
    ).write_csv(place / "films.csv")
    user_encoder = pl.DataFrame(
        {"who": [f"u{u}" for u in range(PEOPLE)], "age": [20 + u for u in range(PEOPLE)]}
    )
    user_encoder.write_csv(place / "people.csv")
    views = [(u, int(f)) for u in range(PEOPLE) for f in rng.permutation(FILMS)[:16]]
    liked = [int(("Comedy" in kinds[f % 5]) == (u % 2 == 0)) for u, f in views]
    pl.DataFrame(
        {
            "who": [f"u{u}" for u, _ in views],
            "film": [f for _, f in views],
            "when": 1_700_000_000 + np.arange(len(views)) * 60,
            "place": [("home", "search")[k % 2] for k in range(len(views))],
            "liked": liked,
            "stars": [5 - f // 15 for _, f in views],
        }
    ).write_csv(place / "views.csv")
    (place / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    schema = Schema.load(place / "schema.yaml", [f"training.seed={seed}"])
    train(schema, place, place / f"films{seed}")
    evaluate_bundle(place / f"films{seed}", place)
    return place / f"films{seed}"


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two versions of a model of films."""
    return [_trained(tmp_path_factory.mktemp(f"films{seed}"), seed) for seed in (1, 2)]


def _open(path: Path, load: LoadPast) -> ModelParts:
    assistant = motet.load(path).assistant
    explainer = assistant.explainer
    live = LiveRecommender(explainer.recommender, graph=explainer.evidence.graph, load=load)
    return ModelParts(live, assistant, Profiler.of_bundle(explainer.bundle))


@dataclass
class Service:
    """A running service with pages."""

    url: str
    store: Store
    bundles: list[Path]
    app: FastAPI
    key: str | None = None

    def api(self) -> httpx.Client:
        headers = {"X-API-Key": self.key} if self.key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)


@contextmanager
def running(app: FastAPI, listening: socket.socket) -> Iterator[str]:
    """A real server on a port that is listened on."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until_s = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)


@pytest.fixture
def run_app() -> Callable[[FastAPI, socket.socket], AbstractContextManager[str]]:
    """Runs an application on a port that is listened on."""
    return running


@contextmanager
def serving(
    bundles: list[Path], store_path: Path, settings: HttpSettings | None = None, **pictures: Any
) -> Iterator[Service]:
    with Store(store_path) as store, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        engine = Engine(store, _open)
        models = ModelRegistry(engine)
        models.start(bundles[0])
        app = build_app(engine, settings, models=models)
        relay = settings.relay if settings is not None else ""
        pages.mount(app, f"http://127.0.0.1:{listening.getsockname()[1]}", relay=relay, **pictures)
        try:
            with running(app, listening) as url:
                yield Service(url, store, bundles, app)
        finally:
            engine.close()


@pytest.fixture(scope="module")
def service(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for the tests of a file; each takes a user of its own."""
    with serving(bundles, tmp_path_factory.mktemp("store") / "store.sqlite") as found:
        yield found


@pytest.fixture
def locked(bundles: list[Path], tmp_path: Path) -> Iterator[Service]:
    """One that wants a key."""
    with serving(bundles, tmp_path / "store.sqlite") as found:
        found.key, _ = found.store.keys.create({"read", "write", "admin"}, "of a test")
        yield found


@pytest.fixture
def limited(bundles: list[Path], tmp_path: Path) -> Iterator[Service]:
    """One that lets each visitor in a few times."""
    settings = HttpSettings(requests_per_s=0.001, burst=12, relay="known to this process alone")
    with serving(bundles, tmp_path / "store.sqlite", settings) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the system has it.

    No longer than a file of tests: while it is open its event loop runs in this thread, where no other test can then
    start one.
    """
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM)
        yield found
        found.close()


@dataclass
class Tab:
    """A page, and what went wrong on it."""

    page: Page
    context: BrowserContext
    url: str
    wrong: list[str] = field(default_factory=list)

    def go(self, where: str) -> Tab:
        self.page.goto(self.url + where)
        return self

    def titles(self) -> list[str]:
        return self.page.locator("#list .item h2 a").all_inner_texts()

    def parts(self, act: Callable[[], object]) -> None:
        """Do something that fetches the list again, and wait until it is displayed."""
        with self.page.expect_response(lambda answer: "x-part" in answer.request.headers) as recorded:
            act()
        assert recorded.value.status == 200, recorded.value.text()
        self.page.locator("#list[aria-busy=true]").wait_for(state="detached")

    def say(self, words: str, button: str = "find") -> None:
        self.page.fill("#ask", words)
        self.parts(lambda: self.page.click(f"button[name=do][value={button}]"))


@pytest.fixture
def open_tab(browser: Browser, service: Service) -> Iterator[Callable[..., Tab]]:
    """Opens tabs; a test fails where the console had an error, or another host was asked."""
    tabs: list[Tab] = []

    def open_one(at: Service = service, width: int = 1280, scheme: str = "light", script: bool = True) -> Tab:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=script,
            locale="en-GB",
            reduced_motion="reduce",
        )
        tab = Tab(context.new_page(), context, at.url)
        tab.page.set_default_timeout(60_000)
        tab.page.on("pageerror", lambda error: tab.wrong.append(f"script: {error}"))
        tab.page.on(
            "console", lambda said: tab.wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        tab.page.on(
            "request",
            lambda asked: None if asked.url.startswith((tab.url, "about:")) else tab.wrong.append(asked.url),
        )
        tabs.append(tab)
        return tab

    yield open_one
    for tab in tabs:
        tab.context.close()
    assert [wrong for tab in tabs for wrong in tab.wrong] == []
