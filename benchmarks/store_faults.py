"""A store whose writing process is killed at random times: is what it acknowledged there, and once?

    python -m benchmarks.store_faults [--rounds N] [--url URL] [--seed N] [--json FILE]

Each round a process with six threads writes events of its own, sends every batch twice, and says each id on its
standard output after the acknowledgement; it is killed by SIGKILL after a random time. Then the store is opened
again: every id that was acknowledged must be there, no id twice, feedback must equal the sum over the events, and the order
must have no place twice. kill -9 takes the process away and leaves the kernel: what is shown is that nothing is
acknowledged before it is handed to the disk and that recovery loses nothing, not that a disk survives a power cut.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path
from typing import Any

from motet.service.store import Event, Store

WRITERS = 6
ROUNDS_A_STORE = 20


def write_for_ever(url: str, number: int) -> None:
    """Write from several threads until killed, and say what was acknowledged."""
    printing = threading.Lock()
    with Store(url) as store:

        def write(name: int) -> None:
            source = random.Random(f"{number}-{name}")  # noqa: S311 (no secret)
            sent = 0
            while True:
                batch = [
                    Event(
                        "click",
                        f"u{source.randrange(20)}",
                        f"i{source.randrange(20)}",
                        id=f"{number}-{name}-{k}",
                    )
                    for k in range(sent, sent + source.randint(1, 8))
                ]
                sent += len(batch)
                store.events.add(batch)
                with printing:
                    os.write(1, "".join(f"{event.id}\n" for event in batch).encode())
                if any(store.events.add(batch)):
                    os.write(1, b"TWICE\n")

        threads = [threading.Thread(target=write, args=(name,), daemon=True) for name in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def check(url: str, acknowledged: set[str]) -> dict[str, int]:
    """What is in the store, beside what was acknowledged."""
    with Store(url) as store:
        ids: list[str] = []
        places: list[int] = []
        sums: dict[tuple[str, str], float] = {}
        place = 0
        while events := store.events.after(place, 10_000):
            for event in events:
                ids.append(event.id)
                places.append(event.seq)
                sums[event.user, event.item] = sums.get((event.user, event.item), 0.0) + event.value
            place = events[-1].seq
        feedback = {(row.user, row.item): row.value for row in store.feedback.page(10_000).rows}
    return {
        "acknowledged": len(acknowledged),
        "there": len(ids),
        "lost": len(acknowledged - set(ids)),
        "twice": len(ids) - len(set(ids)) + len(places) - len(set(places)),
        "feedback_wrong": sum(feedback.get(key) != value for key, value in sums.items())
        + len(feedback.keys() - sums),
    }


def one_round(url: str, number: int, wait_s: float) -> set[str]:
    """Let a process write, kill it, and return the ids it acknowledged."""
    command = [sys.executable, "-m", "benchmarks.store_faults", "--url", url, "--write", str(number)]
    output = bytearray()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        descriptor = process.stdout.fileno()

        def listen() -> None:
            while part := os.read(descriptor, 65_536):
                output.extend(part)

        listener = threading.Thread(target=listen)
        listener.start()
        until_s = time.monotonic() + 60
        while not output and process.poll() is None and time.monotonic() < until_s:
            time.sleep(0.005)  # until it writes
        time.sleep(wait_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
        listener.join()
    # A line that was cut off is of a batch that is acknowledged, but holds no whole id.
    return set(output.decode().rpartition("\n")[0].splitlines())


def run(rounds: int, urls: Iterator[str], seed: int, *, same: bool) -> dict[str, Any]:
    """Kill as often as asked, and sum up; a store is used for twenty rounds, then the next."""
    source = random.Random(seed)  # noqa: S311 (no secret)
    total: Counter[str] = Counter()
    slowest_s = 0.0
    url, acknowledged = "", set[str]()
    for number in range(rounds):
        if number % ROUNDS_A_STORE == 0:
            url = next(urls)
            acknowledged = acknowledged if same else set()
        acknowledged |= one_round(url, number, source.uniform(0.0, 0.6))
        repeated = int("TWICE" in acknowledged)
        acknowledged.discard("TWICE")
        began_s = time.perf_counter()
        found = check(url, acknowledged)
        slowest_s = max(slowest_s, time.perf_counter() - began_s)
        wrong = repeated + found["lost"] + found["twice"] + found["feedback_wrong"]
        total["rounds"] += 1
        # Counts are of all that a store holds, so they are added up when it is left.
        if wrong or number == rounds - 1 or (number % ROUNDS_A_STORE == ROUNDS_A_STORE - 1 and not same):
            total.update(found, repeated=repeated)
        if wrong:
            break
    return {**total, "slowest_open_and_check_s": round(slowest_s, 3)}


def new_files(place: Path) -> Iterator[str]:
    """Files that are not there yet."""
    return (str(place / f"{number}.sqlite") for number in count())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--url", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.write is not None:
        write_for_ever(asked.url, asked.write)
    with tempfile.TemporaryDirectory() as place:
        urls = repeat(asked.url) if asked.url else new_files(Path(place))
        result = run(asked.rounds, urls, asked.seed, same=bool(asked.url))
    print(json.dumps(result))
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if result["lost"] or result["twice"] or result["feedback_wrong"] or result["repeated"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
