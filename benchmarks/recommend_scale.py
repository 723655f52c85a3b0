"""Latency of a live recommendation as the catalogue grows: simulated items, a model of drawn weights.

    python -m benchmarks.recommend_scale --items 10000 1000000 --json recommend_scale.json

Shops have categories with a taste of their own, so that vectors form clusters as learnt ones do. Latency does not
depend on what the weights have learnt; how much of the exact answer an approximate search finds does, and is measured
beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import torch

from benchmarks._machine import MachineWatch
from motet.data import build_dataset
from motet.models import build_model
from motet.recommend import LiveRecommender, Query, Recommender, read_filter
from motet.recommend.live import Eligible, LiveEvent
from motet.recommend.rerank import Diversity
from motet.recommend.retrieve import VectorIndex
from motet.schema import Schema
from motet.training import load_bundle, save_bundle

__all__ = ["main"]

_USERS, _CATEGORIES = 2000, 200


def bundle_of(items: int, place: Path, seed: int = 0) -> Recommender:
    """A bundle over simulated items, with two events an item but at least 50 a user."""
    rng = np.random.default_rng(seed)
    category = rng.integers(0, _CATEGORIES, items)
    pl.DataFrame(
        {
            "item": [f"i{k}" for k in range(items)],
            "title": [f"thing {k}" for k in range(items)],
            "category": [f"c{k}" for k in category],
            "price": rng.gamma(2.0, 20.0, items).round(2),
        }
    ).write_parquet(place / "items.parquet")
    n = max(2 * items, 50 * _USERS)
    user = rng.integers(0, _USERS, n)
    # each user has ten categories of its own
    taste = rng.integers(0, _CATEGORIES, (_USERS, 10))
    by_category = [np.flatnonzero(category == k) for k in range(_CATEGORIES)]
    wanted = taste[user, rng.integers(0, 10, n)]
    item = np.array(
        [by_category[k][int(u * len(by_category[k]))] for k, u in zip(wanted, rng.random(n), strict=True)]
    )
    log = {"user": user, "item": item, "at": 1_700_000_000 + np.arange(n), "click": rng.integers(0, 2, n)}
    frame = pl.DataFrame(log).with_columns(item=pl.format("i{}", "item"))
    frame.write_parquet(place / "log.parquet")
    content: dict[str, Any] = {
        "name": "scale",
        "tables": {"interactions": "log.parquet", "items": "items.parquet"},
        "keys": {"user": "user", "item": "item", "time": "at"},
        "features": {
            "user": {
                "user": "id",
                "past": {"kind": "sequence", "of": "item", "last": 50, "where": "click = 1"},
            },
            "item": {"item": "id", "category": "categorical", "price": "numeric"},
        },
        "tasks": {
            "click": {"kind": "binary", "label": "click"},
            "next": {"kind": "retrieval", "positive": "click = 1"},
        },
        "catalogue": {"title": "title"},
        "split": {"by": "user_time"},
        "model": {"architecture": "mmoe", "width": 16, "retrieval_width": 64},
    }
    data = build_dataset(Schema.parse(content), place)
    model = build_model(data.schema, data.encoder, seed=seed).eval()
    save_bundle(place / "bundle", model=model, data=data, metrics={})
    return Recommender(load_bundle(place / "bundle"))


def measured(items: int, calls: int) -> dict[str, Any]:
    """Figures for one size of the catalogue."""
    with tempfile.TemporaryDirectory() as place:
        recommender = bundle_of(items, Path(place))
    began_s = time.perf_counter()
    live = LiveRecommender(recommender)
    ready_s = time.perf_counter() - began_s
    cheap = read_filter({"field": "price", "op": "le", "value": 40})
    kinds: dict[str, Callable[[int], Query]] = {
        "plain": lambda u: Query(user=str(u)),
        "filtered": lambda u: Query(user=str(u), filter=cheap),
        "diverse": lambda u: Query(user=str(u), diversity=Diversity()),
    }
    figures: dict[str, Any] = {"items": items, "ready_s": ready_s}
    began_s = time.perf_counter()
    live.recommend(Query(user="0", filter=cheap))
    figures["first_filtered_ms"] = (time.perf_counter() - began_s) * 1e3
    for name, make in kinds.items():
        took_ms, cpu_ms = [], []
        for user in range(calls + 5):
            query = make(user % _USERS)
            began_s, cpu_s = time.perf_counter(), time.thread_time()
            live.recommend(query)
            if user >= 5:
                took_ms.append((time.perf_counter() - began_s) * 1e3)
                cpu_ms.append((time.thread_time() - cpu_s) * 1e3)
        figures[name] = {
            "median_ms": float(np.median(took_ms)),
            "p99_ms": float(np.percentile(took_ms, 99)),
            "median_cpu_ms": float(np.median(cpu_ms)),
        }
    began_s = time.perf_counter()
    live.upsert_items([{"item": "brand new", "title": "x", "category": "c1", "price": 3.0}])
    figures["upsert_one_ms"] = (time.perf_counter() - began_s) * 1e3
    events = [LiveEvent(user=str(u), item=f"i{u}", type="click", at_s=1.8e9 + u) for u in range(200)]
    began_s = time.perf_counter()
    live.add_events(events)
    figures["event_ms"] = (time.perf_counter() - began_s) * 1e3 / len(events)
    figures |= _recall(live) | _ranking(live, calls)
    figures["rss_mib"] = psutil.Process().memory_info().rss / 2**20
    return figures


def _ranking(live: LiveRecommender, calls: int) -> dict[str, Any]:
    """1,000 given items ranked on all tasks, beside the bare model call on the same rows, in turns."""
    rows = np.arange(1000, dtype=np.int64)
    ids = [live.items.now.ids[row] for row in rows.tolist()]
    now = live.items.now
    user_context = live._scorer.user_context(
        now, live.user_encoder.of(None, 0, {}), live.history.of("0", now), None, {}
    )
    ranked_ms, bare_ms = [], []
    for user in range(calls):
        began_s = time.thread_time()
        user_context.ahead.every_task(user_context.data, 0, rows)
        between_s = time.thread_time()
        live.rank(Query(user=str(user % _USERS)), ids)
        ranked_ms.append((time.thread_time() - between_s) * 1e3)
        bare_ms.append((between_s - began_s) * 1e3)
    return {
        "rank_1000_cpu_ms": float(np.median(ranked_ms)),
        "bare_1000_cpu_ms": float(np.median(bare_ms)),
        "rank_1000_p99_cpu_ms": float(np.percentile(ranked_ms, 99)),
    }


def _recall(live: LiveRecommender) -> dict[str, Any]:
    """Share of the exact best 100 that the search of the recommender finds."""
    now = live.items.now
    assert now.side.retrieval is not None
    vectors, bias = (part.numpy() for part in now.side.retrieval)
    index = VectorIndex(vectors, bias)
    everything = Eligible(np.ones(len(vectors), bool))
    found = []
    for user in range(50):
        user_context = live._scorer.user_context(
            now, live.user_encoder.of(None, user, {}), live.history.of(str(user), now), None, {}
        )
        assert user_context.vector is not None
        rows = index.search(user_context.vector, 100, everything)[0]
        exact = np.argsort(-(vectors @ user_context.vector + bias))[:100]
        found.append(len(np.intersect1d(rows, exact)) / 100)
    return {"search": index.kind, "recall_at_100": float(np.mean(found))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the JSON file if asked; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommend_scale")
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    watch = MachineWatch()
    with watch.over("recommending"):
        results = [measured(items, options.calls) for items in options.items]
    for result in results:
        print(json.dumps(result, indent=1))
    for sentence in watch.disturbances():
        print(f"warning: {sentence}")
    if options.json:
        report = {"benchmark": "recommend_scale", "machine": watch.facts(), "results": results}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
