"""Who can be measured, and how each is called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks._data import Candidates, ClickData
from benchmarks._results import SpeedResult

__all__ = ["CONTENDERS", "PEERS", "Contender", "load_contender"]


class Contender(Protocol):
    """What a module of :data:`CONTENDERS` offers."""

    def train_rate(self, data: ClickData, ids: int, seed: int) -> SpeedResult:
        """Train exactly one epoch; warm-up batches first, the rest on the clock."""
        ...

    def score_call(
        self, data: ClickData, candidates: Candidates, seed: int
    ) -> Callable[[], NDArray[np.float32]]:
        """A call that scores the candidates on all tasks, shape [n, T], and does nothing else."""
        ...


CONTENDERS: Final = {
    "torch-rechub": "benchmarks._peer_torch_rechub",
    "deepctr": "benchmarks._peer_deepctr",
    "motet": "benchmarks._ours",
    "motet-bf16": "benchmarks._ours_bf16",
}
PEERS: Final = ("torch-rechub", "deepctr")


def load_contender(name: str) -> Contender:
    """Import a contender's module.

    Args:
        name: A key of :data:`CONTENDERS`.

    Raises:
        SystemExit: It is not there; the message says what to run.
    """
    try:
        return cast(Contender, importlib.import_module(CONTENDERS[name]))
    except ModuleNotFoundError as missing:
        if missing.name == CONTENDERS[name]:
            cure = (
                f"{CONTENDERS[name].replace('.', '/')}.py does not exist in this checkout; leave {name} out"
            )
        else:
            cure = (
                "run `bash benchmarks/setup_peers.sh` once, then this benchmark with .venv-peers/bin/python"
            )
        raise SystemExit(
            f"{name} cannot be measured: module {missing.name!r} is missing. Cure: {cure}."
        ) from missing
