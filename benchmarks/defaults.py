"""Default settings on many kinds of data, beside every plain method, tuned in the same run.

    python -m benchmarks.defaults [SET ...] [--seeds 0 1 2 3 4] [--quick] [--data DIR] [--cache DIR] [--json FILE]

Sets: movielens-100k (time split), movielens-timeless (random split, no times), movielens-implicit (events alone),
clothing-reviews, adult, open-bandit, worlds, amazon-office (with ``--data DIR`` or ``MOTET_DATA_DIR``; skipped with a
note where it is absent) and amazon-ids, the same without texts.

Each set is trained once a seed with its schema's default settings. Baselines choose their settings on validation rows,
and the best baseline of a task is the one with the best value on validation rows. A task is *ahead* or *behind* where
the paired 95 % interval over users (rows without users), pooled over the seeds, excludes zero; else *level*. Every
finished cell is kept in ``--cache``, so that an interrupted run goes on. ``--quick`` takes one seed.

The row of amazon-office counts each of its test events, given the events of the user before it (data sheet of the set).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml
from numpy.typing import NDArray

from motet.data import Dataset, Ragged
from motet.datasets import fetch
from motet.evaluation import paired_intervals, primary_values
from motet.models.baselines import BASELINES, Baseline, RankingBaseline
from motet.schema import Schema
from motet.training import ModelPredictor, load_data, train

SETS = (
    "movielens-100k",
    "movielens-timeless",
    "movielens-implicit",
    "clothing-reviews",
    "adult",
    "open-bandit",
    "worlds",
    "amazon-ids",
    "amazon-office",
)


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


def prepared(name: str, data: Path | None, place: Path) -> tuple[Path, Schema] | None:
    """Directory and schema of a set; None where its files are absent."""
    if name.startswith("amazon"):
        return _amazon(data, place, texts=name == "amazon-office")
    source = fetch("movielens-100k" if name.startswith("movielens") else name)
    if name in ("clothing-reviews", "adult", "open-bandit", "worlds", "movielens-100k"):
        return source, Schema.load(source / "schema.yaml")
    content = _with_on(yaml.safe_load((source / "schema.yaml").read_text(encoding="utf-8")))
    if name == "movielens-timeless":
        content["split"] = {"by": "random"}
        content["keys"] = {name: content["keys"][name] for name in ("user", "item")}
        del content["derive"], content["features"]["interaction"]
        of_user = content["features"]["user"]
        content["features"]["user"] = {n: f for n, f in of_user.items() if _kind(f) != "sequence"}
    if name == "movielens-implicit":
        content["tasks"] = {"next": {"kind": "retrieval", "positive": "true"}}
        content.get("knowledge", {}).pop("hide", None)
        features = content["features"]["user"]
        for feature in features.values():
            if _kind(feature) == "sequence":
                feature.pop("where", None)
    (place / "schema.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return source, Schema.load(place / "schema.yaml")


def _with_on(content: Any) -> Any:
    """What YAML 1.1 reads, with the key ``on`` in place of true."""
    if isinstance(content, dict):
        return {"on" if key is True else key: _with_on(value) for key, value in content.items()}
    return content


def _kind(feature: Any) -> str:
    return feature if isinstance(feature, str) else str(feature["kind"])


def _amazon(data: Path | None, place: Path, *, texts: bool) -> tuple[Path, Schema] | None:
    """Events in their order in place of times; a user's own events before each one, whatever their split."""
    source = None if data is None else data / "amazon-office"
    if source is None or not (source / "events.csv.gz").is_file():
        return None
    events = pl.read_csv(source / "events.csv.gz")
    order = {"train": 0, "valid": 1, "test": 2}
    events = events.with_columns(part=pl.col("split").replace_strict(order)).sort(
        "part", "position", "user_id"
    )
    # there are no times: the split is by time and a user's events have an order, which is all that is used
    events = events.with_columns(at=1_500_000_000 + 60 * pl.int_range(pl.len()))
    counts = events["part"].value_counts().sort("part")["count"].to_list()
    events.select("user_id", "item_id", "at").write_csv(place / "events.csv")
    pl.read_csv(source / "items.csv.gz").write_csv(place / "items.csv")
    item: dict[str, Any] = {"item_id": "id"}
    if texts:
        item |= {"brand": {"kind": "categorical", "min_count": 2}, "about": {"kind": "text", "template": "{title}. {description}"}}  # fmt: skip
    content = {
        "name": "amazon-office",
        "tables": {"interactions": "events.csv", "items": "items.csv"},
        "keys": {"user": "user_id", "item": "item_id", "time": "at"},
        "split": {
            "by": "time",
            "train": (counts[0] + 0.4) / sum(counts),
            "validation": counts[1] / sum(counts),
        },
        "features": {
            "user": {"user_id": "id", "past": {"kind": "sequence", "of": "item_id", "last": 10}},
            "item": item,
        },
        "tasks": {"next": {"kind": "retrieval", "positive": "true", "repeats": True}},
    }
    return place, Schema.parse(content)


