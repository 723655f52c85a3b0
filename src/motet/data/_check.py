"""The check of a data set: the data report, and features whose value alone gives a label away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._build import build_dataset
from motet.data._dataset import Dataset, EntityTable
from motet.data._prepare import CleaningReport
from motet.data._read import open_table, unreadable
from motet.schema import ENTITIES, Entity, Progress, Schema, expression_columns, silent, table_of

__all__ = ["ColumnReport", "DataReport", "Leak", "check_data", "find_leaks"]

_SAMPLE_ROWS = 1_000_000
_EXPLAINED = 0.95
_RAREST = 10
_BINS = 256


@dataclass(frozen=True, slots=True)
class Leak:
    """A feature that gives a label away.

    Attributes:
        feature: Its name.
        task: The task it gives away.
        explained: Share of the mistakes of a blind guess that the feature alone takes away; for a
            number, of the variance.
    """

    feature: str
    task: str
    explained: float


def find_leaks(data: Dataset) -> list[Leak]:
    """Features whose value alone decides a label.

    A feature leaks if guessing, for each of its values, the label that is commonest there takes
    away 95 % of the mistakes of always guessing the commonest label, or, for a number, 95 % of its
    variance (adjusted for the number of values). Numbers are also looked at in 256 equal parts, so
    that a copy with noise is found; texts and tags by their whole value and by being there at all.
    Values that stand in one row only say nothing and are left out; ids and histories are not looked at.

    Args:
        data: The data set; its training rows are looked at, a million at the most.
    """
    leaks = []
    rows = data.rows("train")
    rows = rows[:: max(1, -(-len(rows) // _SAMPLE_ROWS))]
    for name, task in data.schema.tasks.items():
        if task.ranks_catalogue or task.has_sets:
            continue
        if task.on == "interaction":
            label = data.label(name, rows)
            known = rows[~np.isnan(label)]
            places: dict[Entity, NDArray[Any]] = {
                "user": data.user_row[known],
                "item": data.item_row[known],
                "interaction": known,
            }
        else:
            values, split = data.entity_labels[name].values, data.entity_labels[name].split
            label = values[split == 0]
            places = {task.on: np.flatnonzero((split == 0) & ~np.isnan(values))}
        y = label[~np.isnan(label)].astype(np.float64)
        explained = _variance_explained if task.is_number else _mistakes_explained
        found: dict[str, float] = {}
        for entity, at in places.items():
            for feature, codes in _codes(data, entity, at):
                if feature not in task.hide:
                    found[feature] = max(found.get(feature, 0.0), explained(codes, y))
        leaks += [Leak(feature, name, share) for feature, share in found.items() if share >= _EXPLAINED]
    return leaks


def _codes(data: Dataset, entity: Entity, at: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each feature of some rows as whole numbers, in one or more ways."""
    if entity not in ENTITIES or not len(at):
        return
    layout = data.encoder.layout(entity)
    table: EntityTable = data.table(entity)
    for column, name in enumerate(layout.codes):
        if not layout.is_id[column] and name != "scenario":
            yield name, table.codes[at, column].astype(np.int64)
    for column, name in enumerate(layout.number_features):
        values = np.asarray(table.numbers[at, column])
        yield name, np.unique(values, return_inverse=True)[1]
        cuts = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)))
        yield name, np.searchsorted(cuts, values)
    for name, lists in table.tags.items():
        taken = lists.take(at)
        sums = np.zeros(len(at), np.int64)
        # a set of tags as one number: the same for the same set, whatever the order
        np.add.at(sums, np.repeat(np.arange(len(at)), taken.lengths()), _mixed(taken.values))
        yield name, sums
        yield name, (taken.lengths() > 0).astype(np.int64)
    for column, name in enumerate(layout.vectors):
        positions = np.asarray(table.vector_rows[at, column])
        yield name, positions.astype(np.int64)
        yield name, (positions > 0).astype(np.int64)


