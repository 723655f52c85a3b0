"""Latency and throughput of the service over HTTP, beside the bare model call and a bare endpoint.

    python -m benchmarks.service_speed [--bundle DIR] [--seconds S] [--calls N] [--json FILE]

Ranking: one client sends 1,000 candidates for another user each time; in turns with it, this process calls the model
alone for the same users and the same items, item side ahead, as the service does. Recommending: eight clients send one
request after the other; beside it the same from a bare FastAPI and uvicorn endpoint, one process too, that returns the
bytes of one of the answers; then six clients recommend while two post events. One client also asks for lists of users each of
whom has just done something, and for the same lists again, and posts events, one and a hundred at a time. The generator's own
processor time is stated.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import motet
from benchmarks._load import Ask, Load, Tally, quantiles
from benchmarks._machine import MachineWatch
from benchmarks._service import Service, end_on_signals, motet_serve
from benchmarks._table import print_machine, print_table, write_json
from benchmarks._traffic import Traffic
from benchmarks._wire import http_request
from motet.recommend import LiveRecommender, Query

__all__ = ["main"]

_BLOCK = 20
_CANDIDATES = 1000
_CLIENTS = 8
_LISTS = 400


def bare_rank(bundle: Path, candidates: Sequence[str]) -> Callable[[str], object]:
    """The model's call alone for a user and the candidates: every task, the items' side ahead."""
    live = LiveRecommender(motet.load(bundle).assistant.explainer.recommender)
    rows = live.items.now.rows(list(candidates))

    def call(user: str) -> object:
        now = live.items.now
        person = live.user_encoder.of(user, live.history.row(user), {})
        user_context = live._scorer.user_context(now, person, live.history.of(user, now), None, {})
        began_s = time.perf_counter()
        user_context.ahead.every_task(user_context.data, 0, rows)
        return time.perf_counter() - began_s

    # the way through the service must be the same way
    assert len(live.rank(Query(user=None), candidates).items) == len(candidates)
    return call


def measure_rank(service: Service, bundle: Path, traffic: Traffic, calls: int) -> dict[str, dict[str, Any]]:
    """Ranking over HTTP and the bare call, in alternating blocks."""
    source = traffic.source("rank")
    candidates = traffic.items[:_CANDIDATES]
    if len(candidates) < _CANDIDATES:
        candidates = (candidates * -(-_CANDIDATES // len(candidates)))[:_CANDIDATES]
    bare = bare_rank(bundle, candidates)
    seconds: dict[str, list[float]] = {"over HTTP": [], "bare call": []}
    cpu_s = 0.0
    with service.wire() as wire:
        for start in range(0, calls + _BLOCK, _BLOCK):
            users = [source.choice(traffic.users) for _ in range(_BLOCK)]
            asked = [
                http_request("POST", "/v1/rank", {"user": user, "candidates": candidates}) for user in users
            ]
            http: list[float] = []
            used_s = service.cpu_s()
            for request in asked:
                began_s = time.perf_counter()
                status, body = wire.ask(request)
                http.append(time.perf_counter() - began_s)
                assert status == 200, body[:500]
            used_s = service.cpu_s() - used_s
            alone = [float(bare(user)) for user in users]  # type: ignore[arg-type]
            if start:  # the first block warms both
                seconds["over HTTP"] += http
                seconds["bare call"] += alone
                cpu_s += used_s
    found: dict[str, dict[str, Any]] = {
        name: {"calls": len(some), **quantiles(np.array(some))} for name, some in seconds.items()
    }
    found["over HTTP"]["service_cpu_ms"] = cpu_s * 1e3 / calls
    return found


def measure_one_client(service: Service, traffic: Traffic) -> dict[str, dict[str, float]]:
    """Lists after an event of each user, the same lists again, and events, one request after the other."""
    source = traffic.source("one client")
    users = source.sample(traffic.users, min(_LISTS, len(traffic.users)))

    def event(user: str) -> dict[str, Any]:
        return {"type": "rating", "user": user, "item": source.choice(traffic.items), "value": 4}

    lists = [http_request("POST", "/v1/recommend", {"user": user}) for user in users]
    explained = [
        http_request("POST", "/v1/recommend", {"user": u, "explain": True}) for u in users[: _LISTS // 4]
    ]
    singles = [http_request("POST", "/v1/events", {"events": [event(user)]}) for user in users]
    batches = [
        http_request(
            "POST", "/v1/events", {"events": [event(u) for u in source.choices(traffic.users, k=100)]}
        )
        for _ in range(_LISTS // 10)
    ]
    found: dict[str, dict[str, float]] = {}
    with service.wire() as wire:
        for name, asked in (
            ("warm-up", lists),
            ("one event", singles),
            ("list after an event of its user", lists),
            ("the same list again", lists),
            ("with reasons", explained),
            ("with reasons again", explained),
            ("a hundred events", batches),
        ):
            used_s, seconds = service.cpu_s(), []
            for request in asked:
                sent_s = time.perf_counter()
                status, body = wire.ask(request)
                seconds.append(time.perf_counter() - sent_s)
                assert status == 200, body[:500]
            found[name] = {
                "median_ms": float(np.median(seconds)) * 1e3,
                "p99_ms": float(np.quantile(seconds, 0.99)) * 1e3,
                "service_cpu_ms": (service.cpu_s() - used_s) * 1e3 / len(asked),
            }
    del found["warm-up"]
    return found


def loaded(
    service: Service, streams: Callable[[], list[Iterator[Ask]]], seconds: float
) -> tuple[Tally, float]:
    """What a load came to after a warm-up, and processor seconds of the service a request."""
    Load(service, streams()).run(min(3.0, seconds / 4))
    used_s = service.cpu_s()
    tally = Load(service, streams()).run(seconds)
    return tally, (service.cpu_s() - used_s) / max(1, len(tally.answered))


def measured(bundle: Path, seconds: float, calls: int) -> dict[str, Any]:
    """All figures."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="motet-speed-") as folder:
        place = Path(folder)
        with motet_serve(bundle, place / "store.sqlite", "--no-pages", log=place / "log") as service:
            traffic = Traffic(service)
            found["ready_s"] = service.ready_s
            found["rank"] = measure_rank(service, bundle, traffic, calls)
            found["one client"] = measure_one_client(service, traffic)
            names = [f"client {n}" for n in range(_CLIENTS)]
            for name, weights in (
                ("recommend", {n: {"recommend": 1} for n in names}),
                ("mixed", {n: {"events" if k % 4 == 3 else "recommend": 1} for k, n in enumerate(names)}),
            ):
                tally, cpu_s = loaded(
                    service, lambda w=weights: [traffic.stream(n, w[n]) for n in names], seconds  # type: ignore[misc]
                )  # fmt: skip
                found[name] = {**tally.summary(), "service_cpu_ms": cpu_s * 1e3, "kinds": tally.by_kind()}
                found[name]["wrong"] = tally.wrong
            found["rss_mib"] = service.rss_bytes() / 2**20
            answer = service.answer("POST", "/v1/recommend", {"user": traffic.users[0]})[1]
        (place / "answer.json").write_bytes(answer)
        with Service(["benchmarks._bare_endpoint", str(place / "answer.json")]) as bare:
            tally, cpu_s = loaded(bare, lambda: [traffic.stream(n, {"recommend": 1}) for n in names], seconds)
            found["bare"] = {**tally.summary(), "service_cpu_ms": cpu_s * 1e3, "bytes": len(answer)}
    return found


