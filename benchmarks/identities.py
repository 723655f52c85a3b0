"""What a user's second platform gains from a linked identity: lists of held-out people of MovieLens-100K, linked and not.

    python -m benchmarks.identities [--data DIR] [--architecture ease] [--seed 0] [--json FILE]

A fifth of the people is held out of training. The first half of each one's ratings, by time, is what they did on platform
A: it is posted to a service under ``web:ID``. The second half is what they do on platform B later. The first list of
ten on B, for ``app:ID``, is asked for before its identity is linked and after; a hit is a film of the second half
that was rated 4 or 5. The split by platform is simulated: MovieLens is one platform. Intervals are of the paired
difference, bootstrapped over people. One process, one thread.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import motet
from motet.assistant.explain import Profiler
from motet.datasets import fetch
from motet.recommend import LiveRecommender
from motet.schema import Schema
from motet.service.engine import Engine, LoadPast, ModelParts, ModelRegistry, RecommendRequest
from motet.service.store import Event, Store
from motet.training import train

SCHEMA = """
name: platforms
tables: {interactions: ratings.parquet, items: items.parquet}
keys: {user: user_id, item: item_id, time: timestamp}
features:
  user: {user_id: id, history: {kind: sequence, of: item_id, last: 100, where: "rating >= 4"}}
  item: {item_id: id, year: numeric, genres: tags}
tasks:
  like: {kind: binary, label: "rating >= 4"}
  next: {kind: retrieval, positive: "rating >= 4"}
catalogue: {title: title}
split: {by: user_time, train: 0.8, validation: 0.1}
"""
HELD_OUT = 0.2
K = 10


def open_parts(path: Path, load: LoadPast) -> ModelParts:
    """Open a bundle as the command line does."""
    assistant = motet.load(path).assistant
    explainer = assistant.explainer
    live = LiveRecommender(explainer.recommender, graph=explainer.evidence.graph, load=load)
    return ModelParts(live, assistant, Profiler.of_bundle(explainer.bundle))


def measure(data: Path, architecture: str, seed: int) -> dict[str, Any]:
    """Hits of the first list on the second platform, of each person held out."""
    ratings = pl.read_parquet(data / "ratings.parquet").with_columns(pl.col("^(user|item)_id$").cast(pl.String))  # fmt: skip
    people = np.array(sorted(ratings["user_id"].unique()))
    out = np.random.default_rng(seed).permutation(people)[: int(HELD_OUT * len(people))].tolist()
    with tempfile.TemporaryDirectory(prefix="motet-identities-") as name:
        place = Path(name)
        ratings.filter(~pl.col("user_id").is_in(out)).write_parquet(place / "ratings.parquet")
        pl.read_parquet(data / "items.parquet").with_columns(pl.col("item_id").cast(pl.String)).write_parquet(
            place / "items.parquet"
        )
        (place / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
        schema = Schema.load(
            place / "schema.yaml", [f"model.architecture={architecture}", f"training.seed={seed}"]
        )
        train(schema, place, place / "bundle")
        with Store(place / "store.sqlite") as store:
            engine = Engine(store, open_parts)
            try:
                ModelRegistry(engine).start(place / "bundle")
                return _judged(engine, ratings, out, seed)
            finally:
                engine.close()


def _judged(engine: Engine, ratings: pl.DataFrame, people: list[str], seed: int) -> dict[str, Any]:
    hits: dict[str, list[float]] = {"cold": [], "warm": []}
    equal = served = 0
    for person in people:
        rows = ratings.filter(pl.col("user_id") == person).sort("timestamp", maintain_order=True)
        half = len(rows) // 2
        later = rows[half:].filter(pl.col("rating") >= 4)
        if not half or not len(later):
            continue
        engine.add_events(
            [
                Event("rating", f"web:{person}", item, float(value), datetime.fromtimestamp(time, UTC))
                for item, value, time in rows[:half].select("item_id", "rating", "timestamp").iter_rows()
            ]
        )
        own = _list(engine, f"web:{person}")
        lists = {"cold": _list(engine, f"app:{person}")}
        engine.users.link(f"web:{person}", f"app:{person}")
        lists["warm"] = _list(engine, f"app:{person}")
        served += 1
        equal += lists["warm"] == own
        for name, items in lists.items():
            hits[name].append(float(bool(set(items) & set(later["item_id"]))))
    cold, warm = np.array(hits["cold"]), np.array(hits["warm"])
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, served, (10_000, served))
    low, high = np.percentile((warm - cold)[drawn].mean(1), [2.5, 97.5])
    return {
        "people": served,
        "lists_equal_to_the_first_platforms": equal,
        "hit_rate_cold": float(cold.mean()),
        "hit_rate_warm": float(warm.mean()),
        "gain": float((warm - cold).mean()),
        "gain_95": [float(low), float(high)],
    }


def _list(engine: Engine, user: str) -> list[str]:
    return [one.id for one in engine.recommend(RecommendRequest(user=user, k=K)).items]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="directory with MovieLens-100K as motet writes it")
    parser.add_argument("--architecture", default="ease")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    data = given.data or fetch("movielens-100k")
    found = measure(data, given.architecture, given.seed)
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
