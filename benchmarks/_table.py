"""Plain tables on a terminal, and the file beside them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks._machine import MachineWatch

__all__ = ["print_machine", "print_table", "write_json"]


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows in columns: words to the left, numbers to the right."""
    cells = [list(head), *[[_cell(one) for one in row] for row in rows]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        words = [f"{one:<{w}}" if not at else f"{one:>{w}}" for at, (one, w) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        print("  ".join(words).rstrip())
        if number == 0:
            print("  ".join("-" * w for w in widths))


def _cell(one: Any) -> str:
    if isinstance(one, bool) or not isinstance(one, int | float):
        return str(one)
    if isinstance(one, int):
        return f"{one:,}"
    return f"{one:,.0f}" if abs(one) >= 100 else f"{one:.2f}" if abs(one) >= 0.1 else f"{one:.4f}"


def print_machine(watch: MachineWatch) -> None:
    """Say what machine it was, and how quiet."""
    facts = watch.facts()
    memory_gib = psutil.virtual_memory().total / 2**30
    print(
        f"\n{datetime.date.today()} · {facts['cores']} cores · {memory_gib:.0f} GiB · "
        f"{watch.best_flops_per_s / 1e9:.0f} GFLOP/s float32 matrix product · Python {facts['python']} · "
        f"torch {facts['torch']} · {facts['platform']}"
    )
    for sentence in watch.disturbances():
        print(f"warning: {sentence}")


def write_json(path: Path | None, name: str, watch: MachineWatch, results: Mapping[str, Any]) -> None:
    """Write what was found, if asked."""
    if path is not None:
        report = {
            "benchmark": name,
            "date": str(datetime.date.today()),
            "machine": watch.facts(),
            "results": results,
        }
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
