"""Balancers on MovieLens-100K: what a step costs beside fixed weights, and what the tasks gain.

    python -m benchmarks.balancers [speed] [quality] [--seeds 0] [--epochs 2] [--seconds 170] [--cells FILE]

speed    milliseconds a step of each balancer, beside steps of `fixed` on the same batches, in turn
quality  test metrics of each balancer with its defaults, of random weights, and of a grid of fixed weights from which
         the validation score chooses

A cell is a balancer on a seed. Finished cells are kept in a file and not run again; after `--seconds` no other cell is
begun, so that the same command goes on until all are there. Nothing is chosen on the test rows.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from motet.data import Dataset
from motet.datasets import load
from motet.errors import MissingExtraError
from motet.evaluation import evaluate
from motet.schema import Schema
from motet.training import BALANCERS, ModelPredictor, TrainingStep, load_data, train_model

Cells = dict[str, dict[str, Any]]

# One trunk, so that tasks share as much as they can, and no other members.
NETWORK = ("model.architecture=shared_bottom", "model.options={hidden: [64, 32]}", "model.members=[]")
METRICS = {"like AUC": ("like", "auc"), "rating RMSE": ("rating", "rmse"), "next NDCG@10": ("", "ndcg@10"), "genres AP": ("genres", "macro_ap")}  # fmt: skip
GRID = (0.3, 1.0, 3.0)
_WARM, _PAIRS = 2, 8


def speed(data: Dataset, name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Milliseconds a step, and those of fixed weights on the same batches; medians, and that of the ratios."""
    schema = data.schema.with_overrides(f"training.seed={seed}")
    steppers = [
        TrainingStep(data, schema.with_overrides(f"objective.balancer={each}")) for each in ("fixed", name)
    ]
    taken: tuple[list[float], list[float]] = ([], [])
    batches = steppers[0].batcher.epoch(
        data.rows("train"), schema.training.rows_a_step(len(data.rows("train"))), (0, 0)
    )
    for k, batch in enumerate(itertools.islice(batches, _WARM + _PAIRS)):
        for stepper, times in list(zip(steppers, taken, strict=True))[:: 1 if k % 2 else -1]:
            began = time.perf_counter()
            stepper(batch, schema.training.learning_rate)
            times.append(1000 * (time.perf_counter() - began))
    fixed, own = (statistics.median(times[_WARM:]) for times in taken)
    ratio = statistics.median(b / a for a, b in zip(*(times[_WARM:] for times in taken), strict=True))
    return {"ms": own, "fixed_ms": fixed, "ratio": ratio}


def quality(data: Dataset, name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Validation score and test metrics; a name such as `fixed 0.3 3` has the weights of rating and next."""
    balancer, *weights = name.split()
    changes = [f"objective.balancer={balancer}", f"training.seed={seed}", f"training.epochs={epochs}"]
    changes += [f"tasks.{task}.weight={w}" for task, w in zip(("rating", "next"), weights, strict=False)]
    trained = train_model(data, schema=data.schema.with_overrides(*changes))
    history = trained.history
    found = evaluate(data, ModelPredictor(trained.model, data), "test", seed=seed)
    metrics = {
        shown: (found["tasks"][task] if task else found["ranking"])[metric]
        for shown, (task, metric) in METRICS.items()
    }
    return {
        "score": history.validations[history.best].score,
        "metrics": metrics,
        "train_s": history.elapsed_s,
    }


PARTS: dict[str, Callable[..., dict[str, Any]]] = {"speed": speed, "quality": quality}


def wanted(part: str, seeds: list[int]) -> list[tuple[str, int]]:
    """Names and seeds of the cells of a part."""
    names = list(BALANCERS)
    if part == "quality":
        names += [f"fixed {a} {b}" for a, b in itertools.product(GRID, GRID) if (a, b) != (1.0, 1.0)]
    return [(name, seed) for seed in (seeds if part == "quality" else seeds[:1]) for name in names]


def show(cells: Cells, seeds: list[int]) -> None:
    """Print the tables of what is there."""
    costs = {key.split(":")[1]: cell for key, cell in cells.items() if key.startswith("speed:") and cell}
    if costs:
        print("\n| balancer | ms a step | of `fixed` | times |\n|---|---|---|---|")
        for name, cell in costs.items():
            print(f"| `{name}` | {cell['ms']:.0f} | {cell['fixed_ms']:.0f} | {cell['ratio']:.2f} |")
    runs: dict[str, list[dict[str, Any]]] = {}
    for key, cell in cells.items():
        part, name, seed = key.split(":")
        if part == "quality" and cell and int(seed) in seeds:
            runs.setdefault(name, []).append(cell)
    if "fixed" not in runs:
        return
    rows = {name: _mean(found) for name, found in runs.items() if len(name.split()) == 1}
    grid = {name: found for name, found in runs.items() if name.split()[0] == "fixed"}
    if len(grid) == len(GRID) ** 2:
        best = max(grid, key=lambda name: statistics.mean(cell["score"] for cell in grid[name]))
        rows[f"fixed, best of {len(grid)} ({best})"] = _mean(grid[best])
    base = rows["fixed"]
    print(f"\n| balancer | validation score | {' | '.join(METRICS)} | mean gain |")
    print("|---" * (len(METRICS) + 3) + "|")
    for name, row in sorted(rows.items(), key=lambda pair: -_gain(pair[1], base)):
        cells_of = " | ".join(f"{row[metric]:.4f}" for metric in METRICS)
        print(f"| {name} | {row['score']:.4f} | {cells_of} | {_gain(row, base):+.1%} |")


def _mean(found: list[dict[str, Any]]) -> dict[str, float]:
    values = {metric: statistics.mean(cell["metrics"][metric] for cell in found) for metric in METRICS}
    return values | {"score": statistics.mean(cell["score"] for cell in found)}


def _gain(row: dict[str, float], base: dict[str, float]) -> float:
    """Mean over the tasks of the relative gain beside fixed weights of 1."""
    return statistics.mean(
        (row[metric] - base[metric]) / base[metric] * (-1 if "RMSE" in metric else 1) for metric in METRICS
    )


def data_set() -> Dataset:
    """MovieLens-100K with the network of this benchmark."""
    films = load("movielens-100k")
    schema: Schema = films.schema.with_overrides(*NETWORK)
    return load_data(schema, films.directory).data


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="part", help="speed, quality; all when left out")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=170.0, help="begin no other cell after these")
    parser.add_argument("--cells", type=Path, default=Path("balancers.cells.json"))
    given = parser.parse_args()
    began = time.monotonic()
    cells: Cells = json.loads(given.cells.read_text()) if given.cells.is_file() else {}
    data: Dataset | None = None
    left = 0
    for part in given.parts or list(PARTS):
        for name, seed in wanted(part, given.seeds):
            key = f"{part}:{name}:{seed}"
            if key in cells:
                continue
            if time.monotonic() - began > given.seconds:
                left += 1
                continue
            data = data or data_set()
            try:
                cells[key] = PARTS[part](data, name, seed, given.epochs)
            except MissingExtraError:
                cells[key] = {}
            given.cells.write_text(json.dumps(cells, indent=1))
    show(cells, given.seeds)
    if left:
        print(f"\n{left} cells are left: say the same command again")


if __name__ == "__main__":
    main()
