"""A day's mixture of requests for some minutes without a pause: do errors, latency or memory creep in?

    python -m benchmarks.service_soak [--bundle DIR | --learner] [--minutes M] [--warm-up M] [--json FILE]

Six clients send what a day brings, each kind as often as `benchmarks/_traffic.py` says: lists, explained and filtered
ones, sessions, events, items and users added, rankings, similar items, explanations, profiles, requests in words, pages,
numbers, and Gorse's calls. Each minute the model is swapped, every second time for one that is loaded again.
Before, one event of each user is sent, so that what is kept of each is there.
Memory and latency are compared between the first and the last third, with the line through them.

With ``--learner`` the service has no bundle and trains itself: 10,000 ratings of MovieLens-100K are sent before, the events
of the day are the next real ratings, and the active model learns from each 300 of them, so that another is activated every
half minute to minute instead of the swaps. Each is activated whatever it is worth (``--tolerance 1``), and the first training has
two epochs. The figures begin after the first model is active and ``--warm-up`` minutes of the same load have passed.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import motet
from benchmarks._bundles import variant
from benchmarks._load import Answered, Load, Tally, quantiles
from benchmarks._machine import MachineWatch
from benchmarks._service import Service, end_on_signals, motet_serve
from benchmarks._table import print_machine, print_table, write_json
from benchmarks._traffic import DAY, Traffic
from benchmarks._trend import line_through
from motet.datasets import DatasetStream

__all__ = ["learnt", "main", "soaked"]

_CLIENTS = 6
_EVENTS_BEFORE = 10_000
_LEARNS = ("--first-events", str(_EVENTS_BEFORE), "--update-events", "300", "--tolerance", "1", "--every", "0", "--train-set", "training.epochs=2")  # fmt: skip
_FIRST_MODEL_S = 600.0
_PAUSE_S = 0.1  # without any, a learner of low priority gets next to no processor on two cores
_FEWEST_ACTIVATIONS = 20
_SWAP_S = 60.0
_FRESH_EVERY = 2
_MOST_MEMORY = 0.05
_MOST_LATENCY = 0.25


def soaked(service: Service, bundle: Path, place: Path, seconds: float) -> dict[str, Any]:
    """Send a day's requests.

    Args:
        service: Which runs with its pages, with the bundle.
        bundle: The bundle.
        place: For further bundles.
        seconds: How long.
    """
    fresh = [variant(bundle, place / f"fresh{k}", 1 + k) for k in range(3)]
    names = [service.ask("GET", "/v1/models")[0]["name"]]
    names.append(
        service.ask("POST", "/v1/models", {"path": str(variant(bundle, place / "second", 99))})["name"]
    )
    traffic = Traffic(service, pages=True)
    traffic.tell_of_everybody()
    load = Load(service, [traffic.stream(f"client {k}", DAY) for k in range(_CLIENTS)]).start()
    began_s = time.perf_counter()
    stop = threading.Event()
    swap_s: list[float] = []

    def swap() -> None:
        while not stop.wait(_SWAP_S):
            number, at_s = len(swap_s) + 1, time.perf_counter()
            if number % _FRESH_EVERY == 1:  # from the first one on, as many models are held as ever will be
                path = fresh[number // _FRESH_EVERY % len(fresh)]
                service.ask("POST", "/v1/models", {"path": str(path), "activate": True})
            else:
                service.ask("POST", f"/v1/models/{names[number % 2]}/activate")
            swap_s.append(time.perf_counter() - at_s)

    swapper = threading.Thread(target=swap, daemon=True)
    swapper.start()
    try:
        memory = _watched(service, load, began_s, seconds)[0]
    finally:
        tally = load.stop()
        stop.set()
        swapper.join()
    return {
        **figures(tally, memory, began_s, seconds),
        "swaps": len(swap_s),
        "swap": quantiles(np.array(swap_s)),
    }


def learnt(service: Service, seconds: float, warm_up_s: float) -> dict[str, Any]:
    """Send a day's requests to a service that trains itself meanwhile.

    Args:
        service: Which runs with its pages, without a bundle.
        seconds: How long, after the first model and the time for warming up.
        warm_up_s: How long the same load is sent before.
    """
    found = motet.datasets.load("movielens-100k")
    stream = DatasetStream(found.schema, found.directory)
    for what, bodies in (("items", stream.items()), ("users", stream.users())):
        while some := list(itertools.islice(bodies, 500)):
            service.ask("POST", f"/v1/{what}", {what: some})
    events = list(stream.events())
    for start in range(0, _EVENTS_BEFORE, 500):
        service.ask("POST", "/v1/events", {"events": events[start : start + 500]})
    until_s = time.monotonic() + _FIRST_MODEL_S
    while "message" in service.ask("GET", "/v1/health/live"):  # plain lists still
        if time.monotonic() > until_s:
            raise RuntimeError(f"no model was activated: {service.ask('GET', '/v1/learner')['trainings']}")
        time.sleep(0.5)
    print(f"the first model is active · {service.rss_bytes() / 2**20:.0f} MiB", flush=True)
    traffic = Traffic(service, pages=True, events=events[_EVENTS_BEFORE:])
    streams = [traffic.stream(f"client {k}", DAY) for k in range(_CLIENTS)]
    load = Load(service, streams, pause_s=_PAUSE_S).start()
    try:
        time.sleep(warm_up_s)
        began_s = time.perf_counter()
        memory, beside, models = _watched(service, load, began_s, seconds)
    finally:
        tally = load.stop()
    trainings = service.ask("GET", "/v1/learner")["trainings"]
    return {
        **figures(tally, memory, began_s, seconds),
        "learner_first_third_mib": _mean_of(beside, 0, seconds / 3),
        "learner_last_third_mib": _mean_of(beside, 2 * seconds / 3, seconds),
        "swaps": len(models) - 1,
        "trainings": [
            {what: one[what] for what in ("cause", "state", "began", "changed")} for one in trainings
        ],
        "not_active": [
            f"{one['cause']} {one['number']}: {one['state']} {one['details'].get('reason', '')}"
            for one in trainings
            if one["state"] not in ("active", "replaced")
        ],
    }


def _watched(
    service: Service, load: Load, began_s: float, seconds: float
) -> tuple[list[tuple[float, float]], list[tuple[float, float]], list[str]]:
    """Each second: resident MiB of the service and of the learner beside it; and the models that were served, in turn."""
    memory: list[tuple[float, float]] = []
    beside: list[tuple[float, float]] = []
    models: list[str] = []
    while (at_s := time.perf_counter() - began_s) < seconds:
        memory.append((at_s, service.rss_bytes() / 2**20))
        learners = psutil.Process(service.pid).children()
        beside.append((at_s, sum(one.memory_info().rss for one in learners) / 2**20))
        model = service.ask("GET", "/v1/health/live")["model"]
        if not models or models[-1] != model:
            models.append(model)
        if len(memory) % 60 == 0:
            mib = memory[-1][1]
            print(
                f"{at_s / 60:.0f} min · {load.count:,} requests · {mib:.0f} MiB · {len(models) - 1} activations",
                flush=True,
            )
        time.sleep(1.0)
    return memory, beside, models


def _mean_of(series: Sequence[tuple[float, float]], start_s: float, stop_s: float) -> float:
    return float(np.mean([mib for s, mib in series if start_s <= s < stop_s]))


def figures(
    tally: Tally, memory: Sequence[tuple[float, float]], began_s: float, seconds: float
) -> dict[str, Any]:
    """Both thirds, and the lines.

    Args:
        tally: Of all requests.
        memory: Resident MiB at seconds since the beginning.
        began_s: When that was.
        seconds: How long it went on.
    """
    third = seconds / 3
    first = [one for one in tally.answered if 0 <= one.at_s - began_s < third]
    last = [one for one in tally.answered if one.at_s - began_s >= 2 * third]
    lists = [one for one in tally.answered if one.kind == "recommend" and one.right and one.at_s >= began_s]
    windows = np.array([int((one.at_s - began_s) // 10) for one in lists])
    times = np.array([one.elapsed_s * 1e3 for one in lists])
    at = [k for k in np.unique(windows).tolist() if np.count_nonzero(windows == k) >= 5]
    latency = line_through([10.0 * k for k in at], [float(np.median(times[windows == k])) for k in at])
    later = [one for one in memory if one[0] >= third]
    growth = line_through([s for s, _ in later], [mib for _, mib in later])
    return {
        "seconds": seconds,
        "load": tally.summary(),
        "wrong": tally.wrong,
        "kinds": tally.by_kind(),
        "first_third": _by_kind(first),
        "last_third": _by_kind(last),
        "latency_slope_ms_per_minute": latency.slope * 60,
        "latency_change": _median(last) / _median(first) - 1,
        "memory_slope_mib_per_minute": growth.slope * 60,
        "memory_change": growth.change,
        "memory_first_third_mib": _mean_of(memory, 0, third),
        "memory_last_third_mib": _mean_of(memory, 2 * third, seconds),
        "memory_mib": [memory[k] for k in range(0, len(memory), max(1, len(memory) // 15))],
    }


def _median(answered: list[Answered]) -> float:
    """Median seconds of a plain list; not a number where none was asked for."""
    found = [one.elapsed_s for one in answered if one.kind == "recommend" and one.right]
    return float(np.median(found)) if found else float("nan")


def _by_kind(answered: list[Answered]) -> dict[str, dict[str, float]]:
    return Tally(answered).by_kind()


def report(found: dict[str, Any]) -> bool:
    """Print the figures; whether the goals are met."""
    load, first, last = found["load"], found["first_third"], found["last_third"]
    rows = []
    for kind, one in found["kinds"].items():
        a, b = first.get(kind, {}), last.get(kind, {})
        rows.append([kind, one["requests"], one["errors"], a.get("median_ms", "-"), b.get("median_ms", "-"), a.get("p99_ms", "-"), b.get("p99_ms", "-")])  # fmt: skip
    rows.append(["together", load["requests"], load["errors"], "", "", "", ""])
    head = [
        "",
        "requests",
        "errors",
        "median ms, first third",
        "last third",
        "p99 ms, first third",
        "last third",
    ]
    print_table(f"{found['seconds'] / 60:g} minutes of a day's requests, {found['swaps']} swaps", head, rows)
    print_table("Resident memory", ["second", "MiB"], found["memory_mib"])
    print(
        f"\n{load['requests']:,} requests, {load['requests_per_s']:.0f} a second · lists: "
        f"{found['latency_slope_ms_per_minute']:+.2f} ms a minute, {found['latency_change']:+.0%} in the median from the first to the last third · "
        f"memory after the first third: {found['memory_slope_mib_per_minute']:+.2f} MiB a minute, {found['memory_change']:+.1%}"
    )
    for one in found["wrong"]:
        print(f"wrong: {one}")
    flat = found["memory_change"] <= _MOST_MEMORY
    is_enough = True
    if "trainings" in found:
        for one in found["not_active"]:
            print(f"not active: {one}")
        # after warming up, so that the first third counts too
        before, after = found["memory_first_third_mib"], found["memory_last_third_mib"]
        flat = after / before - 1 <= _MOST_MEMORY
        is_enough = found["swaps"] >= _FEWEST_ACTIVATIONS
        print(
            f"{found['swaps']} activations (goal: at least {_FEWEST_ACTIVATIONS}) · memory of the service {before:.0f} MiB in the mean of the first third, "
            f"{after:.0f} in the last: {after / before - 1:+.1%} · of the learner beside it {found['learner_first_third_mib']:.0f} and {found['learner_last_third_mib']:.0f}"
        )
    steady = found["latency_change"] <= _MOST_LATENCY
    print(
        f"errors: {load['errors']} (goal 0) · latency {'flat' if steady else 'grows'} (goal: at most {_MOST_LATENCY:.0%}) · "
        f"memory {'flat' if flat else 'grows'} (goal: at most {_MOST_MEMORY:.0%})"
    )
    return not load["errors"] and steady and flat and is_enough


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the JSON file if asked; returns 0, or 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.service_soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, default=Path("runs/demo"))
    parser.add_argument("--learner", action="store_true", help="no bundle: the service trains itself")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--warm-up", type=float, default=8.0, help="minutes of load before, with --learner")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    end_on_signals()
    watch = MachineWatch()
    with watch.over("the service"), tempfile.TemporaryDirectory(prefix="motet-soak-") as folder:
        place = Path(folder)
        bundle = None if options.learner else options.bundle
        learns = _LEARNS if options.learner else ()
        with motet_serve(bundle, place / "store.sqlite", *learns, log=place / "log") as service:
            if bundle is None:
                found = learnt(service, 60 * options.minutes, 60 * options.warm_up)
            else:
                found = soaked(service, bundle, place, 60 * options.minutes)
    met = report(found)
    print_machine(watch)
    write_json(options.json, "service_soak", watch, found)
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
