"""``motet add-task``: a new task on a trained bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from motet.cli._options import BundleDir, Data, Json, Threads, out_console, print_json
from motet.cli._output import metrics_table, progress_on_terminal
from motet.errors import ModelError, SchemaError

__all__ = ["add_task"]


def add_task(
    bundle: BundleDir,
    data: Data,
    task: Annotated[
        str,
        typer.Option(
            help="The new task as in a schema: --task \"rating: {kind: regression, label: 'stars'}\"; binary, "
            "regression, multiclass or multilabel, on interactions."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Directory of the bundle to write.")],
    adapter: Annotated[int, typer.Option(help="Width of the adapter's bottleneck.")] = 32,
    tower: Annotated[str, typer.Option(help="Widths of the tower's hidden layers.")] = "128,64",
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Change a setting of training, tables or split for this run: --set training.epochs=5",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and dropout.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint of an interrupted run.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
    threads: Threads = None,  # read before the imports: motet.cli.main
    as_json: Json = False,
) -> None:
    """Train a new task on a frozen bundle: the other tasks predict what they predicted, bit for bit."""
    tasks = _tasks(task)
    widths = [part.strip() for part in tower.split(",")]
    if not all(width.isdecimal() for width in widths):
        raise ModelError(f"--tower {tower!r} is no list of widths", "write --tower 128,64")
    changes = [*(overrides or []), *([] if seed is None else [f"training.seed={seed}"])]
    from motet.models import AddedShape  # noqa: PLC0415 (a command imports what it uses)
    from motet.training import add_task as run  # noqa: PLC0415

    shape = AddedShape(adapter, tuple(int(width) for width in widths))
    with progress_on_terminal(as_json) as report:
        written = run(
            bundle, data, tasks, out,
            shape=shape, overrides=tuple(changes), resume=resume, overwrite=overwrite, progress=report,
        )  # fmt: skip
    if as_json:
        print_json(written.metrics)
        return
    out_console.print(metrics_table(written.schema, written.metrics))
    (name,) = tasks
    facts = written.metrics["added"][name]
    typer.echo(
        f"'{name}' was trained in {facts['train_s']:.0f} s, with {facts['parameters']:,} parameters of its own; the "
        f"other tasks are as they were; bundle and report: {out}"
    )


def _tasks(text: str) -> Mapping[str, Any]:
    """A task by its name, from YAML."""
    import yaml  # noqa: PLC0415

    from motet.schema import read_yaml  # noqa: PLC0415

    try:
        content = read_yaml(text)
    except yaml.YAMLError as error:
        content = " ".join(str(error).split())
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise SchemaError(
            f"--task {text!r} is no task with its name",
            "write --task \"like: {kind: binary, label: 'rating >= 4'}\"",
        )
    return {str(name): value for name, value in content.items()}
