"""What a contender reports, and how it is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks._data import TASKS, ClickData

__all__ = ["ScoreResult", "SpeedResult", "auc_per_task", "interleaved_latency"]


@dataclass(frozen=True, slots=True)
class SpeedResult:
    """Training of one contender on one data set.

    Attributes:
        name: Contender and version.
        rows: Training rows in the measured part.
        elapsed_s: Seconds for them, the contender's own loader and optimiser included.
        auc: Area under the ROC curve on the held-out rows after exactly one epoch, by task.
        loader_rows_per_s: Rows a second of the loader alone, where it can run alone.
        extra: Anything else worth keeping in the JSON file, as numbers.
    """

    name: str
    rows: int
    elapsed_s: float
    auc: Mapping[str, float]
    loader_rows_per_s: float | None = None
    extra: Mapping[str, float] = field(default_factory=dict)

    @property
    def rows_per_s(self) -> float:
        """Training rows a second."""
        return self.rows / self.elapsed_s

    @property
    def mean_auc(self) -> float:
        """Plain mean over tasks."""
        return float(np.mean(list(self.auc.values())))


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """Latency of one contender's scoring call.

    Attributes:
        name: Contender and version.
        candidates: Items scored in one call.
        calls: Number of timed calls.
        median_s: Median seconds a call.
        p99_s: 99th percentile of seconds a call.
    """

    name: str
    candidates: int
    calls: int
    median_s: float
    p99_s: float


def auc_per_task(data: ClickData, predictions: NDArray[np.float32]) -> dict[str, float]:
    """Area under the ROC curve on the held-out rows.

    Args:
        data: The clicks.
        predictions: Scores of the held-out rows in file order, shape [N_test, T].

    Returns:
        The area by task.
    """
    labels = data.labels[data.test]
    if predictions.shape != labels.shape:
        raise ValueError(f"predictions have shape {predictions.shape}, the held-out labels {labels.shape}")
    return {task: float(roc_auc_score(labels[:, t], predictions[:, t])) for t, task in enumerate(TASKS)}


def interleaved_latency(
    contenders: Mapping[str, Callable[[], NDArray[np.float32]]], candidates: int, calls: int, block: int = 20
) -> list[ScoreResult]:
    """Time scoring calls of several contenders, in alternating blocks.

    Blocks, because a machine whose clock or neighbours change during the run then treats all contenders alike;
    the first call of a block is not timed, because it pays for the caches that the one before has filled.

    Args:
        contenders: By name, a call that returns predictions, shape [candidates, T].
        candidates: Items in one call.
        calls: Timed calls per contender, at least 1.
        block: Timed calls before the next contender's turn.
    """
    elapsed_s: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        for _ in range(block):
            shape = call().shape
        if shape != (candidates, len(TASKS)):
            raise ValueError(f"a scoring call returned shape {shape}, expected {(candidates, len(TASKS))}")
    for start in range(0, calls, block):
        for name, call in contenders.items():
            call()
            for _ in range(min(block, calls - start)):
                began_s = time.perf_counter()
                call()
                elapsed_s[name].append(time.perf_counter() - began_s)
    return [
        ScoreResult(name, candidates, len(times), float(np.median(times)), float(np.percentile(times, 99)))
        for name, times in elapsed_s.items()
    ]
