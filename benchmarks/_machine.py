"""The machine a benchmark ran on, and how quiet it was."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from benchmarks._plain import machine_flops_per_s

__all__ = ["MachineWatch", "peak_rss_bytes"]

_LOUD = 0.05  # share of all cores' time spent by other processes, above which a timing is called unreliable


class MachineWatch:
    """Tells whether a timing was disturbed, and how fast the machine is.

    With all cores in use one busy neighbour can cost a factor of ten, because threads wait for the slowest; and it
    need not cost two contenders alike. So the processor time that everybody else took while a contender ran is
    recorded beside it.
    """

    def __init__(self) -> None:
        self._flops_per_s: list[float] = []
        self._others: dict[str, float] = {}

    @contextmanager
    def over(self, what: str) -> Iterator[None]:
        """Watch a contender run; the machine's matrix-product rate is taken just before."""
        self._flops_per_s.append(machine_flops_per_s())
        began_s, busy_s, own_s = time.perf_counter(), _busy_s(), _own_s()
        yield
        elapsed_s = time.perf_counter() - began_s
        others_s = (_busy_s() - busy_s) - (_own_s() - own_s)
        self._others[what] = max(0.0, others_s / (elapsed_s * (os.cpu_count() or 1)))

    @property
    def best_flops_per_s(self) -> float:
        """The best rate seen of a float32 matrix product, which is taken for the machine's own."""
        return max(self._flops_per_s)

    def disturbances(self) -> list[str]:
        """A sentence for each watched run that other processes disturbed."""
        return [
            f"{what}: other processes took {share:.0%} of the processor meanwhile; this timing is not reliable"
            for what, share in self._others.items()
            if share > _LOUD
        ]

    def facts(self) -> dict[str, object]:
        """What a reader of the JSON file needs to know about the machine."""
        return {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "cores": os.cpu_count(),
            "matrix_product_flops_per_s": self._flops_per_s,
            "share_of_processor_taken_by_others": self._others,
        }


def peak_rss_bytes() -> int:
    """Most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _busy_s() -> float:
    """Processor seconds spent by everybody since the machine started, time stolen by a hypervisor included."""
    times = psutil.cpu_times()._asdict()
    idle = times["idle"] + times.get("iowait", 0.0)
    counted_twice = times.get("guest", 0.0) + times.get("guest_nice", 0.0)  # already within user and nice
    return float(sum(times.values()) - idle - counted_twice)


def _own_s() -> float:
    """Processor seconds spent by this process and the workers it has waited for."""
    times = psutil.Process().cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
