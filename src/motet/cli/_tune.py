"""``motet tune``: language models fitted to one's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motet.cli._options import Data, Json, SchemaFile, Threads, print_json
from motet.cli._output import progress_on_terminal
from motet.errors import SchemaError

__all__ = ["tune"]

_OWN = "tune."
_KINDS = ("align", "joint", "instruct")


def tune(
    kind: Annotated[
        str,
        typer.Argument(
            help="align: item texts near what the same people like. joint: the encoder trained inside the "
            "multi-task model. instruct: a generating model taught to answer about your users and items."
        ),
    ],
    schema: SchemaFile,
    data: Data,
    out: Annotated[Path, typer.Option(help="Directory to write: the model's folder, and tuning.json.")],
    method: Annotated[str | None, typer.Option(help="lora or full.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change a setting: --set tune.steps=200, or of the schema: --set training.epochs=5"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of draws, order and first values.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint of an interrupted run.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that is there.")] = False,
    threads: Threads = None,  # read before the imports: motet.cli.main
    as_json: Json = False,
) -> None:
    """Fit a text encoder or a generating model to your own data; where that does not help, it says so."""
    from motet.schema import Schema, require_known  # noqa: PLC0415 (a command imports what it uses)

    require_known(kind, _KINDS, "what to tune", SchemaError)
    own = [change.removeprefix(_OWN) for change in overrides or [] if change.startswith(_OWN)]
    changes = [change for change in overrides or [] if not change.startswith(_OWN)]
    changes += [] if seed is None else [f"training.seed={seed}"]
    parsed = Schema.load(schema, changes)
    from motet.training import load_data  # noqa: PLC0415
    from motet.training.tuning import check_before, read_settings  # noqa: PLC0415
    from motet.training.tuning import tune as run  # noqa: PLC0415

    settings = read_settings(kind, own, method=method, device=device, seed=seed)
    check_before(parsed, out, settings, resume=resume, overwrite=overwrite)
    with progress_on_terminal(as_json) as progress:
        loaded = load_data(parsed, data, progress=progress).data
        tuned = run(loaded, out, settings, resume=resume, overwrite=overwrite, progress=progress)
    if as_json:
        print_json(tuned.report)
        return
    typer.echo(tuned.report["summary"])
    if kind == "instruct":
        typer.echo(f"{tuned.model}: a generating model; use it with --set language.generator={tuned.model}")
    else:
        typer.echo(
            f"{tuned.model}: use it with motet train {schema} --data {data} --out BUNDLE "
            f"--set language.encoder={tuned.model}"
        )
