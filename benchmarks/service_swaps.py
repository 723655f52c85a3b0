"""Models swapped under load: does a request fail, and does memory stay?

    python -m benchmarks.service_swaps [--bundle DIR] [--swaps N] [--fresh-every N] [--json FILE]

Four clients recommend and one posts events, without a pause, while one model after the other is activated. Most swaps
go back and forth between two bundles that are held; every so many swaps a bundle that is not held is loaded, checked
and activated, and the one that was loaded before it is dropped. Before, one event of each user is sent, so that what is kept of
each is there. Stated are the failed requests and the resident memory of the service, each hundred swaps, with the line
through it after the first fifth, in which caches fill.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._bundles import variant
from benchmarks._load import Load, quantiles
from benchmarks._machine import MachineWatch
from benchmarks._service import Service, end_on_signals, motet_serve
from benchmarks._table import print_machine, print_table, write_json
from benchmarks._traffic import Traffic
from benchmarks._trend import line_through

__all__ = ["main", "swapped"]

_FRESH = 4  # bundles that take turns in being loaded: three are held at most, so none of these is still there
_FLAT = 0.05


def swapped(service: Service, bundle: Path, place: Path, swaps: int, fresh_every: int) -> dict[str, Any]:
    """Swap under load.

    Args:
        service: Which runs, with the bundle.
        bundle: The bundle.
        place: For further bundles.
        swaps: How often.
        fresh_every: Every which swap loads a bundle that is not held.
    """
    others = [variant(bundle, place / f"fresh{k}", 1 + k) for k in range(_FRESH)]
    first = service.ask("GET", "/v1/models")[0]["name"]
    second = service.ask("POST", "/v1/models", {"path": str(variant(bundle, place / "second", 99))})["name"]
    traffic = Traffic(service)
    traffic.tell_of_everybody()
    streams = [traffic.stream(f"client {k}", {"recommend": 1}) for k in range(4)]
    streams.append(traffic.stream("events", {"events": 1}))
    load = Load(service, streams).start()
    swap_s: list[float] = []
    fresh_s: list[float] = []
    memory: list[tuple[int, float]] = [(0, service.rss_bytes() / 2**20)]
    names = [first, second]
    try:
        for swap in range(1, swaps + 1):
            began_s = time.perf_counter()
            if swap % fresh_every == 0:
                path = others[swap // fresh_every % _FRESH]
                service.ask("POST", "/v1/models", {"path": str(path), "activate": True})
                fresh_s.append(time.perf_counter() - began_s)
            else:
                service.ask("POST", f"/v1/models/{names[swap % 2]}/activate")
                swap_s.append(time.perf_counter() - began_s)
            memory.append((swap, service.rss_bytes() / 2**20))
            if swap % max(1, swaps // 10) == 0:
                print(f"{swap} swaps · {memory[-1][1]:.0f} MiB · {load.count} requests", flush=True)
    finally:
        tally = load.stop()
    late = [one for one in memory if one[0] >= swaps / 5]
    line = line_through([at for at, _ in late], [mib for _, mib in late])
    return {
        "swaps": swaps,
        "fresh_loads": len(fresh_s),
        "load": tally.summary(),
        "kinds": tally.by_kind(),
        "statuses": tally.statuses(),
        "wrong": tally.wrong,
        "swap": quantiles(np.array(swap_s)),
        "fresh": quantiles(np.array(fresh_s)),
        "memory_mib": [memory[at] for at in range(0, len(memory), max(1, swaps // 10))],
        "memory_slope_kib_per_swap": line.slope * 1024,
        "memory_change": line.change,
        "models": [one["state"] for one in service.ask("GET", "/v1/models") if one["in_memory"]],
    }


def report(found: dict[str, Any]) -> bool:
    """Print the figures; whether the goals are met."""
    load = found["load"]
    print_table(
        f"{found['swaps']:,} swaps under load, {found['fresh_loads']} of them fresh loads",
        ["", "requests", "errors", "median ms", "p99 ms", "max ms"],
        [[n, k["requests"], k["errors"], k["median_ms"], k["p99_ms"], k["max_ms"]] for n, k in found["kinds"].items()]
        + [["together", load["requests"], load["errors"], load["median_ms"], load["p99_ms"], load["max_ms"]]],
    )  # fmt: skip
    print_table(
        "A swap, until it is answered",
        ["", "median ms", "p99 ms", "max ms"],
        [[n, q["median_ms"], q["p99_ms"], q["max_ms"]] for n, q in (("held", found["swap"]), ("fresh", found["fresh"])) if q],
    )  # fmt: skip
    print_table("Resident memory", ["after swaps", "MiB"], found["memory_mib"])
    print(
        f"\nline through it after the first fifth: {found['memory_slope_kib_per_swap']:+.1f} KiB a swap, "
        f"{found['memory_change']:+.1%} in all · held at the end: {', '.join(found['models'])}"
    )
    for one in found["wrong"]:
        print(f"wrong: {one}")
    flat = found["memory_change"] <= _FLAT
    failed = load["errors"]
    print(
        f"failed requests: {failed} (goal 0) · memory {'flat' if flat else 'grows'} (goal: at most {_FLAT:.0%})"
    )
    return not failed and flat


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the JSON file if asked; returns 0, or 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.service_swaps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, default=Path("runs/demo"))
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--fresh-every", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    end_on_signals()
    watch = MachineWatch()
    with watch.over("the service"), tempfile.TemporaryDirectory(prefix="motet-swaps-") as folder:
        place = Path(folder)
        with motet_serve(options.bundle, place / "store.sqlite", "--no-pages", log=place / "log") as service:
            found = swapped(service, options.bundle, place, options.swaps, options.fresh_every)
    met = report(found)
    print_machine(watch)
    write_json(options.json, "service_swaps", watch, found)
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
