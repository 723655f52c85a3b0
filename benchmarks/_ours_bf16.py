"""motet with ``training.matmul: bf16``: the same step, for processors that multiply in it (AMX)."""

from __future__ import annotations

from benchmarks import _ours
from benchmarks._data import ClickData
from benchmarks._ours import score_call
from benchmarks._results import SpeedResult

__all__ = ["score_call", "train_rate"]


def train_rate(data: ClickData, ids: int, seed: int) -> SpeedResult:
    """As :func:`benchmarks._ours.train_rate`, with factors of matrix products rounded to bf16."""
    return _ours.train_rate(data, ids, seed, matmul="bf16")
