"""The command table."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

import motet
from motet.cli._add_task import add_task
from motet.cli._compare import compare
from motet.cli._experiments import experiments
from motet.cli._learn import learn
from motet.cli._methods import affinity, importance, models
from motet.cli._options import (
    BundleDir,
    Data,
    Json,
    SchemaFile,
    Threads,
    names_there,
    out_console,
    print_json,
)
from motet.cli._output import progress_on_terminal
from motet.cli._replay import replay
from motet.cli._replay_dataset import replay_dataset
from motet.cli._serve import serve
from motet.cli._store import import_gorse, keys, store
from motet.cli._stream import stream
from motet.cli._tune import tune
from motet.cli._words import ask, describe, explain, make_a_list, profile
from motet.errors import DataError, TrainingError

if TYPE_CHECKING:
    import polars as pl

    from motet.graph import KnowledgeReport
    from motet.recommend import Recommender

__all__ = ["app"]

app = typer.Typer(
    name="motet",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help=(
        "One model, trained on your own logs and catalogue, that predicts every behaviour you care about, in every "
        "placement, and understands text.\n\n"
        "**From your own files:**\n\n"
        "1. `motet inspect DIR > schema.yaml` proposes a schema; read and edit it.\n\n"
        "2. `motet check schema.yaml --data DIR` says what is in the files, what was cleaned, and what would leak.\n\n"
        "3. `motet train schema.yaml --data DIR --out BUNDLE` trains one model for all tasks.\n\n"
        "4. `motet evaluate BUNDLE --data DIR --baselines` says honestly how good it is; `report.html` is in the bundle.\n\n"
        "5. `motet predict` and `motet recommend` use it; `motet ask`, `explain`, `profile`, `describe` and `list` "
        "use it in words; `motet serve` answers over HTTP.\n\n"
        "`motet models` lists the methods that a schema may name, `motet affinity` says which tasks help each other, "
        "`motet importance` what each feature is worth, "
        "`motet compare` puts methods beside each other, fairly, `motet tune` fits the language models to your own data, "
        "and `motet add-task` adds a task to a bundle.\n\n"
        "**From nothing:** `motet datasets fetch movielens-100k --out DIR`, then the same. Or `motet serve` alone: it "
        "takes users, items and events, and trains by itself; `motet learn` does so beside any service.\n\n"
        "Every command takes `--json` for machines. Exit codes: 0 done, 2 a mistake that the message explains, "
        "130 interrupted."
    ),
)
datasets = typer.Typer(no_args_is_help=True, help="Real data sets one call away, and synthetic worlds.")
app.add_typer(datasets, name="datasets")
app.add_typer(experiments, name="experiments")
datasets.command("replay")(replay_dataset)
app.add_typer(stream, name="stream")
app.add_typer(store, name="store")
app.add_typer(keys, name="keys")
app.command("import-gorse")(import_gorse)
app.command()(compare)
app.command()(tune)
app.command("add-task")(add_task)
app.command()(models)
app.command()(affinity)
app.command()(importance)
app.command()(replay)
for command in (ask, explain, profile, describe):
    app.command()(command)
app.command("list")(make_a_list)
app.command()(serve)
app.add_typer(learn, name="learn")


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Print the version, or the help."""
    if version:
        typer.echo(motet.__version__)
        raise typer.Exit


@datasets.command("list")
def datasets_list(as_json: Json = False) -> None:
    """List the data sets that `fetch` knows."""
    from motet.datasets import DATASETS  # noqa: PLC0415 (a command imports what it uses)

    if as_json:
        print_json({name: source.summary for name, source in DATASETS.items()})
        return
    for name, source in DATASETS.items():
        out_console.print(f"[bold]{name:18}[/bold] {escape(source.summary)}", soft_wrap=True)


