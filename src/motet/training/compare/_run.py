"""The comparison: checked first, then trained cell by cell, then one table, one JSON file and one page.

spec ─► schemas of all methods, checked ─► trials on validation rows ─► the choice ─► every seed ─► paired differences
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import motet
from motet.data import Frames, as_tables, data_hash
from motet.errors import DataError, MotetError, TrainingError
from motet.evaluation.report import render_comparison
from motet.models import build_model
from motet.models.architectures import PLAIN
from motet.schema import Progress, Schema, silent
from motet.training._checkpoint import only_run
from motet.training._loop import check_labels
from motet.training.compare._cell import (
    DataCache,
    TrainingCell,
    label_hash,
    read_predictions,
    trial_settings,
    write_whole,
)
from motet.training.compare._pool import TimeOver, run_cells
from motet.training.compare._spec import ComparisonSpec, base_schemas, method_schema, read_spec, schema_with
from motet.training.compare._table import TestRows, correct_together, task_tables

__all__ = ["compare_methods"]

_FORM = 1  # of compare.json


@dataclass(slots=True)
class _Base:
    """A schema of the comparison, and what became of its methods."""

    name: str
    tables: Path | Frames
    schemas: dict[str, Schema]  # by method
    rows: TestRows
    data_hash: str
    tried: dict[str, list[dict[str, Any]]]  # settings of each trial, by method
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict)
    cells: list[TrainingCell] = field(default_factory=list)

    def trial_cells(self, seed: int) -> list[TrainingCell]:
        most = max((len(tried) for tried in self.tried.values()), default=0)
        return [
            self._cell(method, seed, number, tried[number])
            for number in range(most)
            for method, tried in self.tried.items()
            if number < len(tried)
        ]

    def _cell(self, method: str, seed: int, trial: int | None, settings: Mapping[str, Any]) -> TrainingCell:
        schema = schema_with(self.schemas[method], {**settings, "training.seed": seed})
        return TrainingCell(self.name, method, seed, trial, schema, self.tables, self.data_hash)

    def choose(self, cells: Iterable[TrainingCell], out: Path) -> None:
        """The trial with the best score on validation rows; a method whose trials are not all done has none."""
        scores: dict[str, dict[int, float]] = {}
        for cell in cells:
            found = cell.read(out)
            if found is not None:
                scores.setdefault(cell.method, {})[int(cell.trial or 0)] = float(found["score"])
        for method, tried in self.tried.items():
            known = scores.get(method, {})
            if not tried:
                self.chosen[method] = {"trial": None, "score": None, "settings": {}, "tried": []}
            elif known:
                best = max(known, key=lambda trial: (known[trial], -trial))
                listed = [{"trial": k, "score": known.get(k), "settings": s} for k, s in enumerate(tried)]
                self.chosen[method] = {
                    "trial": best,
                    "score": known[best],
                    "settings": tried[best],
                    "tried": listed,
                }

    def seed_cells(self, seeds: Iterable[int]) -> list[TrainingCell]:
        """Every chosen method with every seed, seed after seed: what is finished can be compared."""
        self.cells = [
            self._cell(method, seed, None, chosen["settings"])
            for seed in seeds
            for method, chosen in self.chosen.items()
        ]
        return self.cells


def compare_methods(
    spec: str | Path | Mapping[str, Any] | ComparisonSpec,
    tables: Any,
    out: str | Path,
    *,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Compare methods on the same rows, with the same seeds and the same number of tuning trials each.

    Settings are chosen on validation rows alone; test rows are predicted once they are. Differences to the baseline
    are paired over users and seeds, see :func:`motet.evaluation.paired_differences`, and their p-values are corrected
    for all methods, tasks and schemas together (Holm). Every finished cell is a file of its own in ``out``: the same
    call goes on where an earlier one was stopped, and trains again only what has other settings, data or version.

    Args:
        spec: The comparison, see :class:`ComparisonSpec`, or its YAML file.
        tables: Directory of the data, or frames where a single process works.
        out: Directory for the cells, ``compare.json`` and ``compare.html``.
        progress: Progress callback.

    Returns:
        The content of ``compare.json``.

    Raises:
        MotetError: If the comparison, a schema, a method or the data is wrong, before anything is trained.
        TrainingError: If another run is writing ``out``, or nothing could be trained.
    """
    parsed, directory, source = read_spec(spec)
    bases = base_schemas(parsed, directory, source)
    schemas = {
        name: {
            method: method_schema(base, method, settings, members=parsed.members, source=source)
            for method, settings in parsed.methods.items()
        }
        for name, (base, _) in bases.items()
    }
    place = Path(out)
    try:
        (place / "cells").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"{place} cannot be made ({error.strerror})", "name another directory with --out"
        ) from None
    with only_run(place):
        began_s, cache = time.monotonic(), DataCache()
        deadline_s = None if parsed.limit_s is None else began_s + parsed.limit_s
        checked = [
            _checked(parsed, name, base, below, schemas[name], tables, cache, progress)
            for name, (base, below) in bases.items()
        ]
        if parsed.processes > 1:
            cache = DataCache()  # this process has no use for it
        failed: dict[TrainingCell, MotetError] = {}
        over = False
        for base in checked:
            trials = base.trial_cells(parsed.seeds[0])
            try:
                failed |= _train(trials, place, parsed, cache, deadline_s, progress)
                base.choose(trials, place)
                failed |= _train(base.seed_cells(parsed.seeds), place, parsed, cache, deadline_s, progress)
            except TimeOver:
                over = True
        content = _content(parsed, checked, place, failed, over)
        _write(place / "compare.json", json.dumps(content, indent=1, ensure_ascii=False))
        _write(place / "compare.html", render_comparison(content))
    return content


