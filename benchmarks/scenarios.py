"""Methods for scenarios beside plain baselines, on worlds with and without structure by scenario.

    python -m benchmarks.scenarios [WORLD ...] [--methods M ...] [--seeds 0 1 2] [--rows 80000] [--cache DIR] [--json FILE]

Worlds, drawn from known truth: ``strong`` (a user's taste in one scenario says next to nothing about that in another),
``none`` (all scenarios alike), ``new`` (as ``strong``, but rows of one scenario are in the test alone), ``rare`` (one
scenario has one row in a hundred). Task ``click`` is measured, ``click`` and ``cart`` are trained. The true probabilities
give the AUC that nothing can pass.

A method may be ahead for another reason than scenarios: gates and pruners that read the row multiply features, which a
perceptron does not. So each has a *control*: the same method where every row is of one and the same scenario, and the
true one is a plain feature. What a method owes to scenarios is its difference from its control.

Every method has the same features, the same settings of training, and no members beside the network. Baselines: a shared
bottom with the scenario as a plain feature, one with a tower for each scenario, and one perceptron for each scenario. The
best baseline of a world is the one with the best AUC on validation rows, over all seeds. A method is *ahead* or *behind*
where the paired 95 % interval of the difference, over users and seeds, excludes zero; that is asked for all rows and for
each scenario, without a correction for the number of questions.

Every finished cell (world, method, seed) is a JSON file with its predictions in ``--cache``; an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks._default_measures import statistic_draws, two_level_interval, verdict_of
from benchmarks._default_sets import content_of
from motet.data import Dataset
from motet.datasets import SyntheticWorld, Truth, generate
from motet.metrics import task_metrics
from motet.models.architectures import ARCHITECTURES
from motet.schema import Schema
from motet.training import ModelPredictor, load_data, train_model

Floats = NDArray[np.float32]

TASK: Final = "click"
_FORM: Final = 2  # of the cells; part of their names
_SHARES: Final = {"feed": 0.4, "search": 0.35, "checkout": 0.25}
_HELD_OUT: Final = "checkout"
_CONTROL: Final = ", control"
_RARE: Final = {"feed": 0.6, "search": 0.39, "kiosk": 0.01}
_LATENCY_ROWS, _LATENCY_REPEATS = 1000, 15

BASELINES: Final[Mapping[str, Mapping[str, Any]]] = {
    "scenario as a feature": {"architecture": "shared_bottom", "scenario_gate": False},
    "scenario_towers": {"architecture": "scenario_towers"},
    "single_scenario": {"architecture": "single_scenario"},
}
METHODS: Final[Mapping[str, Mapping[str, Any]]] = {
    **BASELINES,
    "shared_bottom, gated": {"architecture": "shared_bottom"},
    **{
        name: {"architecture": name}
        for name, (kind, _) in ARCHITECTURES.items()
        if kind.about is not None and kind.about.family == "scenario" and name not in BASELINES
    },
}
WORLDS: Final = ("strong", "none", "new", "rare")


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Field:
    """A world as a data set, without a model.

    Attributes:
        source: Directory of its tables.
        schema: Without a method.
        data: Encoded.
        control: Schema and data where every row is of one scenario, and the true one is a feature; the same rows.
        truth: True probability of a click of each test row.
    """

    source: Path
    schema: Schema
    data: Dataset
    control: tuple[Schema, Dataset]
    truth: Floats

    def of(self, method: str) -> tuple[Schema, Dataset]:
        """Schema and data of a method or of a control."""
        return self.control if method.endswith(_CONTROL) else (self.schema, self.data)


def field_of(name: str, rows: int, place: Path) -> Field:
    """Draw a world into an empty directory."""
    world = SyntheticWorld(
        users=max(50, rows // 400),
        items=max(20, rows // 600),
        interactions=rows,
        shared=1.0 if name == "none" else 0.2,
        scenarios=_RARE if name == "rare" else _SHARES,
        cold_items=0.0,
    )
    source = generate(world, place / "world")
    events = pl.read_parquet(source / "interactions/*.parquet").sort("time")
    n = pl.len()
    part = (
        pl.when(pl.int_range(n) < 0.7 * n).then(pl.lit("train"))
        .when(pl.int_range(n) < 0.8 * n).then(pl.lit("validation")).otherwise(pl.lit("test"))
    )  # fmt: skip
    events = events.with_columns(part=part, everywhere=pl.lit("here"))
    if name == "new":
        events = events.filter((pl.col("scenario") != _HELD_OUT) | (pl.col("part") == "test"))
    events.write_parquet(source / "events.parquet")
    content = content_of((source / "schema.yaml").read_text(encoding="utf-8"))
    content["tables"]["interactions"] = "events.parquet"
    content["split"] = {"by": "column", "column": "part"}
    content["tasks"] = {task: content["tasks"][task] for task in (TASK, "cart")}
    del content["features"]["item"]["about"]  # words would need an encoder, and say nothing of scenarios
    content.pop("model", None)
    content.pop("training", None)
    schema = Schema.parse(content)
    data = load_data(schema, source).data
    content["keys"]["scenario"] = "everywhere"
    content["features"]["interaction"]["placement"] = {"kind": "categorical", "column": "scenario"}
    alike = Schema.parse(content)
    control = load_data(alike, source).data
    if len(control) != len(data):
        raise SystemExit(f"{name}: cleaning left other rows to the control")
    return Field(source, schema, data, (alike, control), _true_clicks(source, data, events))


def _true_clicks(source: Path, data: Dataset, events: pl.DataFrame) -> Floats:
    truth = Truth.load(source / "truth.npz")
    test = events.filter(pl.col("part") == "test")
    rows = data.rows("test")
    if len(rows) != len(test):  # cleaning left rows out; which of them is not known here
        return np.full(len(rows), np.nan, np.float32)
    clicks: Floats = truth.click_probability(
        test["user_id"].to_numpy().astype(np.int64),
        test["item_id"].to_numpy().astype(np.int64),
        truth.scenario_codes(test["scenario"].to_list()),
        test["time"].to_numpy(),
        test["position"].to_numpy().astype(np.int64),
    )
    return clicks


def cell(world: str, method: str, seed: int, field: Field) -> tuple[dict[str, Any], Floats]:
    """Train and measure a method: its figures, and its predictions of the test rows."""
    schema, data = field.of(method)
    schema = schema_of(schema, method, seed)
    trained = train_model(data, schema=schema)
    predictor = ModelPredictor(trained.model, data)
    predicted = predictor.predict(data.rows("test"))[TASK]
    some = data.rows("test")[:_LATENCY_ROWS]
    spent_s = []
    for _ in range(_LATENCY_REPEATS):
        began_s = time.perf_counter()
        predictor.predict(some)
        spent_s.append(time.perf_counter() - began_s)
    history = trained.history
    validation = data.rows("validation")
    return {
        "world": world,
        "method": method,
        "seed": seed,
        "validation_auc": auc_of(data, validation, predictor.predict(validation)[TASK], None),
        "auc": {n: auc_of(field.data, data.rows("test"), predicted, n) for n in slices_of(field.data)},
        "parameters": sum(p.numel() for p in trained.model.parameters()),
        "of_architecture": sum(p.numel() for p in trained.model.architecture.parameters()) if trained.model.architecture else 0,
        "rows_per_s": history.rows / max(history.elapsed_s, 1e-9),
        "train_s": history.elapsed_s,
        "epochs": history.validations[history.best].epoch,
        "latency_ms": 1000 * float(np.median(spent_s)),
    }, predicted  # fmt: skip


def schema_of(schema: Schema, method: str, seed: int) -> Schema:
    """The schema of a world with a method and a seed."""
    settings = METHODS[method.removesuffix(_CONTROL)]
    model = schema.model.model_copy(update={**settings, "members": ()})
    return schema.model_copy(
        update={"model": model, "training": schema.training.model_copy(update={"seed": seed})}
    )


def slices_of(data: Dataset) -> list[str]:
    """All rows, and each scenario of the test rows."""
    present = np.unique(data.scenario[data.rows("test")])
    return ["all", *(data.encoder.scenarios[code] for code in present)]


def mask_of(data: Dataset, rows: NDArray[np.int64], name: str | None) -> NDArray[np.bool_]:
    """Which of some rows are of a scenario."""
    if name in (None, "all"):
        return np.ones(len(rows), np.bool_)
    mask: NDArray[np.bool_] = data.scenario[rows] == data.encoder.scenarios.index(str(name))
    return mask


def auc_of(data: Dataset, rows: NDArray[np.int64], predicted: Floats, name: str | None) -> float | None:
    """AUC of a click in a scenario."""
    mask = mask_of(data, rows, name)
    return task_metrics(data.schema.tasks[TASK], data.label(TASK, rows[mask]), predicted[mask]).get("auc")


def kept(
    cache: Path, world: str, method: str, seed: int, field: Field, rows: int
) -> tuple[dict[str, Any], Floats]:
    """A cell from the cache, or measured and put there."""
    said = f"{_FORM} {rows} {schema_of(field.of(method)[0], method, seed).to_yaml()}"
    key = hashlib.sha256(said.encode()).hexdigest()[:12]
    place = cache / f"{world}-{method.replace(' ', '-').replace(',', '')}-{seed}-{key}.json"
    if not place.is_file():
        say(f"{world}: {method}, seed {seed}")
        found, predicted = cell(world, method, seed, field)
        np.save(place.with_suffix(".npy"), predicted)
        place.with_suffix(".new").write_text(json.dumps(found, indent=1), encoding="utf-8")
        place.with_suffix(".new").replace(place)
    content: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    return content, np.load(place.with_suffix(".npy"))


def compared(
    field: Field, cells: Mapping[str, Sequence[tuple[dict[str, Any], Floats]]]
) -> list[dict[str, Any]]:
    """Each method beside the best baseline, for all rows and each scenario."""
    data, rows = field.data, field.data.rows("test")
    known = {m: of for m, of in cells.items() if m in BASELINES}
    best = max(known, key=lambda m: np.mean([c["validation_auc"] for c, _ in known[m]])) if known else None
    found = []
    for method, of in cells.items():
        if method.endswith(_CONTROL):
            continue
        line: dict[str, Any] = {"method": method, "best": best, "slices": {}, "control": None}
        if method + _CONTROL in cells:
            control = [one for _, one in cells[method + _CONTROL]]
            values = [auc_of(data, rows, one, None) for one in control]
            line["control"] = {
                "auc": float(np.mean(np.array(values, np.float64))),
                "interval": interval_of(field, [one for _, one in of], control, None),
            }
        for key in ("parameters", "of_architecture", "rows_per_s", "latency_ms", "epochs", "validation_auc"):
            line[key] = float(np.mean([c[key] for c, _ in of]))
        for name in slices_of(data):
            mask = mask_of(data, rows, name)
            interval = None
            if best is not None and method != best:
                mine, theirs = ([one for _, one in cells[m]] for m in (method, best))
                interval = interval_of(field, mine, theirs, name)
            values = [auc_of(data, rows, one, name) for _, one in of]
            value = None if None in values else float(np.mean(np.array(values, np.float64)))
            line["slices"][name] = {"rows": int(mask.sum()), "auc": value, "interval": interval}
        found.append(line)
    return found


def interval_of(
    field: Field, first: Sequence[Floats], second: Sequence[Floats], name: str | None
) -> tuple[float, float] | None:
    """Interval of the difference of the AUC of two methods in a scenario; predictions of each seed."""
    data, rows = field.data, field.data.rows("test")
    mask = mask_of(data, rows, name)
    return two_level_interval(
        [
            statistic_draws(
                data.schema.tasks[TASK],
                data.label(TASK, rows[mask]),
                (one[mask], other[mask]),
                data.user_row[rows[mask]],
            )
            for one, other in zip(first, second, strict=True)
        ]
    )


def table_of(field: Field, lines: Sequence[Mapping[str, Any]]) -> str:
    """The comparison as Markdown."""
    names = list(lines[0]["slices"])
    rows, data = field.data.rows("test"), field.data
    heads = [f"{name} ({lines[0]['slices'][name]['rows']:,} rows)" for name in names]
    out = [
        "| method | "
        + " | ".join(heads)
        + " | its control, all rows | weights of the architecture | rows/s | ms for 1,000 rows |",
        "|---" * (len(names) + 5) + "|",
    ]
    for line in lines:
        cells = []
        for name in names:
            of = line["slices"][name]
            cells.append(_said(of["auc"], of["interval"]))
        control = line["control"]
        cells.append("" if control is None else _said(control["auc"], control["interval"]))
        name = f"**{line['method']}**" if line["method"] == line["best"] else line["method"]
        out.append(
            f"| {name} | "
            + " | ".join(cells)
            + f" | {line['of_architecture']:,.0f} | {line['rows_per_s']:,.0f} "
            f"| {line['latency_ms']:.1f} |"
        )
    if not np.isnan(field.truth).any():
        cells = [_said(auc_of(data, rows, field.truth, name), None) for name in names]
        out.append("| the truth | " + " | ".join(cells) + " | | | | |")
    return "\n".join(out)


def _said(auc: float | None, interval: tuple[float, float] | None) -> str:
    text = "–" if auc is None else f"{auc:.4f}"
    if interval is None:
        return text
    return f"{text} {verdict_of(interval)} ({interval[0]:+.4f} to {interval[1]:+.4f})"


def main() -> None:
    """Run the cells that are not kept yet, and print a table for each world."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("worlds", nargs="*", choices=[[], *WORLDS], default=[])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", type=int, default=80_000, help="impressions of a world")
    parser.add_argument(
        "--controls", nargs="*", choices=list(METHODS), help="methods with a control; all when left out"
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/scenarios"))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    everything = {}
    owed = [
        m for m in asked.methods if m not in BASELINES and (asked.controls is None or m in asked.controls)
    ]
    methods = [*asked.methods, *(m + _CONTROL for m in owed)]
    for world in asked.worlds or WORLDS:
        with tempfile.TemporaryDirectory() as place:
            field = field_of(world, asked.rows, Path(place))
            cells = {
                method: [kept(asked.cache, world, method, seed, field, asked.rows) for seed in asked.seeds]
                for method in methods
            }
            everything[world] = compared(field, cells)
            seeds = f"{len(asked.seeds)} seed" + "s" * (len(asked.seeds) > 1)
            print(
                f"\n### {world}, {asked.rows:,} impressions, {seeds}\n\n{table_of(field, everything[world])}"
            )
    if asked.json:
        asked.json.write_text(json.dumps(everything, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
