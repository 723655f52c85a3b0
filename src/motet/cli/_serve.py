"""The command that serves."""

from __future__ import annotations

import inspect
import os
import secrets
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer

from motet.cli._learn import (
    Canary,
    CanaryFor,
    Every,
    FirstEvents,
    FirstUsers,
    Limit,
    NewEvents,
    Tolerance,
    TrainingChanges,
    UpdateEvents,
    command_of,
    settings_of,
)
from motet.cli._options import Model, Settings, model_opener
from motet.cli._words import language_settings
from motet.errors import RequestError, require_packages

__all__ = ["serve"]


_LEARNS: Final = {True: ("--learn",), False: ("--no-learn",)}
_OF_ALL: Final = {
    "workers",
    "learns",
    "port",
    "store",
    "new_key",
    "first_key",
}  # not for each worker to see to


def serve(
    bundle: Annotated[
        Path | None,
        typer.Argument(
            help="Directory of a trained bundle; left out, the service begins with nothing and trains by itself."
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Path of an SQLite file, or postgresql://user@host/name; a file beside the bundle when left out, "
            "service.sqlite here without a bundle.",
            envvar="MOTET_STORE",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen; beyond loopback only with keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any that is free.", min=0, max=65_535)] = 8000,
    workers: Annotated[
        int,
        typer.Option(
            help="Processes that answer; one for each core serves most requests a second. Each takes the memory of one.",
            min=1,
            max=64,
        ),
    ] = 1,
    no_pages: Annotated[bool, typer.Option("--no-pages", help="The API alone.")] = False,
    pictures: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the pictures of items that the catalogue names, for the pages.",
            metavar="DIR",
            file_okay=False,
        ),
    ] = None,
    picture_site: Annotated[
        list[str] | None,
        typer.Option(
            "--picture-site",
            help="Site that pages may load pictures of items from, such as https://images.example.com; repeatable.",
            metavar="SITE",
        ),
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make a key with all scopes, and print it this once.")
    ] = False,
    first_key: Annotated[
        Path | None,
        typer.Option(
            help="File for a key with all scopes, which is made where the store has no key yet.",
            metavar="FILE",
        ),
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option("--origin", help="Site whose pages may call the API; repeatable.")
    ] = None,
    rate: Annotated[
        float,
        typer.Option(help="Most requests a second of one key or address; twice as many at once.", min=1),
    ] = 200.0,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy",
            help="Address or network of a proxy whose X-Forwarded-For is believed; repeatable.",
            metavar="ADDRESS",
        ),
    ] = None,
    drain: Annotated[
        float,
        typer.Option(
            help="How long requests are still answered after SIGTERM, not ready any more, in seconds.", min=0
        ),
    ] = 3.0,
    keep_days: Annotated[
        float,
        typer.Option(
            help="How long shown lists, sessions and conversations are kept, in days; 0 for ever.", min=0
        ),
    ] = 180.0,
    models_dir: Annotated[
        Path | None,
        typer.Option(
            "--models",
            help="Directory of the models that the service trains; NAME-models beside the store when left out.",
        ),
    ] = None,
    learns: Annotated[
        bool | None,
        typer.Option(
            "--learn/--no-learn",
            help="Train on the events of the store, beside the service; on without a bundle, off with one.",
        ),
    ] = None,
    every: Every = "24h",
    events: NewEvents = 0,
    update_events: UpdateEvents = 0,
    first_events: FirstEvents = 1_000,
    first_users: FirstUsers = 20,
    limit: Limit = "1h",
    tolerance: Tolerance = 0.01,
    canary: Canary = 0.1,
    canary_for: CanaryFor = "15m",
    training_changes: TrainingChanges = None,
    model: Model = False,
    changes: Settings = None,
) -> None:
    """Serve a bundle, or begin with nothing: API, pages and store; an event counts in the next answer."""
    asked = dict(locals())
    require_packages("serve", "fastapi", "uvicorn", "sqlalchemy", "prometheus_client", "rapidfuzz")
    import torch  # noqa: PLC0415 (a command imports what it uses)

    from motet.service.api import (  # noqa: PLC0415
        LOOPBACK,
        SharedState,
        Worker,
        build_app,
        is_loopback,
        listen,
        open_traces,
        run_server,
        run_workers,
    )
    from motet.service.engine import Engine, EngineSettings, HttpSettings, ModelRegistry, few_arenas  # noqa: PLC0415
    from motet.service.learner import EMPTY, LearnerProcess, end_with_parent, models_home, write_empty_bundle  # noqa: PLC0415
    from motet.service.monitor import log_as_json  # noqa: PLC0415
    from motet.service.store import Store  # noqa: PLC0415

    few_arenas()
    if bundle is None and (model or changes):
        raise RequestError(
            "--model and --set change the language model of a bundle, and there is none",
            "leave them out, or name a bundle",
        )
    language_model = None if bundle is None else language_settings(bundle, model, changes)
    traces = open_traces()
    place = None if bundle is None else bundle.absolute()
    torch.set_num_threads(1)  # requests run beside each other already
    url = store or ("service.sqlite" if place is None else str(place.with_name(f"{place.name}.sqlite")))
    learner_settings = settings_of(
        every, events, update_events, first_events, first_users, limit, canary, canary_for
    )
    learns = place is None if learns is None else learns
    learner: LearnerProcess | None = None
    with Store(url) as opened:
        if new_key:
            key, _ = opened.keys.create({"read", "write", "admin"}, "made by motet serve")
            typer.echo(f"key: {key}")
        if first_key is not None and opened.keys.make_first(first_key):
            typer.echo(f"the first key is in {first_key}")
        are_keys = opened.keys.any()
        if not are_keys and not is_loopback(host):
            raise RequestError(
                f"listening on {host} needs a key: without any, everything is allowed to everybody",
                "add --first-key FILE or --new-key, or listen on 127.0.0.1",
            )
        worker = Worker.of_environment()
        sockets = listen(host, port) if worker is None else worker.listening()
        if worker is None and workers > 1:
            os.environ["MOTET_STORE"] = url  # its password must not stand in the list of processes
            learning = [[*_LEARNS[learns and n == 0]] for n in range(workers)]
            further = _further(are_keys, models_home(opened, models_dir) if learns else None)

            def answering(line: str) -> None:
                typer.echo("\n".join([line, *further]))
                sys.stdout.flush()

            with sockets:
                run_workers(_command_of(asked), learning, sockets, ready=answering)
            return
        hosts = tuple({*LOOPBACK, host}) if is_loopback(host) else ()
        settings = HttpSettings(
            origins=tuple(origin or ()),
            pages=not no_pages,
            hosts=hosts,
            requests_per_s=rate,
            burst=round(2 * rate),
            trusted_proxies=tuple(trusted_proxy or ()),
            drain_s=drain,
            relay=secrets.token_urlsafe(32) if worker is None else worker.secret,
        )
        home = models_home(opened, models_dir)
        log_as_json()
        shared = None
        if worker is not None:
            end_with_parent(worker.parent)
            shared = SharedState(worker.shared, worker.index, worker.count)
        engine_settings = EngineSettings(kept_days=keep_days, insert_missing=place is None)
        engine = Engine(opened, model_opener(language_model), engine_settings)
        try:
            models = ModelRegistry(engine)
            if place is None:
                name = models.start_empty(write_empty_bundle(home / EMPTY))
            else:
                name = models.start(place)
            app = build_app(engine, settings, models=models, traces=traces, shared=shared)
            bound = sockets.getsockname()[1]
            shown = f"[{host}]" if ":" in host else host
            address = f"http://{shown}:{bound}"
            if not no_pages and find_spec("motet.service.web") is not None:
                from motet.service import web as pages  # noqa: PLC0415

                pages.mount(
                    app, address, relay=settings.relay, pictures=pictures, picture_sites=picture_site or ()
                )

            if learns:
                learner = LearnerProcess(
                    opened,
                    command_of(home, learner_settings, tolerance, training_changes),
                    {**os.environ, "MOTET_STORE": url},
                    drift=engine.drift.report,
                    model=lambda: engine.model.name,
                )

            def ready() -> None:
                several = f" · workers: {worker.count}" if worker is not None else ""
                typer.echo(
                    f"motet serves {name} on {address} · API: {address}/docs · store: {opened.where}{several}"
                )
                for line in _further(are_keys, home if learner is not None else None):
                    typer.echo(line)
                if learner is not None:
                    learner.start()
                sys.stdout.flush()

            run_server(app, sockets, settings, ready=ready)
        finally:
            if learner is not None:
                learner.close()
            engine.close()
            sockets.close()


