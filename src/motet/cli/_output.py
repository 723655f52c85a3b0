"""What commands print: tables and progress."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.progress import TaskID

    from motet.data import DataReport
    from motet.graph import KnowledgeReport
    from motet.schema import Progress as Report
    from motet.schema import Schema

__all__ = [
    "columns_tables",
    "folds_table",
    "graph_lines",
    "labels_table",
    "metrics_table",
    "printed",
    "progress_on_terminal",
    "scenarios_table",
    "unmeasured",
]

_CELL = 24
_WIDTH = 120  # of a printed table, which has no terminal to ask
_MOST_SCENARIOS = 20
_MOST_RELATIONS = 8


def metrics_table(schema: Schema, metrics: Mapping[str, Any]) -> Table:
    """The primary metric of every task, the model beside its baselines; the best of each column is starred."""
    from motet.metrics import METRICS  # noqa: PLC0415 (a command imports what it uses)

    names = [n for n, t in schema.tasks.items() if n in metrics.get("tasks", {}) or t.ranks_catalogue]
    names = [n for n in names if _measured_rows(schema, metrics, n)]
    title = f"{metrics['dataset']}, {metrics['split']} rows"
    if metrics.get("synthetic"):
        title += " (synthetic)"
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("", overflow="fold", min_width=10)
    primary = {n: schema.tasks[n].primary_metric for n in names}
    shown = {n: METRICS[metric].skill_of or metric for n, metric in primary.items()}
    for name in names:
        table.add_column(f"{escape(name)}\n{shown[name]}", justify="right", overflow="fold", min_width=8)
    rows = {f"motet {metrics['architecture']}": metrics, **metrics.get("baselines", {})}
    values = {row: {n: _value(schema, found, n, shown[n]) for n in names} for row, found in rows.items()}
    for row, found in values.items():
        cells = []
        for name in names:
            value = found[name]
            known = [y for v in values.values() if (y := v[name]) is not None]
            best = (max if METRICS[shown[name]].higher_is_better else min)(known, default=None)
            first = len(known) > 1 and value == best
            cells.append("–" if value is None else f"[bold]{value:.4f}[/bold]*" if first else f"{value:.4f} ")
        table.add_row(escape(row), *cells)
    return table


def folds_table(schema: Schema, metrics: Mapping[str, Any]) -> Table:
    """Every metric of every task over the folds of a cross-validation; the primary metric of each task is bold."""
    from motet.metrics import METRICS  # noqa: PLC0415 (a command imports what it uses)

    folds = metrics["folds"]
    kind = "random folds" if folds["kind"] == "random" else "windows of time, each after its training rows"
    title = f"{metrics['dataset']}, test rows of {folds['number']} {kind}"
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD)
    for name in ("task", "metric"):
        table.add_column(name, overflow="fold", min_width=8)
    for name in ("mean", "deviation", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, task in schema.tasks.items():
        ranks = task.ranks_catalogue
        found = (
            folds["ranking"] if ranks and name == schema.retrieval_task else folds["tasks"].get(name)
        ) or {}
        primary = METRICS[task.primary_metric].skill_of or task.primary_metric
        ordered = sorted(found, key=lambda metric: metric != primary)
        for row, metric in enumerate(ordered):
            of = found[metric]
            low_high = "–" if of["interval"] is None else "{:.4f} … {:.4f}".format(*of["interval"])
            cells = [_digits(of["mean"]), _digits(of["deviation"]), low_high]
            cells = [f"[bold]{cell}[/bold]" if metric == primary else cell for cell in cells]
            table.add_row(escape(name) if not row else "", metric, *cells, end_section=row == len(found) - 1)
    return table


def _digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def unmeasured(schema: Schema, metrics: Mapping[str, Any]) -> str:
    """Which tasks have no labelled rows to measure them on; empty where all have some."""
    names = [n for n, t in schema.tasks.items() if n in metrics.get("tasks", {}) or t.ranks_catalogue]
    empty = [n for n in names if not _measured_rows(schema, metrics, n)]
    return f"no labelled {metrics['split']} rows for {', '.join(empty)}: not measured" if empty else ""


def _measured_rows(schema: Schema, metrics: Mapping[str, Any], task: str) -> int:
    """Rows that a task was measured on; users for the ranking of the catalogue."""
    if schema.tasks[task].ranks_catalogue:
        return int((metrics.get("ranking") or {}).get("users", 0))
    return int(metrics["tasks"][task].get("rows", 0))


def _value(schema: Schema, found: Mapping[str, Any], task: str, metric: str) -> float | None:
    if schema.tasks[task].ranks_catalogue:
        ranking = found.get("ranking")
        return None if not ranking else ranking.get(metric)
    value: float | None = found.get("tasks", {}).get(task, {}).get(metric)
    return value


def columns_tables(report: DataReport) -> list[Table]:
    """Every column of every file, a table a file."""
    tables = []
    for file in dict.fromkeys(c.table for c in report.columns):
        columns = [c for c in report.columns if c.table == file]
        table = Table(
            title=f"{escape(file)}: {max(c.rows for c in columns):,} rows",
            title_justify="left",
            box=SIMPLE_HEAD,
        )
        table.add_column("column", overflow="fold", min_width=8)
        table.add_column("type", no_wrap=True)
        table.add_column("missing", justify="right", no_wrap=True)
        table.add_column("distinct", justify="right", no_wrap=True)
        table.add_column("from … to", overflow="fold")
        table.add_column("used by", overflow="fold", min_width=12)
        for c in columns:
            span = f"{_cut(c.low)} … {_cut(c.high)}" if c.low or c.high else ""
            table.add_row(
                escape(c.column),
                c.kind,
                f"{c.missing:,}" if c.missing else "",
                f"{c.distinct:,}" if c.distinct else "",
                escape(span),
                escape(", ".join(c.used)) or "[dim]nothing[/dim]",
            )
        tables.append(table)
    return tables


def labels_table(report: DataReport) -> Table:
    """Labels of every task."""
    table = Table(title="labels", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("task", overflow="fold")
    table.add_column("kind")
    table.add_column("labelled", justify="right")
    table.add_column("missing", justify="right")
    table.add_column("mean, or commonest", overflow="fold")
    for name, found in report.labels.items():
        if "share" in found:
            common = sorted(found["share"].items(), key=lambda pair: -pair[1])[:3]
            summary = ", ".join(f"{_cut(c)} {s:.0%}" for c, s in common)
        else:
            summary = "–" if found["mean"] is None else f"{found['mean']:.4g}"
        table.add_row(
            escape(name), found["kind"], f"{found['labelled']:,}", f"{found['missing']:,}", escape(summary)
        )
    return table


def scenarios_table(report: DataReport) -> Table:
    """The mean label of every task in every scenario, a row a scenario."""
    tasks = list(
        dict.fromkeys(name for found in report.scenarios.values() for name in found if name != "rows")
    )
    table = Table(title="mean label per scenario", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("scenario", overflow="fold")
    table.add_column("rows", justify="right")
    for name in tasks:
        table.add_column(escape(name), justify="right", overflow="fold")
    for scenario, found in list(report.scenarios.items())[:_MOST_SCENARIOS]:
        values = [found.get(name) for name in tasks]
        cells = ["–" if value is None else f"{value:.4g}" for value in values]
        table.add_row(escape(scenario), f"{found['rows'] or 0:,.0f}", *cells)
    if len(report.scenarios) > _MOST_SCENARIOS:
        table.caption = f"and {len(report.scenarios) - _MOST_SCENARIOS:,} more: --json has them all"
    return table


def graph_lines(report: KnowledgeReport) -> list[str]:
    """Lines about a knowledge graph: its size, what was found, what predicts labels, what to change."""
    relations = ", ".join(
        f"{r.relation} {r.facts:,}"
        for r in sorted(report.relations, key=lambda r: -r.facts)[:_MOST_RELATIONS]
    )
    if len(report.relations) > _MOST_RELATIONS:
        relations += f" and {len(report.relations) - _MOST_RELATIONS} more: --json has them all"
    leaks = [leak for leak in report.leaks if leak.gives_away]
    lines = [
        f"knowledge: {report.facts:,} facts, {report.entities:,} entities, {report.linked:,} of {report.items:,} "
        "items linked",
        f"  facts: {relations}",
        *(f"  {line}" for line in report.findings),
        *(
            f"  '{leak.relation}' predicts task '{leak.task}' (average precision {leak.average_precision:.2f}, "
            f"a blind guess {leak.base:.2f}) and is hidden from it"
            for leak in leaks
            if leak.hidden
        ),
    ]
    return [escape(line) for line in lines] + [
        f"[bold]knowledge:[/bold] {escape(w)}" for w in report.warnings
    ]


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _CELL else line[: _CELL - 1] + "…"


# Progress on the terminal: one line a stage, on standard error, quiet where it is not watched.

_QUIET_S = 5.0


@contextmanager
def progress_on_terminal(quiet: bool = False) -> Iterator[Report]:
    """A report function for long work: bars on a terminal, a line every few seconds in a log.

    Args:
        quiet: Say nothing.
    """
    if quiet:
        from motet.schema import silent  # noqa: PLC0415 (a command imports what it uses)

        yield silent
        return
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        stages: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            stage = what.partition(":")[0]
            if stage not in stages:
                stages[stage] = bars.add_task(what, total=total)
            bars.update(stages[stage], description=what, completed=done, total=max(total, 1))

        yield report


def _lines() -> Report:
    last: dict[str, float] = {}

    def report(what: str, done: int, total: int) -> None:
        stage, now = what.partition(":")[0], time.monotonic()
        if stage not in last or now - last[stage] >= _QUIET_S or done >= total:
            last[stage] = now
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return report


def printed(*tables: Table) -> str:
    """Tables as text, for whoever prints an object of the public API."""
    text = io.StringIO()
    console = Console(file=text, width=_WIDTH, highlight=False)
    for table in tables:
        console.print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
