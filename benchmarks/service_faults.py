"""The service killed at random times, its disk full, its database gone: what is lost, and does it come back?

    python -m benchmarks.service_faults [--bundle DIR] [--parts kills kills-postgresql disk database database-killed]
                                        [--kills N] [--seed N] [--json FILE]

Killing: under a load that recommends and posts events with ids, SIGKILL comes at a random time; the service is
started again as a supervisor would, batches that were not acknowledged are sent again and so are some that were. The store is
SQLite, and in a part of its own PostgreSQL, where that is installed. At the end all events are exported over HTTP: every acknowledged one must be there, none twice, and what the service
knows of users must be these events. kill -9 takes the process and leaves the kernel: a power cut is another thing.

Disk full: the store is on a small file system of its own where this user may mount one (otherwise no file of the
service may grow), which is filled and emptied again. Database gone: PostgreSQL is cut off and started again; database
killed: SIGKILL to its first process, and a start at once that recovers from its log. In all, lists must come throughout, writes must be refused with 503 and a cure, and the same process must
take events again afterwards.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks._ledger import Ledger
from benchmarks._load import Load, Tally
from benchmarks._machine import MachineWatch
from benchmarks._service import Service, end_on_signals, motet_serve
from benchmarks._table import print_machine, print_table, write_json
from benchmarks._traffic import Traffic
from motet.testing import PostgresServer

__all__ = ["disk_full", "killed", "main", "postgres_gone"]

_PARTS = ("kills", "kills-postgresql", "disk", "database", "database-killed")
_OF_POSTGRESQL = ("kills-postgresql", "database", "database-killed")
_DISK_MIB = 24
_PATIENCE_S = 60.0


def killed(bundle: Path, store: str | Path, log: Path, kills: int, seed: int) -> dict[str, Any]:
    """Kill under load, start again, and compare.

    Args:
        bundle: What is served.
        store: Path or URL of an empty store.
        log: Where the service's log goes.
        kills: How often.
        seed: Of the times.
    """
    source = random.Random(seed)  # noqa: S311 (no secret)
    service = motet_serve(bundle, store, "--no-pages", log=log)
    ledger = Ledger()
    ready_s: list[float] = []
    answers = cut_off = wrong = 0
    examples: list[str] = []
    traffic: Traffic | None = None
    with service:
        for number in range(kills + 1):
            traffic = traffic or Traffic(service, seed)
            load = Load(service, _mixed(traffic, ledger, number)).start()
            time.sleep(source.uniform(0.05, 1.5))
            if number == kills:  # the last one lives
                tally = load.stop()
            else:
                load.end()
                service.stop(signal.SIGKILL)
                tally = load.join()
                ready_s.append(service.start().ready_s)
            answers += len(tally.answered)
            cut_off += sum(one.status == 0 for one in tally.answered)
            wrong += sum(one.status not in (0, 200) for one in tally.answered)
            examples += [one for one in tally.wrong if ": 0 " not in one]
            if kills >= 10 and number % (kills // 10) == 0:
                print(f"{number} kills · {len(ledger.acknowledged):,} events acknowledged", flush=True)
        found = ledger.check(service)
    return {
        "kills": kills,
        "requests": answers,
        "cut_off": cut_off,
        "wrong_answers": wrong,
        "wrong": examples[:10],
        **found,
        "ready_again_s": {"median": sorted(ready_s)[len(ready_s) // 2], "slowest": max(ready_s)},
    }


def _mixed(traffic: Traffic, ledger: Ledger, number: int) -> list[Iterator[Any]]:
    lists = [traffic.stream(f"lists {number} {k}", {"recommend": 3, "history": 1}) for k in range(2)]
    return [*lists, *(ledger.stream(traffic, f"events {number} {k}") for k in range(3))]


def disk_full(bundle: Path, place: Path, seconds: float) -> dict[str, Any]:
    """Fill the store's disk under load, and empty it."""
    with ExitStack() as stack:
        disk = stack.enter_context(_small_disk(place / "disk"))
        store = (disk or place) / "store.sqlite"
        # the log of the service is a file too: it must not be what stops it
        service = stack.enter_context(motet_serve(bundle, store, "--no-pages"))
        filler = store.with_name("filler")

        def fill() -> None:
            if disk is None:
                service.limit_file_bytes(max(one.stat().st_size for one in place.glob("store.sqlite*")))
                return
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass

        def free() -> None:
            if disk is None:
                service.limit_file_bytes(None)
            else:
                filler.unlink()

        how = f"a file system of {_DISK_MIB} MiB" if disk is not None else "a limit on the size of files"
        # what was there may still be written over, so some events fit: large batches find the end of it
        return {"how": how, **outage(service, fill, free, seconds, wanted=(200, 503), bulk=40)}


