"""Results as tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from motet.data import DataReport
from motet.evaluation import HEADLINES
from motet.schema import Schema

__all__ = ["columns_table", "labels_table", "metrics_table"]


def metrics_table(schema: Schema, metrics: Mapping[str, Any]) -> Table:
    """The headline of every task, the model beside its controls; the best of each column is marked."""
    names = [n for n, t in schema.tasks.items() if n in metrics.get("tasks", {}) or t.kind == "retrieval"]
    title = f"{metrics['dataset']}, {metrics['split']} rows"
    if metrics.get("synthetic"):
        title += " (synthetic)"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    shown = {
        n: "rmse" if HEADLINES[schema.tasks[n].kind] == "skill" else HEADLINES[schema.tasks[n].kind]
        for n in names
    }
    for name in names:
        table.add_column(f"{name}\n{shown[name]}", justify="right")
    rows = {f"motet {metrics['architecture']}": metrics, **metrics.get("controls", {})}
    values = {row: {n: _value(schema, found, n, shown[n]) for n in names} for row, found in rows.items()}
    for row, found in values.items():
        cells = []
        for name in names:
            value = found[name]
            known = [v[name] for v in values.values() if v[name] is not None]
            best = min(known) if shown[name] == "rmse" else max(known) if known else None  # type: ignore[type-var]
            cells.append(
                "–" if value is None else f"[bold]{value:.4f}[/bold] *" if value == best else f"{value:.4f}  "
            )
        table.add_row(row, *cells)
    return table


def _value(schema: Schema, found: Mapping[str, Any], task: str, metric: str) -> float | None:
    if schema.tasks[task].kind == "retrieval":
        ranking = found.get("ranking")
        return None if not ranking else ranking.get(metric)
    value: float | None = found.get("tasks", {}).get(task, {}).get(metric)
    return value


def columns_table(report: DataReport) -> Table:
    """Every column of every file."""
    table = Table(title="columns", title_justify="left")
    for name in ("file", "column", "type", "missing", "distinct", "from", "to", "used by"):
        table.add_column(name)
    for c in report.columns:
        missing = f"{c.missing:,}" if c.missing else ""
        table.add_row(c.table, c.column, c.kind, missing, f"{c.distinct:,}", c.low, c.high, ", ".join(c.used))
    return table


def labels_table(report: DataReport) -> Table:
    """Labels of every task, overall and per scenario."""
    table = Table(title="labels", title_justify="left")
    for name in ("task", "kind", "labelled", "missing", "mean or commonest"):
        table.add_column(name)
    for scenario in report.scenarios:
        table.add_column(scenario)
    for name, found in report.labels.items():
        if "share" in found:
            common = sorted(found["share"].items(), key=lambda pair: -pair[1])[:3]
            summary = ", ".join(f"{c} {s:.0%}" for c, s in common)
        else:
            summary = "–" if found["mean"] is None else f"{found['mean']:.4g}"
        per = [s.get(name) for s in report.scenarios.values()]
        cells = ["–" if value is None else f"{value:.4g}" for value in per]
        table.add_row(name, found["kind"], f"{found['labelled']:,}", f"{found['missing']:,}", summary, *cells)
    return table
