"""A warm start where the target has few rows: gain over training from scratch, by the share of its rows.

    python -m benchmarks.transfer [PAIR …] [--shares 0.01 0.05 0.2 1] [--seeds 0] [--source-rows 100000] [--epochs 4]
                                  [--cells FILE] [--text]

films      MovieLens-1M, then MovieLens-100K. Their numbers of films differ, so a film is its title and year: 1,623 of
           the 1,682 films of the target are in the source. Users are other people. The source was collected later.
clothing   Reviews of the division General, then those of General Petite: other reviews of partly the same garments,
           which are no feature; words are shared.

Of the target a share of the training rows is kept, by a seeded draw; validation and test rows are the same for all. Both
runs have the same settings, choose their weights on validation rows and have no plain methods beside the network. The
source is as many rows as ``--source-rows``, of users drawn at random.

Each result is written to ``--cells`` when it is there, and a run that was interrupted goes on with the others. Features of
texts need an encoder and take long; ``--text`` keeps them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import motet
from motet.schema import Schema
from motet.training import Bundle, WarmStart, train

Tables = dict[str, pl.DataFrame]
TASKS = {"films": ("like", "next"), "clothing": ("recommended", "department")}
METRIC = {"like": "auc", "next": "ndcg@10", "recommended": "auc", "department": "macro_f1"}


def films(name: str) -> Tables:
    """MovieLens with films named by title and year."""
    place = motet.datasets.load(name).directory
    read = {table: pl.read_parquet(place / f"{table}.parquet") for table in ("users", "items", "ratings")}
    film = pl.format("{} ({})", pl.col("title").str.to_lowercase(), pl.col("year")).alias("film")
    items = read["items"].with_columns(film)
    ratings = read["ratings"].join(items.select("item_id", "film"), on="item_id").drop("item_id")
    return {
        "users": read["users"].with_columns(pl.col("age").cast(pl.Float64)),
        "items": items.drop("item_id").unique("film", keep="first", maintain_order=True),
        "ratings": ratings.sort("user_id", "timestamp", "film").with_columns(
            place=(pl.int_range(pl.len()).over("user_id") + 1) / pl.len().over("user_id")
        ),
    }


def reviews(division: str) -> Tables:
    """Reviews of one division, in a random order."""
    place = motet.datasets.load("clothing-reviews").directory
    table = pl.read_parquet(place / "reviews.parquet").filter(pl.col("division") == division)
    table = table.sample(fraction=1, shuffle=True, seed=0)
    return {"reviews": table.with_columns(place=(pl.int_range(pl.len()) + 1) / pl.len())}


PAIRS: Mapping[str, tuple[Callable[[], Tables], Callable[[], Tables], str]] = {
    "films": (lambda: films("movielens-1m"), lambda: films("movielens-100k"), "ratings"),
    "clothing": (lambda: reviews("General"), lambda: reviews("General Petite"), "reviews"),
}


def schema_of(pair: str, *, seed: int, epochs: int, text: bool) -> Schema:
    """The packaged schema with what both data sets have in common."""
    packaged = {"films": "movielens-1m", "clothing": "clothing-reviews"}[pair]
    content = motet.datasets.load(packaged).schema.model_dump()
    content["tasks"] = {name: content["tasks"][name] for name in TASKS[pair]}
    features = content["features"]
    if pair == "films":
        content["keys"]["item"] = "film"
        del features["item"]["item_id"]
        features["item"] = {"film": {"kind": "id"}, **features["item"]}
        features["user"]["age"] = {"kind": "numeric"}
        for name in ("history", "disliked"):
            features["user"][name]["of"] = "film"
    else:
        content["keys"] = {}
    if not text:
        for entity, of in features.items():
            features[entity] = {name: feature for name, feature in of.items() if feature["kind"] != "text"}
    content["split"] = {"by": "column", "column": "split"}
    content["model"] |= {"members": ()}
    content["training"] |= {"epochs": epochs, "seed": seed, "refit": False}
    return Schema.parse(content)


def written(tables: Tables, key: str, place: Path, *, share: float, seed: int, most: int = 0) -> Path:
    """Tables as files: training rows thinned out to a share, users drawn until there are as many rows as wanted."""
    rng, table = np.random.default_rng(seed), tables[key]
    if most and len(table) > most:
        if "user_id" in table.columns:
            counts = table.group_by("user_id", maintain_order=True).len()
            order = rng.permutation(len(counts))
            kept = order[np.cumsum(counts["len"].to_numpy()[order]) <= most]
            table = table.filter(pl.col("user_id").is_in(counts["user_id"].gather(kept).implode()))
        else:
            table = table.head(most)
    later = pl.when(pl.col("place") <= 0.9).then(pl.lit("validation")).otherwise(pl.lit("test"))
    split = pl.when(pl.col("place") <= 0.8).then(pl.lit("train")).otherwise(later)
    table = table.with_columns(split=split, draw=pl.Series(rng.random(len(table))))
    table = table.filter((pl.col("split") != "train") | (pl.col("draw") < share)).drop("place", "draw")
    place.mkdir()
    for name, of in {**tables, key: table}.items():
        of.write_parquet(place / f"{name}.parquet")
    return place


def row_of(pair: str, bundle: Bundle) -> dict[str, Any]:
    """The primary metric of each task."""
    metrics = bundle.metrics
    found: dict[str, Any] = {"rows": metrics["data"]["rows"]["train"]}
    for task in TASKS[pair]:
        values = metrics["ranking"] if task == "next" else metrics["tasks"][task]
        found[task] = values[METRIC[task]]
    if "start" in metrics:
        found["start"] = metrics["start"]["weights"]
    return found


def measure(pair: str, args: argparse.Namespace, cells: dict[str, Any], save: Callable[[], None]) -> None:
    """Fill the cells of one pair that are not there yet."""
    first, second, key = PAIRS[pair]
    setting = f"{args.source_rows} rows, {args.epochs} epochs{', text' if args.text else ''}"
    for seed in args.seeds:
        wanted = [
            (f"{pair}/{setting}/{share:g}/{way}/{seed}", share, way)
            for share in args.shares
            for way in ("scratch", "warm")
        ]
        if all(cell in cells for cell, _, _ in wanted):
            continue
        schema = schema_of(pair, seed=seed, epochs=args.epochs, text=args.text)
        with tempfile.TemporaryDirectory() as temporary:
            place = Path(temporary)
            data = written(first(), key, place / "source", share=1, seed=seed, most=args.source_rows)
            source = train(schema, data, place / "first").directory
            names = {"user_id": None} if pair == "films" else {}
            target = second()
            for cell, share, way in wanted:
                if cell in cells:
                    continue
                at = place / f"{share:g}"
                if not at.exists():
                    written(target, key, at, share=share, seed=seed)
                start = WarmStart(source, names) if way == "warm" else None
                cells[cell] = row_of(pair, train(schema, at, place / "b", start=start, overwrite=True))
                save()
                print(cell, file=sys.stderr, flush=True)
        print(table(pair, setting, args, cells) + "\n", flush=True)


def table(pair: str, setting: str, args: argparse.Namespace, cells: Mapping[str, Any]) -> str:
    """A line for each share; means over the seeds that are there."""
    heads = [f"{task}, {METRIC[task]}: {way}" for task in TASKS[pair] for way in ("scratch", "warm", "gain")]
    lines = [f"| {pair}: share | rows | {' | '.join(heads)} |", "|---:|---:|" + "---:|" * len(heads)]
    for share in args.shares:
        seeds = [s for s in args.seeds if f"{pair}/{setting}/{share:g}/warm/{s}" in cells]
        if not seeds:
            continue

        def values(way: str, what: str, share: float = share, seeds: list[int] = seeds) -> list[float]:
            found = [cells[f"{pair}/{setting}/{share:g}/{way}/{s}"][what] for s in seeds]
            return [float("nan") if value is None else float(value) for value in found]

        parts = []
        for task in TASKS[pair]:
            scratch, warm = np.mean(values("scratch", task)), np.mean(values("warm", task))
            parts += [f"{scratch:.4f}", f"{warm:.4f}", f"{warm - scratch:+.4f}"]
        lines.append(f"| {share:.0%} | {np.mean(values('warm', 'rows')):,.0f} | {' | '.join(parts)} |")
    return "\n".join(lines)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="*", default=list(PAIRS), metavar="PAIR")
    parser.add_argument("--shares", nargs="+", type=float, default=[0.01, 0.05, 0.2, 1.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--source-rows", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--cells", type=Path)
    parser.add_argument("--text", action="store_true")
    args = parser.parse_args()
    if unknown := set(args.pairs) - set(PAIRS):
        parser.error(f"no such pair: {', '.join(sorted(unknown))}; known: {', '.join(PAIRS)}")
    cells: dict[str, Any] = {}
    if args.cells is not None and args.cells.exists():
        cells = json.loads(args.cells.read_text(encoding="utf-8"))

    def save() -> None:
        if args.cells is not None:
            new = args.cells.with_suffix(".new")
            new.write_text(json.dumps(cells, indent=1) + "\n", encoding="utf-8")
            new.replace(args.cells)

    for pair in args.pairs:
        measure(pair, args, cells, save)


if __name__ == "__main__":
    main()