@contextmanager
def _small_disk(place: Path) -> Iterator[Path | None]:
    place.mkdir()
    options = f"size={_DISK_MIB}m"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def postgres_gone(bundle: Path, seconds: float, *, by_kill: bool = False) -> dict[str, Any]:
    """Cut PostgreSQL off under load, or kill it, and start it again."""
    with PostgresServer() as server:
        url = server.new_database("gone")
        end = server.kill if by_kill else server.stop
        with motet_serve(bundle, url, "--no-pages") as service:
            return outage(service, end, server.start, seconds, wanted=(503,))


def outage(
    service: Service,
    break_it: Callable[[], None],
    mend_it: Callable[[], None],
    seconds: float,
    *,
    wanted: tuple[int, ...],
    bulk: int = 0,
) -> dict[str, Any]:
    """The same load before, during and after an outage of the store, and what it came to.

    Args:
        service: Which runs.
        break_it: Takes the store away.
        mend_it: Gives it back.
        seconds: Of each phase.
        wanted: Statuses of writes that are right during the outage.
        bulk: How large batches are during the outage; see :class:`Ledger`.
    """
    traffic, ledger, pid = Traffic(service), Ledger(), service.pid
    phases: dict[str, Tally] = {}

    def phase(name: str, right: tuple[int, ...]) -> None:
        ledger.wanted = right
        streams: list[Iterator[Any]] = [traffic.stream(f"{name} {k}", {"recommend": 1}) for k in range(2)]
        phases[name] = Load(service, [*streams, ledger.stream(traffic, name)], pause_s=0.02).run(seconds)

    phase("before", (200,))
    break_it()
    refused_already = sum(ledger.refusals.values())
    ledger.bulk = bulk
    phase("during", wanted)
    ledger.bulk = 0
    refused = sum(ledger.refusals.values()) - refused_already
    live, ready = service.status("/v1/health/live"), service.status("/v1/health/ready")
    mend_it()
    began_s = time.perf_counter()
    body = {"events": [{"id": "after", "type": "rating", "user": traffic.users[0], "item": traffic.items[0]}]}
    ledger.sent.add("after")
    while service.answer("POST", "/v1/events", body)[0] != 200:
        if time.perf_counter() - began_s > _PATIENCE_S:
            raise RuntimeError("the service takes no events after the outage")
        time.sleep(0.05)
    ledger.acknowledged.add("after")
    back_s = time.perf_counter() - began_s
    phase("after", (200,))
    return {
        "phases": {name: _counted(tally) for name, tally in phases.items()},
        "wrong": [one for tally in phases.values() for one in tally.wrong][:10],
        "refused": refused,
        "refusals": dict(ledger.refusals.most_common(5)),
        "during": {"live": live, "ready": ready},
        "writes_again_after_s": back_s,
        "same_process": service.pid == pid and service.is_running,
        **ledger.check(service),
    }


