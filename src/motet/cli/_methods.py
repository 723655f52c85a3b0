"""``motet models``, ``affinity`` and ``importance``: methods there are, tasks that help each other, features that count."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from motet.cli._options import BundleDir, Data, Json, SchemaFile, Threads, out_console, print_json
from motet.cli._output import progress_on_terminal

if TYPE_CHECKING:
    from motet.training import Method, TaskAffinity

__all__ = ["affinity", "importance", "models"]

_PLURAL = {
    "architecture": "architectures (model.architecture)",
    "sequence encoder": "sequence encoders (encoder of a sequence)",
    "balancer": "balancers (objective.balancer)",
    "baseline": "baselines (evaluate --baselines; model.members)",
}
_MOST_WIDE, _LEAST_WIDE = 20, 24
_LETTERS = {"cold": "C", "warm": "W", "text": "T", "scenario": "S"}


def models(
    name: Annotated[
        str | None, typer.Argument(help="One of them: its formula, and its options with their defaults.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List every architecture, sequence encoder, balancer and baseline: what it is, needs, serves and costs."""
    from motet.training import list_methods  # noqa: PLC0415 (a command imports what it uses)

    found = list_methods(name)
    if as_json:
        print_json([method.to_json() for method in found])
        return
    if name is not None:
        for method in found:
            _print_one(method)
        return
    for kind, of_kind in groupby(found, key=lambda method: method.kind):
        out_console.print(_table(_PLURAL[kind], list(of_kind)))
    out_console.print(
        "serves: W items seen in training, C items never seen, T text, S scenarios by weights of their own. Costs are "
        "computed: params and mult-adds of a row with 160 inputs and four tasks, or of 50 events of width 32; "
        "backward passes with four tasks, before the one that every step takes.",
        soft_wrap=True,
    )


def _table(title: str, methods: list[Method]) -> Table:
    columns = {
        "name": [method.name for method in methods],
        "what": [method.summary for method in methods],
        "paper": [_authors(method.paper) for method in methods],
        "needs": [", ".join(method.needs) for method in methods],
        "serves": ["".join(_LETTERS.get(mark, "") for mark in method.marks) for method in methods],
        "params": [_short(method.parameters) for method in methods],
        "mult-adds": [_short(method.multiply_adds) for method in methods],
        "passes": [_short(method.backward_passes) for method in methods],
    }
    shown = {head: cells for head, cells in columns.items() if any(cells)}
    families = {method.family for method in methods}
    widths = {head: max(map(len, (head, *cells))) for head, cells in shown.items()}
    widths["name"] = max(widths["name"], *map(len, families))
    for head in ("paper", "needs"):
        if head in widths:
            widths[head] = min(widths[head], _MOST_WIDE)
    others = sum(width for head, width in widths.items() if head != "what")
    widths["what"] = max(_LEAST_WIDE, min(widths["what"], out_console.width - others - 2 * len(widths) - 2))
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head, width in widths.items():
        table.add_column(
            head,
            no_wrap=True,
            overflow="ellipsis",
            width=width,
            justify="right" if head in ("params", "mult-adds", "passes") else "left",
        )
    seen: set[str] = set()
    for family in dict.fromkeys(method.family for method in methods):
        for k, method in enumerate(methods):
            if method.family != family:
                continue
            if len(families) > 1 and family not in seen:
                seen.add(family)
                table.add_row(f"[bold]{escape(family)}[/bold]")
            table.add_row(*(escape(cells[k]) for cells in shown.values()))
    return table


def _authors(paper: str) -> str:
    """Of a paper, authors and year."""
    found = re.match(r".*?\b(?:19|20)\d\d\b", paper)
    return found.group() if found else paper


def _short(number: int | None) -> str:
    if number is None:
        return ""
    return f"{number:,}" if number < 10_000 else f"{number / 1000:,.0f} k"


def _print_one(method: Method) -> None:
    out_console.print(f"[bold]{escape(method.name)}[/bold]: {method.kind}, {escape(method.family)}")
    told = re.sub(r":\w+:`~?([^`]+)`", r"\1", method.text)
    lines = [re.split(r"\n\n(?:Args|Attributes):\n", told)[0]]
    facts = {
        "paper": method.paper,
        "needs": ", ".join(method.needs),
        "serves": ", ".join(method.marks),
        "parameters": _short(method.parameters),
        "multiply-adds": _short(method.multiply_adds),
        "backward passes": _short(method.backward_passes),
    }
    lines += [f"{fact}: {value}" for fact, value in facts.items() if value]
    lines += ["options:" if method.options else "options: none"]
    for option in method.options:
        default = list(option.default) if isinstance(option.default, tuple) else option.default
        lines.append(f"  {option.name} = {default}: {option.meaning}".rstrip(": "))
    for line in lines:
        out_console.print(escape(line), soft_wrap=True)
    out_console.print()


