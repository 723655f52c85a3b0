"""``motet compare``: methods beside each other, fairly, in one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from motet.cli._options import Data, Json, out_console, print_json
from motet.cli._output import progress_on_terminal

__all__ = ["compare", "comparison_lines", "comparison_tables"]


def compare(
    spec: Annotated[
        Path, typer.Argument(help="What is compared: schemas, methods, baseline, seeds, trials (YAML).")
    ],
    data: Data,
    out: Annotated[
        Path,
        typer.Option(
            help="Directory for finished cells, compare.json and compare.html; what was interrupted goes on."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Compare methods fairly: same rows, seeds and tuning budget, paired intervals over users and seeds, and costs."""
    from motet.training.compare import compare_methods, read_spec  # noqa: PLC0415 (a command imports what it uses)

    read_spec(spec)  # its mistakes are printed before anything else
    with progress_on_terminal(as_json) as report:
        content = compare_methods(spec, data, out, progress=report)
    if as_json:
        print_json(content)
    else:
        for table in comparison_tables(content):
            out_console.print(table)
        for line in comparison_lines(content):
            out_console.print(escape(line), soft_wrap=True)
        typer.echo(f"report: {out / 'compare.html'}")
    if content["failed"]:
        raise typer.Exit(2)


def comparison_tables(content: Mapping[str, Any]) -> Iterator[Table]:
    """The methods on every task, and what they cost, for each schema.

    Args:
        content: Of ``compare.json``.
    """
    for name, schema in content["schemas"].items():
        number = len(content["seeds"])
        mark = " (synthetic)" if schema["synthetic"] else ""
        title = f"{name}{mark}, test rows, {number} seed{'s' if number > 1 else ''}"
        table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD)
        table.add_column("task", overflow="fold", min_width=8)
        table.add_column("method", overflow="fold", min_width=10)
        for head in ("mean ± sd", f"− {content['baseline']}", "95 % interval", "p (Holm)", "rank"):
            table.add_column(escape(head), justify="right", no_wrap=True)
        for task, found in schema["tasks"].items():
            lines = found["methods"].items()
            for place, (method, line) in enumerate(lines):
                cells = [
                    _digits(line["mean"])
                    + ("" if line["deviation"] is None else f" ± {line['deviation']:.4f}"),
                    "" if line.get("difference") is None else f"{line['difference']:+.4f}",
                    "" if not line.get("interval") else "{:+.4f} … {:+.4f}".format(*line["interval"]),
                    "" if line.get("p_holm") is None else f"{line['p_holm']:.3f}",
                    "" if "rank" not in line else f"{line['rank']:g}",
                ]
                if line.get("verdict") in ("better", "worse"):
                    cells = [f"[bold]{cell}[/bold]" if cell else "" for cell in cells]
                head = f"{escape(task)}, {found['metric']}" if not place else ""
                table.add_row(head, escape(method), *cells, end_section=place == len(lines) - 1)
        yield table
        yield _cost_table(name, schema, content)


def _cost_table(name: str, schema: Mapping[str, Any], content: Mapping[str, Any]) -> Table:
    table = Table(title=escape(f"{name}: cost"), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("method", overflow="fold", min_width=10)
    for head in ("score", "mean rank", "parameters", "training s", "rows/s", "ms / 1,000", "peak MB"):
        table.add_column(head, justify="right", no_wrap=True)
    for method, cost in schema["costs"].items():
        rank = content["mean_rank"].get(method)
        table.add_row(
            escape(method),
            _digits(schema["scores"].get(method)),
            "–" if rank is None else f"{rank:.2f}",
            f"{cost['parameters']:,.0f}",
            f"{cost['fit_s']:.1f}",
            "–" if cost["rows_per_s"] is None else f"{cost['rows_per_s']:,.0f}",
            "–" if cost["latency_ms"] is None else f"{cost['latency_ms']:.2f}",
            f"{cost['peak_bytes'] / 1e6:,.0f}",
        )
    return table


def comparison_lines(content: Mapping[str, Any]) -> list[str]:
    """What differs beyond noise, a line a task; then what is missing.

    Args:
        content: Of ``compare.json``.
    """
    several = len(content["schemas"]) > 1
    lines = [
        f"{f'{name}: ' if several else ''}{table['sentence']}"
        for name, schema in content["schemas"].items()
        for table in schema["tasks"].values()
    ]
    if len(content["seeds"]) == 1:
        lines.append("one seed: what another seed would change is not in these intervals")
    if content["time_over"]:
        lines.append("the time was over; the same command goes on")
    lines += [f"not finished: {one}" for one in content["unfinished"]]
    lines += [f"failed: {one['cell']}: {one['error']}. Cure: {one['cure']}." for one in content["failed"]]
    return lines


def _digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
