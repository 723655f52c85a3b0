"""A cell of a comparison: one method on one schema with one seed, or one trial of its tuning; one file each."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import resource
import statistics
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

import motet
from motet.data import SPLIT_CODES, Dataset, Frames
from motet.errors import TrainingError
from motet.evaluation import catalogue_task, rank_catalogue
from motet.models.architectures import PLAIN
from motet.models.baselines import PAIR_MEMBERS, Pairs
from motet.schema import Entity, ModelSettings, ObjectiveSettings, Progress, Schema, TrainingSettings
from motet.training._loop import train_model
from motet.training._predictor import ModelPredictor
from motet.training._run import Fitted, fit_predictor, load_data
from motet.training._search_space import space_of, with_values
from motet.training.compare._spec import ComparedMethod, schema_with

__all__ = [
    "FEW_ROWS",
    "DataCache",
    "TrainingCell",
    "label_hash",
    "read_predictions",
    "run_cell",
    "trial_settings",
    "write_whole",
]

_FORM: Final = 1  # of a cell's file; part of its key
_CANDIDATES: Final = 1000
_CALLS: Final = 20
FEW_ROWS: Final = 100  # fewer say nothing of a scenario
_RANKED: Final = ("ndcg", "recall", "hit", "reciprocal_rank")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingCell:
    """What is trained once.

    Attributes:
        base: Name of the schema.
        method: Name of the method.
        seed: Of the training.
        trial: Number of the trial; None for what is measured on test rows.
        schema: Everything that is set.
        tables: Where its data is.
        data_hash: Fingerprint of the data.
    """

    base: str
    method: str
    seed: int
    trial: int | None
    schema: Schema
    tables: Path | Frames
    data_hash: str

    @property
    def name(self) -> str:
        """As progress and errors call it."""
        part = f"seed {self.seed}" if self.trial is None else f"trial {self.trial}"
        return f"{self.base}, {self.method}, {part}"

    def path(self, out: Path) -> Path:
        """Its file: of the very same settings, data and version."""
        settings = self.schema.to_yaml(whole=True)
        parts = (_FORM, motet.__version__, settings, self.data_hash, self.trial is None)
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
        part = f"seed{self.seed}" if self.trial is None else f"trial{self.trial}"
        words = (re.sub(r"[^\w-]+", "_", word) for word in (self.base, self.method, part))
        return out / "cells" / f"{'.'.join(words)}.{key}.json"

    def read(self, out: Path) -> dict[str, Any] | None:
        """What was found, if it is finished.

        Raises:
            TrainingError: If its file is damaged.
        """
        path = self.path(out)
        if not path.is_file():
            return None
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise TrainingError(
                f"{path} is damaged ({error})", "remove it and say the command again"
            ) from None
        return content


class DataCache:
    """The data set that was encoded last: methods that differ in their model alone share it."""

    def __init__(self) -> None:
        self._key = ""
        self._data: Dataset | None = None

    def load(self, schema: Schema, tables: Path | Frames, progress: Progress) -> Dataset:
        """The data set of a schema."""
        parts = {"model": ModelSettings(), "objective": ObjectiveSettings(), "training": TrainingSettings()}
        key = f"{tables if isinstance(tables, Path) else id(tables)} {schema.model_copy(update=parts).to_yaml()}"
        if self._data is None or key != self._key:
            self._data = None  # the old one need not be held while the new one is read
            self._data, self._key = load_data(schema, tables, progress=progress).data, key
        return replace(self._data, schema=schema, encoder=replace(self._data.encoder, schema=schema))


def trial_settings(schema: Schema, data: Dataset, method: ComparedMethod, trial: int) -> dict[str, Any]:
    """What a trial sets, by path: nothing in the first one, random settings in the others.

    Random search (Bergstra & Bengio 2012): each trial stands by itself, so that trials may run beside each other. A
    setting that several methods share is drawn alike for all of them. What the method itself sets is not searched.

    Args:
        schema: Of the method.
        data: Its data set.
        method: The method.
        trial: Number of the trial.
    """
    if not trial:
        return {}

    def draws(path: str) -> np.random.Generator:
        return np.random.default_rng((trial, zlib.crc32(path.encode())))

    fixed = {"model.architecture", *method.changes, *method.search}
    space = {path: axis for path, axis in space_of(schema, data).items() if path not in fixed}
    found: dict[str, Any] = {}
    for path, axis in space.items():
        if axis.choices:
            found[path] = axis.choices[int(draws(path).integers(len(axis.choices)))]
        else:
            rate = math.exp(draws(path).uniform(math.log(axis.low), math.log(axis.high)))
            found[path] = float(f"{rate:.3g}")
    own = {path: choices[int(draws(path).integers(len(choices)))] for path, choices in method.search.items()}
    tuned, paths = schema_with(with_values(schema, space, found), own), (*found, *own)
    before, after = _values(schema, paths), _values(tuned, paths)
    return {path: after[path] for path in paths if after[path] != before[path]}


def _values(schema: Schema, paths: tuple[str, ...]) -> dict[str, Any]:
    content = schema.model_dump(mode="json")
    found = {}
    for path in paths:
        node: Any = content
        for step in path.split("."):
            node = node.get(step) if isinstance(node, dict) else None
        found[path] = node
    return found


def run_cell(cell: TrainingCell, out: Path, cache: DataCache, progress: Progress) -> None:
    """Train a cell, and write what was found: whole, or nothing.

    A trial is measured on validation rows alone. Of what is compared, the predictions of the test rows are kept beside
    it, so that every method meets the same draws of users.

    Args:
        cell: What to train.
        out: Directory of the comparison.
        cache: The data set that was read last.
        progress: Progress callback.

    Raises:
        MotetError: If it cannot be trained.
    """
    _forget_peak()
    data = cache.load(cell.schema, cell.tables, progress)
    path, began_s = cell.path(out), time.perf_counter()
    found: dict[str, Any] = {
        "schema": cell.base,
        "method": cell.method,
        "seed": cell.seed,
        "trial": cell.trial,
    }
    if cell.trial is not None:
        history = train_model(data, progress=progress).history
        found |= {"score": history.validations[history.best].score, "fit_s": time.perf_counter() - began_s}
    else:
        fitted = fit_predictor(data, progress=progress)
        fit_s = time.perf_counter() - began_s
        progress("measuring the test rows", 0, 1)
        predictor = ModelPredictor(
            fitted.trained.model, data, blend=fitted.blend, task_blend=fitted.task_blend
        )
        tasks, arrays = _predictions(data, predictor)
        found |= {"tasks": tasks, "labels": label_hash(data), "cost": _cost(data, fitted, predictor, fit_s)}
        write_whole(path.with_suffix(".npz"), lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    write_whole(path, lambda file: file.write(json.dumps(found, indent=1).encode()))


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file, whole or not at all."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as file:
            write(file)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise TrainingError(
            f"{path} cannot be written ({error.strerror})", "free some space and say the command again"
        ) from None


# Predictions of the test rows: of interactions, of users and items, and what each user's list is worth.


def _predictions(
    data: Dataset, predictor: ModelPredictor
) -> tuple[dict[str, str], dict[str, NDArray[np.float32]]]:
    """Which array is of which task, and the arrays."""
    tasks, arrays = {}, {}
    of_rows = predictor.predict(data.rows("test"))
    for number, (name, task) in enumerate(data.schema.tasks.items()):
        if task.ranks_catalogue:
            if name != data.schema.retrieval_task:
                continue
            lists = _lists(data, predictor)
            if lists is None:
                continue
            given = lists
        elif task.on == "interaction":
            if name not in of_rows:
                continue
            given = of_rows[name]
        else:
            of_entity = predictor.predict_entities(task.on)
            if name not in of_entity:
                continue
            given = of_entity[name][data.entity_labels[name].split == SPLIT_CODES["test"]]
        tasks[name] = f"task{number}"
        arrays[tasks[name]] = np.asarray(given, np.float32)
    return tasks, arrays


def _lists(data: Dataset, predictor: ModelPredictor) -> NDArray[np.float32] | None:
    """What each user's list is worth, over all rows and then in each scenario, [U, 4·(1 + S)]; None without lists."""
    wanted = catalogue_task(data, "test")
    ranked = None if wanted is None else rank_catalogue(wanted, predictor.score_items)
    if wanted is None or ranked is None:
        return None
    codes = data.scenario[data.rows("test")]
    parts = [np.stack([getattr(ranked, part) for part in _RANKED], axis=1)]
    for code in range(len(data.encoder.scenarios) if data.schema.keys.scenario is not None else 0):
        given = np.full_like(parts[0], np.nan)
        within = catalogue_task(data, "test", code) if (codes == code).sum() >= FEW_ROWS else None
        if within is not None and len(within.users):
            ranked = rank_catalogue(within, partial(predictor.score_items, scenario=code))
            if ranked is not None:
                at = np.searchsorted(wanted.users, within.users)  # who seeks something there seeks something
                given[at] = np.stack([getattr(ranked, part) for part in _RANKED], axis=1)
        parts.append(given)
    return np.concatenate(parts, axis=1).astype(np.float32)


