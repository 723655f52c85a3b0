"""The command that goes on learning from the events of a store."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from motet.cli._options import Json, Threads, model_opener, out_console, print_json
from motet.errors import RequestError, require_packages

if TYPE_CHECKING:
    from motet.service.learner import LearnerSettings

__all__ = [
    "Canary",
    "CanaryFor",
    "Every",
    "FirstEvents",
    "FirstUsers",
    "Limit",
    "NewEvents",
    "Tolerance",
    "TrainingChanges",
    "UpdateEvents",
    "command_of",
    "learn",
    "settings_of",
]

learn = typer.Typer(help="Train again and again on the events of a store; what is better is served.")

StoreUrl = Annotated[
    str | None,
    typer.Option(
        help="Path of an SQLite file, or postgresql://user@host/name; service.sqlite here when left out.",
        envvar="MOTET_STORE",
    ),
]
ModelsDir = Annotated[
    Path | None,
    typer.Option("--models", help="Directory of the models; NAME-models beside the store when left out."),
]
Every = Annotated[str, typer.Option(help="Time between trainings, such as 90m or 24h; 0 for no schedule.")]
NewEvents = Annotated[int, typer.Option(help="Train after so many new events, too; 0 for never.", min=0)]
UpdateEvents = Annotated[
    int,
    typer.Option(
        help="Let the active model learn from so many new events each, between trainings in full; 0 for never.",
        min=0,
    ),
]
FirstEvents = Annotated[int, typer.Option(help="Events before the first training.", min=2)]
FirstUsers = Annotated[
    int, typer.Option(help="Users with events of two items before the first training.", min=1)
]
Limit = Annotated[str, typer.Option(help="Longest time of a training; one that takes longer is ended.")]
Tolerance = Annotated[
    float,
    typer.Option(
        help="How much lower the NDCG@10 of a new model may be than that of the active one, to be activated.",
        min=0,
        max=1,
    ),
]
Canary = Annotated[
    float,
    typer.Option(
        help="Share of the users whom a new model answers before it answers all of them, up to 0.5; 0 for none.",
        min=0,
        max=0.5,
    ),
]
CanaryFor = Annotated[
    str,
    typer.Option(help="How long it answers these users; up to four times as long where they are few."),
]
TrainingChanges = Annotated[
    list[str] | None,
    typer.Option("--train-set", help="Change a setting of the trained schema: --train-set training.epochs=5"),
]
_STORE: Final = "service.sqlite"
_REST_S: Final = 30.0
_LONGEST_S: Final = 366 * 86_400.0
_UNIT_S: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0}


def settings_of(
    every: str,
    events: int,
    update_events: int,
    first_events: int,
    first_users: int,
    limit: str,
    canary: float,
    canary_for: str,
) -> LearnerSettings:
    """Settings of the learner as options say them.

    Raises:
        RequestError: If a time cannot be read, or the share is none.
    """
    from motet.service.learner import LearnerSettings  # noqa: PLC0415 (a command imports what it uses)

    if not 0 <= canary <= 0.5:  # nan passes as an option
        raise RequestError(f"--canary {canary:g} is no share", "give a number from 0 to 0.5")
    return LearnerSettings(
        every_s=0.0 if every.strip() == "0" else _seconds(every, "--every"),
        events=events,
        update_events=update_events,
        first_events=first_events,
        first_users=first_users,
        limit_s=_seconds(limit, "--limit"),
        canary=canary,
        canary_s=_seconds(canary_for, "--canary-for"),
        rest_s=min(_REST_S, _seconds(every, "--every")) if every.strip() != "0" else _REST_S,
    )


def command_of(
    home: Path, settings: LearnerSettings, tolerance: float, changes: list[str] | None
) -> list[str]:
    """What starts ``motet learn`` with such settings in a process of its own; the store is in its environment."""
    said = [
        ("--models", str(home)),
        ("--every", f"{settings.every_s:f}s" if settings.every_s else "0"),
        ("--events", str(settings.events)),
        ("--update-events", str(settings.update_events)),
        ("--first-events", str(settings.first_events)),
        ("--first-users", str(settings.first_users)),
        ("--limit", f"{settings.limit_s:f}s"),
        ("--tolerance", f"{tolerance:g}"),
        ("--canary", f"{settings.canary:g}"),
        ("--canary-for", f"{settings.canary_s:f}s"),
        *(("--train-set", change) for change in changes or ()),
        ("--parent", str(os.getpid())),
    ]
    return [sys.executable, "-m", "motet", "learn", *(part for pair in said for part in pair)]


@learn.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    store: StoreUrl = None,
    models: ModelsDir = None,
    every: Every = "24h",
    events: NewEvents = 0,
    update_events: UpdateEvents = 0,
    first_events: FirstEvents = 1_000,
    first_users: FirstUsers = 20,
    limit: Limit = "1h",
    tolerance: Tolerance = 0.01,
    canary: Canary = 0.1,
    canary_for: CanaryFor = "15m",
    changes: TrainingChanges = None,
    threads: Threads = None,
    number: Annotated[int | None, typer.Option(hidden=True)] = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Follow a store and train: at first when there is enough, then on a schedule, on new events, or on drift."""
    if context.invoked_subcommand is not None:
        return
    require_packages("serve", "fastapi", "uvicorn", "sqlalchemy", "prometheus_client", "rapidfuzz")
    from motet.service.learner import Learner, end_with_parent, models_home  # noqa: PLC0415
    from motet.service.monitor import log_as_json  # noqa: PLC0415
    from motet.service.store import Store  # noqa: PLC0415

    if parent is not None:
        end_with_parent(parent)
    log_as_json()
    settings = settings_of(every, events, update_events, first_events, first_users, limit, canary, canary_for)
    url = store or _STORE
    with Store(url) as opened:
        home = models_home(opened, models)
        if number is not None:
            _train_one(opened, home, number, settings, tolerance, changes)
            return
        stop = threading.Event()
        for what in (signal.SIGTERM, signal.SIGINT):
            signal.signal(what, lambda *_: stop.set())
        own = command_of(home, settings, tolerance, changes)
        at_work = ["--threads", str(threads or _spare_cores())]
        learner = Learner(
            opened,
            home,
            settings,
            lambda training: [*own, *at_work, "--number", str(training)],
            {**os.environ, "MOTET_STORE": str(url)},
        )
        if parent is None:
            typer.echo(f"motet learns from {opened.where} · models: {home}")
            sys.stdout.flush()
        learner.run(stop)


