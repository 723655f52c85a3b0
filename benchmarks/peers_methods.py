"""Shared bottom, MMoE and PLE of motet, torch-rechub and FuxiCTR on the same rows, features and settings, in one run.

    bash benchmarks/setup_peers.sh
    .venv-peers/bin/python -m benchmarks.peers_methods [--seeds 0 1] [--fuxictr DIR] [--rows N] [--cache DIR] [--json FILE]

MovieLens-100K, each user's ratings in order of time: the first 80 % train, the next 10 % validate. Two tasks, "like" (4 stars
or more) and "love" (5). Eight categorical features: user, age, gender and occupation, film, decade and first genre, hour. No
histories, no numbers, no texts: what every library reads alike. Embeddings, layers, towers, experts, dropout, batch, Adam and
stopping are those of ``Layout`` in ``benchmarks/_peer_methods.py``, which also says what stays different.

FuxiCTR's package on the package index (2.3.10) has its training loop of several tasks and none of its models for them, though
it imports them: ``--fuxictr`` names a checkout of its repository (github.com/reczoo/FuxiCTR), from which
``model_zoo/multitask`` is taken. Without it FuxiCTR is left out, with a note.

AUC on test rows, mean and standard deviation over seeds, and the difference to motet with its 95 % interval over users and
seeds (``motet.evaluation.paired_differences``), p corrected for all of them (Holm). rows/s is of training with each library's
own loader, validation left out; compare it within a run on a machine that does nothing else. Every finished cell is kept in
``--cache``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from benchmarks._peer_methods import Coded, Fit, Layout, fit_fuxictr, fit_torch_rechub
from motet.datasets import fetch
from motet.evaluation import DrawnMetric, holm, metric_draws, paired_differences
from motet.kinds import BinaryTask
from motet.schema import Schema
from motet.training import ModelPredictor, load_data, train_model

__all__ = ["coded", "films", "fit_motet", "main", "table_of"]

METHODS: Final = ("shared_bottom", "mmoe", "ple")
LIBRARIES: Final = ("motet", "torch-rechub", "FuxiCTR")
TASKS: Final = {"like": 4, "love": 5}
USER: Final = ("user_id", "age", "gender", "occupation")
ITEM: Final = ("item_id", "decade", "genre")
FEATURES: Final = (*USER, *ITEM, "hour")
_FORM: Final = 1  # of the cells; part of their names

Cell = dict[str, Any]


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


def films(rows: int | None = None) -> pl.DataFrame:
    """Every rating with its features as text, labels and part; some users with all their ratings where rows are fewer.

    Args:
        rows: About so many; all when left out.
    """
    place = fetch("movielens-100k")
    ratings, users, items = (pl.read_parquet(place / f"{n}.parquet") for n in ("ratings", "users", "items"))
    frame = (
        ratings.join(users, on="user_id")
        .join(items, on="item_id")
        .with_row_index("row")
        .select(
            "row",
            "user_id",
            "gender",
            "occupation",
            "item_id",
            "timestamp",
            age=pl.col("age").cast(pl.Int64) // 10 * 10,
            decade=pl.col("year").cast(pl.Int64) // 10 * 10,
            genre=pl.col("genres").str.split("|").list.first(),
            hour=pl.col("timestamp").cast(pl.Int64) // 3600 % 24,
            **{task: (pl.col("rating") >= least).cast(pl.Int8) for task, least in TASKS.items()},
        )
        .with_columns(pl.col(FEATURES).cast(pl.String).fill_null("none"))
    )
    if rows is not None and rows < len(frame):
        counts = frame["user_id"].value_counts().sort("user_id").with_columns(n=pl.col("count").cum_sum())
        frame = frame.join(counts.filter(pl.col("n") <= rows), on="user_id", how="semi", maintain_order="left")  # fmt: skip
    return with_parts(frame)


def with_parts(frame: pl.DataFrame) -> pl.DataFrame:
    """The part of each row: of each user the first 80 % train, the next 10 % validation, the rest test."""
    place = pl.int_range(pl.len()).over("user_id") / pl.len().over("user_id")
    part = pl.when(place < 0.8).then(pl.lit("train")).when(place < 0.9).then(pl.lit("validation"))
    return frame.sort("user_id", "timestamp", "row").with_columns(part=part.otherwise(pl.lit("test")))


def coded(frame: pl.DataFrame) -> Coded:
    """Codes by training rows, 0 for what they do not have."""
    parts: dict[str, NDArray[np.int64]] = {
        name: np.flatnonzero((frame["part"] == name).to_numpy()) for name in ("train", "validation", "test")
    }
    columns, sizes = {}, {}
    for name in FEATURES:
        known = frame[name].gather(parts["train"]).unique().sort()
        codes = dict(zip(known.to_list(), range(1, len(known) + 1), strict=True))
        columns[name] = frame[name].replace_strict(codes, default=0, return_dtype=pl.Int64).to_numpy()
        sizes[name] = len(known) + 1
    labels = {task: frame[task].cast(pl.Float32).to_numpy() for task in TASKS}
    return Coded(columns, sizes, labels, parts)


def fit_motet(frame: pl.DataFrame, method: str, layout: Layout, seed: int) -> Fit:
    """Train motet's network, without members beside it, on the same rows.

    Args:
        frame: Of :func:`films`.
        method: An architecture.
        layout: Network and training.
        seed: Of weights, order and dropout.
    """
    options: dict[str, dict[str, Any]] = {
        "shared_bottom": {},
        "mmoe": {"experts": layout.experts},
        "ple": {
            "levels": 1,
            "task_experts": layout.task_experts,
            "shared_experts": layout.shared_experts,
        },
    }
    content = {
        "name": "films",
        "tables": {n: f"{n}.parquet" for n in ("users", "items", "interactions")},
        "keys": {"user": "user_id", "item": "item_id"},
        "features": {
            "user": {n: "id" if n == "user_id" else "categorical" for n in USER},
            "item": {n: "id" if n == "item_id" else "categorical" for n in ITEM},
            "interaction": {"hour": "categorical"},
        },
        "tasks": {task: {"kind": "binary", "label": f"{task} = 1"} for task in TASKS},
        "split": {"by": "column", "column": "part"},
        "model": {
            "architecture": method,
            "options": {"hidden": layout.hidden, "tower": layout.tower, **options[method]},
            "width": layout.width,
            "dropout": layout.dropout,
            "members": [],
        },
        "training": {
            "optimizer": "adam",
            "learning_rate": layout.learning_rate,
            "schedule": "constant",
            "warmup": 0.0,
            "weight_decay": 0.0,
            "batch_size": layout.batch_rows,
            "epochs": layout.epochs,
            "patience": layout.patience,
            "seed": seed,
        },
    }
    with tempfile.TemporaryDirectory() as place:
        of_row = ["user_id", "item_id", "row", "hour", "part", *TASKS]
        for name, columns in (("users", USER), ("items", ITEM), ("interactions", of_row)):
            kept = frame.select(columns) if name == "interactions" else frame.select(columns).unique(maintain_order=True)  # fmt: skip
            kept.write_parquet(Path(place) / f"{name}.parquet")
        data = load_data(Schema.parse(content), Path(place)).data
        trained = train_model(data)
    rows = data.rows("test")
    labels = np.stack([data.label(task, rows) for task in TASKS], 1)
    wanted = frame.filter(pl.col("part") == "test").select(*TASKS).to_numpy()
    if not np.array_equal(labels, wanted):
        raise SystemExit("motet has read other test rows, or another order of them")
    predicted = ModelPredictor(trained.model, data).predict(rows)
    return Fit(
        np.stack([predicted[task] for task in TASKS], 1),
        trained.history.rows,
        trained.history.elapsed_s,
        sum(p.numel() for p in trained.model.parameters()),
    )


def measured(frame: pl.DataFrame, found: Cell) -> dict[str, DrawnMetric]:
    """AUC of each task on test rows, and its draws of users."""
    test = frame.filter(pl.col("part") == "test")
    users = test["user_id"].rank("dense").cast(pl.Int64).to_numpy()
    drawn = {}
    for at, task in enumerate(TASKS):
        labels = test[task].cast(pl.Float32).to_numpy()
        one = metric_draws(BinaryTask(label=task), labels, found["predictions"][:, at], users, metric="auc")
        if one is None:
            raise SystemExit(f"{task}: no AUC, since the test rows hold one class")
        drawn[task] = one
    return drawn


def table_of(frame: pl.DataFrame, cells: Sequence[Cell]) -> str:
    """All cells as Markdown: a line for each method and library.

    Args:
        frame: Of :func:`films`.
        cells: Finished.
    """
    drawn = {(c["library"], c["method"], c["seed"]): measured(frame, c) for c in cells}
    libraries = [name for name in LIBRARIES if any(c["library"] == name for c in cells)]
    methods = [name for name in METHODS if any(c["method"] == name for c in cells)]
    differences: dict[tuple[str, str, str], Any] = {}
    for method in methods:
        for task in TASKS:
            of = {
                library: {seed: one[task] for (lib, m, seed), one in drawn.items() if (lib, m) == (library, method)}
                for library in libraries
            }  # fmt: skip
            if "motet" in libraries:
                for library, found in paired_differences(of, "motet").items():
                    differences[method, library, task] = found
    tested = [key for key, one in differences.items() if one.p is not None]
    corrected = dict(zip(tested, holm([differences[key].p for key in tested]), strict=True))
    heads = [f"{task} AUC, beside motet" for task in TASKS]
    out = [
        f"| method | library | {' | '.join(heads)} | rows/s | weights |",
        "|---|---" + "|---:" * (len(heads) + 2) + "|",
    ]
    for method in methods:
        for library in libraries:
            own = [c for c in cells if (c["library"], c["method"]) == (library, method)]
            parts = []
            for task in TASKS:
                values = [drawn[library, method, c["seed"]][task].value for c in own]
                spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
                text = f"{np.mean(values):.4f}{spread}"
                beside = differences.get((method, library, task))
                if beside is not None and beside.interval is not None:
                    low, high = beside.interval
                    text += f", {beside.value:+.4f} [{low:+.4f}, {high:+.4f}]"
                    if (method, library, task) in corrected:
                        text += f" p {corrected[method, library, task]:.2f}"
                parts.append(text)
            rate = np.median([c["rows"] / c["train_s"] for c in own])
            name = own[0]["name"]
            out.append(
                f"| `{method}` | {name} | {' | '.join(parts)} | {rate:,.0f} | {own[0]['parameters']:,} |"
            )
    return "\n".join(out)


def kept(
    cache: Path,
    library: str,
    method: str,
    seed: int,
    layout: Layout,
    rows: int,
    fit: Callable[[], tuple[str, Fit]],
) -> Cell:
    """A cell from the cache, or trained and put there."""
    said = json.dumps([_FORM, asdict(layout), rows])
    key = hashlib.sha256(said.encode()).hexdigest()[:12]
    path = cache / f"{library}-{method}-{seed}-{key}.json"
    if not path.is_file():
        say(f"{library}, {method}, seed {seed}")
        name, found = fit()
        np.save(path.with_suffix(".npy"), found.predictions)
        content = {
            "library": library,
            "name": name,
            "method": method,
            "seed": seed,
            "rows": found.rows,
            "train_s": found.train_s,
            "parameters": found.parameters,
        }
        path.with_suffix(".new").write_text(json.dumps(content, indent=1), encoding="utf-8")
        path.with_suffix(".new").replace(path)
    cell: Cell = json.loads(path.read_text(encoding="utf-8"))
    return cell | {"predictions": np.load(path.with_suffix(".npy"))}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is not kept yet, library after library for each method and seed, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--epochs", type=int, default=Layout().epochs)
    parser.add_argument(
        "--rows", type=int, help="ratings, of users taken with all of theirs; all when left out"
    )
    parser.add_argument("--fuxictr", type=Path, help="checkout of FuxiCTR's repository")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("runs/peers-methods"))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    asked.cache.mkdir(parents=True, exist_ok=True)
    frame, layout = films(asked.rows), replace(Layout(), epochs=asked.epochs)
    data, cells = coded(frame), list[Cell]()
    fits = _fits(frame, data, layout, asked.fuxictr)
    for seed in asked.seeds:
        for method in asked.methods:
            for library in asked.libraries:
                if library not in fits:
                    continue
                fit = fits[library]
                cells.append(
                    kept(
                        asked.cache,
                        library,
                        method,
                        seed,
                        layout,
                        len(frame),
                        lambda fit=fit, method=method, seed=seed: fit(method, seed),  # type: ignore[misc]
                    )
                )
    print(table_of(frame, cells))
    if asked.json:
        plain = [{key: value for key, value in cell.items() if key != "predictions"} for cell in cells]
        asked.json.write_text(json.dumps(plain, indent=1), encoding="utf-8")


def _fits(
    frame: pl.DataFrame, data: Coded, layout: Layout, checkout: Path | None
) -> Mapping[str, Callable[[str, int], tuple[str, Fit]]]:
    """How each library that is here trains a method with a seed."""
    from importlib.metadata import version  # noqa: PLC0415 (of what is installed alone)

    found: dict[str, Callable[[str, int], tuple[str, Fit]]] = {
        "motet": lambda method, seed: (f"motet {version('motet')}", fit_motet(frame, method, layout, seed))
    }
    if find_spec("torch_rechub") is None:
        say("torch-rechub is left out: run `bash benchmarks/setup_peers.sh`, then .venv-peers/bin/python")
    else:
        name = f"torch-rechub {version('torch-rechub')}"
        found["torch-rechub"] = lambda method, seed: (name, fit_torch_rechub(data, method, layout, seed))
    if find_spec("fuxictr") is None or checkout is None:
        say("FuxiCTR is left out: its package has no models of several tasks; see --fuxictr")
    else:
        said = f"FuxiCTR {version('fuxictr')}"
        found["FuxiCTR"] = lambda method, seed: (said, fit_fuxictr(data, method, layout, seed, checkout))
    return found


if __name__ == "__main__":
    main()
