"""``motet stream``: events from a stream into the store of a service, and from the store into a stream."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from motet.cli._experiments import Place, opened_store, read_yaml
from motet.cli._options import Json, print_json
from motet.errors import RequestError, require_packages

if TYPE_CHECKING:
    from types import FrameType

    from motet.service.streams import StreamCounts

__all__ = ["stream"]

stream = typer.Typer(
    name="stream",
    no_args_is_help=True,
    help="Events from Redis, Kafka or a file into the store of a service, and from the store into them.",
)

Once = Annotated[bool, typer.Option("--once", help="Stop when everything there is done.")]
Batch = Annotated[int, typer.Option(help="Most messages at once.", min=1, max=10_000)]
KafkaConfig = Annotated[
    Path | None,
    typer.Option(help="YAML file with settings of librdkafka, such as sasl.username.", metavar="FILE"),
]
_REPORT_S = 10.0


@stream.command("in")
def stream_in(
    store: Place,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="redis://host:6379/STREAM?group=NAME, kafka://broker:9092/TOPIC?group=NAME, or file:PATH.",
            envvar="MOTET_STREAM_FROM",
        ),
    ],
    dead: Annotated[
        str | None,
        typer.Option(
            help="Where messages go that are no events, as --from; beside the stream, ending in .dead, when left out."
        ),
    ] = None,
    once: Once = False,
    batch: Batch = 500,
    largest: Annotated[int, typer.Option(help="Most bytes of a message.", min=100, max=10_000_000)] = 65_536,
    kafka_config: KafkaConfig = None,
    as_json: Json = False,
) -> None:
    """Write the events of a stream into the store, each once, until it is stopped; the service follows."""
    require_packages("streams", "sqlalchemy", "fastapi")
    from motet.service.streams import StreamAddress, StreamCounts, ingest_stream  # noqa: PLC0415

    address = StreamAddress.parse(source)
    letters = None if dead is None else StreamAddress.parse(dead)
    counts = StreamCounts()
    with opened_store(store) as opened, _until_stopped(counts, as_json) as stop:
        ingest_stream(
            opened,
            address,
            letters,
            stop=stop,
            once=once,
            batch=batch,
            largest=largest,
            kafka=_kafka(kafka_config),
            counts=counts,
            notice=_notice,
        )


@stream.command("out")
def stream_out(
    store: Place,
    to: Annotated[
        str,
        typer.Option(
            help="redis://host:6379/STREAM?maxlen=100000, kafka://broker:9092/TOPIC, or file:PATH.",
            envvar="MOTET_STREAM_TO",
        ),
    ],
    what: Annotated[
        Literal["events", "recommendations"], typer.Option(help="Events, or the lists that were shown.")
    ] = "events",
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help="Type of events to write; repeatable; all when left out."),
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(help="Begin after the event of this number (seq), instead of where it ended.", min=0),
    ] = None,
    once: Once = False,
    batch: Batch = 500,
    kafka_config: KafkaConfig = None,
    as_json: Json = False,
) -> None:
    """Write the events of the store into a stream, in their order, or the lists that were shown, until it is stopped."""
    require_packages("streams", "sqlalchemy", "fastapi")
    from motet.service.streams import StreamAddress, StreamCounts, publish_stream  # noqa: PLC0415

    if what != "events" and (types or after is not None):
        raise RequestError("--type and --after are of events", f"leave them out with --what {what}")
    address, counts = StreamAddress.parse(to), StreamCounts()
    with opened_store(store) as opened, _until_stopped(counts, as_json) as stop:
        publish_stream(
            opened,
            address,
            what,
            types=types,
            after=after,
            stop=stop,
            once=once,
            batch=batch,
            kafka=_kafka(kafka_config),
            counts=counts,
            notice=_notice,
        )


def _kafka(path: Path | None) -> dict[str, Any]:
    return {} if path is None else read_yaml(path, "settings of librdkafka")


def _notice(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _until_stopped(counts: StreamCounts, as_json: bool) -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; says every ten seconds what was done, and at the end."""
    stop, over = threading.Event(), threading.Event()
    signals: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if signals:  # the second time at once
            raise KeyboardInterrupt
        signals.append(number)
        stop.set()

    def report() -> None:
        said = asdict(counts)
        while not over.wait(_REPORT_S):
            if (now := asdict(counts)) != said:
                said = now
                _notice(_said(counts))

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    reporter = threading.Thread(target=report, name="motet-stream-report", daemon=True)
    reporter.start()
    try:
        yield stop
        if as_json:
            print_json(asdict(counts))
        else:
            typer.echo(_said(counts))
    finally:
        over.set()
        reporter.join()
        for number, handler in before.items():
            signal.signal(number, handler)
    if signal.SIGINT in signals:
        raise KeyboardInterrupt


def _said(counts: StreamCounts) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in asdict(counts).items())
