"""What it costs a task to share a network and a checkpoint with others.

    python -m benchmarks.sharing [SET ...] [--seeds 0 1 2] [--data DIR] [--cache DIR]

Sets are those of ``benchmarks.defaults`` with several tasks; settings are the defaults, networks without plain members.

- *Checkpoint*: how far a task's value on validation rows at the kept checkpoint is below its best at any checkpoint, which
  is what a checkpoint of its own could give at most (the best of several looks is flattered by their noise).
- *Network*: the test value beside that of the same network trained on the task alone, with the paired 95 % interval over
  users (rows without users).

Finished cells are kept in ``--cache``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks._default_sets import SETS, SYNTHETIC, prepared
from benchmarks._table import print_table
from motet.evaluation import evaluate
from motet.schema import Schema
from motet.training import ModelPredictor, load_data, single_task_baseline, train

__all__ = ["main"]

_SETS: Final = ("movielens-100k", "clothing-reviews", "adult", "worlds", "worlds-scenarios")


def cell(name: str, seed: int, source: Path, schema: Schema) -> dict[str, Any]:
    """One set and seed."""
    training = schema.training.model_copy(update={"seed": seed})
    model = schema.model.model_copy(update={"members": ()})
    schema = schema.model_copy(update={"training": training, "model": model})
    with tempfile.TemporaryDirectory() as place:
        bundle = train(schema, source, Path(place) / "bundle")
    data = load_data(schema, source).data
    joint = ModelPredictor(bundle.model, data, known="validation")
    evaluation = evaluate(data, joint, "test", seed=seed)
    _, compared = single_task_baseline(data, joint, evaluation, "test", seed=seed)
    history = bundle.metrics["history"]
    kept = history["validations"][history["best"]]["primary_values"]
    return {
        "set": name,
        "seed": seed,
        "synthetic": name in SYNTHETIC,
        "checkpoint": {
            task: max(one["primary_values"][task] for one in history["validations"]) - value
            for task, value in kept.items()
        },
        "network": compared,
    }


def rows_of(cells: list[dict[str, Any]]) -> list[list[Any]]:
    """Rows of the table, one a set, seed and task."""
    rows = []
    for one in cells:
        for task, found in one["network"].items():
            low, high = found["interval"] or (float("nan"), float("nan"))
            verdict = "**behind**" if found["negative_transfer"] else "ahead" if low > 0 else "level"
            named = f"{one['set']}{', synthetic' if one['synthetic'] else ''}, seed {one['seed']}"
            rows.append(
                [
                    named,
                    task,
                    found["metric"],
                    f"{one['checkpoint'].get(task, float('nan')):.4f}",
                    f"{found['multi']:.4f}",
                    f"{found['single']:.4f}",
                    f"{found['difference']:+.4f} [{low:+.4f}, {high:+.4f}]",
                    verdict,
                ]
            )
    return rows


def main() -> None:
    """Run the cells that are not kept yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", choices=[[], *SETS], default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("MOTET_DATA_DIR"))
    parser.add_argument("--cache", type=Path, default=Path("runs/sharing"))
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    cells: list[dict[str, Any]] = []
    for name in asked.sets or _SETS:
        with tempfile.TemporaryDirectory() as place:
            found = prepared(name, Path(asked.data) if asked.data else None, Path(place))
            for seed in asked.seeds if found is not None else ():
                kept = asked.cache / f"{name}-{seed}.json"
                if found is not None and not kept.is_file():
                    print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
                    kept.with_suffix(".new").write_text(
                        json.dumps(cell(name, seed, *found)), encoding="utf-8"
                    )
                    kept.with_suffix(".new").replace(kept)
                cells.append(json.loads(kept.read_text(encoding="utf-8")))
    print_table(
        "a task that shares its network, beside the same network for it alone",
        ["set", "task", "metric", "checkpoint", "shared", "alone", "difference", ""],
        rows_of(cells),
    )


if __name__ == "__main__":
    main()