def per_event(data: Dataset, predictor: ModelPredictor, baselines: Any) -> dict[str, dict[str, float]]:
    """NDCG@10 and HR@10 over test events, each given the events of its user before it, of us and of what ranks."""
    rows = data.rows("test")
    order = np.lexsort((data.time, data.user_row))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    starts = np.searchsorted(data.user_row[order], data.user_row[rows])
    lengths = place[rows] - starts
    values = np.concatenate([data.item_row[order[a : a + n]] for a, n in zip(starts, lengths, strict=True)])
    had = Ragged.from_lengths(values.astype(np.int32), lengths)
    vectors, bias = predictor.item_vectors()
    with torch.no_grad():
        outputs = predictor.model(predictor.batcher.batch(rows))
        users = outputs.user_vectors[outputs.inputs.user_of_row]
        network = torch.addmm(bias, users, vectors.T).numpy()
    scores = {"network": network}
    scores["motet"] = network if predictor.blend is None else predictor.blend.scores(network, had)
    for name, (baseline, _, _) in baselines.items():
        if isinstance(baseline, RankingBaseline):
            scores[name] = baseline.scores.scores(had)
    found = {}
    for name, given in scores.items():
        own = np.take_along_axis(given, data.item_row[rows].astype(np.int64)[:, None], 1)
        rank = (given > own).sum(axis=1) + ((given == own).sum(axis=1) - 1) / 2
        found[name] = {
            "ndcg@10": float(np.where(rank < 10, 1 / np.log2(rank + 2), 0).mean()),
            "hr@10": float((rank < 10).mean()),
        }
    return found


def values_of(data: Dataset, predictor: Any, split: str) -> dict[str, float]:
    """Primary metric by task, those that are defined."""
    return {name: v for name, v in primary_values(data, predictor, split).items() if v is not None}


def fitted(data: Dataset) -> dict[str, tuple[Baseline, dict[str, float], dict[str, float]]]:
    """Baselines with their values on validation and on test rows."""
    found = {}
    for name, kind in BASELINES.items():
        if kind.steps_aside(data) is None:
            say(f"  {name}")
            validation = values_of(data, kind.fit(data, known="train"), "validation")
            baseline = kind.fit(data)
            found[name] = (baseline, validation, values_of(data, baseline, "test"))
    return found


class Alone:
    """The network of a bundle without its members."""

    def __init__(self, model: Any, data: Dataset) -> None:
        self._predictor = ModelPredictor(model, data)

    def predict(self, rows: NDArray[np.int64]) -> Mapping[str, NDArray[np.float32]]:
        """As the network says."""
        return self._predictor.predict(rows)

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """As the network says."""
        return self._predictor.score_items(users)


