"""Training speed and accuracy of motet and its peers: same clicks, same network, one process, one table.

bash benchmarks/setup_peers.sh
.venv-peers/bin/python -m benchmarks.train_speed --ids 155000 6000000 --rows 200000 --json train_speed.json
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks._contenders import CONTENDERS, PEERS, load_contender
from benchmarks._data import ClickData, make_clicks
from benchmarks._machine import MachineWatch, peak_rss_bytes
from benchmarks._plain import flops_per_row, plain_rows_per_s
from benchmarks._results import SpeedResult, auc_per_task
from benchmarks._setting import SETTING

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class Round:
    """All contenders on one data set.

    Attributes:
        ids: Ids in all tables.
        plain_rows_per_s: Forward and backward alone of the plain layout on ready tensors.
        truth_auc: Area under the ROC curve of the true probabilities, by task: the ceiling.
        results: By contender.
    """

    ids: int
    plain_rows_per_s: float
    truth_auc: dict[str, float]
    results: dict[str, SpeedResult]


def measure(data: ClickData, ids: int, names: Sequence[str], seed: int, watch: MachineWatch) -> Round:
    """Run every contender in turn on the same clicks."""
    with watch.over(f"{ids:,} ids, plain layout"):
        plain = plain_rows_per_s(data, seed)
    results = {}
    for name in names:
        print(f"{ids:,} ids: {name} …", flush=True)
        with watch.over(f"{ids:,} ids, {name}"):
            results[name] = load_contender(name).train_rate(data, ids, seed)
        print(f"  {results[name].rows_per_s:,.0f} rows/s, mean AUC {results[name].mean_auc:.4f}", flush=True)
        gc.collect()
    return Round(ids, plain, auc_per_task(data, data.truth[data.test]), results)


def table(rounds: Sequence[Round], flops_a_row: int, best_flops_per_s: float) -> str:
    """The figures as a Markdown table; a ratio is motet's rows a second over that line's."""
    tasks = list(rounds[0].truth_auc)
    lines = [
        "| ids | contender | rows/s | motet is | loader alone, rows/s | of the machine's product rate | "
        + " | ".join(f"AUC {task}" for task in tasks)
        + " |",
        "|---:|---|---:|---:|---:|---:|" + "---:|" * len(tasks),
    ]

    def line(
        ids: int,
        name: str,
        rate: float | None,
        ours: float | None,
        loader: float | None,
        auc: dict[str, float],
    ) -> str:
        cells = [
            f"{ids:,}",
            name,
            f"{rate:,.0f}" if rate else "",
            f"{ours / rate:.2f}×" if rate and ours else "",
            f"{loader:,.0f}" if loader else "",
            f"{rate * flops_a_row / best_flops_per_s:.1%}" if rate else "",
            *(f"{auc[task]:.4f}" if auc else "" for task in tasks),
        ]
        return "| " + " | ".join(cells) + " |"

    for entry in rounds:
        motet = entry.results.get("motet")
        ours = motet.rows_per_s if motet else None
        for result in entry.results.values():
            lines.append(
                line(
                    entry.ids,
                    result.name,
                    result.rows_per_s,
                    ours,
                    result.loader_rows_per_s,
                    dict(result.auc),
                )
            )
        plain = "plain layout, forward+backward only"
        lines.append(line(entry.ids, plain, entry.plain_rows_per_s, ours, None, {}))
        lines.append(line(entry.ids, "the truth", None, None, None, entry.truth_auc))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the JSON file if asked; returns 0."""
    options = _parser().parse_args(arguments)
    names = [*options.peer, *([] if options.no_motet else ["motet"])]
    if not options.no_motet and torch.cpu._is_amx_tile_supported():  # elsewhere bf16 products are emulated
        names.append("motet-bf16")
    for name in names:
        load_contender(name)  # a missing package is reported now, not after minutes
    torch.set_num_threads(options.threads or torch.get_num_threads())
    watch, rounds = MachineWatch(), []
    for ids in options.ids:
        data = make_clicks(options.rows, ids, options.seed, options.layout)
        rounds.append(measure(data, ids, names, options.seed, watch))
    categories, numbers, tasks = len(data.table_sizes), data.numbers.shape[1], data.labels.shape[1]
    flops_a_row = flops_per_row(categories, numbers, tasks)
    best = watch.best_flops_per_s
    print(
        f"\n{options.rows:,} rows, layout {options.layout}, batch {SETTING.batch_rows:,}, "
        f"{torch.get_num_threads()} threads, float32 product {best / 1e9:,.0f} GFLOP/s\n"
    )
    print(table(rounds, flops_a_row, best))
    for name in names:
        rates = {entry.ids: entry.results[name].rows_per_s for entry in rounds}
        if len(rates) > 1:
            small, large = min(rates), max(rates)
            print(
                f"\n{name}: {large:,} ids run at {rates[large] / rates[small]:.0%} of the rate with {small:,}."
            )
    for sentence in watch.disturbances():
        print(f"\nwarning: {sentence}")
    if options.json:
        _write(options, rounds, watch, flops_a_row)
    return 0


def _write(
    options: argparse.Namespace, rounds: Sequence[Round], watch: MachineWatch, flops_a_row: int
) -> None:
    report = {
        "benchmark": "train_speed",
        "rows": options.rows,
        "layout": options.layout,
        "seed": options.seed,
        "setting": asdict(SETTING),
        "machine": watch.facts(),
        "disturbances": watch.disturbances(),
        "flops_per_row": flops_a_row,
        "peak_rss_bytes": peak_rss_bytes(),
        "rounds": [
            asdict(entry)
            | {"rows_per_s": {name: result.rows_per_s for name, result in entry.results.items()}}
            for entry in rounds
        ],
    }
    options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.train_speed", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--ids", type=int, nargs="+", default=[155_000, 6_000_000], help="ids in all 20 tables"
    )
    parser.add_argument("--rows", type=int, default=200_000, help="rows, of which a fifth is held out")
    parser.add_argument("--peer", nargs="*", choices=PEERS, default=list(PEERS), help="peers to run")
    parser.add_argument("--no-motet", action="store_true", help=f"run only peers, of {', '.join(CONTENDERS)}")
    parser.add_argument(
        "--layout",
        choices=("entities", "flat"),
        default="entities",
        help="entities: a user's and an item's features repeat, as in logs; flat: every row is its own",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the clicks and of the weights")
    parser.add_argument(
        "--threads", type=int, default=0, help="threads for every contender; 0 leaves torch's default"
    )
    parser.add_argument("--json", type=Path, help="write all figures here")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
