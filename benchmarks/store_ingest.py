"""Events a second that are acknowledged durable, with and without group commit.

    python -m benchmarks.store_ingest [--seconds S] [--rounds N] [--batch N] [--json FILE] [--directory PATH]

Threads of one process hand in events, one or a batch a call, and wait for each acknowledgement; every event is folded
into feedback. SQLite (write-ahead log, synchronous FULL) is in a temporary directory under --directory, so its disk
is the one that is measured; PostgreSQL, where it is installed, is a server of its own on loopback. The settings take
turns, so that a machine whose neighbours change treats them alike; stated is the median over the rounds, with the
smallest and the largest. Beside them: how often a second this disk syncs a file after a small write, alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from motet.service.store import Event, Store, StoreSettings
from motet.testing import PostgresServer

WRITERS = (1, 8, 32)


def syncs_per_s(folder: Path, seconds: float) -> float:
    """How often a file is written and synced."""
    count = 0
    with (folder / "sync").open("wb") as file:
        until_s = time.perf_counter() + seconds
        while time.perf_counter() < until_s:
            file.write(b"x" * 4_096)
            file.flush()
            os.fdatasync(file.fileno())
            count += 1
    return count / seconds


def measure(url: str, *, group_commit: bool, writers: int, batch: int, seconds: float) -> dict[str, float]:
    """Write for a while, and count what was acknowledged."""
    counts = [0] * writers
    slowest = [0.0] * writers
    stop = threading.Event()
    with Store(url, StoreSettings(group_commit=group_commit)) as store:

        def write(number: int) -> None:
            while not stop.is_set():
                events = [
                    Event("click", f"u{number}", f"i{k % 500}")
                    for k in range(counts[number], counts[number] + batch)
                ]
                began_s = time.perf_counter()
                store.events.add(events)
                slowest[number] = max(slowest[number], time.perf_counter() - began_s)
                counts[number] += batch

        threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
        began_s = time.perf_counter()
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        stop.set()
        for thread in threads:
            thread.join()
        elapsed_s = time.perf_counter() - began_s
        transactions = store.written.transactions
        if store.written.rows != sum(counts):
            raise AssertionError("what was counted is not what was written")
    return {
        "events_per_s": sum(counts) / elapsed_s,
        "events_per_transaction": sum(counts) / transactions,
        "slowest_s": max(slowest),
    }


def places(stack: ExitStack, folder: Path) -> Iterator[tuple[str, Any]]:
    """Each kind of database, and a way to make an empty one."""
    numbers = iter(range(10**6))
    yield "sqlite", lambda: str(folder / f"{next(numbers)}.sqlite")
    if PostgresServer.programs():
        server = stack.enter_context(PostgresServer())
        yield "postgresql", lambda: server.new_database(f"ingest{next(numbers)}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=asked.directory)))
        kinds = list(places(stack, folder))
        syncs = [syncs_per_s(folder, 1.0)]
        for _ in range(asked.rounds):
            for kind, new in kinds:
                for writers in WRITERS:
                    for group_commit in (True, False):
                        name = (
                            f"{kind}, {writers} writers, {'group commit' if group_commit else 'each its own'}"
                        )
                        figures = measure(
                            new(),
                            group_commit=group_commit,
                            writers=writers,
                            batch=asked.batch,
                            seconds=asked.seconds,
                        )
                        for figure, value in figures.items():
                            found.setdefault(name, {}).setdefault(figure, []).append(value)
            syncs.append(syncs_per_s(folder, 1.0))
    print(f"syncs/s of this disk alone: {statistics.median(syncs):.0f} ({min(syncs):.0f}-{max(syncs):.0f})")
    for name, figures_by_round in found.items():
        rate = figures_by_round["events_per_s"]
        each = statistics.median(figures_by_round["events_per_transaction"])
        worst = max(figures_by_round["slowest_s"])
        print(
            f"{name}: {statistics.median(rate):.0f} events/s ({min(rate):.0f}-{max(rate):.0f}),"
            f" {each:.1f} a transaction, slowest call {worst:.3f} s"
        )
    if asked.json:
        content = {"seconds": asked.seconds, "batch": asked.batch, "syncs_per_s": syncs, "settings": found}
        asked.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
