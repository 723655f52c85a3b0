"""The machine a benchmark ran on, and how quiet it was."""

from __future__ import annotations

import os
import platform
import resource

import torch

from benchmarks._plain import machine_flops_per_s

__all__ = ["MachineWatch", "peak_rss_bytes"]

_DISTURBED = 0.8  # a product rate below this share of the best one seen means that something else was running


class MachineWatch:
    """Measures the machine's own matrix-product rate between contenders.

    Two contenders are comparable only if the machine was the same for both. On a machine shared with others it is
    not, and with all cores in use a single busy neighbour can cost a factor of ten, because threads wait for the
    slowest; so the rate is taken before and after every contender and printed.
    """

    def __init__(self) -> None:
        self._rates: dict[str, float] = {}

    def look(self, moment: str) -> float:
        """Measure now; returns floating-point operations a second."""
        self._rates[moment] = machine_flops_per_s()
        return self._rates[moment]

    @property
    def best_flops_per_s(self) -> float:
        """The best rate seen, which is taken for the machine's own."""
        return max(self._rates.values())

    def disturbances(self) -> list[str]:
        """A sentence for each moment at which the machine was clearly slower than at its best."""
        best = self.best_flops_per_s
        return [
            f"{moment}: the machine reached {rate / best:.0%} of its best rate; the timings beside it are not reliable"
            for moment, rate in self._rates.items()
            if rate < _DISTURBED * best
        ]

    def facts(self) -> dict[str, object]:
        """What a reader of the JSON file needs to know about the machine."""
        return {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "cores": os.cpu_count(),
            "load_average_1min": os.getloadavg()[0],
            "matrix_product_flops_per_s": dict(self._rates),
        }


def peak_rss_bytes() -> int:
    """Most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