def _mixed(values: NDArray[np.int32]) -> NDArray[np.int64]:
    mixed = values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed ^ (mixed >> np.uint64(29))).view(np.int64)


def _groups(codes: NDArray[np.int64], y: NDArray[np.float64]) -> pl.DataFrame | None:
    """Rows whose value occurs in more than one row; None if they are less than half."""
    frame = pl.DataFrame({"code": codes, "y": y})
    frame = frame.filter(pl.len().over("code") > 1)
    return frame if len(frame) >= max(2, len(y) // 2) else None


def _mistakes_explained(codes: NDArray[np.int64], y: NDArray[np.float64]) -> float:
    frame = _groups(codes, y)
    if frame is None:
        return 0.0
    wrong = len(frame) - int(frame["y"].value_counts()["count"].max())  # type: ignore[arg-type]
    if wrong < _RAREST:
        return 0.0
    right = frame.group_by("code", "y").len().group_by("code").agg(pl.col("len").max())
    return 1 - (len(frame) - int(right["len"].sum())) / wrong


def _variance_explained(codes: NDArray[np.int64], y: NDArray[np.float64]) -> float:
    frame = _groups(codes, y)
    if frame is None or len(frame) < _RAREST:
        return 0.0
    groups = frame["code"].n_unique()
    total = float(((frame["y"] - frame["y"].mean()) ** 2).sum())
    within = float(frame.select(((pl.col("y") - pl.col("y").mean().over("code")) ** 2).sum()).item())
    if total <= 0 or groups >= len(frame):
        return 0.0
    return 1 - (within / (len(frame) - groups)) / (total / (len(frame) - 1))


# The data report: contents of the files, problems, label leaks.


@dataclass(frozen=True, slots=True)
class ColumnReport:
    """One column of a file.

    Attributes:
        table: File.
        column: Column.
        kind: Type as read.
        rows: Rows looked at, a million at the most.
        missing: Rows without a value.
        distinct: Distinct values.
        low: Smallest value, as text.
        high: Largest value.
        used: Features, keys and tasks that read it.
    """

    table: str
    column: str
    kind: str
    rows: int
    missing: int
    distinct: int
    low: str
    high: str
    used: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataReport:
    """What ``motet check`` prints.

    Attributes:
        columns: Every column of every file.
        cleaning: What was found and done, a line each.
        rows: Interactions per split.
        users: Users.
        items: Items.
        labels: Per task: labelled rows, and the mean label or the share of each class.
        scenarios: Per scenario and task, the same mean.
        leaks: Features that give labels away.
    """

    columns: list[ColumnReport]
    cleaning: list[str]
    rows: dict[str, int]
    users: int
    items: int
    labels: dict[str, dict[str, Any]]
    scenarios: dict[str, dict[str, float | None]]
    leaks: list[Leak] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)


def check_data(
    schema: Schema,
    directory: Path,
    spill_directory: Path | None = None,
    progress: Progress = silent,
    beside: Callable[[Dataset], None] | None = None,
) -> DataReport:
    """Read the files as training would, and report on them; no text is encoded.

    Args:
        schema: What the files are.
        directory: Where they are.
        spill_directory: Where the columns of large tables go; in memory when left out.
        progress: Progress callback.
        beside: Called with the data set, whose texts and graph vectors are zeros, for further checks.

    Raises:
        DataError: If training could not read them either.
    """
    cleaning_report = CleaningReport()

    def no_vectors(texts: Any) -> NDArray[np.float32]:
        return np.zeros((len(texts), 1), np.float32)

    data = build_dataset(
        schema,
        directory,
        encode_text=no_vectors,
        item_vectors=lambda keys, *_: no_vectors(keys),
        cleaning_report=cleaning_report,
        spill_directory=spill_directory,
        progress=progress,
    )
    if beside is not None:
        beside(data)
    return DataReport(
        columns=_columns(schema, directory),
        cleaning=[str(finding) for finding in cleaning_report],
        rows={split: len(data.rows(split)) for split in ("train", "validation", "test", "unused")},
        users=len(data.users) if schema.keys.user else 0,
        items=len(data.items) if schema.keys.item else 0,
        labels={name: _label_summary(data, name) for name in schema.tasks},
        scenarios=_scenario_means(data),
        leaks=find_leaks(data),
    )


