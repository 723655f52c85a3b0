"""Cross-validation of a bundle's schema: a predictor trained and measured on each fold, and what varies over them.

fold ─► data set encoded on its training rows ─► predictor ─► metrics of its test rows ─► mean, deviation, interval
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import stats

import motet
from motet.data import Dataset, Fold, Frames, as_tables, data_hash
from motet.errors import DataError, MotetError, TrainingError
from motet.evaluation import evaluate, validation_score
from motet.metrics import is_number
from motet.schema import Progress, Schema, silent
from motet.training._bundle import load_bundle, write_metrics
from motet.training._checkpoint import only_run
from motet.training._predictor import ModelPredictor
from motet.training._run import fit_predictor, load_data, write_report

__all__ = ["cross_validate", "folds_directory"]

_MOST_FOLDS: Final = 100
_PROGRESS: Final = 1000  # steps of the bar in a fold


def folds_directory(bundle: Path) -> Path:
    """Where finished folds are kept until all of them are done, beside the bundle."""
    return bundle.with_name(bundle.name + ".folds")


def cross_validate(
    bundle: str | Path,
    directory: str | Path | Frames,
    folds: int,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train and measure a bundle's schema on K folds of its data, and say how much its metrics vary.

    Rows are split as :class:`motet.data.Fold` says: at random within each user where the schema splits at
    random, by windows of a rolling origin where it splits by time. Everything that is fitted, vocabularies and
    scales included, is fitted again on the training rows of each fold; plain members work beside each network
    as they do in the bundle. The bundle's own model is not measured, and stays as it is; ``folds`` of its
    metrics and its report are replaced.

    Finished folds are kept in ``BUNDLE.folds`` until all of them are done, and a fold that was cut off goes on
    from its checkpoint, as long as version, schema, data, number of folds and seed are the same. Where the
    metrics of the bundle hold the very same cross-validation, nothing is trained.

    Args:
        bundle: The bundle's directory.
        directory: The data.
        folds: K, from 2 to 100.
        seed: Seed of random folds.
        progress: Progress callback.

    Returns:
        All metrics of the bundle; ``folds`` holds, with the mean, standard deviation (K − 1 degrees of
        freedom) and 95 % interval (Student's t) over folds where a metric is defined::

            number, kind, seed  K, ``random`` or ``rolling``
            tasks               {task: {metric: {mean, deviation, interval, values: one a fold}}}
            ranking             {metric: {mean, …}}, or None
            score               {mean, …}
            each                [{fold, rows: {train, validation, test, unused}, elapsed_s}]

    Raises:
        DataError: If K is out of range, or the schema splits by a column.
        TrainingError: If a fold cannot be trained; the message names it.
    """
    place = Path(bundle)
    loaded = load_bundle(place)
    schema, tables = loaded.schema, as_tables(directory, loaded.schema)
    if not 2 <= folds <= _MOST_FOLDS:
        raise DataError(
            f"{folds} folds are not possible", f"give a number from 2 to {_MOST_FOLDS}: --folds 5"
        )
    if schema.split.by == "column":
        raise DataError(
            f"the schema splits by the column '{schema.split.column}', which says one split alone",
            "train with --set split.by=random (or time) --set split.column=null, and cross-validate that bundle",
        )
    parts = (motet.__version__, schema.to_yaml(), data_hash(tables, schema), folds, seed)
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    if (loaded.metrics.get("folds") or {}).get("key") == key:
        write_report(place)
        return dict(loaded.metrics)
    kept = folds_directory(place)
    try:
        (kept / key).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"{kept} cannot be made ({error.strerror})", "free some space, or make its directory writable"
        ) from None
    with only_run(kept):
        each = [_fold(schema, tables, Fold(k, folds, seed), kept / key, progress) for k in range(folds)]
        found = {"key": key, "number": folds, "seed": seed} | _together(schema, each)
        metrics = {**loaded.metrics, "folds": found}
        write_metrics(place, metrics)
        shutil.rmtree(kept, ignore_errors=True)
    write_report(place)
    return metrics


