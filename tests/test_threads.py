"""Threads are chosen, not inherited; what is chosen reaches the libraries that start them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
ASK = """
import sys
from motet.cli import main
main(sys.argv[1:])
import polars, torch
from motet.threads import chosen_threads
print("threads", torch.get_num_threads(), polars.thread_pool_size(), chosen_threads())
"""


def asked(*arguments: str, cores: int | None = None, **environment: str) -> tuple[list[int], str]:
    """Threads of PyTorch, Polars and text encoders in a new process, and what OpenMP says of itself."""
    clean = {k: v for k, v in os.environ.items() if k not in {*COUNTS, "OMP_WAIT_POLICY"}}
    usable = sorted(os.sched_getaffinity(0))
    if cores is not None and len(usable) < cores:
        pytest.skip(f"{cores} cores are needed")
    done = subprocess.run(
        [sys.executable, "-c", ASK, *arguments],
        env=clean | {"OMP_DISPLAY_ENV": "true"} | environment,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=None if cores is None else lambda: os.sched_setaffinity(0, usable[:cores]),
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("threads"))
    return [int(word) for word in line.split()[1:]], done.stderr


def test_one_thread_for_each_usable_core_and_none_that_spins() -> None:
    threads, openmp = asked("--version", cores=1)
    assert threads == [1, 1, 1]
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in openmp


def test_the_environment_and_the_option_decide() -> None:
    assert asked("--version", cores=2)[0] == [2, 2, 2]
    assert asked("--version", cores=2, OMP_NUM_THREADS="1")[0] == [1, 1, 1]
    threads, openmp = asked(
        "report", "nowhere", "--threads=2", cores=2, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="ACTIVE"
    )
    assert threads == [2, 2, 2]
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in openmp
