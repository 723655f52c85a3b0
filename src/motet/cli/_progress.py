"""Progress on the terminal: one line a stage, on standard error, quiet where nobody looks."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import TaskID

    from motet.schema import Progress as Report

__all__ = ["progress_on_terminal"]

_QUIET_S = 5.0


@contextmanager
def progress_on_terminal(quiet: bool = False) -> Iterator[Report]:
    """A report function for long work: bars on a terminal, a line every few seconds in a log.

    Args:
        quiet: Say nothing.
    """
    if quiet:
        from motet.schema import silent  # noqa: PLC0415 (a command imports what it uses)

        yield silent
        return
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        stages: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            stage = what.partition(":")[0]
            if stage not in stages:
                stages[stage] = bars.add_task(what, total=total)
            bars.update(stages[stage], description=what, completed=done, total=max(total, 1))

        yield report


def _lines() -> Report:
    last: dict[str, float] = {}

    def report(what: str, done: int, total: int) -> None:
        stage, now = what.partition(":")[0], time.monotonic()
        if stage not in last or now - last[stage] >= _QUIET_S or done >= total:
            last[stage] = now
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return report