def _counted(tally: Tally) -> dict[str, Any]:
    statuses, kinds = tally.statuses(), tally.by_kind()
    return {
        "lists": statuses.get("recommend 200", 0),
        "lists_failed": kinds["recommend"]["errors"],
        "lists_p99_ms": kinds["recommend"].get("p99_ms", 0.0),
        "events_200": statuses.get("events 200", 0),
        "events_503": statuses.get("events 503", 0),
        "events_other": sum(n for what, n in statuses.items() if what.startswith("events") and what[7:] not in ("200", "503")),
    }  # fmt: skip


def is_clean(found: dict[str, Any]) -> bool:
    """Whether a part kept what it must keep."""
    bad = found["lost"] + found["twice"] + found["never_sent"] + found["users_with_wrong_counts"]
    bad += found.get("wrong_answers", 0)
    if "phases" in found:
        bad += sum(one["lists_failed"] + one["events_other"] for one in found["phases"].values())
        bad += not found["refused"] or not found["same_process"] or found["during"]["live"] != 200
    return not bad


def report(results: dict[str, dict[str, Any]]) -> bool:
    """Print the figures; whether the goals are met."""
    rows = [[name, f["acknowledged"], f["there"], f["lost"], f["twice"], f["users_with_wrong_counts"], "kept" if is_clean(f) else "MISSED"] for name, f in results.items()]  # fmt: skip
    print_table("Events", ["", "acknowledged", "there", "lost", "twice", "wrong users", ""], rows)
    for name, kills in results.items():
        if "kills" not in kills:
            continue
        again = kills["ready_again_s"]
        print(
            f"\n{name}: {kills['kills']} kills in {kills['requests']:,} requests, {kills['cut_off']} of them cut off, "
            f"{kills['wrong_answers']} answered wrongly · ready again after {again['median']:.1f} s in the median, "
            f"{again['slowest']:.1f} s at most"
        )
    for name, found in results.items():
        if "phases" not in found:
            continue
        rows = [[phase, *one.values()] for phase, one in found["phases"].items()]
        head = ["", "lists", "failed", "p99 ms", "events 200", "503", "other"]
        print_table(f"{name}{': ' + found['how'] if 'how' in found else ''}", head, rows)
        during = found["during"]
        print(
            f"while it lasted: live {during['live']}, ready {during['ready']} · "
            f"writes again {found['writes_again_after_s']:.2f} s after it was repaired, in the same process: {found['same_process']}"
        )
        for what, n in found["refusals"].items():
            print(f"{n} × {what}")
    for found in results.values():
        for one in found["wrong"]:
            print(f"wrong: {one}")
    return all(is_clean(found) for found in results.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the JSON file if asked; returns 0, or 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.service_faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, default=Path("runs/demo"))
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0, help="before, during and after an outage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    end_on_signals()
    watch = MachineWatch()
    results: dict[str, dict[str, Any]] = {}
    with watch.over("the service"), tempfile.TemporaryDirectory(prefix="motet-faults-") as folder:
        place = Path(folder)
        parts, log = list(options.parts), place / "log"
        if PostgresServer.programs() is None:
            parts = [part for part in parts if part not in _OF_POSTGRESQL]
        if "kills" in parts:
            store = place / "killed.sqlite"
            results["kill -9"] = killed(options.bundle, store, log, options.kills, options.seed)
        if "kills-postgresql" in parts:
            with PostgresServer() as server:
                url = server.new_database("killed")
                results["kill -9, PostgreSQL"] = killed(options.bundle, url, log, options.kills, options.seed)
        if "disk" in parts:
            results["disk full"] = disk_full(options.bundle, place, options.seconds)
        if "database" in parts:
            results["database gone"] = postgres_gone(options.bundle, options.seconds)
        if "database-killed" in parts:
            results["database killed"] = postgres_gone(options.bundle, options.seconds, by_kill=True)
    met = report(results)
    print_machine(watch)
    write_json(options.json, "service_faults", watch, results)
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
