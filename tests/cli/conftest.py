from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import pytest

from motet.cli import main

COMMAND = [sys.executable, "-m", "motet"]

SCHEMA = """\
name: clicks
tables: {interactions: clicks.csv, items: goods.csv}
keys: {user: who, item: what, time: when, scenario: place}
features:
  user:
    who: id
    past: {kind: sequence, of: what, last: 5}
  item:
    what: id
    price: numeric
    kind: categorical
tasks:
  click: {kind: binary, label: click}
  stars: {kind: regression, label: stars, range: [1, 5], after: click}
  next: {kind: retrieval, positive: click = 1}
split: {by: user_time, train: 0.6, validation: 0.2}
model: {architecture: mmoe, width: 4, dropout: 0.2}
training: {batch_size: 32, epochs: 2, learning_rate: 0.01}
"""


class Answer:
    """What a command said, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Motet(Protocol):
    """Runs a command in this process."""

    def __call__(self, *arguments: object) -> Answer: ...


@pytest.fixture
def motet(capfd: pytest.CaptureFixture[str]) -> Motet:
    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return run


class Installed(Protocol):
    """Runs the installed command as a process of its own."""

    def __call__(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="session")
def installed() -> Installed:
    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *(str(a) for a in arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=single(), **options)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the installed command and leaves it running; what is left at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: object) -> subprocess.Popen[str]:
        command = [*COMMAND, *(str(a) for a in arguments)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=single()
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def single() -> dict[str, str]:
    """The environment with one thread: small runs crawl with more."""
    return os.environ | {"OMP_NUM_THREADS": "1"}


def tables(rows: int = 400) -> dict[str, pl.DataFrame]:
    """Clicks with some truth in them."""
    rng = np.random.default_rng(3)
    who, what = rng.integers(0, 25, rows), rng.integers(0, 15, rows)
    taste = rng.normal(size=(25, 15))
    click = (taste[who, what] + rng.normal(size=rows) > 0).astype(int)
    clicks = pl.DataFrame(
        {
            "who": [f"u{k}" for k in who],
            "what": what,
            "when": 1_700_000_000 + np.arange(rows) * 60,
            "place": rng.choice(["home", "search"], rows),
            "click": click,
            "stars": np.clip(np.round(3 + taste[who, what]), 1, 5).astype(int),
        }
    )
    goods = pl.DataFrame(
        {
            "what": np.arange(15),
            "price": rng.gamma(2, 10, 15).round(2),
            "kind": rng.choice(["hat", "shoe"], 15),
        }
    )
    return {"clicks": clicks, "goods": goods}


def write(place: Path, content: dict[str, pl.DataFrame], schema: str = SCHEMA) -> Path:
    """Write tables and a schema into a directory."""
    place.mkdir(parents=True, exist_ok=True)
    for name, table in content.items():
        table.write_csv(place / f"{name}.csv")
    (place / "schema.yaml").write_text(schema, encoding="utf-8")
    return place


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "data", tables())


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ``data`` and a ``bundle`` trained on it."""
    place = tmp_path_factory.mktemp("trained")
    write(place / "data", tables())
    code = main(
        [
            "train",
            f"{place}/data/schema.yaml",
            "--data",
            f"{place}/data",
            "--out",
            f"{place}/bundle",
            "--json",
        ]
    )
    assert code == 0
    return place
