"""Use an installed motet as a team would, with what one extra brings: ``use.py NAME``, in an empty directory.

Everything is done with the base install: train, evaluate, predict, recommend. Then comes what the extra is for,
and for the base install what it says where an extra is missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import polars as pl

ITEMS = 60
SCHEMA = """\
name: shop
tables: {interactions: clicks.csv, items: goods.csv}
keys: {user: who, item: what, time: at, scenario: place}
features:
  user: {who: id, past: {kind: sequence, of: what, last: 5}}
  item: {what: id, price: numeric, kind: categorical}
tasks:
  click: {kind: binary, label: click}
  stars: {kind: regression, label: stars, range: [1, 5], after: click}
  next: {kind: retrieval, positive: click = 1}
model: {architecture: mmoe, width: 4}
training: {batch_size: 64, epochs: 2}
"""
TEXT = SCHEMA.replace("kind: categorical}", "kind: categorical, name: text}")


def main(name: str) -> None:
    """Run what an environment of this name has to run."""
    write_files()
    motet("train", "schema.yaml", "--data", "data", "--out", "bundle")
    motet("evaluate", "bundle", "--data", "data", "--baselines")
    motet("predict", "bundle", "--pairs", "data/clicks.csv", "--out", "predictions.csv")
    motet("recommend", "bundle", "--users", "users.csv", "--out", "lists.csv", "-k", "3")
    assert len(pl.read_csv("predictions.csv")) == 600
    assert pl.read_csv("lists.csv")["rank"].to_list() == [1, 2, 3] * 2
    if name in ("base", "lowest"):
        for command in (["ask", "bundle", "hats"], ["train", "text.yaml", "--data", "data", "--out", "text"]):
            said = motet(*command, code=2)
            assert "pip install 'motet[language]'" in said, said
        assert "pip install 'motet[serve]'" in motet("serve", "bundle", code=2)
        said = motet("train", "schema.yaml", "--data", "data", "--out", "searched", "--search", "1m", code=2)
        assert "pip install 'motet[tune]'" in said, said
    else:
        {
            "explain": explain,
            "language": language,
            "generate": generate,
            "graph": graph,
            "resample": resample,
            "serve": serve,
            "streams": streams,
            "surgery": surgery,
            "traces": traces,
            "tune": tune,
            "all": everything,
        }[name]()


def motet(*arguments: str, code: int = 0) -> str:
    """Run the installed command; what it printed."""
    command = [str(Path(sys.executable).with_name("motet")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == code, f"motet {' '.join(arguments)} ended with {done.returncode}:\n{said}"
    assert "Traceback" not in said, said
    return said


def write_files() -> None:
    """A small shop in which people like either hats or shoes."""
    rng = np.random.default_rng(0)
    who, what = rng.integers(0, 20, 600), rng.integers(0, ITEMS, 600)
    click = (rng.random(600) < np.where(who % 2 == what % 2, 0.8, 0.2)).astype(int)
    Path("data").mkdir()
    pl.DataFrame(
        {
            "who": who,
            "what": what,
            "at": 1_700_000_000 + 60 * np.arange(600),
            "place": rng.choice(["home", "search"], 600),
            "click": click,
            "stars": 1 + 3 * click + rng.integers(0, 2, 600),
        }
    ).write_csv("data/clicks.csv")
    kinds = np.where(np.arange(ITEMS) % 2 == 0, "hat", "shoe")
    pl.DataFrame(
        {
            "what": np.arange(ITEMS),
            "price": rng.gamma(2, 10, ITEMS).round(2),
            "kind": kinds,
            "name": [f"{('red', 'blue', 'green')[at % 3]} {kind}" for at, kind in enumerate(kinds)],
        }
    ).write_csv("data/goods.csv")
    pl.DataFrame(
        {"head": np.arange(ITEMS), "relation": "made_of", "tail": ["wool", "leather"] * (ITEMS // 2)}
    ).write_csv("data/facts.csv")
    pl.DataFrame({"who": [0, 1]}).write_csv("users.csv")
    Path("schema.yaml").write_text(SCHEMA)
    Path("text.yaml").write_text(TEXT)


def explain() -> None:
    """A reason, with the score divided among groups of features."""
    found = json.loads(motet("explain", "bundle", "--user", "1", "--item", "3", "--json"))
    assert found["attribution"] is not None
    assert found["reason"]["text"]


def language() -> None:
    """Texts in the model, and requests in words."""
    motet("train", "text.yaml", "--data", "data", "--out", "text")
    answer = json.loads(motet("ask", "text", "a red hat", "--user", "1", "--json"))
    assert answer["items"]


def generate() -> None:
    """A packaged generator that answers by a JSON schema."""
    from pydantic import BaseModel  # noqa: PLC0415

    from motet.schema import LanguageSettings  # noqa: PLC0415
    from motet.text.generate import GenerationSettings, Prompt, build_generator  # noqa: PLC0415

    class Hat(BaseModel):
        is_hat: bool

    generator = build_generator(LanguageSettings(generator_seconds=300))
    assert generator is not None
    (answer,) = generator.generate(
        [Prompt("Is a bowler a hat? Answer in JSON.")],
        GenerationSettings(max_tokens=20, answer=Hat.model_json_schema()),
    )
    Hat.model_validate_json(answer.text)


def graph() -> None:
    """Vectors of a knowledge graph by a graph network."""
    text = SCHEMA.replace(
        "kind: categorical}", "kind: categorical, facts: {kind: vector, source: knowledge}}"
    )
    Path("graph.yaml").write_text(
        text + "knowledge: {triples: facts.csv, vectors: gat, width: 4, epochs: 2}\n"
    )
    motet("train", "graph.yaml", "--data", "data", "--out", "graph")


def resample() -> None:
    """A rare label of which training sees as much as of the common one."""
    motet(
        "train", "schema.yaml", "--data", "data", "--out", "resampled", "--set", "tasks.click.resample=random_over"
    )  # fmt: skip


def surgery() -> None:
    """Gradients that are made not to conflict."""
    motet("train", "schema.yaml", "--data", "data", "--out", "upgrad", "--set", "objective.balancer=upgrad")


def tune() -> None:
    """A text encoder fitted to what people like together, and a search over settings."""
    motet("train", "schema.yaml", "--data", "data", "--out", "searched", "--search", "5m", "--trials", "2")
    motet("tune", "align", "text.yaml", "--data", "data", "--out", "tuned", "--set", "tune.steps=2")


@contextmanager
def served(environment: dict[str, str]) -> Iterator[str]:
    """The address of the bundle, served by the installed command."""
    command = [str(Path(sys.executable).with_name("motet")), "serve", "bundle", "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | environment
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if " on http://" in line:
                break
        else:
            raise AssertionError(f"motet serve ended:\n{said}")
        yield said.split(" on ")[-1].split()[0]
    finally:
        process.terminate()
        process.communicate(timeout=60)


def serve() -> None:
    """An answer over HTTP."""
    with served({}) as address:
        with urllib.request.urlopen(f"{address}/v1/health/ready") as answer:
            assert answer.status == 200
        request = urllib.request.Request(
            f"{address}/v1/recommend",
            json.dumps({"user": "1", "k": 3}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert len(json.load(answer)["items"]) == 3


def streams() -> None:
    """Events of a file in a store, and the clients of the brokers."""
    from motet.service.store import Store  # noqa: PLC0415 (not in every environment)

    Store("streams.sqlite").close()
    Path("clicks.jsonl").write_text('{"type": "click", "user": "1", "item": "2"}\n')
    store = ("--store", "streams.sqlite")
    said = motet("stream", "in", *store, "--from", "file:clicks.jsonl", "--once", "--json")
    assert json.loads(said)["events"] == 1
    said = motet("stream", "in", *store, "--from", "redis://127.0.0.1:1/clicks", code=2)
    assert "start the server" in said, said
    said = motet("stream", "in", *store, "--from", "kafka://127.0.0.1:1/clicks", code=2)
    assert "start the broker" in said, said


def traces() -> None:
    """Spans that reach a collector."""
    arrived = threading.Event()

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            arrived.set()

    collector = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    place = f"http://127.0.0.1:{collector.server_port}"
    with served({"OTEL_EXPORTER_OTLP_ENDPOINT": place, "OTEL_BSP_SCHEDULE_DELAY": "100"}) as address:
        urllib.request.urlopen(f"{address}/v1/items?limit=1").close()
        assert arrived.wait(20), "no span reached the collector"
    collector.shutdown()


def everything() -> None:
    """What every extra is for, in one environment."""
    for part in (explain, language, generate, graph, resample, serve, streams, surgery, traces, tune):
        began = time.monotonic()
        part()
        print(f"{part.__name__}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
