"""DeepCTR-Torch 0.3.0: its MMOE with its own compile, fit and predict.

What is its own here: one table per feature and one module per expert, all features copied into one float matrix (ids
above 2**24 would collide; none here is), Adam over whole tables. What was chosen for it: no L2 penalty on embeddings
(its default of 1e-5 sums the squares of every table at every step) and gates without a hidden layer, as everywhere
in this comparison. Both make it faster.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
import types
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._data import CATEGORIES, NUMBERS, TASKS, Candidates, ClickData
from benchmarks._results import SpeedResult, auc_per_task
from benchmarks._setting import SETTING

__all__ = ["DeepctrMmoe", "score_call", "train_rate"]


class DeepctrMmoe:
    """The peer's model, compiled.

    Args:
        data: The clicks whose tables it needs.
        seed: For weights and shuffling.
        l2_embedding: Its penalty on embedding tables.
    """

    def __init__(self, data: ClickData, seed: int, l2_embedding: float = 0.0) -> None:
        inputs, models = _import_deepctr()
        columns = [
            inputs.SparseFeat(name, vocabulary_size=size, embedding_dim=SETTING.embedding_width)
            for name, size in zip(CATEGORIES, data.table_sizes, strict=True)
        ]
        columns += [inputs.DenseFeat(name, 1) for name in NUMBERS]
        self.model = models.MMOE(
            columns,
            num_experts=SETTING.experts,
            expert_dnn_hidden_units=SETTING.expert_widths,
            gate_dnn_hidden_units=(),
            tower_dnn_hidden_units=SETTING.tower_widths,
            l2_reg_embedding=l2_embedding,
            seed=seed,
            task_types=["binary"] * len(TASKS),
            task_names=list(TASKS),
            device="cpu",
        )
        optimizer = torch.optim.Adam(self.model.parameters(), lr=SETTING.learning_rate)
        self.model.compile(optimizer, ["binary_crossentropy"] * len(TASKS))

    def train(self, data: ClickData, rows: slice) -> float:
        """One epoch of its fit on some rows; returns the seconds it took, its copying of the features included."""
        x, y = _columns(data.codes[rows], data.numbers[rows]), data.labels[rows]
        began_s = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            self.model.fit(x, y, batch_size=SETTING.batch_rows, epochs=1, verbose=0)
        return time.perf_counter() - began_s

    def predict(self, codes: NDArray[np.int32], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities, shape [N, T]."""
        predictions: NDArray[np.float32] = self.model.predict(_columns(codes, numbers), 4096)
        return predictions


def train_rate(data: ClickData, ids: int, seed: int, l2_embedding: float = 0.0) -> SpeedResult:
    """Train one epoch: a short warm-up, then the rest on the clock.

    Args:
        data: The clicks.
        ids: Ids in all tables, for the record.
        seed: For weights and shuffling.
        l2_embedding: Its penalty on embedding tables.
    """
    peer = DeepctrMmoe(data, seed, l2_embedding)
    cut = SETTING.warmup_batches * SETTING.batch_rows
    peer.train(data, slice(0, cut))
    elapsed_s = peer.train(data, slice(cut, data.train_rows))
    return SpeedResult(
        name=f"DeepCTR-Torch {version('deepctr-torch')}",
        rows=data.train_rows - cut,
        elapsed_s=elapsed_s,
        auc=auc_per_task(data, peer.predict(data.codes[data.test], data.numbers[data.test])),
        extra={"ids": ids, "l2_embedding": l2_embedding},
    )


def score_call(data: ClickData, candidates: Candidates, seed: int) -> Callable[[], NDArray[np.float32]]:
    """Its forward pass on the candidates, as one ready tensor.

    Args:
        data: The clicks whose tables it needs.
        candidates: What to score.
        seed: For the weights, which are left as drawn: they do not change the time.
    """
    model = DeepctrMmoe(data, seed).model.eval()
    inputs = torch.from_numpy(np.hstack([candidates.codes.astype(np.float32), candidates.numbers]))

    def call() -> NDArray[np.float32]:
        with torch.inference_mode():
            predictions: NDArray[np.float32] = model(inputs).numpy()
        return predictions

    return call


def _import_deepctr() -> tuple[Any, Any]:
    """Its modules ``inputs`` and ``models``, without the version check that it starts on import.

    That check is a thread that asks a server for newer versions: it would run beside the clock, hang where there is
    no network, and need a package that DeepCTR-Torch does not declare. Nothing else lives in the module replaced.
    """
    quiet = types.ModuleType("deepctr_torch.utils")
    quiet.check_version = lambda _version: None  # type: ignore[attr-defined]
    sys.modules.setdefault("deepctr_torch.utils", quiet)
    from deepctr_torch import inputs, models  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

    return inputs, models


def _columns(codes: NDArray[np.int32], numbers: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {name: codes[:, column] for column, name in enumerate(CATEGORIES)}
    return columns | {name: numbers[:, column] for column, name in enumerate(NUMBERS)}
