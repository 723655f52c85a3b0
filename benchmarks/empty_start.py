"""From nothing to personal lists: MovieLens-100K replayed into ``motet serve``, and when its lists beat popularity.

    python -m benchmarks.empty_start [--rate 200] [--events 36000] [--held-out 5000] [--judged 1000] [--wait 120]
                                     [--json FILE]

The service begins with no bundle and no schema, with the default settings of its learner. The first ``--events`` events, in
the order of their times, are posted at ``--rate`` a second; the time of every activation is noted. Afterwards each model that
was activated is judged as it would serve: it knows all events up to ``--events`` as histories, makes a list of ten for
the user of each held-out event before it sees that event, and gets NDCG@10 = 1/log2(1 + rank). Beside it, on the same events, the
popular items by the same service's plain list. Events of a rating below the inferred threshold, and of films that the
user had already, are seen and not judged; of the others ``--judged``, evenly spaced. The interval is of the mean paired difference, by
2,000 draws of users with replacement.
"""

from __future__ import annotations

import argparse
import itertools
import math
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

import motet
from benchmarks._machine import MachineWatch
from benchmarks._service import Service, end_on_signals
from benchmarks._table import print_machine, print_table, write_json
from motet.assistant.explain import Profiler
from motet.datasets import DatasetStream
from motet.recommend import LiveRecommender, Query
from motet.service.engine import LoadPast, ModelParts, ServedModel, live_event
from motet.service.store import Event, Store

__all__ = ["judged", "main", "replayed"]

_A_CALL: Final = 20
_DRAWS: Final = 2_000


def replayed(place: Path, rate: float, events: int, wait_s: float) -> list[dict[str, Any]]:
    """Replay into a new service; the models that it activated, each with the seconds since the first event.

    Args:
        place: For the store and the models.
        rate: Events a second.
        events: How many.
        wait_s: How long to wait after the last event for a training under way.
    """
    found = motet.datasets.load("movielens-100k")
    stream = DatasetStream(found.schema, found.directory)
    service = Service(["motet", "serve", "--port", "0", "--store", str(place / "s.sqlite"), "--rate", "10000"], log=place / "log")  # fmt: skip
    activated: list[dict[str, Any]] = []
    stop = threading.Event()
    try:
        service.start()
        for what, bodies in (("items", stream.items()), ("users", stream.users())):
            while some := list(itertools.islice(bodies, 500)):
                service.ask("POST", f"/v1/{what}", {what: some})
        began_s = time.monotonic()

        def watch() -> None:
            while not stop.wait(0.25):
                name = service.ask("GET", "/v1/health/live")["model"]
                if not activated or activated[-1]["model"] != name:
                    activated.append({"model": name, "after_s": time.monotonic() - began_s})
                    # the learner removes what is neither active nor lately trained
                    bundle = place / "s-models" / name.rpartition("-")[0]
                    shutil.copytree(bundle, place / "copies" / name, dirs_exist_ok=True)

        watching = threading.Thread(target=watch)
        watching.start()
        bodies = itertools.islice(stream.events(), events)
        sent = 0
        while some := list(itertools.islice(bodies, _A_CALL)):
            service.ask("POST", "/v1/events", {"events": some})
            sent += len(some)
            time.sleep(max(0.0, sent / rate - (time.monotonic() - began_s)))
        sent_s = time.monotonic() - began_s
        while time.monotonic() - began_s < sent_s + wait_s:
            learner = service.ask("GET", "/v1/learner")
            newest = next((one["model"] for one in learner["trainings"] if one["state"] == "active"), None)
            if learner["now"] == "canary":
                break
            if learner["now"] == "waiting" and newest in (None, activated[-1]["model"]):
                break  # what was trained last is served, too
            time.sleep(1.0)
        learner = service.ask("GET", "/v1/learner")
    finally:
        stop.set()
        service.stop()
    watching.join()
    by_name = {one["model"]: one for one in learner["trainings"]}
    return [{**one, "sent_s": sent_s, "training": by_name.get(one["model"])} for one in activated]