@datasets.command("fetch")
def datasets_fetch(
    name: Annotated[str, typer.Argument(help="Name from `motet datasets list`.")],
    out: Annotated[
        Path | None, typer.Option(help="Directory to write; a cache directory when left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch a data set: tables, a ready schema, and a datasheet. Checked by hash, kept in a cache."""
    from motet.datasets import fetch  # noqa: PLC0415

    with progress_on_terminal(as_json) as report:
        place = fetch(name, out, report)
    if as_json:
        print_json({"directory": str(place)})
    else:
        typer.echo(f"{place}: schema.yaml, DATASHEET.md and the tables")


@app.command("inspect")
def inspect_command(
    directory: Annotated[Path, typer.Argument(help="Directory with your CSV or Parquet files.")],
    out: Annotated[Path | None, typer.Option(help="Write the schema here instead of printing it.")] = None,
    as_json: Json = False,
) -> None:
    """Propose a schema from your own files; what was guessed, and why, is said beside it."""
    from motet.data import inspect_directory  # noqa: PLC0415

    found = inspect_directory(directory)
    if as_json:
        print_json(
            {"schema": found.schema.model_dump(mode="json", exclude_defaults=True), "notes": found.notes}
        )
        return
    text = "".join(f"# {note}\n" for note in found.notes) + found.schema.to_yaml()
    if out is None:
        typer.echo(text, nl=False)
        return
    if out.exists():
        raise DataError(f"{out} exists", "name another file, or remove it")
    if not out.parent.is_dir():
        raise DataError(f"the directory {out.parent} does not exist", "make it first")
    out.write_text(text, encoding="utf-8")
    typer.echo(f"{out}: read it, edit it, then: motet check {out} --data {directory}")


@app.command()
def check(schema: SchemaFile, data: Data, as_json: Json = False) -> None:
    """Report on the data: types, ranges, missing values, cleaning, label rates, leaks."""
    from motet.cli._output import columns_tables, graph_lines, labels_table, scenarios_table  # noqa: PLC0415 (a command imports what it uses)
    from motet.data import Dataset, check_data  # noqa: PLC0415
    from motet.schema import Schema  # noqa: PLC0415

    parsed = Schema.load(schema)
    graphs: list[KnowledgeReport] = []

    def graph_too(found: Dataset) -> None:
        if parsed.knowledge is not None:
            from motet.graph import check_knowledge  # noqa: PLC0415 (reads labels with scikit-learn)

            graphs.append(check_knowledge(data, found))

    with tempfile.TemporaryDirectory() as columns, progress_on_terminal(as_json) as progress:
        report = check_data(parsed, data, Path(columns), progress, graph_too)
    if as_json:
        print_json(report.to_json() | ({"knowledge": graphs[0].to_json()} if graphs else {}))
        return
    for table in columns_tables(report):
        out_console.print(table)
    out_console.print(labels_table(report))
    if report.scenarios:
        out_console.print(scenarios_table(report))
    rows = ", ".join(f"{n:,} {split}" for split, n in report.rows.items() if n)
    out_console.print(f"rows: {rows}; {report.users:,} users, {report.items:,} items")
    out_console.print("cleaning:" if report.cleaning else "cleaning: nothing to do")
    for line in report.cleaning:
        out_console.print(f"  {escape(line)}")
    for leak in report.leaks:
        out_console.print(
            f"[bold]leak:[/bold] feature '{escape(leak.feature)}' alone gives away task '{escape(leak.task)}': it explains "
            f"{leak.explained:.1%} of what a blind guess gets wrong. Remove it, unless it is known beforehand."
        )
    if not report.leaks:
        out_console.print("leaks: none found")
    for graph in graphs:
        for line in graph_lines(graph):
            out_console.print(line, soft_wrap=True)


@app.command("fit", help="The same as `train`.")
@app.command()
def train(
    schema: SchemaFile,
    data: Data,
    out: Annotated[Path, typer.Option(help="Directory of the bundle to write.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: --set training.epochs=5")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and dropout.")] = None,
    bag: Annotated[
        int | None,
        typer.Option(help="Networks with seeds of their own, whose answers are averaged.", min=1, max=64),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            help="Seconds for the whole run, measuring included: training ends in time for it, with the best so far."
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            help="Time for a search over settings on validation rows, the whole run included: 90s, 20m, 2h; "
            "needs motet[tune]."
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(help="End the search after so many trials, if the time is not over before.", min=1),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Begin with the weights of this bundle, as far as they fit."),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="What a feature or task of the schema is called in that bundle, or nothing for one that begins "
            "afresh: --map maker=brand --map item_id=",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from the checkpoint, or the trials, of an interrupted run."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
    threads: Threads = None,  # read before the imports: motet.cli.main
    as_json: Json = False,
) -> None:
    """Train one model for all tasks, measure it on the test rows, and write a bundle."""
    changes = list(overrides or [])
    changes += [] if seed is None else [f"training.seed={seed}"]
    changes += [] if bag is None else [f"training.bag={bag}"]
    changes += [] if time_limit is None else [f"training.time_limit_s={time_limit}"]
    from motet.schema import Schema  # noqa: PLC0415

    parsed = Schema.load(schema, changes)
    from motet.cli._output import metrics_table, unmeasured  # noqa: PLC0415 (after the schema: its mistakes are printed at once)
    from motet.training import SearchSettings, WarmStart, chosen_line, start_line  # noqa: PLC0415
    from motet.training import train as run  # noqa: PLC0415

    if search is None and trials is not None:
        raise TrainingError("--trials is of a search, and there is none", "say how long: --search 20m")
    wanted = None if search is None else SearchSettings.parse(search, trials)
    warm = None if start is None else WarmStart(start, names_there(names or ()))
    if warm is None and names:
        raise TrainingError("--map names things of a bundle, and there is none", "say which: --from BUNDLE")
    with progress_on_terminal(as_json) as report:
        bundle = run(
            parsed, data, out,
            search=wanted, start=warm, resume=resume, overwrite=overwrite, progress=report,
        )  # fmt: skip
    if as_json:
        print_json(bundle.metrics)
        return
    out_console.print(metrics_table(bundle.schema, bundle.metrics))
    if note := unmeasured(bundle.schema, bundle.metrics):
        typer.echo(note)
    if wanted is not None:
        typer.echo(chosen_line(bundle.metrics["search"]))
    if warm is not None:
        typer.echo(start_line(bundle.metrics["start"]))
    cost = bundle.metrics["cost"]
    typer.echo(
        f"trained in {cost['train_s']:.0f} s ({cost['rows_per_s']:,.0f} rows/s, {cost['parameters']:,} parameters, "
        f"at most {cost['peak_rss_bytes'] / 1e6:,.0f} MB); bundle and report: {out}"
    )


@app.command()
def evaluate(
    bundle: BundleDir,
    data: Data,
    split: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    baselines: Annotated[
        str | None,
        typer.Option(
            metavar="[NAMES]",
            help="Fit plain methods beside it, all of them or those named: --baselines ease,lightgbm.",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Directory for the split, the predictions and the lists that are measured."),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Cross-validation: train the bundle's schema on so many folds of the data, and measure each; what "
            "was interrupted goes on.",
            min=2,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of intervals, baselines and folds.")] = 0,
    threads: Threads = None,  # read before the imports: motet.cli.main
    as_json: Json = False,
) -> None:
    """Measure a bundle, with popularity, biases, item-item, linear, LightGBM and single-task baselines if asked."""
    from motet.cli._output import folds_table, metrics_table, unmeasured  # noqa: PLC0415
    from motet.schema import Schema  # noqa: PLC0415
    from motet.training import cross_validate, evaluate_bundle  # noqa: PLC0415

    if folds is not None:
        if baselines is not None or export is not None or split != "test":
            raise DataError(
                "folds are measured on their own test rows, without baselines and without export",
                "say the command a second time for these, without --folds",
            )
        with progress_on_terminal(as_json) as report:
            metrics = cross_validate(bundle, data, folds, seed=seed, progress=report)
        if as_json:
            print_json(metrics)
            return
        out_console.print(folds_table(Schema.load(bundle / "schema.yaml"), metrics))
        typer.echo(f"report: {bundle / 'report.html'}")
        return
    with progress_on_terminal(as_json) as report:
        wanted = baselines is not None and (baselines == "all" or baselines.split(","))
        metrics = evaluate_bundle(
            bundle, data, split=split, baselines=wanted, export=export, seed=seed, progress=report
        )
    if as_json:
        print_json(metrics)
        return
    parsed = Schema.load(bundle / "schema.yaml")
    out_console.print(metrics_table(parsed, metrics))
    if note := unmeasured(parsed, metrics):
        typer.echo(note)
    if metrics["learnt_from"]:
        typer.echo(f"the bundle has learnt from its {split} rows: what it reaches on them says little")
    for name, found in metrics.get("baselines", {}).items():
        if "skipped" in found:
            typer.echo(f"{name}: left out, {found['skipped']}")
    for name, found in metrics.get("transfer", {}).items():
        if found["negative_transfer"]:
            typer.echo(
                f"negative transfer: '{name}' is better when trained alone, by {-found['difference']:.4f} {found['metric']}"
            )
    typer.echo(f"report: {bundle / 'report.html'}")


@app.command()
def predict(
    bundle: BundleDir,
    pairs: Annotated[
        Path, typer.Option(help="CSV, TSV or Parquet with the key columns, and feature columns where known.")
    ],
    out: Annotated[Path, typer.Option(help="CSV or Parquet to write.")],
    threads: Threads = None,  # read before the imports: motet.cli.main
    as_json: Json = False,
) -> None:
    """Predict every task for user-item pairs; users and items never seen are described by their columns."""
    write = _writer(out)
    with progress_on_terminal(as_json) as report:
        recommender = motet.load(bundle, progress=report).recommender
        keys = [k for k in (recommender.schema.keys.user, recommender.schema.keys.item) if k]
        asked = _read_rows(pairs, keys, recommender)
        _warn_of_unknown_scenarios(pairs, asked, recommender)
        result = recommender.predict(asked)
    write(result)
    print_json({"rows": len(result), "out": str(out)}) if as_json else typer.echo(
        f"{out}: {len(result):,} rows"
    )


@app.command()
def recommend(
    bundle: BundleDir,
    users: Annotated[Path, typer.Option(help="CSV, TSV or Parquet with the user column.")],
    out: Annotated[Path, typer.Option(help="CSV or Parquet to write.")],
    k: Annotated[int, typer.Option("-k", help="Items a user.", min=1)] = 10,
    scenario: Annotated[str | None, typer.Option(help="Where they are shown.")] = None,
    by: Annotated[str | None, typer.Option(help="Task to rank by; the retrieval task when left out.")] = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Let items come back that a user has had.")
    ] = False,
    threads: Threads = None,  # read before the imports: motet.cli.main
    as_json: Json = False,
) -> None:
    """Rank the whole catalogue for users, with every task's prediction; what a user has had is left out."""
    write = _writer(out)
    with progress_on_terminal(as_json) as report:
        recommender = motet.load(bundle, progress=report).recommender
        key = recommender.schema.keys.user
        if key is None:
            raise DataError(f"the schema '{recommender.schema.name}' has no users", "use 'motet predict'")
        wanted = _read_rows(users, [key], recommender)
        if key in wanted.columns:
            wanted = wanted.unique(subset=[key], keep="first", maintain_order=True)
        result = recommender.recommend(
            wanted, k, scenario=scenario, by=by, include_seen=include_seen, progress=report
        )
    write(result)
    print_json({"rows": len(result), "out": str(out)}) if as_json else typer.echo(
        f"{out}: {len(result):,} rows for {len(wanted):,} users"
    )


@app.command()
def report(bundle: BundleDir, as_json: Json = False) -> None:
    """Write a bundle's report.html again from its metrics."""
    from motet.training import write_report  # noqa: PLC0415

    path = write_report(bundle)
    print_json({"report": str(path)}) if as_json else typer.echo(path)


def _read_rows(path: Path, keys: list[str], recommender: Recommender) -> pl.DataFrame:
    """Read raw rows as training would, and say which of their columns are not used."""
    from motet.data import read_table  # noqa: PLC0415
    from motet.schema import expression_columns  # noqa: PLC0415

    rows = read_table(
        path.parent, path.name, as_text=keys, words=recommender.word_columns, tables=recommender.schema.tables
    )
    labels = {c for task in recommender.schema.tasks.values() for c in expression_columns(task.label)}
    ignored = [c for c in rows.columns if c not in recommender.columns | labels]
    if ignored:
        print(f"{path}: not looked at: {', '.join(ignored)}", file=sys.stderr)
    return rows


def _warn_of_unknown_scenarios(path: Path, rows: pl.DataFrame, recommender: Recommender) -> None:
    """Say which scenarios of a file the model has never seen, and what they may have been meant as."""
    from motet.data import as_strings  # noqa: PLC0415
    from motet.schema import nearest  # noqa: PLC0415

    key = recommender.schema.keys.scenario
    if key is None or key not in rows.columns:
        return
    known = recommender.bundle.data.encoder.scenarios[1:]
    words = as_strings(rows[key]).drop_nulls()
    for word, count in words.filter(~words.is_in(known)).value_counts(sort=True).head(5).iter_rows():
        row = int((as_strings(rows[key]) == word).arg_max() or 0) + 1
        print(
            f"{path}, column '{key}': the scenario {word!r} is not known ({count:,} rows, data row {row} first) "
            f"and predicted as unknown: {nearest(word, known)}",
            file=sys.stderr,
        )


def _writer(out: Path) -> Any:
    """Check the place of a result before the work, and write it whole or not at all after."""
    if out.suffix not in (".csv", ".parquet"):
        raise DataError(f"{out} is neither .csv nor .parquet", "name a file of one of these kinds")
    if out.is_dir():
        raise DataError(f"{out} is a directory", "name a file")
    if not out.parent.is_dir():
        raise DataError(f"the directory {out.parent} does not exist", "make it first")
    if not os.access(out.parent, os.W_OK):
        raise DataError(f"the directory {out.parent} is not writable", "name another place")

    def write(result: pl.DataFrame) -> None:
        import polars as pl  # noqa: PLC0415

        temporary = out.with_name(out.name + ".new")
        try:
            if out.suffix == ".parquet":
                result.write_parquet(temporary)
            else:
                lists = [c for c in result.columns if result[c].dtype == pl.List(pl.String)]
                result.with_columns(pl.col(c).list.join("|") for c in lists).write_csv(temporary)
            temporary.replace(out)
        except (OSError, pl.exceptions.PolarsError) as error:
            temporary.unlink(missing_ok=True)
            raise DataError(
                f"{out} cannot be written ({error})", "free some space, or choose another place"
            ) from None

    return write
