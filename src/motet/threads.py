"""How many threads a process uses: chosen once, before the libraries that start them are loaded."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

__all__ = ["choose_threads", "chosen_threads", "usable_cores"]

_CGROUP = Path("/sys/fs/cgroup")
_COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)


def usable_cores() -> int:
    """Cores that this process may use: its affinity, and the processor quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


def chosen_threads() -> int:
    """Threads of this process: ``OMP_NUM_THREADS`` if it is set, else the usable cores."""
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(said) if said.isdigit() and int(said) else usable_cores()


def choose_threads(threads: int | None = None) -> int:
    """Choose the threads of PyTorch, BLAS, Polars and text encoders for this process and its children.

    Threads of OpenMP that wait are put to sleep (``OMP_WAIT_POLICY=PASSIVE``) unless the environment says
    otherwise: by default they spin, and two processes on the same cores then take each other's time.
    Both only take full effect before PyTorch is loaded; if it is, its count is changed and no more.

    Args:
        threads: How many, ≥ 1; as :func:`chosen_threads` when left out.

    Returns:
        The number of threads.
    """
    count = threads or chosen_threads()
    for name in _COUNTS:
        if threads is not None:
            os.environ[name] = str(count)
        else:
            os.environ.setdefault(name, str(count))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads") and torch.get_num_threads() != count:
        torch.set_num_threads(count)
    return count


def _quota() -> float | None:
    """Cores that the control group allows, as a number; None without a limit."""
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()[:2]
    except (OSError, ValueError):
        try:
            quota = (_CGROUP / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (_CGROUP / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):  # "max"
        return None