def judged(
    store: Store, models: dict[str, Path], events: int, held_out: int, most: int, seed: int
) -> dict[str, Any]:
    """NDCG@10 of models and of popularity on the events after a place, with paired intervals.

    Args:
        store: What the service stored.
        models: Directories of bundles by name; ``plain`` is the empty one.
        events: Events that all know as histories.
        held_out: Events after these.
        most: Most events that are judged.
        seed: Of the draws.
    """
    found = motet.datasets.load("movielens-100k")
    stream = DatasetStream(found.schema, found.directory)
    later = [_event(one) for one in itertools.islice(stream.events(events), held_out)]
    served = {name: ServedModel(name, path, _open, store) for name, path in models.items()}
    for one in served.values():
        one.catch_up()
    reader = next(one for name, one in served.items() if name != "plain").parts.live.history.reader
    wanted, seen = [], set()
    for at, event in enumerate(later):
        new = not _had(served["plain"], event) and (event.user, event.item) not in seen
        seen.add((event.user, event.item))
        if new and reader.read([live_event(event, event.user)])[0].liked:
            wanted.append(at)
    step = max(1.0, len(wanted) / most)
    chosen = {wanted[int(k * step)] for k in range(min(most, len(wanted)))}
    gains: dict[str, list[float]] = {name: [] for name in served}
    users: list[str] = []
    for at, event in enumerate(later):
        if at in chosen:
            users.append(event.user)
            for name, one in served.items():
                query = Query(user=event.user, k=10, sources=("popular",) if name == "plain" else None)
                gains[name].append(_gain(one, query, event.item))
        for one in served.values():
            one.parts.live.add_events([live_event(event, event.user)])
    rng = np.random.default_rng(seed)
    return {
        name: _compared(np.array(gains[name]), np.array(gains["plain"]), users, rng)
        for name in served
        if name != "plain"
    } | {"popular": {"ndcg": float(np.mean(gains["plain"])), "events": len(users), "users": len(set(users))}}


def _compared(ours: Any, popular: Any, users: Sequence[str], rng: np.random.Generator) -> dict[str, Any]:
    names, at = np.unique(np.array(users), return_inverse=True)
    sums = np.bincount(at, ours - popular, minlength=len(names))
    counts = np.bincount(at, minlength=len(names))
    draws = rng.integers(len(names), size=(_DRAWS, len(names)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    return {"ndcg": float(ours.mean()), "difference": float((ours - popular).mean()), "interval": [low, high]}


def _gain(served: ServedModel, query: Query, item: str) -> float:
    ranked = served.parts.live.recommend(query)
    rank = next((one.rank for one in ranked.items if one.item == item), None)
    return 0.0 if rank is None else 1 / math.log2(1 + rank)


def _had(served: ServedModel, event: Event) -> bool:
    live = served.parts.live
    row = live.items.now.first_rows.get(event.item, -1)
    return row in live.history.of(event.user, live.items.now).seen


def _event(body: dict[str, Any]) -> Event:
    return Event(**{**body, "time": datetime.fromisoformat(body["time"])})


def _open(path: Path, load: LoadPast) -> ModelParts:
    assistant = motet.load(path).assistant
    live = LiveRecommender(assistant.explainer.recommender, load=load)
    return ModelParts(live, assistant, Profiler.of_bundle(assistant.explainer.bundle))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--events", type=int, default=36_000)
    parser.add_argument("--held-out", type=int, default=5_000)
    parser.add_argument("--judged", type=int, default=1_000)
    parser.add_argument("--wait", type=float, default=120.0)
    parser.add_argument("--place", type=Path, help="Directory for the store; a temporary one when left out.")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    end_on_signals()
    watch = MachineWatch()
    with tempfile.TemporaryDirectory(prefix="motet-empty-start-") as temporary:
        place = asked.place or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        with watch.over("replay"):
            activated = replayed(place, asked.rate, asked.events, asked.wait)
        models = {one["model"]: place / "copies" / one["model"] for one in activated}
        there = {
            "plain" if name.startswith("plain") else name: path
            for name, path in models.items()
            if path.is_dir()
        }
        if set(there) <= {"plain"}:
            print(f"no model was trained within {asked.wait:g} s of the last of {asked.events:,} events")
            return 1
        with Store(place / "s.sqlite") as store:
            results = judged(store, there, asked.events, asked.held_out, asked.judged, 0)
    rows = []
    for one in activated:
        found = results.get(one["model"])
        if found is not None:
            training = one["training"] or {}
            low, high = found["interval"]
            rows.append(
                [
                    one["model"],
                    f"{one['after_s']:.0f}",
                    training.get("until", 0),
                    f"{found['ndcg']:.4f}",
                    f"{found['difference']:+.4f} [{low:+.4f}, {high:+.4f}]",
                ]
            )
    print_table(
        f"models activated while events came in at {asked.rate:g} a second, judged on {results['popular']['events']} of the "
        f"events {asked.events + 1:,} to {asked.events + asked.held_out:,} ({results['popular']['users']} users)",
        ["model", "active after s", "events learnt", "NDCG@10", "above popularity"],
        [["popular", "", "", f"{results['popular']['ndcg']:.4f}", ""], *rows],
    )
    ahead = next(
        (one for one in activated if results.get(one["model"], {}).get("interval", [-1])[0] > 0), None
    )
    said = "none" if ahead is None else f"{ahead['after_s']:.0f} s after the first event ({ahead['model']})"
    print(f"\nfirst lists that beat popularity, interval above 0: {said}")
    print_machine(watch)
    write_json(asked.json, "empty_start", watch, {"activated": activated, "judged": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
