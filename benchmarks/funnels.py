"""Conversion rates over all impressions, where the truth is known: funnels beside a label masked by ``after``.

    python -m benchmarks.funnels [METHOD …] [--worlds dense sparse] [--seeds 0 1 2] [--interactions 100000] [--json FILE]

A synthetic world shows items to users; a click is likelier where the affinity is high, and so is a cart after a click.
Carts are seen on clicked rows only, which are not like the others. In the dense world the ids of users and items have
rows enough to learn the affinity, so that what selects clicks can be seen; in the sparse one most of it stays hidden, and
weighing by the predicted chance of a click cannot correct what that does not know. For the test impressions, clicked or not, the chance
of a cart given a click is compared with the true one of the world:

bias        mean of the predictions less mean of the truth, over all impressions, and over those without a click
rmse        root mean square error of the probabilities over all impressions
loss        cross-entropy with the true chances, less their entropy, in thousandths of a nat: 0 is perfect
auc         of clicks and, on clicked rows, of carts, as a log would show them

Every method has the same data, features, batches and epochs, and keeps the weights of its best validation score. Nothing
is chosen on test rows. Values are means over seeds, ± their standard deviation where there are several.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.datasets import SyntheticWorld, Truth, generate
from motet.metrics import METRICS
from motet.models.architectures import ARCHITECTURES
from motet.schema import Schema
from motet.training import ModelPredictor, load_data, train_model

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "shared_bottom": ("shared_bottom", {}),
    "single_task": ("single_task", {}),
    "esmm": ("esmm", {}),
    "escm2 ips": ("escm2", {"risk": "ips"}),
    "escm2 dr": ("escm2", {"risk": "dr"}),
    "dcmt": ("dcmt", {}),
    "aitm": ("aitm", {}),
    "dbmtl": ("dbmtl", {}),
}
"""What is compared: a name, the architecture and its options; the first two learn carts from clicked rows alone."""

WORLDS: dict[str, tuple[int, int]] = {"dense": (300, 150), "sparse": (2_000, 800)}
"""Users and items."""

FIRST, LATER = "click", "cart"
Row = dict[str, float]


def world_of(name: str, seed: int, interactions: int, place: Path) -> tuple[Dataset, Truth]:
    """A world of two tasks, a cart after a click, and its truth."""
    users, items = WORLDS[name]
    world = SyntheticWorld(users=users, items=items, interactions=interactions, seed=seed)
    directory = generate(world, place / "world")
    schema = Schema.load(directory / "schema.yaml", [f"training.seed={seed}", f"split.seed={seed}"])
    content = schema.model_dump(exclude_unset=True)
    content["tasks"] = {name: content["tasks"][name] for name in (FIRST, LATER)}
    content["features"]["item"].pop("about")  # no text encoder is needed here
    content["training"] = {"epochs": 6, "batch_size": 1024, "seed": seed}
    data = load_data(Schema.parse(content), directory).data
    return data, Truth.load(directory / "truth.npz")


def true_chances(data: Dataset, truth: Truth, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """True chance of a cart given a click, [n]."""
    users = data.user_ids.cast(int).to_numpy()[data.user_row[rows]]
    items = data.item_ids.cast(int).to_numpy()[data.item_row[rows]]
    names = np.array(data.encoder.scenarios)[data.scenario[rows]]
    scenarios = truth.scenario_codes(names.tolist())
    found = truth.expectations(users, items, scenarios, data.time[rows].astype("datetime64[us]"))
    return found[LATER].astype(np.float64)


def measure(data: Dataset, truth: Truth, name: str) -> Row:
    """Train one method and compare it with the truth on the test rows."""
    architecture, options = METHODS[name]
    model = {**data.schema.model.model_dump(), "architecture": architecture, "options": options}
    schema = Schema.parse({**data.schema.model_dump(exclude_unset=True), "model": model})
    began = time.process_time()
    trained = train_model(data, schema=schema)
    seconds = time.process_time() - began
    rows = data.rows("test")
    predicted = ModelPredictor(trained.model, data).predict(rows)
    p, t = predicted[LATER].astype(np.float64), true_chances(data, truth, rows)
    clicks = data.label(FIRST, rows)
    carts = data.label(LATER, rows)
    known = ~np.isnan(carts)
    loss = _cross_entropy(t, p) - _cross_entropy(t, t)
    auc = METRICS["auc"]
    assert trained.model.architecture is not None
    parameters = sum(weight.numel() for weight in trained.model.architecture.parameters())
    return {
        "bias": float((p - t).mean()),
        "bias without a click": float((p - t)[clicks == 0].mean()),
        "rmse": float(np.sqrt(((p - t) ** 2).mean())),
        "loss": 1000 * float(loss.mean()),
        "click auc": float(auc(clicks, predicted[FIRST])),
        "cart auc": float(auc(carts[known], p[known].astype(np.float32))),
        "parameters": float(parameters),
        "train CPU s": seconds,
        "true mean": float(t.mean()),
    }


def _cross_entropy(t: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    found: NDArray[np.float64] = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    return found


def table(found: Mapping[str, Sequence[Row]]) -> str:
    """One line a method."""
    columns = [
        "bias",
        "bias without a click",
        "rmse",
        "loss",
        "click auc",
        "cart auc",
        "parameters",
        "train CPU s",
    ]
    lines = [f"| method | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name, rows in found.items():
        cells = [_cell(column, [row[column] for row in rows]) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(column: str, values: Sequence[float]) -> str:
    digits = {"parameters": 0, "train CPU s": 1, "loss": 2}.get(column, 4)
    sign = "+" if column.startswith("bias") else ","
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 and digits > 1 else ""
    return f"{np.mean(values):{sign}.{digits}f}{spread}"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="*", default=list(METHODS), metavar="METHOD")
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=list(WORLDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--interactions", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    unknown = set(args.methods) - set(METHODS)
    if unknown:
        parser.error(f"no such method: {', '.join(sorted(unknown))}; known: {', '.join(METHODS)}")
    found: dict[str, dict[str, list[Row]]] = {}
    for world in args.worlds:
        found[world] = {name: [] for name in args.methods}
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as place:
                data, truth = world_of(world, seed, args.interactions, Path(place))
                for name in args.methods:
                    found[world][name].append(measure(data, truth, name))
                    print(f"{world}, seed {seed}: {name}", file=sys.stderr, flush=True)
        mean = np.mean([row["true mean"] for rows in found[world].values() for row in rows])
        print(f"{world} world; true mean chance of a cart given a click: {mean:.4f}\n")
        print(table(found[world]) + "\n", flush=True)
    if args.json is not None:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    assert {architecture for architecture, _ in METHODS.values()} <= set(ARCHITECTURES)
    main()