def _command_of(asked: Mapping[str, Any]) -> list[str]:
    """What starts a worker: this command, without what the process that starts workers sees to."""
    said = [sys.executable, "-m", "motet", "serve"]
    hints = get_type_hints(serve, include_extras=True)
    for name, parameter in inspect.signature(serve).parameters.items():
        cell = asked[name]
        if name in _OF_ALL or cell is None or cell == parameter.default:
            continue
        how = hints[name].__metadata__[0]
        # in an annotation Typer keeps the first name of an option as its default
        names = (how.default, *(how.param_decls or ()), f"--{name.replace('_', '-')}")
        named = next(one for one in names if isinstance(one, str) and one.startswith("--"))
        option, _, opposite = named.partition("/")
        if name == "bundle":
            said.append(str(cell))
        elif isinstance(cell, bool):
            said.append(option if cell else opposite)
        else:
            said += [
                part for one in (cell if isinstance(cell, list) else [cell]) for part in (option, str(one))
            ]
    return said


def _further(are_keys: bool, trains_in: Path | None) -> list[str]:
    """What the start says beside the address: whether there are keys, and where models are trained."""
    found = [] if are_keys else ["no keys: everything is allowed to whoever reaches this machine's loopback"]
    return found if trains_in is None else [*found, f"it trains on what it is sent; models: {trains_in}"]