def _checked(
    spec: ComparisonSpec,
    name: str,
    base: Schema,
    below: str,
    schemas: Mapping[str, Schema],
    tables: Any,
    cache: DataCache,
    progress: Progress,
) -> _Base:
    """Read the data of a schema, and see that every method can be built on it."""
    given = as_tables(tables, base)
    if isinstance(given, Frames):
        if spec.processes > 1:
            raise DataError(
                "tables in memory cannot be given to other processes",
                "pass a directory, or write 'processes: 1'",
            )
    else:
        given = given / below
    data = cache.load(base, given, progress)
    check_labels(data, base)
    if not len(data.rows("test")) or not len(data.rows("validation")):
        raise DataError(
            f"{name}: there are no test rows, or no validation rows", "change 'split' in the schema"
        )
    for method, schema in schemas.items():
        if _same_data(schema, base):
            try:
                build_model(schema, data.encoder)
            except MotetError as error:
                raise type(error)(f"methods.{method} on {name}: {error.problem}", error.cure) from None
    tried = {
        method: [
            trial_settings(schema, data, spec.methods[method], number)
            for number in range(0 if schema.model.architecture in PLAIN else spec.trials)
        ]
        for method, schema in schemas.items()
    }
    rows = TestRows.of(data, label_hash(data))
    return _Base(name, given, dict(schemas), rows, data_hash(given, base), tried)


def _same_data(schema: Schema, base: Schema) -> bool:
    return all(
        getattr(schema, part) == getattr(base, part)
        for part in ("features", "language", "knowledge", "tasks")
    )


def _train(
    cells: list[TrainingCell],
    out: Path,
    spec: ComparisonSpec,
    cache: DataCache,
    deadline_s: float | None,
    progress: Progress,
) -> dict[TrainingCell, MotetError]:
    left = [cell for cell in cells if cell.read(out) is None]
    before = len(cells) - len(left)

    def report(done: int, total: int, what: str) -> None:
        progress(f"compare: {what}", before + done, before + total)

    return run_cells(left, out, spec.processes, cache=cache, deadline_s=deadline_s, report=report)


def _content(
    spec: ComparisonSpec,
    bases: Iterable[_Base],
    out: Path,
    failed: Mapping[TrainingCell, MotetError],
    over: bool,
) -> dict[str, Any]:
    schemas: dict[str, dict[str, Any]] = {}
    unfinished = []
    for base in bases:
        predictions: dict[str, dict[int, Any]] = {}
        costs: dict[str, list[dict[str, Any]]] = {}
        for cell in base.cells:
            found = cell.read(out)
            if found is None:
                unfinished += [] if cell in failed else [cell.name]
                continue
            if found["labels"] != base.rows.fingerprint:
                raise TrainingError(
                    f"methods.{cell.method}: the labels of its test rows are not those of the schema '{base.name}'",
                    "leave settings of the method out that change rows or labels",
                )
            predictions.setdefault(cell.method, {})[cell.seed] = read_predictions(cell, found, out)
            costs.setdefault(cell.method, []).append(found["cost"])
        untuned = [method for method in spec.methods if method not in base.chosen]
        of_failed = {cell.method for cell in failed if cell.base == base.name}
        unfinished += [f"{base.name}, {method}" for method in untuned if method not in of_failed]
        tasks, scores = task_tables(base.rows, predictions, spec.baseline, spec.metrics)
        schema = base.rows.schema
        schemas[base.name] = {
            "synthetic": schema.name.startswith("world"),
            "rows": base.rows.rows,
            "tasks": tasks,
            "scores": scores,
            "costs": {method: _middle(of_seeds) for method, of_seeds in costs.items()},
            "chosen": base.chosen,
        }
    correct_together(schemas, spec.baseline)
    return {
        "form": _FORM,
        "motet": motet.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "baseline": spec.baseline,
        "methods": {name: method.changes for name, method in spec.methods.items()},
        "seeds": list(spec.seeds),
        "trials": spec.trials,
        "members": spec.members,
        "processes": spec.processes,
        "synthetic": any(schema["synthetic"] for schema in schemas.values()),
        "complete": not unfinished and not failed,
        "time_over": over,
        "unfinished": unfinished,
        "failed": [{"cell": c.name, "error": e.problem, "cure": e.cure} for c, e in failed.items()],
        "schemas": schemas,
        "mean_rank": _mean_rank(schemas, spec.methods),
    }


def _middle(costs: list[dict[str, Any]]) -> dict[str, float | None]:
    """The median over seeds of each cost."""
    known = {key: [cost[key] for cost in costs if cost[key] is not None] for key in costs[0]}
    return {key: statistics.median(values) if values else None for key, values in known.items()}


def _mean_rank(schemas: Mapping[str, Any], methods: Iterable[str]) -> dict[str, float]:
    ranks: dict[str, list[float]] = {name: [] for name in methods}
    for schema in schemas.values():
        for table in schema["tasks"].values():
            for name, line in table["methods"].items():
                if "rank" in line:
                    ranks[name].append(line["rank"])
    return {name: statistics.fmean(of) for name, of in ranks.items() if of}


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda file: file.write(text.encode()))
