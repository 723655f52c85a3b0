"""What it is worth to go on learning: one stream of events, judged before it is learnt from.

    python -m benchmarks.prequential [--set movielens-100k|movielens-1m|world] [--out DIR] [--windows 20] [--start 0.5]
                                     [--events N] [--publish 5] [--judged 400] [--retrain-every 1] [--quick] [--cells N] [--json FILE]

Events are taken in the order of their times. The first ``--start`` of them train a first bundle; the others are cut into
windows of equal numbers of events. Contenders:

* ``frozen``: the first bundle throughout;
* ``retrain``: trained in full, with the default settings, on all events before each window (a daily retraining whose day is
  a window);
* ``incremental``: the first bundle updated ``--publish`` times a window (``motet.training.online.update_bundle``, its
  default settings), never trained in full again;
* ``popularity``: positives of all users, each halved for every 5,000 that came after; nothing is trained.

All models know all events up to the one that is judged as histories, as a service does. Of the positives of items that the user
had not met, ``--judged`` a window, evenly spaced: NDCG@10 = 1/log2(1 + rank) of the item in a list of ten made just before. Of
all events as many: the prediction of the yes-or-no task of that user and item, of which AUC. Cost: processor seconds of this
process, all threads, of training or updating (reading tables and writing bundles included, the start of a process not),
over the events of the windows. Lag: events from one that happens to the first model that has learnt from it, on average.

``--retrain-every N`` retrains before every Nth window alone, the first among them, which takes most of the time; what is
compared with it is of these windows.

Cells (a contender in a window) are kept in ``--out``; a run that was ended goes on where it was. ``--cells`` ends it after
so many new ones. ``--quick``: five windows, 100 judged. The world is synthetic: preferences turn by 1.5 radians.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks._default_sets import content_of
from benchmarks._machine import MachineWatch
from benchmarks._table import print_machine, print_table, write_json
from motet.data import Frames, text_columns
from motet.datasets import SyntheticWorld, fetch, generate
from motet.recommend import LiveRecommender, Query, Recommender
from motet.recommend.live import LiveEvent
from motet.schema import Schema
from motet.training import load_bundle, train
from motet.training.online import update_bundle

__all__ = ["CONTENDERS", "Stream", "main", "read_stream"]

CONTENDERS: Final = ("popularity", "frozen", "retrain", "incremental")
_WORLD: Final = SyntheticWorld(
    users=2_000, items=500, interactions=100_000, scenarios={"feed": 1.0}, shared=1.0, drift=1.5, cold_items=0.2,
    cold_from=0.5,
)  # fmt: skip
_HALF_LIFE: Final = 5_000.0
_AT_ONCE: Final = 5_000
_DRAWS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Stream:
    """A data set in the order of its events.

    Attributes:
        schema: With no texts, which would take a language model, and default settings of model and training.
        tables: By the names that the schema gives them; interactions are numbered from 1 in ``seq``.
        task: The yes-or-no task that is judged.
        user: Of each event.
        item: Of each event.
        label: Of the task, of each event.
        synthetic: Whether it is drawn from a world.
    """

    schema: Schema
    tables: Mapping[str, pl.DataFrame]
    task: str
    user: list[str]
    item: list[str]
    label: NDArray[np.bool_]
    synthetic: bool

    def __len__(self) -> int:
        return len(self.label)

    def until(self, events: int) -> Frames:
        """The tables with the first events alone."""
        name = self.schema.tables.interactions
        return Frames({**self.tables, name: self.tables[name][:events]})

    def rows(self, role: str) -> list[dict[str, Any]]:
        """Rows of the users or items."""
        name = getattr(self.schema.tables, role)
        return [] if name is None else self.tables[name].to_dicts()

    def live(self, start: int, stop: int) -> list[LiveEvent]:
        """Events as a service gets them."""
        keys, frame = self.schema.keys, self.tables[self.schema.tables.interactions][start:stop]
        times = frame[str(keys.time)]
        at_s = (
            (times.dt.timestamp("us") / 1e6 if times.dtype.is_temporal() else times)
            .cast(pl.Float64)
            .to_list()
        )
        scenario = keys.scenario if keys.scenario in frame.columns else None
        own = {keys.user, keys.item, keys.time, scenario, "seq", *text_columns(self.schema, "interaction")}
        columns = [name for name in frame.columns if name not in own]
        found = []
        for row, time_s in zip(frame.iter_rows(named=True), at_s, strict=True):
            cells = {name: row[name] for name in columns if row[name] is not None}
            type, value = next(iter(cells.items()))
            event = {"user": str(row[str(keys.user)]), "item": str(row[str(keys.item)]), "at_s": time_s}
            event |= {"type": type, "value": value, "columns": cells}
            found.append(LiveEvent(**event, scenario=None if scenario is None else row[scenario]))
        return found


def read_stream(name: str, place: Path, events: int = 0) -> Stream:
    """A set as a stream.

    Args:
        name: ``movielens-100k``, ``movielens-1m`` or ``world``.
        place: Where a world is drawn.
        events: Only the first so many; all for 0.
    """
    if name == "world":
        source = place / "world"
        if not (source / "schema.yaml").is_file():
            generate(_WORLD, source)
    else:
        source = fetch(name)
    content = content_of((source / "schema.yaml").read_text(encoding="utf-8"))
    for section in ("model", "training", "knowledge", "explain"):
        content.pop(section, None)
    for of in content["features"].values():
        for feature in [n for n, f in of.items() if not isinstance(f, str) and f["kind"] == "text"]:
            del of[feature]
    content["tasks"] = {
        n: t for n, t in content["tasks"].items() if t.get("on", "interaction") == "interaction"
    }
    task = "click" if name == "world" else "like"
    if name == "world":
        content["tasks"] = {"click": content["tasks"]["click"]}
        content["features"].pop(
            "interaction", None
        )  # the slot on the page is not known before the list is made
        content["tasks"]["next"] = {"kind": "retrieval", "positive": "click = 1"}
        content["tables"]["interactions"] = "interactions.parquet"
    content["split"] = {"by": "time", "train": 0.88, "validation": 0.1}
    schema = Schema.parse(content)
    label = "click = 1" if name == "world" else "rating >= 4"
    inter = pl.read_parquet(
        source / ("interactions/*.parquet" if name == "world" else schema.tables.interactions)
    )
    inter = inter.sort(str(schema.keys.time), maintain_order=True)
    if name == "world":
        keys = schema.keys
        inter = inter.select(keys.user, keys.item, keys.time, keys.scenario, "click")
    inter = (
        (inter[:events] if events else inter)
        .with_row_index("seq", offset=1)
        .with_columns(pl.col("seq").cast(pl.Int64))
    )
    tables = {
        table: pl.read_parquet(source / table)
        for table in (schema.tables.users, schema.tables.items)
        if table
    }
    return Stream(
        schema,
        {**tables, schema.tables.interactions: inter},
        task,
        inter[str(schema.keys.user)].cast(pl.String).to_list(),
        inter[str(schema.keys.item)].cast(pl.String).to_list(),
        inter.select(pl.sql_expr(label).alias("y"))["y"].to_numpy(),
        name == "world",
    )


# What is judged, and how: the same events for all.


@dataclass(frozen=True, slots=True)
class _Window:
    number: int
    start: int
    stop: int


def _windows(stream: Stream, start: float, windows: int) -> list[_Window]:
    edges = np.linspace(round(start * len(stream)), len(stream), windows + 1).round().astype(int).tolist()
    return [_Window(k, a, b) for k, (a, b) in enumerate(itertools.pairwise(edges), 1)]


def _judged(stream: Stream, window: _Window, most: int) -> tuple[list[int], list[int]]:
    """Events whose lists are judged, and those whose predictions are, evenly spaced."""
    seen = set(zip(stream.user[: window.start], stream.item[: window.start], strict=True))
    new = []
    for at in range(window.start, window.stop):
        pair = (stream.user[at], stream.item[at])
        if stream.label[at] and pair not in seen:
            new.append(at)
        seen.add(pair)
    return _spaced(new, most), _spaced(list(range(window.start, window.stop)), most)


def _spaced(places: list[int], most: int) -> list[int]:
    step = max(1.0, len(places) / most)
    return [places[int(k * step)] for k in range(min(most, len(places)))]


def _judge_models(
    stream: Stream, window: _Window, models: Sequence[tuple[int, int, Path]], most: int
) -> dict[str, Any]:
    """Gains and predictions of bundles in a window, each from an event on until the next takes over.

    Args:
        stream: The stream.
        window: The window.
        models: Of each bundle the event from which on it serves, how many it holds, and its directory.
        most: Events that are judged.
    """
    lists, predictions = (set(some) for some in _judged(stream, window, most))
    gains, scores, opened_s = [], [], []
    for number, (first, held, path) in enumerate(models):
        stop = models[number + 1][0] if number + 1 < len(models) else window.stop
        began_s = time.process_time()
        live = LiveRecommender(Recommender(load_bundle(path)))
        opened_s.append(time.process_time() - began_s)
        live.upsert_items(stream.rows("items"))
        live.upsert_users(stream.rows("users"))
        for at in range(held, first, _AT_ONCE):
            live.add_events(stream.live(at, min(at + _AT_ONCE, first)))
        events, told = stream.live(first, stop), first
        for at in sorted(one for one in lists | predictions if first <= one < stop):
            if at > told:
                live.add_events(events[told - first : at - first])
                told = at
            query = Query(user=stream.user[at], k=10, scenario=events[at - first].scenario)
            if at in lists:
                ranked = live.recommend(query).items
                rank = next((one.rank for one in ranked if one.item == stream.item[at]), None)
                gains.append(0.0 if rank is None else 1 / math.log2(1 + rank))
            if at in predictions:
                found = live.rank(query, [stream.item[at]]).items
                scores.append(float(found[0].predictions[stream.task]) if found else 0.0)
    return {"gains": gains, "scores": scores, "open_s": float(np.mean(opened_s))}


def _judge_popularity(stream: Stream, window: _Window, most: int) -> dict[str, Any]:
    lists, predictions = (set(some) for some in _judged(stream, window, most))
    index = {item: k for k, item in enumerate(dict.fromkeys(stream.item))}
    count, had = np.zeros(len(index)), dict[str, set[int]]()
    grown, gains, scores = 1.0, [], []  # all counts halve together: new ones weigh more instead
    for at in range(window.stop):
        item, seen = index[stream.item[at]], had.setdefault(stream.user[at], set())
        if at in lists:
            open_ = count.copy()
            open_[list(seen)] = -1.0
            rank = 1 + int((open_ > open_[item]).sum()) + int((open_[:item] == open_[item]).sum())
            gains.append(1 / math.log2(1 + rank) if rank <= 10 else 0.0)
        if at in predictions:
            scores.append(float(count[item]))
        seen.add(item)
        if stream.label[at]:
            count[item] += grown
            grown *= 2 ** (1 / _HALF_LIFE)
            if grown > 1e100:
                count, grown = count / grown, 1.0
    return {"gains": gains, "scores": scores}


# The contenders.


class _Run:
    """Cells of one stream, kept in a directory."""

    def __init__(
        self, stream: Stream, place: Path, windows: list[_Window], publish: int, judged: int, every: int = 1
    ) -> None:
        self.stream, self.place, self.windows = stream, place, windows
        self.publish, self.judged, self.every = publish, judged, every

    def cells(self) -> Iterator[tuple[str, _Window, Callable[[], dict[str, Any]]]]:
        """Those that are not there yet, with what makes each."""
        for window in self.windows:
            for name in CONTENDERS:
                wanted = name != "retrain" or (window.number - 1) % self.every == 0
                if wanted and not self._path(name, window).is_file():
                    yield name, window, partial(self._make, name, window)

    def read(self, name: str, window: _Window) -> dict[str, Any] | None:
        """A cell; None where it is not there."""
        path = self._path(name, window)
        found: dict[str, Any] | None = (
            json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        )
        return found

    def _path(self, name: str, window: _Window) -> Path:
        return self.place / f"{name}-{len(self.windows)}-{window.number}.json"

    def _make(self, name: str, window: _Window) -> dict[str, Any]:
        found = getattr(self, f"_{name}")(window)
        path = self._path(name, window)
        part = path.with_suffix(".new")
        part.write_text(json.dumps(found), encoding="utf-8")
        part.replace(path)
        return dict(found)

    def _popularity(self, window: _Window) -> dict[str, Any]:
        return {"cpu_s": 0.0, **_judge_popularity(self.stream, window, self.judged)}

    def _frozen(self, window: _Window) -> dict[str, Any]:
        held = self.windows[0].start
        models = [(window.start, held, self._trained(held)[0])]
        return {"cpu_s": 0.0, **_judge_models(self.stream, window, models, self.judged)}

    def _retrain(self, window: _Window) -> dict[str, Any]:
        path, cpu_s = self._trained(window.start)
        models = [(window.start, window.start, path)]
        return {"cpu_s": cpu_s, **_judge_models(self.stream, window, models, self.judged)}

    def _incremental(self, window: _Window) -> dict[str, Any]:
        edges = np.linspace(window.start, window.stop, self.publish + 1).round().astype(int).tolist()
        models, cpu_s = [(window.start, window.start, self._updated(window.start))], 0.0
        for at, after in itertools.pairwise(edges):
            began_s = time.process_time()
            out = self.place / f"updated-{after}"
            update_bundle(models[-1][2], self.stream.until(after), out, after=at, overwrite=True)
            cpu_s += time.process_time() - began_s
            models.append((after, after, out))
        found = _judge_models(self.stream, window, models[:-1], self.judged)
        return {"cpu_s": cpu_s, **found}

    def _trained(self, events: int) -> tuple[Path, float]:
        out = self.place / f"trained-{events}"
        if not (out / "cost.json").is_file():
            began_s = time.process_time()
            train(self.stream.schema, self.stream.until(events), out, overwrite=True)
            cpu_s = time.process_time() - began_s
            (out / "cost.json").write_text(json.dumps(cpu_s), encoding="utf-8")
        return out, float(json.loads((out / "cost.json").read_text(encoding="utf-8")))

    def _updated(self, events: int) -> Path:
        first = self.windows[0].start
        return self._trained(first)[0] if events == first else self.place / f"updated-{events}"


def _auc(run: _Run, window: _Window, cell: Mapping[str, Any]) -> float:
    _, places = _judged(run.stream, window, run.judged)
    label = run.stream.label[places]
    return float(roc_auc_score(label, cell["scores"])) if 0 < label.sum() < len(label) else float("nan")


def _report(run: _Run) -> dict[str, Any]:
    """Tables of what is there: windows that all contenders have, but for the retrained one, which has fewer."""
    some = [name for name in CONTENDERS if name != "retrain"]
    whole = [w for w in run.windows if all(run.read(name, w) is not None for name in some)]
    cells = {name: [run.read(name, w) for w in whole] for name in CONTENDERS}
    both = [k for k, one in enumerate(cells["retrain"]) if one is not None]
    if not whole or not both:
        return {}
    nan = float("nan")
    ndcg = {n: [nan if c is None else float(np.mean(c["gains"])) for c in of] for n, of in cells.items()}
    auc = {
        n: [nan if c is None else _auc(run, w, c) for w, c in zip(whole, of, strict=True)]
        for n, of in cells.items()
    }
    for what, found in (("NDCG@10", ndcg), (f"AUC of {run.stream.task}", auc)):
        rows = [[w.number, *(_shown(found[name][k]) for name in CONTENDERS)] for k, w in enumerate(whole)]
        rows.append(["mean", *(_shown(float(np.mean(found[name]))) for name in CONTENDERS)])
        rows.append(
            ["with retraining", *(_shown(float(np.mean(np.array(found[n])[both]))) for n in CONTENDERS)]
        )
        print_table(f"{what} by window", ["window", *CONTENDERS], rows)
    events = sum(whole[k].stop - whole[k].start for k in both)
    width = events / len(both)
    cost = {name: sum((of[k] or {})["cpu_s"] for k in both) for name, of in cells.items()}
    lag = {"retrain": width / 2, "incremental": width / run.publish / 2}
    print_table(
        f"cost and lag over {events:,} events in the {len(both)} windows with retraining",
        ["", "processor s", "ms an event", "share of retraining", "lag, events", "s to open a bundle"],
        [
            [name, f"{cost[name]:.1f}", f"{cost[name] / events * 1e3:.3f}", f"{cost[name] / max(cost['retrain'], 1e-9):.4f}",
             f"{lag[name]:.0f}" if name in lag else "",
             f"{np.mean([(cells[name][k] or {}).get('open_s', 0.0) for k in both]):.2f}"]
            for name in CONTENDERS
        ],
    )  # fmt: skip
    for other, at in (("frozen", list(range(len(whole)))), ("retrain", both)):
        ours, theirs = (
            np.concatenate([(cells[name][k] or {})["gains"] for k in at]) for name in ("incremental", other)
        )
        low, high = _interval(ours - theirs)
        pairs = {
            what: (np.array(of["incremental"])[at], np.array(of[other])[at])
            for what, of in (("NDCG@10", ndcg), ("AUC", auc))
        }
        relative = ", ".join(f"{what} {a.mean() / b.mean() - 1:+.2%}" for what, (a, b) in pairs.items())
        ahead = " and ".join(f"{int((a > b).sum())} ({what})" for what, (a, b) in pairs.items())
        print(
            f"incremental less {other}, NDCG@10: {np.mean(ours - theirs):+.4f} [{low:+.4f}, {high:+.4f}]; relative {relative}; "
            f"ahead in {ahead} of {len(at)} windows"
        )
    return {"ndcg": ndcg, "auc": auc, "cpu_s": cost, "events": events, "windows": len(whole)}


def _shown(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """95 % of the mean of paired differences, by draws of events."""
    rng = np.random.default_rng(0)
    draws = rng.integers(len(differences), size=(_DRAWS, len(differences)))
    low, high = np.quantile(differences[draws].mean(1), [0.025, 0.975]).tolist()
    return low, high


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--set", choices=("movielens-100k", "movielens-1m", "world"), default="movielens-100k"
    )
    parser.add_argument("--out", type=Path, default=Path("prequential"))
    parser.add_argument("--windows", type=int)
    parser.add_argument("--start", type=float, default=0.5)
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--publish", type=int, default=5)
    parser.add_argument("--judged", type=int)
    parser.add_argument("--retrain-every", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cells", type=int, default=10**6)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    place = asked.out / asked.set
    place.mkdir(parents=True, exist_ok=True)
    stream = read_stream(asked.set, place, asked.events)
    windows = _windows(stream, asked.start, asked.windows or (5 if asked.quick else 20))
    judged = asked.judged or (100 if asked.quick else 400)
    run = _Run(stream, place, windows, asked.publish, judged, asked.retrain_every)
    watch = MachineWatch()
    with watch.over(asked.set):
        for name, window, make in itertools.islice(run.cells(), asked.cells):
            began_s = time.process_time()
            cell = make()
            print(
                f"window {window.number} (events {window.start + 1:,} to {window.stop:,}), {name}: NDCG@10 "
                f"{np.mean(cell['gains']):.4f}, AUC {_auc(run, window, cell):.4f}, {cell['cpu_s']:.1f} s of learning, "
                f"{time.process_time() - began_s:.1f} s in all",
                flush=True,
            )
    print(f"\n{asked.set}{' (synthetic)' if stream.synthetic else ''}: {len(stream):,} events")
    results = _report(run)
    print_machine(watch)
    write_json(asked.json, "prequential", watch, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
