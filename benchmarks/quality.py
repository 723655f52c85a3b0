"""Quality on real data: one model for all tasks, beside plain baselines, over seeds.

    python -m benchmarks.quality [movielens] [cold] [clothing] [--seeds 0 1 2] [--json FILE]

movielens  one model on all tasks against every baseline, and against itself on each task alone
cold       what text adds on items held out of training: with and without the text feature
clothing   reviews: recommended, rating, department and class against TF-IDF baselines

Each model is trained once a seed on all tasks; baselines are fitted once, the single-task baseline
once a seed. Nothing is chosen on the test rows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from motet.data import Dataset
from motet.datasets import fetch
from motet.evaluation import evaluate
from motet.models.baselines import run_baselines
from motet.schema import Schema
from motet.training import ModelPredictor, load_data, single_task_baseline, train_model

Numbers = dict[str, list[float]]


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


def movielens(seeds: list[int], single_task: bool) -> dict[str, Any]:
    """One model against every baseline on MovieLens-100K."""
    wanted = {"like AUC": ("like", "auc"), "rating RMSE": ("rating", "rmse"), "next NDCG@10": ("", "ndcg@10"), "genres macro AP": ("genres", "macro_ap")}  # fmt: skip
    return _against_baselines("movielens-100k", seeds, single_task, wanted)


def clothing(seeds: list[int], single_task: bool) -> dict[str, Any]:
    """Clothing reviews against TF-IDF and the other baselines."""
    wanted = {"recommended AUC": ("recommended", "auc"), "rating RMSE": ("rating", "rmse"), "department macro F1": ("department", "macro_f1"), "class macro F1": ("class", "macro_f1")}  # fmt: skip
    return _against_baselines("clothing-reviews", seeds, single_task, wanted)


def cold(seeds: list[int], single_task: bool) -> dict[str, Any]:
    """MovieLens with a fifth of the films held out of training: with text, without, and without genres too."""
    place = fetch("movielens-100k")
    arms: dict[str, tuple[str, ...]] = {
        "with text": (),
        "without text": ("about",),
        "without text and genres": ("about", "genres"),
    }
    found: dict[str, Numbers] = {arm: {} for arm in arms}
    for seed in seeds:
        for arm, left_out in arms.items():
            say(f"cold films, {arm}, seed {seed}")
            schema = Schema.load(
                place / "schema.yaml",
                ["split.hold_out_items=0.2", f"split.seed={seed}", f"training.seed={seed}"],
            )
            kept = {name: f for name, f in schema.features.item.items() if name not in left_out}
            schema = schema.model_copy(update={"features": schema.features.model_copy(update={"item": kept})})
            data = load_data(schema, place).data
            result = evaluate(data, ModelPredictor(train_model(data).model, data), "test", intervals=False)
            group = result["groups"]["cold_item"]
            _add(found[arm], "like AUC, cold films", group["like"]["auc"])
            _add(found[arm], "rating RMSE, cold films", group["rating"]["rmse"])
            _add(found[arm], "like AUC, warm", result["groups"]["warm"]["like"]["auc"])
    return {"rows": found, "baselines": {}}


def _against_baselines(
    name: str, seeds: list[int], single_task: bool, wanted: dict[str, tuple[str, str]]
) -> dict[str, Any]:
    place = fetch(name)
    model, alone = {}, {}  # type: Numbers, Numbers
    baselines: dict[str, dict[str, float | None]] = {}
    for seed in seeds:
        schema = Schema.load(place / "schema.yaml", [f"training.seed={seed}"])
        data = load_data(schema, place).data
        say(f"{name}, seed {seed}: all tasks")
        predictor = ModelPredictor(train_model(data).model, data)
        result = evaluate(data, predictor, "test", seed=seed, intervals=False)
        for label, where in wanted.items():
            _add(model, label, _pick(result, *where))
        if single_task:
            say(f"{name}, seed {seed}: each task alone")
            single, _ = single_task_baseline(data, predictor, result, "test", seed=seed)
            for label, where in wanted.items():
                _add(alone, label, _pick(single, *where))
        if not baselines:
            baselines = _baselines(data, wanted)
    return {"rows": {"motet, one model": model, "motet, each task alone": alone}, "baselines": baselines}


def _baselines(data: Dataset, wanted: dict[str, tuple[str, str]]) -> dict[str, dict[str, float | None]]:
    results = run_baselines(data, "test", progress=lambda baseline, _: say(f"baseline {baseline}"))
    return {
        baseline: {label: _pick(result, *where) for label, where in wanted.items()}
        for baseline, result in results.items()
        if "skipped" not in result
    }


def _pick(result: dict[str, Any], task: str, metric: str) -> float | None:
    if not task:
        ranking = result.get("ranking")
        return None if ranking is None else ranking[metric]
    value: float | None = result["tasks"].get(task, {}).get(metric)
    return value


def _add(numbers: Numbers, label: str, value: float | None) -> None:
    if value is not None:
        numbers.setdefault(label, []).append(value)


def _print(title: str, found: dict[str, Any], seeds: list[int]) -> None:
    labels = list(dict.fromkeys(label for row in found["rows"].values() for label in row))
    print(f"\n{title}, mean ± standard deviation of seeds {seeds}\n")
    print("| | " + " | ".join(labels) + " |\n|---|" + "---:|" * len(labels))
    for name, numbers in found["rows"].items():
        cells = [
            f"{np.mean(numbers[x]):.4f} ± {np.std(numbers[x]):.4f}" if x in numbers else "" for x in labels
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for name, values in found["baselines"].items():
        cells = ["" if values.get(x) is None else f"{values[x]:.4f}" for x in labels]
        print(f"| {name} | " + " | ".join(cells) + " |")


PARTS: dict[str, Callable[[list[int], bool], dict[str, Any]]] = {
    "movielens": movielens,
    "cold": cold,
    "clothing": clothing,
}


def main() -> None:
    """Run the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--no-single-task", action="store_true", help="leave the single-task baseline out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    everything = {}
    for part in arguments.parts or PARTS:
        everything[part] = PARTS[part](arguments.seeds, not arguments.no_single_task)
        _print(part, everything[part], arguments.seeds)
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
