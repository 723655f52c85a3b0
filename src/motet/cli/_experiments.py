"""``motet experiments``: plan, create, start, look at and stop experiments in the store of a service."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from motet.cli._options import Json, out_console, print_json
from motet.errors import RequestError, require_packages

if TYPE_CHECKING:
    from motet.service.experiments import ExperimentResults
    from motet.service.store import ExperimentRecord, Store

__all__ = ["Place", "experiments", "opened_store", "read_yaml"]

experiments = typer.Typer(
    name="experiments",
    no_args_is_help=True,
    help="Plan, create, start, look at and stop experiments. The service follows its store within a second.",
)

Place = Annotated[
    str,
    typer.Option(
        "--store",
        help="The store of the service: path of an SQLite file, or postgresql://user@host/name.",
        envvar="MOTET_STORE",
    ),
]
Key = Annotated[str, typer.Argument(help="Key of the experiment.")]
_MOST_BYTES = 1_000_000
_SAID = {
    "mismatch": "the numbers of users are not as planned: find out why before anything else",
    "harmful": "worse, or a guardrail is violated: {variants}; stop it",
    "better": "better: {variants}; every guardrail is kept",
    "better_unguarded": "better: {variants}; a guardrail is still open",
    "no_difference": "as many users as planned, and no difference found",
    "running": "nothing can be said yet",
}


_SAID_MIXED = {
    "mismatch": "first places are not even, so lists of one variant are lost: find out why before anything else",
    "harmful": "less preferred: {variants}; stop it",
    "better": "preferred: {variants}",
}


@contextmanager
def opened_store(place: str) -> Iterator[Store]:
    """A store that is there."""
    require_packages("serve", "sqlalchemy")
    from motet.service.store import Store  # noqa: PLC0415 (a command imports what it uses)

    if "://" not in place and not Path(place).is_file():
        raise RequestError(
            f"the store {place} is not there", "name the one that motet serve prints when it starts"
        )
    with Store(place) as store:
        yield store


@experiments.command("plan")
def plan(
    effect: Annotated[
        float, typer.Option(help="The smallest difference that matters, in the metric's unit.")
    ],
    baseline: Annotated[
        float | None, typer.Option(help="For a share of users: what it is now, between 0 and 1.")
    ] = None,
    deviation: Annotated[
        float | None, typer.Option(help="For other metrics: standard deviation over users.")
    ] = None,
    power: Annotated[float, typer.Option(help="Chance to find it.", min=0.5, max=0.999)] = 0.8,
    level: Annotated[float, typer.Option(help="Coverage of the interval.", min=0.5, max=0.999)] = 0.95,
) -> None:
    """How many users an experiment with two equal variants needs, however often one looks at it."""
    from motet.service.experiments import planned_users  # noqa: PLC0415

    if (baseline is None) == (deviation is None):
        raise RequestError(
            "the spread of the metric is not known",
            "give --baseline 0.1 for a share of users, or --deviation 2.5 for another metric",
        )
    if baseline is not None and not 0 < baseline < 1:
        raise RequestError(f"--baseline {baseline:g} is no share", "give a number between 0 and 1")
    spread = deviation if deviation is not None else math.sqrt(float(baseline or 0) * (1 - float(baseline or 0)))  # fmt: skip
    typer.echo(planned_users(spread, abs(effect), power=power, level=level))


@experiments.command("create")
def create(
    file: Annotated[Path, typer.Argument(help="YAML file with the definition.")],
    store: Place,
) -> None:
    """Write an experiment as a draft; the service tries its variants when it starts."""
    with opened_store(store) as opened:
        from motet.service.experiments import read_experiment  # noqa: PLC0415
        from motet.service.store import ExperimentRecord  # noqa: PLC0415

        content = read_yaml(file, "an experiment")
        settings = read_experiment(content)
        record = ExperimentRecord(settings.key, settings.model_dump(mode="json", exclude_none=True))
        if not opened.experiments.create(record):
            raise RequestError(f"there is an experiment '{settings.key}'", "choose another key")
        typer.echo(f"{settings.key} is a draft: motet experiments start {settings.key} --store {store}")


def read_yaml(file: Path, what: str) -> dict[str, Any]:
    """Read a small file of settings.

    Raises:
        RequestError: If it cannot be read, or holds no settings.
    """
    import yaml  # noqa: PLC0415

    try:
        if file.stat().st_size > _MOST_BYTES:
            raise RequestError(f"{file} is larger than a megabyte", f"name the file of {what}")
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"{file} cannot be read ({error.strerror})", "name a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"{file} is not YAML ({str(error).splitlines()[0]})", "correct it") from None
    if not isinstance(content, dict):
        raise RequestError(f"{file} does not hold {what}", "write NAME: VALUE, line by line")
    return content


@experiments.command("list")
def every(store: Place, as_json: Json = False) -> None:
    """All experiments with their states and numbers of users."""
    with opened_store(store) as opened:
        rows = [(one, opened.experiments.counts(one.key)) for one in opened.experiments.all()]
    if as_json:
        print_json([{"key": one.key, "state": one.state, "users": counts} for one, counts in rows])
        return
    table = Table("experiment", "state", "users", "hypothesis", box=SIMPLE_HEAD)
    for one, counts in rows:
        users = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
        table.add_row(escape(one.key), one.state, escape(users), escape(str(one.definition["hypothesis"])))
    out_console.print(table)


@experiments.command("show")
def show(key: Key, store: Place, as_json: Json = False) -> None:
    """What an experiment says so far: check of the numbers of users, effects with intervals, what follows."""
    with opened_store(store) as opened:
        from motet.service.experiments import experiment_results, read_experiment  # noqa: PLC0415

        record = _known(opened, key)
        if record.state == "draft":
            raise RequestError(f"the experiment '{key}' is a draft", f"motet experiments start {key}")
        results = experiment_results(opened, record, read_experiment(record.definition))
    if as_json:
        print_json(results.model_dump(mode="json"))
        return
    _print(record, results)


def _print(record: ExperimentRecord, results: ExperimentResults) -> None:
    ratio = results.sample_ratio
    counts = ", ".join(f"{name} {count:,}" for name, count in ratio.counts.items())
    words = {**_SAID, **_SAID_MIXED} if record.definition.get("kind") == "interleaving" else _SAID
    said = words[results.decision.kind].format(variants=", ".join(results.decision.variants))
    out_console.print(escape(f"{record.key} · {record.state} · {record.definition['hypothesis']}"))
    out_console.print(
        escape(f"users: {counts} of {results.planned_users:,} planned, {results.progress:.0%} of the way")
    )
    check = "as planned" if ratio.passed else "NOT as planned"
    is_mixed = record.definition.get("kind") == "interleaving"
    what = "first places of users' first lists" if is_mixed else "numbers of users"
    out_console.print(f"{what}: {check} (chi-square p = {ratio.chi_square_p:.2g})")
    if results.mixed is not None:
        wins = ", ".join(f"{name} {count:,}" for name, count in results.mixed.wins.items())
        out_console.print(
            escape(f"lists won: {wins}, neither {results.mixed.ties:,} of {results.mixed.lists:,}")
        )
    if results.metrics:
        table = Table("metric", "variant", box=SIMPLE_HEAD)
        for column in ("baseline", "variant", "difference", f"{results.level:.1%} interval", "relative", ""):
            table.add_column(column, justify="right")
        for metric in results.metrics:
            for one in metric.effects:
                cells = (metric.baseline, one.value, one.difference)
                interval = "–" if one.interval is None else f"{one.interval[0]:+.4g} … {one.interval[1]:+.4g}"
                relative = "–" if one.relative is None else f"{one.relative:+.1%}"
                table.add_row(
                    escape(metric.name),
                    escape(one.variant),
                    *("–" if cell is None else f"{cell:.4g}" for cell in cells),
                    interval,
                    relative,
                    f"guardrail: {one.guardrail}" if one.guardrail else "",
                )
        out_console.print(table)
    out_console.print(escape(said))


@experiments.command("start")
def start(key: Key, store: Place) -> None:
    """Start a draft: from the next second on its users get their variants."""
    with opened_store(store) as opened:
        from motet.service.experiments import read_experiment, running_clash  # noqa: PLC0415

        record = _known(opened, key)
        clash = running_clash(opened, read_experiment(record.definition))
        if record.state == "draft" and clash is not None:
            raise RequestError(*clash)
        if not opened.experiments.move(key, "draft", "running"):
            raise RequestError(f"the experiment '{key}' is {record.state}", "create another one")
    typer.echo(f"{key} is running; the service says on its page if it cannot serve a variant")


@experiments.command("stop")
def stop(
    key: Key, store: Place, reason: Annotated[str, typer.Option(help="Why; kept with the experiment.")] = ""
) -> None:
    """Stop an experiment: all users get what the service gives without it."""
    with opened_store(store) as opened:
        record = _known(opened, key)
        if not opened.experiments.move(key, "running", "stopped", reason):
            raise RequestError(f"the experiment '{key}' is {record.state}", "only a running one can be stopped")  # fmt: skip
    typer.echo(f"{key} is stopped")


def _known(store: Store, key: str) -> ExperimentRecord:
    from motet.schema import nearest  # noqa: PLC0415

    found = store.experiments.get(key)
    if found is None:
        known = [one.key for one in store.experiments.all()]
        raise RequestError(f"there is no experiment '{key}'", nearest(key, known) if known else "create it")
    return found
