"""How fast a Redis stream gets into a store, and how soon: ``python -m benchmarks.streams``.

    python -m benchmarks.streams [--events N] [--probes N] [--json FILE]

Starts a Redis server of its own (Debian's redis-server) and ``motet stream in`` as a process on an SQLite store. First
N events wait in the stream and are read: events a second, from the first in the store to the last. Then one event at a time is
sent, at random intervals: milliseconds from XADD until another process sees it in the store. A running service reads its
store once a second (EngineSettings.follow_s), which comes on top.
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
from pathlib import Path
from typing import Any

import redis

from motet.service.store import Store


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--probes", type=int, default=50)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is not installed (Debian: apt-get install redis-server)")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), arguments.events, arguments.probes)
    for name, value in found.items():
        print(f"{name}: {value:,.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


def measure(folder: Path, events: int, probes: int) -> dict[str, float]:
    """Events a second, and milliseconds to the store."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    reader = None
    try:
        client: Any = redis.Redis(port=port, retry_on_error=[redis.exceptions.ConnectionError])
        with client.pipeline() as pipeline:
            for k in range(events):
                pipeline.xadd(
                    "clicks",
                    {"event": json.dumps({"type": "click", "user": f"u{k % 997}", "item": f"i{k % 1682}"})},
                )
            pipeline.execute()
        with Store(folder / "store.sqlite") as store:
            command = [sys.executable, "-m", "motet", "stream", "in", "--store", str(folder / "store.sqlite")]
            reader = subprocess.Popen(
                [*command, "--from", f"redis://127.0.0.1:{port}/clicks"], stdout=subprocess.DEVNULL
            )
            first = wait(store, 1)
            begin_s = time.perf_counter()
            wait(store, events)
            rate = (events - first) / (time.perf_counter() - begin_s)
            delays_ms = []
            source = random.Random(0)  # noqa: S311 (no secret)
            for k in range(probes):
                time.sleep(source.uniform(0.05, 0.3))
                began_s = time.perf_counter()
                client.xadd(
                    "clicks", {"event": json.dumps({"type": "click", "user": "probe", "item": f"p{k}"})}
                )
                wait(store, events + k + 1)
                delays_ms.append((time.perf_counter() - began_s) * 1e3)
    finally:
        for process in (reader, server):
            if process is not None:
                process.terminate()
                process.wait(30)
    delays_ms.sort()
    return {
        "events a second": rate,
        "median ms from XADD to the store": statistics.median(delays_ms),
        "95th percentile": delays_ms[int(0.95 * len(delays_ms))],
        "largest": delays_ms[-1],
    }


def wait(store: Store, events: int) -> int:
    """Wait until the store has so many events; how many it has."""
    until_s = time.monotonic() + 300
    while (last := store.events.last()) < events:
        if time.monotonic() > until_s:
            raise TimeoutError(f"{last} of {events} events after 300 s")
        time.sleep(0.002)
    return last


if __name__ == "__main__":
    main()
