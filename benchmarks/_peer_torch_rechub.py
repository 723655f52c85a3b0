"""torch-rechub 0.9.0: its MMOE, its DataGenerator and its MTLTrainer, used as in its own multi-task examples.

What is its own here: one table and one module per feature and per expert, batch norm in every layer (it cannot be
switched off), a loader that collates row by row, and Adam over whole tables with the trainer's default weight decay of
1e-5. With 155,000 ids and 60,000 rows neither its accuracy nor its speed differed beyond noise without the decay.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_rechub.basic.features import (  # type: ignore[import-not-found,unused-ignore]
    DenseFeature,
    SparseFeature,
)
from torch_rechub.models.multi_task import MMOE  # type: ignore[import-not-found,unused-ignore]
from torch_rechub.trainers import MTLTrainer  # type: ignore[import-not-found,unused-ignore]
from torch_rechub.utils.data import DataGenerator  # type: ignore[import-not-found,unused-ignore]

from benchmarks._data import CATEGORIES, NUMBERS, TASKS, Candidates, ClickData
from benchmarks._results import SpeedResult, auc_per_task
from benchmarks._setting import SETTING

__all__ = ["RechubMmoe", "score_call", "train_rate"]


class RechubMmoe:
    """The peer's model with its trainer.

    Args:
        data: The clicks whose tables it needs.
        seed: For weights and shuffling.
        weight_decay: Passed to its Adam; the default is its trainer's own.
    """

    def __init__(self, data: ClickData, seed: int, weight_decay: float = 1e-5) -> None:
        torch.manual_seed(seed)
        features: list[Any] = [
            SparseFeature(name, vocab_size=size, embed_dim=SETTING.embedding_width)
            for name, size in zip(CATEGORIES, data.table_sizes, strict=True)
        ]
        features += [DenseFeature(name) for name in NUMBERS]
        kinds = ["classification"] * len(TASKS)
        self.model = MMOE(
            features,
            kinds,
            SETTING.experts,
            expert_params={"dims": list(SETTING.expert_widths)},
            tower_params_list=[{"dims": list(SETTING.tower_widths)} for _ in TASKS],
        )
        optimizer_params = {"lr": SETTING.learning_rate, "weight_decay": weight_decay}
        self.trainer = MTLTrainer(
            self.model, kinds, optimizer_params=optimizer_params, n_epoch=1, device="cpu"
        )

    def train(self, loader: Iterable[Any]) -> float:
        """One pass of its own training loop; returns the seconds it took."""
        began_s = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            self.trainer.train_one_epoch(loader)
        return time.perf_counter() - began_s

    def predict(self, codes: NDArray[np.int32], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities, shape [N, T], in slices that fit the cache."""
        self.model.eval()
        with torch.no_grad():
            return np.concatenate(
                [
                    self.model(_tensors(codes[start : start + 4096], numbers[start : start + 4096])).numpy()
                    for start in range(0, len(codes), 4096)
                ]
            )


def train_rate(data: ClickData, ids: int, seed: int, weight_decay: float = 1e-5) -> SpeedResult:
    """Train one epoch: a short warm-up, then the rest on the clock; and its loader alone, beforehand.

    Args:
        data: The clicks.
        ids: Ids in all tables, for the record.
        seed: For weights and shuffling.
        weight_decay: Passed to its Adam; the default is its trainer's own.
    """
    peer = RechubMmoe(data, seed, weight_decay)
    cut = SETTING.warmup_batches * SETTING.batch_rows
    warmup, rest = _loader(data, slice(0, cut)), _loader(data, slice(cut, data.train_rows))
    loader_rows_per_s = _loader_rate(data)
    peer.train(warmup)
    elapsed_s = peer.train(rest)
    return SpeedResult(
        name=f"torch-rechub {version('torch-rechub')}",
        rows=data.train_rows - cut,
        elapsed_s=elapsed_s,
        auc=auc_per_task(data, peer.predict(data.codes[data.test], data.numbers[data.test])),
        loader_rows_per_s=loader_rows_per_s,
        extra={"ids": ids, "weight_decay": weight_decay},
    )


def score_call(data: ClickData, candidates: Candidates, seed: int) -> Callable[[], NDArray[np.float32]]:
    """Its forward pass on the candidates, as ready tensors: neither its loader nor any conversion is on the clock.

    Args:
        data: The clicks whose tables it needs.
        candidates: What to score.
        seed: For the weights, which are left as drawn: they do not change the time.
    """
    model = RechubMmoe(data, seed).model.eval()
    inputs = _tensors(candidates.codes, candidates.numbers)

    def call() -> NDArray[np.float32]:
        with torch.inference_mode():
            predictions: NDArray[np.float32] = model(inputs).numpy()
        return predictions

    return call


def _loader(data: ClickData, rows: slice) -> Any:
    """Its loader over some rows, without worker processes, which is its default."""
    x: dict[str, NDArray[Any]] = {
        name: data.codes[rows, column].astype(np.int64) for column, name in enumerate(CATEGORIES)
    }
    x |= {name: np.ascontiguousarray(data.numbers[rows, column]) for column, name in enumerate(NUMBERS)}
    y = data.labels[rows]
    train, _, _ = DataGenerator(x, y).generate_dataloader(
        x_val=x, y_val=y, x_test=x, y_test=y, batch_size=SETTING.batch_rows
    )
    return train


def _loader_rate(data: ClickData, batches: int = 16) -> float:
    """Rows a second of the loader alone."""
    rows = min(batches * SETTING.batch_rows, data.train_rows)
    loader = _loader(data, slice(0, rows))
    began_s = time.perf_counter()
    seen = sum(len(y) for _, y in loader)
    return seen / (time.perf_counter() - began_s)


def _tensors(codes: NDArray[np.int32], numbers: NDArray[np.float32]) -> dict[str, torch.Tensor]:
    inputs = {
        name: torch.from_numpy(codes[:, column].astype(np.int64)) for column, name in enumerate(CATEGORIES)
    }
    return inputs | {name: torch.from_numpy(numbers[:, column].copy()) for column, name in enumerate(NUMBERS)}