def report(found: dict[str, Any]) -> bool:
    """Print the figures; whether the goals are met."""
    rank = found["rank"]
    print_table(
        f"Ranking {_CANDIDATES:,} candidates on all tasks, one client",
        ["", "calls", "median ms", "p99 ms", "max ms"],
        [[n, r["calls"], r["median_ms"], r["p99_ms"], r["max_ms"]] for n, r in rank.items()],
    )
    bare_ms = found["bare"]["service_cpu_ms"]
    print_table(
        "One client",
        ["", "median ms", "p99 ms", "service CPU ms", "over the bare endpoint's"],
        [
            [n, one["median_ms"], one["p99_ms"], one["service_cpu_ms"], one["service_cpu_ms"] / bare_ms]
            for n, one in found["one client"].items()
        ],
    )
    loads = ("recommend", "mixed", "bare")
    names = (f"recommend, {_CLIENTS} clients", "6 recommend, 2 post events", "bare endpoint, same bytes")
    print_table(
        "Load",
        ["", "requests", "errors", "requests/s", "median ms", "p99 ms", "max ms", "service CPU ms", "generator CPU ms"],
        [
            [n, r["requests"], r["errors"], r["requests_per_s"], r["median_ms"], r["p99_ms"], r["max_ms"], r["service_cpu_ms"], r["generator_cpu_ms_per_request"]]
            for n, r in zip(names, (found[one] for one in loads), strict=True)
        ],
    )  # fmt: skip
    kinds = found["mixed"]["kinds"]
    print_table(
        "Within the mixed load",
        ["", "requests", "errors", "median ms", "p99 ms"],
        [[n, k["requests"], k["errors"], k["median_ms"], k["p99_ms"]] for n, k in kinds.items()],
    )
    goals = {
        "ranking: median over the bare call": (rank["over HTTP"]["median_ms"] / rank["bare call"]["median_ms"], 3),
        "ranking: p99 over median": (rank["over HTTP"]["p99_ms"] / rank["over HTTP"]["median_ms"], 3),
        "recommending: p99 over median": (found["recommend"]["p99_ms"] / found["recommend"]["median_ms"], 5),
        "errors": (float(found["recommend"]["errors"] + found["mixed"]["errors"]), 0),
    }  # fmt: skip
    rows = [[n, x, most, "met" if x <= most else "missed"] for n, (x, most) in goals.items()]
    print_table("Goals", ["", "found", "at most", ""], rows)
    print(f"\nready in {found['ready_s']:.1f} s · {found['rss_mib']:.0f} MiB resident afterwards")
    for one in [*found["recommend"]["wrong"], *found["mixed"]["wrong"]]:
        print(f"wrong: {one}")
    return all(x <= most for x, most in goals.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the JSON file if asked; returns 0, or 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.service_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, default=Path("runs/demo"))
    parser.add_argument("--seconds", type=float, default=40.0, help="of each load")
    parser.add_argument("--calls", type=int, default=1000, help="of ranking, in whole blocks of 20")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    end_on_signals()
    torch.set_num_threads(1)
    watch = MachineWatch()
    with watch.over("the service"):
        found = measured(options.bundle, options.seconds, options.calls)
    met = report(found)
    print_machine(watch)
    write_json(options.json, "service_speed", watch, found)
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
