"""Default settings on many kinds of data, beside every plain method, tuned in the same run.

    python -m benchmarks.defaults [SET ...] [--seeds 0 1 2 3 4] [--quick] [--data DIR] [--cache DIR] [--json FILE]
    python -m benchmarks.defaults --ablation text [SET ...]

Sets: movielens-100k (each user's time), movielens-timeless (random split, no times), movielens-implicit (events alone),
movielens-1m, movielens-1m-loo (events alone, the last of each user is the test), movielens-1m-few (likes of 1,500 users of
MovieLens-1M, their first sixteen, with the schema that ``motet inspect`` proposes), clothing-reviews, adult, open-bandit,
the synthetic worlds, worlds-sparse (100,000 items) and worlds-scenarios (tastes that differ by scenario), amazon-office
(with ``--data DIR`` or ``MOTET_DATA_DIR``; skipped with a note where it is absent) and amazon-ids, the same without texts.

Each set is trained once a seed with default settings; ``--shipped`` keeps those that packaged schemas bring. Baselines
choose their settings on validation rows, the best baseline of a task is the one with the best value there, and for the
test they are fitted on training and validation rows, as the members of motet are. Where events have an order, test
events are ranked one by one as well, each given what its user had before it, and its scenario.

A task is *ahead* or *behind* where the paired 95 % interval over users (rows without users) and seeds (Student) excludes zero;
else *level*. Every finished cell, and what each baseline of a set says, is kept in ``--cache``, so that an interrupted run
goes on; what is kept is of one schema, not of one version of motet: name another directory after a change of the code. ``--quick`` takes one seed of the smaller
sets. ``--ablation text`` is in ``benchmarks/_default_text.py``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks._default_measures import (
    Answers,
    Events,
    Gains,
    answers_of,
    deviation_of,
    drawn_differences,
    drawn_means,
    event_gains,
    events_of,
    score_baseline,
    score_model,
)
from benchmarks._default_sets import QUICK, SETS, prepared, seeds_of
from benchmarks._default_table import ablation_table, defaults_table
from benchmarks._default_text import ABLATED, ablated_schema, ablation_cell, variants_of
from motet.data import Dataset
from motet.evaluation import primary_values
from motet.models.baselines import BASELINES, Baseline
from motet.schema import Schema
from motet.training import ModelPredictor, load_data, train

_FORM: Final = 2  # of the cells; part of their names
_ABLATION_SEEDS: Final = (0, 1, 2)


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


def values_of(data: Dataset, predictor: Any, split: str) -> dict[str, float]:
    """Primary metric by task, those that are defined."""
    return {name: v for name, v in primary_values(data, predictor, split).items() if v is not None}


@dataclass(frozen=True, slots=True)
class Rival:
    """What a baseline says, fitted for the test.

    Attributes:
        chosen_by: Values on validation rows by task, after a fit on training rows.
        values: Values on test rows by task, fitted on training and validation rows.
        chosen_by_events: NDCG@10 over validation events, after a fit on training rows; None if it does not rank.
        answers: Of the test, by task.
        events: Of each test event, by metric; empty if it does not rank.
    """

    chosen_by: Mapping[str, float]
    values: Mapping[str, float]
    chosen_by_events: float | None
    answers: Answers
    events: Gains

    def save(self, path: Path) -> None:
        """Write it to one file."""
        numbers = {"chosen_by": self.chosen_by, "values": self.values, "chosen_by_events": self.chosen_by_events}  # fmt: skip
        arrays: dict[str, Any] = {f"answers/{n}": one for n, one in self.answers.items()}
        arrays |= {f"events/{n}": one for n, one in self.events.items()}
        with path.with_suffix(".new").open("wb") as file:
            np.savez_compressed(file, numbers=np.array(json.dumps(numbers)), **arrays)
        path.with_suffix(".new").replace(path)

    @classmethod
    def load(cls, path: Path) -> Rival:
        """Read it again."""
        with np.load(path, allow_pickle=False) as kept:
            numbers = json.loads(str(kept["numbers"]))
            arrays = {n: kept[n] for n in kept.files if n != "numbers"}

        def part(name: str) -> dict[str, Any]:
            return {n.removeprefix(name): one for n, one in arrays.items() if n.startswith(name)}

        return cls(**numbers, answers=part("answers/"), events=part("events/"))


@dataclass(frozen=True, slots=True)
class Field:
    """What all seeds of a set have in common: the data, its events one by one, and the baselines by name."""

    data: Dataset
    events: Events | None
    rivals: Mapping[str, Rival]

    @classmethod
    def of(cls, data: Dataset, kept: Path) -> Field:
        """Fit and measure the baselines that have something to say, those that are not kept yet.

        Args:
            data: The data set.
            kept: Where each is kept, without the end of the name.
        """
        events: dict[Literal["validation", "test"], Events | None] = {
            "validation": events_of(data, "validation"),
            "test": events_of(data, "test"),
        }

        def gains(name: str, baseline: Baseline, split: Literal["validation", "test"]) -> Gains:
            some = events[split]
            return {} if some is None else event_gains(data, some, score_baseline(name, baseline, data)).get(name, {})  # fmt: skip

        rivals = {}
        for name, kind in BASELINES.items():
            if kind.steps_aside(data) is not None:
                continue
            path = kept.with_name(f"{kept.name}-{name}.npz")
            if path.is_file():
                rivals[name] = Rival.load(path)
                continue
            began_s = time.perf_counter()
            first = kind.fit(data, known="train")
            ranked = gains(name, first, "validation").get("ndcg@10")
            splits = ("train", "validation") if data.schema.training.refit else ("train",)
            second = kind.fit(data, splits=splits)
            rivals[name] = Rival(
                values_of(data, first, "validation"),
                values_of(data, second, "test"),
                None if ranked is None else float(ranked.mean()),
                answers_of(data, second),
                gains(name, second, "test"),
            )
            rivals[name].save(path)
            say(f"  {name}: {time.perf_counter() - began_s:.0f} s")
        return cls(data, events["test"], rivals)


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


def cell(name: str, seed: int, source: Path, schema: Schema, field: Field) -> dict[str, Any]:
    """One set and seed: our values, those of the network alone, and draws of the difference to each task's best baseline."""
    data = field.data
    with tempfile.TemporaryDirectory() as place:
        settings = schema.training.model_copy(update={"seed": seed})
        began_s = time.perf_counter()
        bundle = train(schema.model_copy(update={"training": settings}), source, Path(place) / "bundle")
        spent_s = time.perf_counter() - began_s
        ours = ModelPredictor(bundle.model, data, blend=bundle.blend, task_blend=bundle.task_blend)
        tasks: dict[str, Any] = {}
        values, alone = values_of(data, ours, "test"), values_of(data, Alone(bundle.model, data), "test")
        answers = answers_of(data, ours)
        for task in values:
            rivals = {n: one.chosen_by[task] for n, one in field.rivals.items() if task in one.chosen_by and task in one.values}  # fmt: skip
            if not rivals:
                continue
            best = max(rivals, key=lambda n: rivals[n])
            other = field.rivals[best].answers.get(task)
            on_rows = data.schema.tasks[task].on == "interaction"
            tasks[task] = {
                "metric": schema.tasks[task].primary_metric,
                "users": bool(schema.keys.user) and on_rows,
                "ours": values[task],
                "network": alone.get(task),
                "best": best,
                "best_value": field.rivals[best].values[task],
                "deviation": deviation_of(data, task),
                "draws": None if other is None else drawn_differences(data, answers[task], other, task),
                "baselines": {n: one.values[task] for n, one in field.rivals.items() if task in one.values},
            }
        found = {
            "set": name,
            "seed": seed,
            "train_s": spent_s,
            "tasks": tasks,
            "blend": bundle.metrics["blend"],
        }
        if field.events is not None:
            found["events"] = _events(field, ours)
        return found


