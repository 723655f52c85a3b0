"""Shared bottom, MMoE and PLE of torch-rechub 0.9.0 and FuxiCTR 2.3.10, each with its own layers, loader and training step.

The same stopping rule for all: an epoch, then the mean AUC over tasks on validation rows, until it has not risen for
``patience`` epochs; the best weights are kept. FuxiCTR's ``fit`` does that by itself. torch-rechub's looks at one task, and
keeps the last weights where the epochs run out first, so that its epochs are called one by one here.

What is their own: torch-rechub has batch normalisation in every layer, gates included (it cannot be switched off), and
embeddings that begin with a standard deviation of 1e-4; FuxiCTR's likewise, and its PLE's shared gate sees shared experts
only, which with one level changes nothing. Both have a table and a module for each feature and expert, and optimisers over
whole tables.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import logging
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Coded", "Fit", "Layout", "fit_fuxictr", "fit_torch_rechub"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layout:
    """Network and training, the same for all libraries.

    Attributes:
        width: Width of each embedding.
        hidden: Layer widths of the trunk, or of each expert.
        tower: Hidden width of each tower.
        experts: Of MMoE.
        task_experts: Of PLE, for each task.
        shared_experts: Of PLE.
        dropout: Share dropped behind each hidden layer.
        batch_rows: Rows a step.
        learning_rate: Of Adam, without decay of weights or of itself.
        epochs: At most.
        patience: Epochs without a better mean AUC before training stops.
    """

    width: int = 16
    hidden: tuple[int, ...] = (128, 64)
    tower: int = 32
    experts: int = 6
    task_experts: int = 2
    shared_experts: int = 2
    dropout: float = 0.2
    batch_rows: int = 1024
    learning_rate: float = 1e-3
    epochs: int = 6
    patience: int = 2


@dataclass(frozen=True, slots=True)
class Coded:
    """Rows as codes: what libraries without an encoder of their own take.

    Attributes:
        columns: Codes of each feature, 0 for a value that no training row has, int64 [N].
        sizes: Codes of each feature.
        labels: 0 or 1 by task, float32 [N].
        parts: Rows of ``train``, ``validation`` and ``test``.
    """

    columns: dict[str, NDArray[np.int64]]
    sizes: dict[str, int]
    labels: dict[str, Floats]
    parts: dict[str, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Fit:
    """What became of a training.

    Attributes:
        predictions: Of the test rows, [N, T].
        rows: Training rows seen, repeats counted.
        train_s: Seconds of training, loader included, validation left out.
        parameters: Weights of the model.
    """

    predictions: Floats
    rows: int
    train_s: float
    parameters: int


def fit_torch_rechub(data: Coded, method: str, layout: Layout, seed: int) -> Fit:
    """Train torch-rechub's model with its trainer and loader.

    Args:
        data: The rows.
        method: ``shared_bottom``, ``mmoe`` or ``ple``.
        layout: Network and training.
        seed: Of weights and order.
    """
    features: Any = importlib.import_module("torch_rechub.basic.features")
    models: Any = importlib.import_module("torch_rechub.models.multi_task")
    trainers: Any = importlib.import_module("torch_rechub.trainers")
    loaders: Any = importlib.import_module("torch_rechub.utils.data")
    torch.manual_seed(seed)
    kinds = ["classification"] * len(data.labels)
    fields = [features.SparseFeature(n, vocab_size=size, embed_dim=layout.width) for n, size in data.sizes.items()]  # fmt: skip
    layers = {"dims": list(layout.hidden), "dropout": layout.dropout}
    towers = [{"dims": [layout.tower], "dropout": layout.dropout} for _ in kinds]
    build: dict[str, Callable[[], Any]] = {
        "shared_bottom": lambda: models.SharedBottom(fields, kinds, layers, towers),
        "mmoe": lambda: models.MMOE(fields, kinds, layout.experts, layers, towers),
        "ple": lambda: models.PLE(
            fields, kinds, 1, layout.task_experts, layout.shared_experts, layers, towers
        ),
    }
    model = build[method]()
    step = {"lr": layout.learning_rate, "weight_decay": 0.0}
    trainer = trainers.MTLTrainer(model, kinds, optimizer_params=step, n_epoch=1, device="cpu")

    def part(name: str) -> tuple[dict[str, NDArray[np.int64]], Floats]:
        rows = data.parts[name]
        return {n: codes[rows] for n, codes in data.columns.items()}, np.stack(
            [label[rows] for label in data.labels.values()], 1
        )

    (x, y), (x_val, y_val), (x_test, y_test) = (part(name) for name in ("train", "validation", "test"))
    train, validation, _ = loaders.DataGenerator(x, y).generate_dataloader(
        x_val=x_val, y_val=y_val, x_test=x_test, y_test=y_test, batch_size=layout.batch_rows
    )
    best, kept, waited, rows, train_s = -1.0, copy.deepcopy(model.state_dict()), 0, 0, 0.0
    for _ in range(layout.epochs):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            began_s = time.perf_counter()
            trainer.train_one_epoch(train)
            train_s += time.perf_counter() - began_s
            score = float(np.mean(trainer.evaluate(model, validation)))
        rows += len(y)
        waited += 1
        if score > best:
            best, kept, waited = score, copy.deepcopy(model.state_dict()), 0
        if waited >= layout.patience:
            break
    model.load_state_dict(kept)
    model.eval()
    with torch.no_grad():
        found: Floats = model({n: torch.from_numpy(codes) for n, codes in x_test.items()}).numpy()
    return Fit(found, rows, train_s, sum(p.numel() for p in model.parameters()))


_FUXI: Final = {"shared_bottom": "ShareBottom", "mmoe": "MMoE", "ple": "PLE"}


def fit_fuxictr(data: Coded, method: str, layout: Layout, seed: int, checkout: Path) -> Fit:
    """Train FuxiCTR's model with its loop and loader.

    Args:
        data: The rows.
        method: As above.
        layout: As above.
        seed: As above.
        checkout: Directory of its repository, for ``model_zoo/multitask``, which its package does not hold.
    """
    importlib.import_module("fuxictr.pytorch.models")  # of the package; the checkout gives the models alone
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    zoo: Any = importlib.import_module("model_zoo.multitask")
    loaders: Any = importlib.import_module("fuxictr.pytorch.dataloaders.npz_dataloader")
    logging.disable(logging.INFO)
    torch.manual_seed(seed)
    feature_map: Any = importlib.import_module("fuxictr.features").FeatureMap("films", ".")
    feature_map.labels = list(data.labels)
    feature_map.features = OrderedDict((n, {"type": "categorical", "source": "", "vocab_size": size}) for n, size in data.sizes.items())  # fmt: skip
    feature_map.num_fields = len(data.sizes)
    feature_map.set_column_index()
    hidden, tower = list(layout.hidden), [layout.tower]
    sizes: dict[str, dict[str, Any]] = {
        "shared_bottom": {"bottom_hidden_units": hidden},
        "mmoe": {
            "num_experts": layout.experts,
            "expert_hidden_units": hidden,
            "gate_hidden_units": [],
        },
        "ple": {
            "num_layers": 1,
            "num_shared_experts": layout.shared_experts,
            "num_specific_experts": layout.task_experts,
            "expert_hidden_units": hidden,
            "gate_hidden_units": [],
        },
    }
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
        loader = {}
        arrays: dict[str, NDArray[Any]] = {**data.columns, **data.labels}
        for name, rows in data.parts.items():
            path = str(Path(place) / f"{name}.npz")
            np.savez(path, **{n: v[rows] for n, v in arrays.items()})  # type: ignore[arg-type]
            loader[name] = loaders.NpzDataLoader(
                feature_map, path, layout.batch_rows, shuffle=name == "train", num_workers=0
            )
        model = getattr(zoo, _FUXI[method])(
            feature_map,
            task=["binary_classification"] * len(data.labels),
            num_tasks=len(data.labels),
            learning_rate=layout.learning_rate,
            embedding_dim=layout.width,
            tower_hidden_units=tower,
            net_dropout=layout.dropout,
            optimizer="adam",
            loss="binary_cross_entropy",
            metrics=["AUC"],
            monitor="AUC",
            early_stop_patience=layout.patience,
            reduce_lr_on_plateau=False,
            verbose=0,
            model_root=place,
            **sizes[method],
        )
        Path(model.model_dir).mkdir(parents=True, exist_ok=True)
        measured_s, epochs, evaluate = 0.0, 0, model.evaluate

        def timed(*given: Any, **named: Any) -> Any:
            nonlocal measured_s, epochs
            began_s = time.perf_counter()
            found = evaluate(*given, **named)
            measured_s += time.perf_counter() - began_s
            epochs += 1
            return found

        model.evaluate = timed
        began_s = time.perf_counter()
        model.fit(loader["train"], epochs=layout.epochs, validation_data=loader["validation"])
        train_s = time.perf_counter() - began_s - measured_s
        found = model.predict(loader["test"])
    logging.disable(logging.NOTSET)
    return Fit(
        np.stack([np.asarray(found[task], np.float32) for task in data.labels], 1),
        epochs * len(data.parts["train"]),
        train_s,
        sum(p.numel() for p in model.parameters()),
    )
