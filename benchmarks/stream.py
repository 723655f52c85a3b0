"""Training from Parquet that does not fit: 20 million simulated interactions beside 1 million.

    python -m benchmarks.stream [--rows 1000000 20000000] [--json FILE]

Each size runs in a process of its own, so that its peak of resident memory is its own. The data is
synthetic (``motet.datasets.generate``); what is measured is the reader, the encoder and the loop.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

USERS, ITEMS = 100_000, 50_000


def measure(rows: int, steps: int, seed: int) -> dict[str, float]:
    """Write a world, build its data set, train some steps; seconds, rows/s and memory of each part."""
    import numpy as np  # noqa: PLC0415 (each size measures a fresh process)

    from motet.data import build_dataset  # noqa: PLC0415
    from motet.datasets import SyntheticWorld, generate  # noqa: PLC0415
    from motet.schema import Schema  # noqa: PLC0415
    from motet.training import TrainingStep  # noqa: PLC0415

    place = Path(tempfile.mkdtemp(prefix="motet-stream-"))
    try:
        world = SyntheticWorld.parse({"interactions": rows, "users": USERS, "items": ITEMS, "seed": seed})
        began = time.perf_counter()
        generate(world, place / "world")
        wrote_s = time.perf_counter() - began
        schema = Schema.load(place / "world" / "schema.yaml", [f"training.seed={seed}"])

        def short_vectors(texts: object) -> object:
            # text is encoded once a distinct item whatever the number of rows: not what is measured here
            count = len(texts)  # type: ignore[arg-type]
            return np.random.default_rng(seed).standard_normal((count, 32)).astype(np.float32)

        began = time.perf_counter()
        data = build_dataset(
            schema,
            place / "world",
            encode_text=short_vectors,  # type: ignore[arg-type]
            spill_directory=place / "columns",
        )
        built_s = time.perf_counter() - began
        step = TrainingStep(data, schema)
        batches = step.batcher.epoch(
            data.rows("train"), schema.training.rows_a_step(len(data.rows("train"))), (seed, 0)
        )
        trained = 0
        for number, batch in enumerate(batches):
            if number == 20:
                began, trained = time.perf_counter(), 0
            step(batch, schema.training.learning_rate)
            trained += len(batch)
            if number == 20 + steps:
                break
        train_s = time.perf_counter() - began
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return {
        "rows": rows,
        "write_s": wrote_s,
        "build_s": built_s,
        "build_rows_per_s": rows / built_s,
        "train_rows_per_s": trained / train_s,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Measure each size and print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 20_000_000])
    parser.add_argument("--steps", type=int, default=300, help="timed training steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(measure(arguments.one, arguments.steps, arguments.seed)))
        return
    found = []
    for rows in arguments.rows:
        command = [sys.executable, "-m", "benchmarks.stream", "--one", str(rows)]
        command += ["--steps", str(arguments.steps), "--seed", str(arguments.seed)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    print("synthetic worlds, 100,000 users, 50,000 items\n")
    print("| interactions | build, rows/s | train, rows/s | peak resident memory |\n|---:|---:|---:|---:|")
    for f in found:
        print(
            f"| {f['rows']:,} | {f['build_rows_per_s']:,.0f} | {f['train_rows_per_s']:,.0f} | {f['peak_rss_mib']:,.0f} MiB |"
        )
    if len(found) > 1:
        print(
            f"\ntraining rate, last beside first: {found[-1]['train_rows_per_s'] / found[0]['train_rows_per_s']:.2f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