def _label_summary(data: Dataset, name: str) -> dict[str, Any]:
    task = data.schema.tasks[name]
    values = (
        data.label(name, np.arange(len(data))[:_SAMPLE_ROWS])
        if task.on == "interaction"
        else data.entity_labels[name].values
    )
    known = ~np.isnan(values) if values.ndim == 1 else ~np.isnan(values).any(1)
    summary: dict[str, Any] = {
        "kind": task.kind,
        "labelled": int(known.sum()),
        "missing": int((~known).sum()),
    }
    if task.has_classes:
        classes = data.encoder.classes[name]
        if values.ndim == 1:
            share = np.bincount(values[known].astype(np.int64), minlength=len(classes)) / max(1, known.sum())
        else:
            share = values[known].mean(0) if known.any() else np.zeros(len(classes))
        summary["share"] = {c: round(float(s), 4) for c, s in zip(classes, share, strict=True)}
    else:
        summary["mean"] = float(values[known].mean()) if known.any() else None
    return summary


def _scenario_means(data: Dataset) -> dict[str, dict[str, float | None]]:
    if data.schema.keys.scenario is None:
        return {}
    means: dict[str, dict[str, float | None]] = {}
    for code, scenario in enumerate(data.encoder.scenarios):
        rows = np.flatnonzero(data.scenario == code)[:_SAMPLE_ROWS]
        if not len(rows):
            continue
        means[scenario] = {"rows": float(len(rows))}
        for name in data.encoder.interaction_tasks:
            if not data.schema.tasks[name].has_classes:
                values = data.label(name, rows)
                known = values[~np.isnan(values)]
                means[scenario][name] = float(known.mean()) if len(known) else None
    return means


def _columns(schema: Schema, directory: Path) -> list[ColumnReport]:
    reports = []
    for entity in ENTITIES:
        name = getattr(schema.tables, table_of(entity))
        if name is None:
            continue
        opened = open_table(
            directory,
            name,
            numbers_as_text=schema.clean.unparseable == "null",
            tables=schema.tables,
        )
        try:
            table = opened.head(_SAMPLE_ROWS).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise unreadable(directory, name, error, schema.tables) from None
        for column in table.columns:
            values = table[column]
            plain = values.dtype.is_numeric() or values.dtype.is_temporal() or values.dtype == pl.String
            reports.append(
                ColumnReport(
                    table=name,
                    column=column,
                    kind=str(values.dtype),
                    rows=len(values),
                    missing=values.null_count(),
                    distinct=values.n_unique() if plain else 0,
                    low=str(values.min())[:40] if plain else "",
                    high=str(values.max())[:40] if plain else "",
                    used=tuple(_uses(schema, entity, column)),
                )
            )
    return reports


def _uses(schema: Schema, entity: Any, column: str) -> list[str]:
    uses = [f"keys.{key}" for key, value in schema.keys.model_dump().items() if value == column]
    # an entity without a table of its own is known by its key alone, which is in this table
    homes = [e for e in ENTITIES if e == entity or getattr(schema.tables, table_of(e)) is None]
    uses += [
        f"feature {n}"
        for home in homes
        for n in (schema.features.of(home) if home == entity or f"keys.{home}" in uses else ())
        if column in schema.feature_columns(home, n)
    ]
    uses += [
        f"task {n}"
        for n, t in schema.tasks.items()
        if t.on == entity and column in expression_columns(t.label)
    ]
    derived = schema.derive.get(table_of(entity), {})
    uses += [f"derived {n}" for n, text in derived.items() if column in expression_columns(text)]
    return uses
