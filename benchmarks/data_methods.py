"""What methods of the data are worth: resampling, narrower vectors, changed texts, gates of features; each beside the same run without.

    python -m benchmarks.data_methods [resampling] [vectors] [texts] [gates] [versions] [--seeds 0] [--epochs 20] [--rows N]
        [--seconds S] [--cells FILE]

resampling  adult, with nine of ten of the well paid left out of all rows, so that 3 % remain: the rare task's average
            precision, AUC, calibration error and predicted / real rate, the last two also before the log-odds were
            calibrated on validation rows
vectors     clothing reviews: PCA, truncated SVD, discriminants, sparse codes and whitening of the sentence vectors
texts       clothing reviews: words of training texts left out, swapped or masked, two versions of each
gates       adult: learnt gates at several prices, and what each closed
versions    clothing reviews, without training: how far the vectors of changed texts are from those of the texts as they are

One network without plain members, refit off. Differences are from the first line of a table, over the same seeds; 95 %
intervals over test rows and seeds together (`motet.evaluation.paired_differences`; with one seed over rows alone). Nothing
is chosen on test rows. A cell is a method on a seed, with so many epochs and rows; finished ones are kept in a file, which the
same command reads again, and after `--seconds` no other is begun.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from motet.data import Dataset, Frames, changed_text
from motet.datasets import load
from motet.evaluation import DrawnMetric, metric_draws, paired_differences, training_deviation
from motet.models import gate_report
from motet.schema import Schema
from motet.text.encode import build_encoder
from motet.training import ModelPredictor, load_data, train_model
from motet.training.blending import Members, fit_task_blend

Cells = dict[str, dict[str, Any]]

NETWORK: Final = ("model.architecture=shared_bottom", "model.members=[]", "training.refit=false")
_INCOME: Final = "tasks.income={kind: binary, label: \"income = '>50K'\""
_WORDS: Final = "features.interaction.review"
_RARE: Final = 10  # one of so many of the well paid is kept

# By part: the methods, each with its changes of the schema; the first is what the others are compared with.
METHODS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "resampling": {
        "as it is": (),
        "positive_weight: balanced": (f"{_INCOME}, positive_weight: balanced}}",),
        "negative_share: 0.2": (f"{_INCOME}, negative_share: 0.2}}",),
        "loss: focal": (f"{_INCOME}, loss: focal}}",),
        "random_over": (f"{_INCOME}, resample: random_over}}",),
        "random_under": (f"{_INCOME}, resample: random_under}}",),
        "smote": (f"{_INCOME}, resample: smote}}",),
        "smote, ratio 0.2": (f"{_INCOME}, resample: {{method: smote, ratio: 0.2}}}}",),
    },
    "vectors": {
        "as they are": (),
        "whiten 64": (f"{_WORDS}.whiten=64",),
        "pca 64": (f"{_WORDS}.reduce={{method: pca, width: 64}}",),
        "svd 64": (f"{_WORDS}.reduce={{method: svd, width: 64}}",),
        "lda class": (f"{_WORDS}.reduce={{method: lda, task: class}}",),
        "sparse 256, 16 active": (f"{_WORDS}.reduce={{method: sparse, width: 256, active: 16}}",),
    },
    "texts": {
        "as they are": (),
        "drop 0.1": (f"{_WORDS}.augment={{drop: 0.1}}",),
        "drop 0.3": (f"{_WORDS}.augment={{drop: 0.3}}",),
        "swap 0.2": (f"{_WORDS}.augment={{swap: 0.2}}",),
        "mask 0.15": (f"{_WORDS}.augment={{mask: 0.15}}",),
    },
    "gates": {
        "none": (),
        "penalty 0.003": ("model.feature_gates={penalty: 0.003}",),
        "penalty 0.01": ("model.feature_gates={penalty: 0.01}",),
        "penalty 0.03": ("model.feature_gates={penalty: 0.03}",),
    },
}
# task and metric of each column
COLUMNS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "resampling": (("income", "average_precision"), ("income", "auc"), ("income", "ece"), ("never_married", "auc")),
    "vectors": (("recommended", "auc"), ("rating", "rmse"), ("department", "macro_f1"), ("class", "macro_f1")),
    "texts": (("recommended", "auc"), ("rating", "rmse"), ("department", "macro_f1"), ("class", "macro_f1")),
    "gates": (("income", "auc"), ("never_married", "auc")),
}  # fmt: skip


def tables(part: str, rows: int | None) -> tuple[Schema, Frames]:
    """Schema and tables of a part; the first rows alone where a number is given."""
    source = load("clothing-reviews" if part in ("vectors", "texts") else "adult")
    schema = source.schema.with_overrides(*NETWORK)
    name = schema.tables.interactions
    frame = pl.read_parquet(Path(source.directory) / name, n_rows=rows)
    if part == "resampling":
        rich, number = pl.col("income") == ">50K", pl.int_range(pl.len())
        frame = frame.filter(~rich | (number % _RARE == 0))
    return schema, Frames({name: frame})


def run(part: str, method: str, seed: int, epochs: int, rows: int | None) -> dict[str, Any]:
    """Train one method on one seed, and measure the test rows."""
    schema, frames = tables(part, rows)
    changes = (*METHODS[part][method], f"training.seed={seed}", f"training.epochs={epochs}")
    data = load_data(schema.with_overrides(*changes), frames).data
    began = time.perf_counter()
    trained = train_model(data)
    taken = time.perf_counter() - began
    at = data.rows("test")
    alone = ModelPredictor(trained.model, data)
    line = fit_task_blend(data, Members(), ModelPredictor(trained.model, data, known="train").predict)
    predictions = ModelPredictor(trained.model, data, task_blend=line).predict(at)
    found: dict[str, Any] = {}
    for task, metric in COLUMNS[part]:
        drawn = _drawn(data, task, metric, at, predictions[task])
        if drawn is not None:
            found[f"{task} {metric}"] = {
                "value": drawn.value, "draws": drawn.draws.tolist(), "units": drawn.units,
            }  # fmt: skip
    note = ""
    if part == "resampling":
        real = float(np.nanmean(data.label("income", at)))
        before = alone.predict(at)["income"]
        error = _drawn(data, "income", "ece", at, before)
        note = f"{predictions['income'].mean() / real:.2f}"
        if line is not None and error is not None:
            note += f"; before {before.mean() / real:.2f}, ece {error.value:.4f}"
    elif (gates := gate_report(trained.model)) is not None:
        note = ", ".join(gates["closed"]) or "none"
    elif part in ("vectors", "texts"):
        note = str(data.encoder.vector_widths["review"])
    return {"metrics": found, "train_s": taken, "note": note}


def distances(texts: list[str], encode: Callable[[list[str]], NDArray[np.float32]]) -> str:
    """How far changed texts are from themselves, as a Markdown table.

    The cosine is a mean over texts. The common shift is the mean of all differences: its square beside their mean square
    says how much of the change is the same for all texts. The AUC is that of a linear model that tells changed texts from
    those as they are, on folds that it was not fitted on; a text and its version are in one fold.
    """
    before = encode(texts)
    lines = ["| texts | cosine | common shift | changed or not, AUC |", "|---|---|---|---|"]
    for method, changes in METHODS["texts"].items():
        if not changes:
            continue
        schema = load("clothing-reviews").schema.with_overrides(*changes)
        settings = schema.features.interaction["review"].text_augment
        assert settings is not None  # each of them sets it
        after = encode([changed_text(text, settings, 0) for text in texts])
        moved = after - before
        cosine = (before * after).sum(1) / (np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1))
        common = (moved.mean(0) ** 2).sum() / (moved**2).sum(1).mean()
        side, of = np.repeat([0, 1], len(texts)), np.tile(np.arange(len(texts)), 2)
        model = LogisticRegression(C=10, max_iter=1000)
        told = cross_val_predict(
            model, np.concatenate([before, after]), side, groups=of, cv=GroupKFold(3), method="predict_proba"
        )[:, 1]
        auc = roc_auc_score(side, told)
        lines.append(f"| {method} | {cosine.mean():.2f} | {common:.0%} | {auc:.3f} |")
    return "\n".join(lines)


def some_texts(rows: int) -> list[str]:
    """So many clothing reviews, evenly spaced among those with a text."""
    source = load("clothing-reviews")
    frame = pl.read_parquet(Path(source.directory) / source.schema.tables.interactions)
    texts = frame.select(pl.format("{} [SEP] {}", "title", "review_text").alias("text"))["text"].drop_nulls()
    return texts.gather(np.linspace(0, len(texts) - 1, min(rows, len(texts))).astype(int)).to_list()


def _drawn(
    data: Dataset, task: str, metric: str, rows: np.ndarray[Any, Any], predictions: np.ndarray[Any, Any]
) -> DrawnMetric | None:
    return metric_draws(
        data.schema.tasks[task],
        data.label(task, rows),
        predictions,
        metric=metric,
        deviation=training_deviation(data, task),
        draws=200,
    )


NOTES: Final = {
    "resampling": "predicted / real rate (first seed)",
    "vectors": "width",
    "texts": "width",
    "gates": "closed (first seed)",
}


def key_of(part: str, method: str, seed: int, epochs: int, rows: int | None) -> str:
    """The name of a cell in the file: what was trained differently has another one."""
    return f"{part}:{method}:{seed}:{epochs}:{rows or 'all'}"


def table(part: str, cells: Cells, seeds: list[int], epochs: int, rows: int | None) -> str:
    """A Markdown table of what is there, with paired differences from the first method."""
    names = [f"{task} {metric}" for task, metric in COLUMNS[part]]
    there = {
        method: {
            seed: cells[key] for seed in seeds if (key := key_of(part, method, seed, epochs, rows)) in cells
        }
        for method in METHODS[part]
    }
    there = {method: of_seed for method, of_seed in there.items() if of_seed}
    first = next(iter(METHODS[part]))
    lines = [
        f"| {part} | {' | '.join(names)} | {NOTES[part]} | s |",
        f"|---{'|---' * (len(names) + 2)}|",
    ]
    gains = {}
    for name in names:
        drawn = {
            method: {
                seed: DrawnMetric(of["value"], np.array(of["draws"]), of["units"])
                for seed, cell in of_seed.items()
                if (of := cell["metrics"].get(name)) is not None
            }
            for method, of_seed in there.items()
        }
        gains[name] = paired_differences(drawn, first) if drawn.get(first) else {}
    for method, of_seed in there.items():
        texts = []
        for name in names:
            values = [cell["metrics"][name]["value"] for cell in of_seed.values() if name in cell["metrics"]]
            text = f"{statistics.mean(values):.4f}" if values else "—"
            gain = gains[name].get(method)
            if gain is not None and gain.interval is not None:
                text += f" ({gain.value:+.4f}: {gain.interval[0]:+.4f} to {gain.interval[1]:+.4f})"
            texts.append(text)
        seconds = statistics.mean(cell["train_s"] for cell in of_seed.values())
        note = next(iter(of_seed.values()))["note"]
        lines.append(f"| {method} | {' | '.join(texts)} | {note} | {seconds:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = (*METHODS, "versions")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(names)}; all when left out")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rows", type=int, help="the first rows of a table alone")
    parser.add_argument("--seconds", type=float, default=3600.0, help="begin no other cell after these")
    parser.add_argument("--cells", type=Path, default=Path("data_methods.cells.json"))
    given = parser.parse_args()
    for part in given.parts:
        if part not in names:
            parser.error(f"there is no part '{part}': {', '.join(names)}")
    began, left = time.monotonic(), 0
    cells: Cells = json.loads(given.cells.read_text()) if given.cells.is_file() else {}
    chosen = given.parts or names
    parts = [part for part in METHODS if part in chosen]
    for part in parts:
        for seed in given.seeds:
            for method in METHODS[part]:
                key = key_of(part, method, seed, given.epochs, given.rows)
                if key in cells:
                    continue
                if time.monotonic() - began > given.seconds:
                    left += 1
                    continue
                cells[key] = run(part, method, seed, given.epochs, given.rows)
                aside = given.cells.with_suffix(".part")  # a run that is killed leaves the cells whole
                aside.write_text(json.dumps(cells))
                aside.replace(given.cells)
    for part in parts:
        print("\n" + table(part, cells, given.seeds, given.epochs, given.rows))
    if "versions" in chosen:
        texts = some_texts(given.rows or 1000)
        encoder = build_encoder(load("clothing-reviews").schema.language)
        print(f"\n{len(texts)} texts\n\n" + distances(texts, encoder.encode))
    if left:
        print(f"\n{left} cells are left: the same command goes on with them")


if __name__ == "__main__":
    main()