@learn.command("status")
def status(store: StoreUrl = None, as_json: Json = False) -> None:
    """What the learner of a store does, and what came of its trainings."""
    require_packages("serve", "sqlalchemy", "httpx", "jinja2")
    from rich.table import Table  # noqa: PLC0415

    from motet.service.learner import learner_status  # noqa: PLC0415
    from motet.service.store import Store  # noqa: PLC0415
    from motet.service.web import waits_in_words  # noqa: PLC0415

    url = store or _STORE
    if "://" not in url and not Path(url).is_file():
        raise RequestError(f"there is no store {url}", "name it with --store")
    with Store(url) as opened:
        found = learner_status(opened)
    if as_json:
        print_json(found)
        return
    head = f"runs, now: {found['now']}" if found["runs"] else "does not run"
    learnt = (
        f"{found['events_since']:,} since the active training" if found["learnt_until"] else "none learnt yet"
    )
    out_console.print(f"the learner {head} · {found['events']:,} events, {learnt}")
    if found["runs"] and (waits := waits_in_words(found, "en")):
        out_console.print(waits)
    table = Table("", "began", "cause", "events", "state", "NDCG@10", "of the active", "why")
    for one in found["trainings"]:
        table.add_row(*map(str, _line(one)))
    out_console.print(table)


def _line(one: dict[str, Any]) -> tuple[Any, ...]:
    details = one["details"]
    judged = details.get("judged") or {}
    return (
        one["number"],
        one["began"][:19].replace("T", " "),
        one["cause"],
        details.get("events", ""),
        one["state"],
        judged.get("ndcg", ""),
        judged.get("active_ndcg", ""),
        _canary_in_words(details["canary"]) if one["state"] == "canary" else details.get("reason", ""),
    )


def _canary_in_words(canary: dict[str, Any]) -> str:
    watched, whole = (round(canary[name] / 60) for name in ("watched_s", "for_s"))
    return f"answers {canary['share']:.0%} of the users, {watched} of {whole} min"


def _train_one(
    store: Any, home: Path, number: int, asked: LearnerSettings, tolerance: float, changes: list[str] | None
) -> None:
    from motet.service.learner import RunSettings, run_training  # noqa: PLC0415

    os.nice(10)  # whoever serves goes first
    settings = RunSettings(
        limit_s=asked.limit_s,
        tolerance=tolerance,
        changes=tuple(changes or ()),
        canary=asked.canary,
        canary_s=asked.canary_s,
    )
    run_training(store, home, number, model_opener(None), settings)


def _seconds(text: str, option: str) -> float:
    read = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)\s*", text)
    found = float(read[1]) * _UNIT_S[read[2] or "s"] if read else 0.0
    if not 0 < found <= _LONGEST_S:
        raise RequestError(
            f"{option} {text!r} is no time", f"write a number with s, m or h, up to a year: {option} 24h"
        )
    return found


def _spare_cores() -> int:
    from motet.threads import chosen_threads  # noqa: PLC0415

    return max(1, chosen_threads() - 1)