def read_predictions(cell: TrainingCell, found: dict[str, Any], out: Path) -> dict[str, NDArray[np.float32]]:
    """The predictions of a finished cell, by task.

    Of a ranking NDCG, recall, hit and 1 / rank of each user, over all rows and then in each scenario, NaN where there
    is nothing to find, [U, 4·(1 + S)].

    Raises:
        TrainingError: If their file is missing or damaged.
    """
    path = cell.path(out).with_suffix(".npz")
    try:
        with np.load(path) as arrays:
            return {name: arrays[key] for name, key in found["tasks"].items()}
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(
            f"{path} is missing or damaged ({error})",
            f"remove {cell.path(out)} as well and say the command again",
        ) from None


def label_hash(data: Dataset) -> str:
    """Fingerprint of the labels of the test rows: methods that differ in it cannot be compared."""
    found = hashlib.sha256()
    rows = data.rows("test")
    for name, task in data.schema.tasks.items():
        if task.on == "interaction":
            found.update(np.ascontiguousarray(data.label(name, rows)).tobytes())
        else:
            known = data.entity_labels[name]
            found.update(np.ascontiguousarray(known.values[known.split == SPLIT_CODES["test"]]).tobytes())
    return found.hexdigest()[:16]


# What a method costs.


def _cost(data: Dataset, fitted: Fitted, predictor: ModelPredictor, fit_s: float) -> dict[str, Any]:
    model, history = fitted.trained.model, fitted.trained.history
    latency_s = _latencies_s(data, predictor)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "embedding_parameters": sum(one.features.table.weight.numel() for one in model.networks),
        "fit_s": fit_s,
        "rows_per_s": history.rows / history.elapsed_s if history.rows else None,
        "latency_ms": 1e3 * statistics.median(latency_s) if latency_s else None,
        "peak_bytes": _peak_bytes(),
    }


