"""Latency of scoring many items for one user on all tasks: motet and its peers, same features, one process.

    bash benchmarks/setup_peers.sh
    .venv-peers/bin/python -m benchmarks.score_speed --json score_speed.json

A peer's call is its forward pass on prepared tensors. Calls alternate in blocks, see
:func:`benchmarks._results.interleaved_latency`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks._contenders import PEERS, load_contender
from benchmarks._data import make_candidates, make_clicks
from benchmarks._machine import MachineWatch
from benchmarks._results import ScoreResult, interleaved_latency
from benchmarks._setting import SETTING

__all__ = ["main"]


def table(results: Sequence[ScoreResult]) -> str:
    """The figures as a Markdown table; a ratio is that line's median over motet's."""
    ours = next((result.median_s for result in results if result.name == "motet"), None)
    lines = ["| contender | median ms | p99 ms | p99 / median | motet is |", "|---|---:|---:|---:|---:|"]
    for result in results:
        ratio = f"{result.median_s / ours:.2f}×" if ours else ""
        lines.append(
            f"| {result.name} | {result.median_s * 1e3:.3f} | {result.p99_s * 1e3:.3f} "
            f"| {result.p99_s / result.median_s:.2f} | {ratio} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the JSON file if asked; returns 0."""
    options = _parser().parse_args(arguments)
    names = [*options.peer, *([] if options.no_motet else ["motet"])]
    contenders = {name: load_contender(name) for name in names}
    torch.set_num_threads(options.threads or torch.get_num_threads())
    watch = MachineWatch()
    data = make_clicks(options.rows, options.ids, options.seed)
    candidates = make_candidates(data, options.candidates, options.seed)
    calls = {name: module.score_call(data, candidates, options.seed) for name, module in contenders.items()}
    with watch.over("scoring"):
        results = interleaved_latency(calls, options.candidates, options.calls)
    print(
        f"{options.candidates:,} items for one user, {options.ids:,} ids, {options.calls} calls, "
        f"{torch.get_num_threads()} threads\n"
    )
    print(table(results))
    for sentence in watch.disturbances():
        print(f"\nwarning: {sentence}")
    if options.json:
        report = {
            "benchmark": "score_speed",
            "ids": options.ids,
            "setting": asdict(SETTING),
            "machine": watch.facts(),
            "disturbances": watch.disturbances(),
            "results": [asdict(result) for result in results],
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.score_speed", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--candidates", type=int, default=1000, help="items scored in one call")
    parser.add_argument("--calls", type=int, default=200, help="timed calls per contender")
    parser.add_argument("--ids", type=int, default=155_000, help="ids in all 20 tables")
    parser.add_argument(
        "--rows", type=int, default=20_000, help="rows that the one user and context are drawn from"
    )
    parser.add_argument("--peer", nargs="*", choices=PEERS, default=list(PEERS), help="peers to run")
    parser.add_argument("--no-motet", action="store_true", help="run only peers")
    parser.add_argument("--seed", type=int, default=0, help="of the clicks and of the weights")
    parser.add_argument(
        "--threads", type=int, default=0, help="threads for every contender; 0 leaves torch's default"
    )
    parser.add_argument("--json", type=Path, help="write all figures here")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
