"""How fast a Redis stream gets into a store, and how soon: ``python -m benchmarks.streams``.

    python -m benchmarks.streams [--events N] [--probes N] [--bundle BUNDLE] [--kills N] [--json FILE]

Starts a Redis server of its own (Debian's redis-server) and ``motet stream in`` as a process on an SQLite store. First
N events wait in the stream and are read: events a second, from the first in the store to the last. Then one event at a time is
sent, at random intervals: milliseconds from XADD until another process sees it in the store. With a bundle, ``motet serve``
answers from the same store: milliseconds from XADD of an event of a new user with the first item of the user's list until
a list comes that does without it, asked for every 20 ms. With ``--kills`` the reader is then killed (SIGKILL) at random moments while events without
ids are sent, so many times, and what is in the store is compared with what was sent.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from benchmarks._service import end_on_signals, motet_serve
from motet.service.store import Store


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--probes", type=int, default=50)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is not installed (Debian: apt-get install redis-server)")
    end_on_signals()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), arguments.events, arguments.probes, arguments.bundle, arguments.kills)
    for name, value in found.items():
        print(f"{name}: {value:,.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


@contextmanager
def running(*command: str) -> Iterator[None]:
    """A process, stopped by its id."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def measure(folder: Path, events: int, probes: int, bundle: Path | None, kills: int) -> dict[str, float]:
    """Events a second, and milliseconds to the store and to the next list."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    path = folder / "store.sqlite"
    reader = [sys.executable, "-m", "motet", "stream", "in", "--store", str(path)]
    with Store(path) as store, running("redis-server", *options):
        client: Any = redis.Redis(port=port)
        until(lambda: answers(client))

        def send(user: str, *items: str) -> None:
            with client.pipeline() as pipeline:
                for item in items:
                    content = {"type": "click", "user": user, "item": item}
                    pipeline.xadd("clicks", {"event": json.dumps(content)})
                pipeline.execute()

        for first in range(0, events, 100):
            send(f"u{first // 100 % 997}", *(f"i{k % 1682}" for k in range(first, min(events, first + 100))))
        with running(*reader, "--from", f"redis://127.0.0.1:{port}/clicks"):
            until(lambda: store.events.last() > 0)
            first, begin_s = store.events.last(), time.perf_counter()
            until(lambda: store.events.last() >= events)
            found = {"events a second": (events - first) / (time.perf_counter() - begin_s)}
            source, delays_ms = random.Random(0), []  # noqa: S311 (no secret)
            for k in range(1, probes + 1):
                time.sleep(source.uniform(0.05, 0.3))
                began_s = time.perf_counter()
                send("probe", f"p{k}")
                until(lambda k=k: store.events.last() >= events + k)  # type: ignore[misc]
                delays_ms.append((time.perf_counter() - began_s) * 1e3)
            found |= summary("to the store", delays_ms)
            if bundle is not None:
                found |= summary("to the next list", to_lists(bundle, path, probes, source, send))
        if kills:
            found |= killed(
                [*reader, "--from", f"redis://127.0.0.1:{port}/clicks", "--batch", "20"], store, kills, send
            )
    return found


def killed(command: list[str], store: Store, kills: int, send: Callable[..., None]) -> dict[str, float]:
    """Events that were sent while the reader was killed again and again, and how many are lost or twice."""
    source, start = random.Random(1), store.events.last()  # noqa: S311 (no secret)
    sent: Counter[str] = Counter()
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for round in range(kills):
        items = [f"kill{round}-{k}" for k in range(500)]
        send("killed", *items)
        sent.update(items)
        last = store.events.last()
        process = subprocess.Popen(command, **quiet)
        until(lambda last=last: store.events.last() > last)  # type: ignore[misc]
        time.sleep(source.uniform(0, 0.1))
        process.kill()
        process.wait()
    subprocess.run([*command, "--once"], check=True, **quiet)
    found: Counter[str] = Counter()
    while events := store.events.after(start, 10_000):
        found.update(event.item for event in events)
        start = events[-1].seq
    return {
        "kills": kills,
        "events sent meanwhile": sent.total(),
        "of them lost": (sent - found).total(),
        "of them twice": (found - sent).total(),
    }


def to_lists(
    bundle: Path, path: Path, probes: int, source: random.Random, send: Callable[..., None]
) -> list[float]:
    """Milliseconds until lists of new users do without what they clicked."""
    delays_ms = []
    with motet_serve(bundle, path) as service:
        for k in range(probes):

            def first(user: str = f"new{k}") -> str:
                answer = service.ask("POST", "/v1/recommend", {"user": user, "k": 1})
                return str(answer["items"][0]["id"])

            before = first()
            time.sleep(source.uniform(0, 1))
            began_s = time.perf_counter()
            send(f"new{k}", before)
            until(lambda first=first, before=before: first() != before, 0.02)  # type: ignore[misc]
            delays_ms.append((time.perf_counter() - began_s) * 1e3)
    return delays_ms


def summary(what: str, delays_ms: list[float]) -> dict[str, float]:
    """Median, 95th percentile and largest."""
    ordered = sorted(delays_ms)
    return {
        f"ms {what}, median": statistics.median(ordered),
        f"ms {what}, 95th percentile": ordered[int(0.95 * len(ordered))],
        f"ms {what}, largest": ordered[-1],
    }


def answers(client: Any) -> bool:
    """Whether the server answers."""
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


def until(done: Callable[[], object], wait_s: float = 0.002) -> None:
    """Wait until something holds."""
    until_s = time.monotonic() + 300
    while not done():
        if time.monotonic() > until_s:
            raise TimeoutError("nothing came for 300 s")
        time.sleep(wait_s)


if __name__ == "__main__":
    main()