def _latencies_s(data: Dataset, predictor: ModelPredictor) -> list[float]:
    """Seconds of each of twenty calls for 1,000 candidates of one user, input tensors ready.

    Plain members of the tasks are counted; what ranks the catalogue beside the network is not.
    """
    name = data.schema.model.architecture
    if name in PLAIN and name not in PAIR_MEMBERS:
        return []
    rng, n = np.random.default_rng(0), _CANDIDATES
    rows = np.repeat(data.rows("test")[:1], n)
    user = data.user_row[rows]
    item = data.item_row[rows]
    if data.schema.keys.item is not None:
        item = rng.integers(len(data.items), size=n).astype(np.int32)
    before = {name: history.known[user] for name, history in data.histories.items()}
    batch = predictor.batcher.assemble(user, item, before, rows)
    pairs = Pairs.of(data, rows)
    of_items: dict[Entity, NDArray[np.int64]] = {"item": item.astype(np.int64)}
    pairs = replace(pairs, rows={**pairs.rows, **of_items}, known={**pairs.known, **of_items})
    network, seconds = predictor.predict_batch(batch), []
    for _ in range(_CALLS):
        began_s = time.perf_counter()
        predictor.predict_batch(batch)
        if predictor.task_blend is not None:
            predictor.task_blend.logits(data.schema.tasks, network, pairs)
        seconds.append(time.perf_counter() - began_s)
    return seconds


def _forget_peak() -> None:
    """Begin a new measure of the most memory, where the system can; a process runs many cells."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    """The most memory of this process since then."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
