"""A task that is added to a frozen model, beside the same task trained together with the others.

    python -m benchmarks.add_task [--epochs 6] [--seed 0] [--adapters 8 32] [--json FILE]

MovieLens-100K. The first model learns ``like`` and ``next``; ``rating`` is added to it, with an adapter of each width.
The joint model learns all three at once. Both have the same features, split, network and epochs, keep the weights of
their best validation score, and have no plain methods beside the network; neither learns from validation rows.

rmse        of ``rating`` on test rows, with its 95 % interval over users
old tasks   AUC of ``like`` and NDCG@10 of ``next``: of the first model and, equal bit for bit, after ``rating`` was added
seconds     CPU time of the whole run: reading, training and measuring
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import motet
from motet.models import AddedShape
from motet.schema import Schema
from motet.training import add_task, train

NEW = "rating"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--adapters", nargs="+", type=int, default=[32])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    films: Any = motet.datasets.load("movielens-100k")
    content = films.schema.model_dump()
    content["model"]["members"] = ()
    content["training"] |= {"epochs": args.epochs, "seed": args.seed, "refit": False}
    content["knowledge"] = None
    task = content["tasks"][NEW]
    old = {name: content["tasks"][name] for name in ("like", "next")}
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as place:

        def timed(name: str, run: Any) -> None:
            began = time.process_time()
            bundle = run()
            found[name] = row_of(bundle.metrics) | {"seconds": time.process_time() - began}

        first, data = Path(place) / "first", films.directory
        timed("like and next", lambda: train(Schema.parse({**content, "tasks": old}), data, first))
        for width in args.adapters:
            timed(
                f"rating added, adapter {width}",
                lambda w=width: add_task(
                    first, data, {NEW: task}, Path(place) / f"added{w}", shape=AddedShape(w)
                ),
            )
        joint = Schema.parse({**content, "tasks": {**old, NEW: task}})
        timed("all three together", lambda: train(joint, data, Path(place) / "joint"))
    print(table(found))
    if args.json is not None:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def row_of(metrics: Any) -> dict[str, Any]:
    """The figures of one bundle."""
    new = metrics["tasks"].get(NEW, {})
    return {
        "rmse": new.get("rmse"),
        "interval": new.get("rmse_interval"),
        "like": metrics["tasks"]["like"]["auc"],
        "next": metrics["ranking"]["ndcg@10"],
        "parameters": metrics["cost"]["parameters"],
    }


def table(found: dict[str, dict[str, Any]]) -> str:
    """One line a model."""
    lines = [
        "| model | rating, RMSE | like, AUC | next, NDCG@10 | parameters | CPU s |",
        "|---|---|---|---|---:|---:|",
    ]
    for name, row in found.items():
        low, high = row["interval"] or (0.0, 0.0)
        rmse = "–" if row["rmse"] is None else f"{row['rmse']:.4f} ({low:.4f} to {high:.4f})"
        lines.append(
            f"| {name} | {rmse} | {row['like']:.4f} | {row['next']:.4f} | {row['parameters']:,} | {row['seconds']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
