"""What vectors of the knowledge graph add: MovieLens-100K, warm and on films held out of training.

    python -m benchmarks.graph [--seeds 0 1 2] [--vectors none transe ...] [--epochs N] [--json FILE]

Every arm is the schema of the data set with one thing changed, trained once a seed on all tasks, on the
same split of the same seed. 'warm' is the split as it is; 'cold' takes a fifth of the films out of
training, and is measured with and without the text feature, which says much the same as the graph. The
relation that gives the task 'genres' away is left out of all vectors. Nothing is chosen on the test rows.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from motet.datasets import fetch
from motet.evaluation import evaluate
from motet.schema import Schema
from motet.training import ModelPredictor, load_data, train_model

Numbers = dict[str, list[float]]
VECTORS = ("none", "transe", "distmult", "lightgcn", "gat")
PARTS = ("warm", "cold", "cold without text")


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


def schema_of(place: Path, part: str, vectors: str, seed: int, overrides: list[str]) -> Schema:
    """The schema of one arm."""
    changes = [f"training.seed={seed}", f"knowledge.seed={seed}", *overrides]
    if part.startswith("cold"):
        changes += ["split.hold_out_items=0.2", f"split.seed={seed}"]
    if vectors != "none":
        epochs = 60 if vectors in ("transe", "distmult") else 30
        changes += [f"knowledge.vectors={vectors}", f"knowledge.epochs={epochs}"]
        changes += ["features.item.graph={kind: vector, source: knowledge}"]
    schema = Schema.load(place / "schema.yaml", changes)
    if part != "cold without text":
        return schema
    kept = {name: feature for name, feature in schema.features.item.items() if feature.kind != "text"}
    return schema.model_copy(update={"features": schema.features.model_copy(update={"item": kept})})


def measure(schema: Schema, place: Path, part: str) -> dict[str, float]:
    """Train one arm and measure it on the test rows."""
    data = load_data(schema, place).data
    result: dict[str, Any] = evaluate(
        data,
        ModelPredictor(train_model(data).model, data),
        "test",
        seed=schema.training.seed,
        intervals=False,
    )
    tasks = result["tasks"] if part == "warm" else result["groups"]["cold_item"]
    found = {"like AUC": tasks["like"]["auc"], "rating RMSE": tasks["rating"]["rmse"]}
    if part == "warm":
        found["next NDCG@10"] = result["ranking"]["ndcg@10"]
        found["genres macro AP"] = result["tasks"]["genres"]["macro_ap"]
    return {name: float(value) for name, value in found.items() if value is not None}


def difference(arm: list[float], base: list[float]) -> str:
    """Mean difference of paired seeds with its 95 % interval by Student's t; no interval for one seed."""
    gaps = np.subtract(arm, base)
    mean = float(gaps.mean())
    if len(gaps) < 2:
        return f"{mean:+.4f}"
    half = float(stats.t.ppf(0.975, len(gaps) - 1)) * float(gaps.std(ddof=1)) / np.sqrt(len(gaps))
    return f"{mean:+.4f} [{mean - half:+.4f}, {mean + half:+.4f}]"


def table(part: str, found: dict[str, Numbers], seeds: list[int]) -> str:
    """One part as Markdown: mean of the seeds, and the difference to no vectors with its interval."""
    labels = list(dict.fromkeys(label for numbers in found.values() for label in numbers))
    lines = [
        f"\n{part}{'' if part == 'warm' else ' films'}, mean of seeds {seeds}, in brackets the 95 % interval of "
        "the difference to no vectors\n",
        "| vectors | " + " | ".join(labels) + " |",
        "|---|" + "---:|" * len(labels),
    ]
    base = found.get("none", {})
    for vectors, numbers in found.items():
        cells = []
        for label in labels:
            values = numbers.get(label, [])
            cell = f"{np.mean(values):.4f}" if values else ""
            if vectors != "none" and len(values) == len(base.get(label, [])) > 0:
                cell += f" ({difference(values, base[label])})"
            cells.append(cell)
        lines.append(f"| {vectors} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run every arm and print a table a part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--vectors", nargs="+", choices=VECTORS, default=list(VECTORS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--epochs", type=int, help="fewer epochs of the model, to see that it runs")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    place = fetch("movielens-100k")
    overrides = [] if arguments.epochs is None else [f"training.epochs={arguments.epochs}"]
    everything: dict[str, dict[str, Numbers]] = {}
    for part in arguments.parts:
        found: dict[str, Numbers] = {vectors: {} for vectors in arguments.vectors}
        for seed in arguments.seeds:
            for vectors in arguments.vectors:
                say(f"{part}, {vectors}, seed {seed}")
                schema = schema_of(place, part, vectors, seed, overrides)
                for label, value in measure(schema, place, part).items():
                    found[vectors].setdefault(label, []).append(value)
        everything[part] = found
        print(table(part, found, arguments.seeds), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