def _fold(
    schema: Schema, tables: Path | Frames, fold: Fold, kept: Path, progress: Progress
) -> dict[str, Any]:
    """What a fold gives: read where it is finished, else trained and measured."""
    path = kept / f"fold-{fold.number + 1}.json"
    name = f"fold {fold.number + 1} of {fold.of}"

    def report(what: str, done: int, total: int) -> None:
        share = done / max(total, 1)
        progress(
            f"folds: {name}, {what}",
            round(_PROGRESS * (fold.number + min(share, 0.99))),
            _PROGRESS * fold.of,
        )

    if path.is_file():
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise TrainingError(
                f"{path} is damaged ({error})", "remove it and say the command again"
            ) from None
        report("finished before", 1, 1)
        return content
    checkpoint, began_s = kept / f"fold-{fold.number + 1}.checkpoint", time.monotonic()
    try:
        data = load_data(schema, tables, fold=fold, spill_directory=kept, progress=report).data
        found = _measured(data, checkpoint, report)
    except MotetError as error:
        raise type(error)(f"{name}: {error.problem}", error.cure) from None
    content = {
        "fold": fold.number + 1,
        "rows": {split: len(data.rows(split)) for split in ("train", "validation", "test", "unused")},
        "elapsed_s": time.monotonic() - began_s,
        **found,
    }
    new = path.with_suffix(".new")
    try:
        new.write_text(json.dumps(content), encoding="utf-8")
        os.replace(new, path)
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written ({error.strerror})", "free some space and say the command again"
        ) from None
    shutil.rmtree(checkpoint, ignore_errors=True)
    return content


def _measured(data: Dataset, checkpoint: Path, progress: Progress) -> dict[str, Any]:
    """Train the predictor of a data set and measure its test rows."""
    schema = data.schema
    limit_s = schema.training.time_limit_s
    deadline_s = time.monotonic() + limit_s if limit_s else None
    fitted = fit_predictor(
        data, checkpoint=checkpoint, resume=True, deadline_s=deadline_s, limit_s=limit_s, progress=progress
    )
    predictor = ModelPredictor(fitted.trained.model, data, blend=fitted.blend, task_blend=fitted.task_blend)
    found = evaluate(data, predictor, "test", intervals=False, slices=False)
    try:
        score = validation_score(schema, found)
    except DataError:  # no task is defined on these rows
        score = None
    return {"tasks": found["tasks"], "ranking": found["ranking"], "score": score}


def _together(schema: Schema, each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean, deviation and interval of every metric over folds."""
    names = [name for name in schema.tasks if any(name in fold["tasks"] for fold in each)]
    rankings = [fold["ranking"] or {} for fold in each]
    ranking = _of_metrics(rankings)
    return {
        "kind": "random" if schema.split.by == "random" else "rolling",
        "tasks": {name: _of_metrics([fold["tasks"].get(name, {}) for fold in each]) for name in names},
        "ranking": ranking or None,
        "score": _over_folds([fold["score"] for fold in each]),
        "each": [{key: fold[key] for key in ("fold", "rows", "elapsed_s")} for fold in each],
    }


def _of_metrics(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = dict.fromkeys(name for fold in folds for name, value in fold.items() if is_number(value))
    counted = ("rows", "users")
    return {name: _over_folds([f.get(name) for f in folds]) for name in names if name not in counted}


def _over_folds(values: Sequence[Any]) -> dict[str, Any]:
    """Student's interval of the mean; None where it takes more folds than there are."""
    known = np.array([value for value in values if is_number(value)], np.float64)
    n = len(known)
    mean = float(known.mean()) if n else None
    deviation = float(known.std(ddof=1)) if n > 1 else None
    interval = None
    if mean is not None and deviation is not None:
        half = float(stats.t.ppf(0.975, n - 1)) * deviation / n**0.5
        interval = [mean - half, mean + half]
    return {"mean": mean, "deviation": deviation, "interval": interval, "values": list(values)}