def affinity(
    schema: SchemaFile,
    data: Data,
    groups: Annotated[
        int | None,
        typer.Option(help="How many groups to make of the tasks; each number when left out.", min=1),
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps.", min=1)] = 200,
    every: Annotated[int, typer.Option(help="A step of so many is measured.", min=1)] = 5,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: --set training.batch_size=512")
    ] = None,
    threads: Threads = None,  # read before the imports: motet.cli.main
    as_json: Json = False,
) -> None:
    """Measure how much a step on each task helps each other task, and find the best grouping of the tasks by it."""
    from motet.schema import Schema  # noqa: PLC0415

    parsed = Schema.load(schema, list(overrides or []))
    from motet.training import load_data, task_affinity  # noqa: PLC0415

    with progress_on_terminal(as_json) as progress:
        loaded = load_data(parsed, data, progress=progress).data
        found = task_affinity(loaded, steps=steps, every=every, progress=progress)
    numbers = range(1, len(found.tasks) + 1) if groups is None else (groups,)
    grouped = {number: found.groups(number) for number in numbers}
    if as_json:
        said = {
            str(number): {"groups": of, "gain": sum(found.gain(group) for group in of)}
            for number, of in grouped.items()
        }
        print_json(found.to_json() | {"groupings": said})
        return
    out_console.print(_matrix(found))
    for number, of in grouped.items():
        names = " | ".join(", ".join(group) for group in of)
        gain = sum(found.gain(group) for group in of)
        out_console.print(
            f"{number} group{'s' * (number > 1)}, gain {gain:+.2e}: {escape(names)}", soft_wrap=True
        )


def _matrix(found: TaskAffinity) -> Table:
    table = Table(
        title="share by which the loss of a column falls in a step on the task of a row",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("", overflow="fold")
    for name in found.tasks:
        table.add_column(escape(name), justify="right", overflow="fold")
    for name, row in zip(found.tasks, found.matrix, strict=True):
        table.add_row(escape(name), *(f"{value:+.1e}" for value in row))
    return table


def importance(
    bundle: BundleDir,
    data: Data,
    split: Annotated[str, typer.Option(help="validation or test.")] = "validation",
    repeats: Annotated[int, typer.Option(help="Exchanges of each feature.", min=1)] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the exchanges.")] = 0,
    threads: Threads = None,  # read before the imports: motet.cli.main
    as_json: Json = False,
) -> None:
    """Measure what each feature is worth to each task, by exchanging its values among validation rows."""
    from motet.training import bundle_importance  # noqa: PLC0415

    with progress_on_terminal(as_json) as progress:
        found = bundle_importance(bundle, data, split=split, repeats=repeats, seed=seed, progress=progress)
    if as_json:
        print_json(found)
        return
    out_console.print(_drops(found))
    if found["learnt_from"]:
        typer.echo(
            f"the bundle has learnt from its {split} rows: train with --set training.refit=false to choose features"
        )
    if found["weak"]:
        typer.echo(
            f"above 0 beyond noise for no task: {', '.join(found['weak'])}; features that tell the same share what they "
            f"are worth, so leave out one at a time: motet train … --set 'without=[{found['weak'][0]}]'"
        )
    typer.echo(f"report: {Path(bundle) / 'report.html'}")


def _drops(found: dict[str, Any]) -> Table:
    tasks = list(found["metrics"])
    table = Table(
        title=f"what is lost of each task's metric ({found['split']} rows, {found['repeats']} exchanges; 95 % intervals)",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("feature", overflow="fold")
    for task in tasks:
        table.add_column(escape(task), justify="right", overflow="fold")
    largest = {
        name: max((of["tasks"][task]["drop"] or 0.0 for task in tasks), default=0.0)
        for name, of in found["features"].items()
    }
    for name in sorted(largest, key=lambda name: -largest[name]):
        cells = []
        for task in tasks:
            of = found["features"][name]["tasks"][task]
            span = f" ({of['interval'][0]:+.4f} to {of['interval'][1]:+.4f})" if of["interval"] else ""
            cells.append("undefined" if of["drop"] is None else f"{of['drop']:+.4f}{span}")
        table.add_row(escape(name), *cells)
    return table
