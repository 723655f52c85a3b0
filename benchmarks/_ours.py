"""motet in the speed comparisons: its own batches, step and optimiser, at the peers' setting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

import motet
from benchmarks._data import CATEGORIES, NUMBERS, TASKS, Candidates, ClickData
from benchmarks._results import SpeedResult, auc_per_task
from benchmarks._setting import SETTING
from motet.data import Dataset, Encoder, EntityTable, IdIndex, Scale, Vocabulary
from motet.models import build_model
from motet.recommend import ContextRows, PrecomputedItems
from motet.schema import Schema
from motet.training import ModelPredictor, TrainingStep

__all__ = ["score_call", "train_rate"]

_PARTS = {
    "user": (slice(0, 8), slice(0, 3)),
    "item": (slice(8, 16), slice(3, 6)),
    "interaction": (slice(16, 20), slice(6, 8)),
}


def train_rate(data: ClickData, ids: int, seed: int, matmul: str = "float32") -> SpeedResult:
    """Train one epoch; the batches of the first, untimed rows warm up."""
    dataset = _dataset(data, seed, matmul)
    step = TrainingStep(dataset, dataset.schema)
    warm = SETTING.warmup_batches * SETTING.batch_rows
    for batch in step.batcher.epoch(np.arange(warm), SETTING.batch_rows, (seed, 0)):
        step(batch, SETTING.learning_rate)
    began = time.perf_counter()
    for batch in step.batcher.epoch(np.arange(warm, data.train_rows), SETTING.batch_rows, (seed, 1)):
        step(batch, SETTING.learning_rate)
    elapsed_s = time.perf_counter() - began
    began = time.perf_counter()
    loaded = sum(
        len(b) for b in step.batcher.epoch(np.arange(data.train_rows), SETTING.batch_rows, (seed, 2))
    )
    loader_s = time.perf_counter() - began
    found = ModelPredictor(step.model, dataset).predict(np.arange(data.train_rows, len(data.labels)))
    return SpeedResult(
        name=f"motet {motet.__version__}, {matmul} products",
        rows=data.train_rows - warm,
        elapsed_s=elapsed_s,
        auc=auc_per_task(data, np.stack([found[task] for task in TASKS], 1)),
        loader_rows_per_s=loaded / loader_s,
    )


def score_call(data: ClickData, candidates: Candidates, seed: int) -> Callable[[], NDArray[np.float32]]:
    """A call that scores all candidates on all tasks for one user, items prepared ahead as in serving."""
    dataset = _dataset(data, seed)
    model = build_model(dataset.schema, dataset.encoder, seed=seed)
    model.eval()
    context = EntityTable(
        codes=candidates.codes[:1, _PARTS["interaction"][0]] + _offsets(data)[_PARTS["interaction"][0]],
        numbers=candidates.numbers[:1, _PARTS["interaction"][1]],
        tags={},
        vector_rows=np.empty((1, 0), np.int32),
    )
    ahead = PrecomputedItems(model, dataset, ContextRows(dataset, context, np.zeros(1, np.int16)))
    items = candidates.item_rows.astype(np.int64)

    def call() -> NDArray[np.float32]:
        logits = ahead.score(dataset, candidates.user_row, items)
        return torch.stack([logits[task] for task in TASKS], 1).sigmoid().numpy()

    return call


def _offsets(data: ClickData) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(data.table_sizes)[:-1]]).astype(np.int32)


def _dataset(data: ClickData, seed: int, matmul: str = "float32") -> Dataset:
    """The same arrays as a motet data set, with an embedding row for every id of the tables.

    The vocabularies are empty: the benchmark's ids are numbers already, so that only the sizes
    of the tables are needed.
    """
    entities = data.layout == "entities"
    kind = "id" if entities else "categorical"
    content: dict[str, Any] = {
        "name": "synthetic clicks",
        "tables": {"interactions": "none.parquet"},
        "keys": {"user": "user_id", "item": "item_id"} if entities else {},
        "features": {},
        "tasks": {task: {"kind": "binary", "label": task} for task in TASKS},
        "split": {"by": "random"},
        "model": {
            "architecture": "mmoe",
            "width": SETTING.embedding_width,
            "dropout": 0.0,
            "id_dropout": 0.0,
            "options": {
                "experts": SETTING.experts,
                "hidden": SETTING.expert_widths,
                "tower": SETTING.tower_widths[0],
            },
        },
        "training": {
            "optimizer": "adam",
            "learning_rate": SETTING.learning_rate,
            "embedding_rate": 10,  # in one epoch most ids are seen a few times only
            "matmul": matmul,
            "weight_decay": 0.0,
            "batch_size": SETTING.batch_rows,
            "seed": seed,
        },
    }
    for entity, (codes, numbers) in _PARTS.items():
        home = content["features"].setdefault(entity if entities else "interaction", {})
        home |= {name: {"kind": kind} for name in CATEGORIES[codes]}
        home |= {name: {"kind": "numeric", "scale": "none"} for name in NUMBERS[numbers]}
    schema = Schema.parse(content)
    nothing = IdIndex()
    offsets = _offsets(data)
    encoder = Encoder(
        schema,
        vocabularies={
            name: Vocabulary.fitted(nothing, int(at)) for name, at in zip(CATEGORIES, offsets, strict=True)
        },
        scales={name: Scale("none") for name in NUMBERS},
        label_mean={task: float(data.labels[data.train, k].mean()) for k, task in enumerate(TASKS)},
        table_rows=sum(data.table_sizes),
    )
    rows = len(data.labels)

    def table(codes: NDArray[np.int32], numbers: NDArray[np.float32], part: slice) -> EntityTable:
        return EntityTable(codes + offsets[part], numbers, {}, np.empty((len(codes), 0), np.int32))

    one = EntityTable(
        np.empty((1, 0), np.int32), np.empty((1, 0), np.float32), {}, np.empty((1, 0), np.int32)
    )
    users, items, context = one, one, table(data.codes, data.numbers, slice(0, 20))
    if entities:
        users = table(data.user_codes, data.user_numbers, _PARTS["user"][0])
        items = table(data.item_codes, data.item_numbers, _PARTS["item"][0])
        context = table(
            data.codes[:, _PARTS["interaction"][0]],
            data.numbers[:, _PARTS["interaction"][1]],
            _PARTS["interaction"][0],
        )
    zeros = np.zeros(rows, np.int32)
    return Dataset(
        schema=schema,
        encoder=encoder,
        users=users,
        items=items,
        context=context,
        vectors={},
        texts={},
        histories={},
        user_row=data.user_row if entities else zeros,
        item_row=data.item_row if entities else zeros,
        scenario=zeros.astype(np.int16),
        time=zeros.astype(np.int64),
        labels=data.labels,
        label_sets={},
        entity_labels={},
        split=np.where(np.arange(rows) < data.train_rows, 0, 2).astype(np.uint8),
        user_ids=pl.Series(dtype=pl.String),
        item_ids=pl.Series(dtype=pl.String),
    )
