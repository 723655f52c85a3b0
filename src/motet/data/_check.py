"""The data report: what the files hold, what is wrong with them, and what would leak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._account import Account
from motet.data._build import build_dataset
from motet.data._dataset import Dataset
from motet.data._leaks import Leak, find_leaks
from motet.data._read import open_table, unreadable
from motet.schema import ENTITIES, Progress, Schema, expression_columns, silent, table_of

__all__ = ["ColumnReport", "DataReport", "check_data"]

_SAMPLE_ROWS = 1_000_000


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
        progress: Called with what is going on.
        beside: Called with the data set, whose texts and graph vectors are zeros, for further checks.

    Raises:
        DataError: If training could not read them either.
    """
    account = Account()

    def no_vectors(texts: Any) -> NDArray[np.float32]:
        return np.zeros((len(texts), 1), np.float32)

    data = build_dataset(
        schema,
        directory,
        encode_text=no_vectors,
        item_vectors=lambda keys, *_: no_vectors(keys),
        account=account,
        spill_directory=spill_directory,
        progress=progress,
    )
    if beside is not None:
        beside(data)
    return DataReport(
        columns=_columns(schema, directory),
        cleaning=[str(finding) for finding in account],
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
    # an entity without a table of its own is told by its key alone, which stands here
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