def cell(name: str, seed: int, source: Path, schema: Schema, data: Dataset, baselines: Any) -> dict[str, Any]:
    """One set and seed: our values, those of the network alone, and intervals against the best baseline of each task."""
    with tempfile.TemporaryDirectory() as place:
        settings = schema.training.model_copy(update={"seed": seed})
        began_s = time.perf_counter()
        bundle = train(schema.model_copy(update={"training": settings}), source, Path(place) / "bundle")
        spent_s = time.perf_counter() - began_s
        ours = ModelPredictor(bundle.model, data, blend=bundle.blend, task_blend=bundle.task_blend)
        tasks: dict[str, Any] = {}
        values, alone = values_of(data, ours, "test"), values_of(data, Alone(bundle.model, data), "test")
        intervals: dict[str, dict[str, Any]] = {}
        for task in values:
            rivals = {n: v[task] for n, (_, v, _) in baselines.items() if task in v}
            if not rivals:
                continue
            best = max(rivals, key=lambda n: rivals[n])
            if best not in intervals:
                intervals[best] = paired_intervals(data, ours, baselines[best][0], seed=seed)
            tasks[task] = {
                "metric": schema.tasks[task].primary_metric,
                "ours": values[task],
                "network": alone.get(task),
                "best": best,
                "best_value": baselines[best][2][task],
                "interval": intervals[best].get(task),
                "baselines": {n: v[task] for n, (_, _, v) in baselines.items() if task in v},
            }
        found = {
            "set": name,
            "seed": seed,
            "train_s": spent_s,
            "tasks": tasks,
            "blend": bundle.metrics["blend"],
        }
        if name.startswith("amazon"):
            found["per_event"] = per_event(data, ours, baselines)
        return found


def main() -> None:
    """Run the cells that are not kept yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", choices=[[], *SETS], default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=os.environ.get("MOTET_DATA_DIR"))
    parser.add_argument("--cache", type=Path, default=Path("runs/defaults"))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    cells: list[dict[str, Any]] = []
    for name in asked.sets or SETS:
        with tempfile.TemporaryDirectory() as place:
            found = prepared(name, Path(asked.data) if asked.data else None, Path(place))
            if found is None:
                say(f"{name}: skipped, its files are absent (--data DIR)")
                continue
            source, schema = found
            key = hashlib.sha256(schema.to_yaml().encode()).hexdigest()[:12]
            loaded: tuple[Dataset, Any] | None = None
            for seed in asked.seeds[:1] if asked.quick else asked.seeds:
                kept = asked.cache / f"{name}-{key}-{seed}.json"
                if not kept.is_file():
                    say(f"{name}, seed {seed}")
                    if loaded is None:
                        data = load_data(schema, source).data
                        loaded = data, fitted(data)
                    content = cell(name, seed, source, schema, *loaded)
                    kept.with_suffix(".new").write_text(json.dumps(content, indent=1), encoding="utf-8")
                    kept.with_suffix(".new").replace(kept)
                cells.append(json.loads(kept.read_text(encoding="utf-8")))
    table(cells)
    if asked.json:
        asked.json.write_text(json.dumps(cells, indent=1), encoding="utf-8")


def table(cells: list[dict[str, Any]]) -> None:
    """One line a set and task, as Markdown."""
    print("| data, task | metric | motet | its network alone | best plain method | difference | |")
    print("|---|---|---|---|---|---|---|")
    for name in dict.fromkeys(one["set"] for one in cells):
        of_set = [one for one in cells if one["set"] == name]
        for task in of_set[0]["tasks"]:
            facts = [one["tasks"][task] for one in of_set if task in one["tasks"]]
            ours, best = np.mean([f["ours"] for f in facts]), np.mean([f["best_value"] for f in facts])
            alone = np.mean([f["network"] for f in facts])
            known = [f["interval"] for f in facts if f["interval"] is not None]
            low, high = np.mean(known, axis=0) if known else (np.nan, np.nan)
            verdict = "ahead" if low > 0 else "**behind**" if high < 0 else "level"
            print(
                f"| {name}, {task} | {facts[0]['metric']} | {ours:.4f} | {alone:.4f} | {facts[0]['best']} {best:.4f} "
                f"| {ours - best:+.4f} ({low:+.4f} to {high:+.4f}) | {verdict} |"
            )
        for method in of_set[0].get("per_event", {}):
            both = [np.mean([one["per_event"][method][m] for one in of_set]) for m in ("ndcg@10", "hr@10")]
            say(f"{name}, per event: {method} NDCG@10 {both[0]:.4f}, HR@10 {both[1]:.4f}")
        spent = ", ".join(f"{one['train_s']:.0f}" for one in of_set)
        say(f"{name}: trained in {spent} s")


if __name__ == "__main__":
    main()