def _events(field: Field, ours: ModelPredictor) -> dict[str, Any]:
    """NDCG@10 and HR@10 over test events, of motet beside everything that ranks."""
    assert field.events is not None
    gains = event_gains(field.data, field.events, score_model(ours))
    rivals = {n: one for n, one in field.rivals.items() if one.chosen_by_events is not None}
    best = max(rivals, key=lambda n: rivals[n].chosen_by_events or 0.0)
    users = field.data.user_row[field.events.rows]
    found = {}
    for metric, values in gains["motet"].items():
        others = {n: one.events[metric] for n, one in rivals.items()}
        found[metric] = {
            "metric": metric.upper(),
            "n": len(field.events.rows),
            "ours": float(values.mean()),
            "network": float(gains["network"][metric].mean()),
            "best": best,
            "best_value": float(others[best].mean()),
            "draws": drawn_means(values - others[best], users),
            "baselines": {n: float(one.mean()) for n, one in others.items()},
        }
    return found


def main() -> None:
    """Run the cells that are not kept yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", choices=[[], *SETS], default=[])
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--ablation", choices=["text"])
    parser.add_argument("--shipped", action="store_true", help="keep model and training of packaged schemas")
    parser.add_argument("--data", type=Path, default=os.environ.get("MOTET_DATA_DIR"))
    parser.add_argument("--cache", type=Path, default=Path("runs/defaults"))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    names: Sequence[str] = asked.sets or (ABLATED if asked.ablation else QUICK if asked.quick else SETS)
    cells: list[dict[str, Any]] = []
    for name in names:
        seeds = asked.seeds or (_ABLATION_SEEDS if asked.ablation else seeds_of(name))
        with tempfile.TemporaryDirectory() as place:
            data = Path(asked.data) if asked.data else None
            found = prepared(name, data, Path(place), shipped=asked.shipped)
            if found is None:
                say(f"{name}: skipped, its files are absent (--data DIR)")
                continue
            of_set = _ablation_cells if asked.ablation else _cells
            cells += of_set(name, *found, seeds[:1] if asked.quick else seeds, asked.cache)
    if asked.ablation:
        for variants in dict.fromkeys(tuple(one["variants"]) for one in cells):
            print(ablation_table([one for one in cells if tuple(one["variants"]) == variants], variants))
            print()
    else:
        print(defaults_table(cells))
    if asked.json:
        asked.json.write_text(json.dumps(cells, indent=1), encoding="utf-8")


def _cells(
    name: str, source: Path, schema: Schema, seeds: Sequence[int], cache: Path
) -> list[dict[str, Any]]:
    loaded: list[Field] = []

    def measure(seed: int) -> dict[str, Any]:
        if not loaded:
            loaded.append(Field.of(load_data(schema, source).data, cache / f"{name}-{_key(schema)}"))
        return cell(name, seed, source, schema, loaded[0])

    return [_kept(cache, name, schema, seed, measure) for seed in seeds]


def _ablation_cells(
    name: str, source: Path, schema: Schema, seeds: Sequence[int], cache: Path
) -> list[dict[str, Any]]:
    whole = ablated_schema(name, schema)
    variants = variants_of(whole)
    return [
        _kept(
            cache, f"text-{name}", whole, seed, lambda seed: ablation_cell(name, seed, source, variants, say)
        )
        for seed in seeds
    ]


def _key(schema: Schema) -> str:
    return hashlib.sha256(f"{_FORM} {schema.to_yaml()}".encode()).hexdigest()[:12]


def _kept(
    cache: Path, name: str, schema: Schema, seed: int, measure: Callable[[int], dict[str, Any]]
) -> dict[str, Any]:
    """A cell from the cache, or measured and put there."""
    kept = cache / f"{name}-{_key(schema)}-{seed}.json"
    if not kept.is_file():
        say(f"{name}, seed {seed}")
        kept.with_suffix(".new").write_text(json.dumps(measure(seed)), encoding="utf-8")
        kept.with_suffix(".new").replace(kept)
    content: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    main()
