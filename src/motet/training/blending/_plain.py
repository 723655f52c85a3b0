"""Plain methods as trained models: ``model.architecture: ease``, ``item_knn``, ``als``, ``lightgbm`` or ``hybrid_mf``.

The network is made of constants: base rates of the tasks, and the popularity of items where the catalogue is ranked.
The plain method stands beside it as the only member, with all the weight.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from motet.data import Dataset
from motet.errors import ModelError, TrainingError
from motet.evaluation import ranking_metrics
from motet.models import MultiTaskModel, build_model
from motet.models.architectures import PLAIN
from motet.models.baselines import MEMBERS, PAIR_MEMBERS, had_items
from motet.schema import LabelStatistics, Progress, Schema, Task, silent
from motet.training._loop import Trained, TrainingHistory
from motet.training._predictor import ModelPredictor
from motet.training.blending._ranking import NETWORK, RankingBlend
from motet.training.blending._tasks import TaskBlend, task_blend_of

__all__ = ["check_plain", "plain_blends", "plain_network"]

_TIE: Final = 1e-6  # popularity orders the items that the method holds to be alike, and nothing else


def check_plain(schema: Schema) -> bool:
    """Whether a schema names a plain method as its architecture.

    Raises:
        ModelError: If the method cannot do what the schema asks for.
    """
    name = schema.model.architecture
    if name not in PLAIN:
        return False
    if schema.model.members is not None:
        raise ModelError(
            f"the architecture '{name}' is a plain method, which has no members beside it",
            "leave model.members out, or choose another architecture",
        )
    if schema.model.feature_gates is not None:
        raise ModelError(
            f"the architecture '{name}' is a plain method, which learns no gates",
            "leave model.feature_gates out, or choose another architecture",
        )
    if name in MEMBERS and schema.retrieval_task is None:
        raise ModelError(
            f"the architecture '{name}' ranks the catalogue, and the schema has no retrieval task",
            'add one, as in tasks: {next: {kind: retrieval, positive: "true"}}, or choose another architecture',
        )
    if name in PAIR_MEMBERS and not any(
        task.on == "interaction" and name in task.baselines and not task.ranks_catalogue
        for task in schema.tasks.values()
    ):
        raise ModelError(
            f"the architecture '{name}' predicts labels, and the schema has no yes-or-no, number or class task "
            "on interactions",
            'add one, as in tasks: {like: {kind: binary, label: "rating > 3"}}, or choose another architecture',
        )
    if name == "als" and find_spec("implicit") is None:
        raise ModelError("the architecture 'als' needs the package implicit", "pip install implicit")
    return True


def plain_network(data: Dataset) -> Trained:
    """A network of constants, which nothing trains.

    Tasks get their base rates of training rows. Where the catalogue is ranked and an id of items is among their
    features, the score of an item is its number of training positives, over the largest.
    """
    schema, began_s = data.schema, time.perf_counter()
    model = build_model(schema, data.encoder, seed=schema.training.seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        constants = [_base(data, name) for name in model.outputs]
        if model.architecture is not None:
            model.architecture.bias.copy_(torch.from_numpy(np.concatenate(constants)))  # type: ignore[operator]
        for name, head in model.entity_heads.items():
            head.bias.copy_(torch.from_numpy(_base(data, name)))  # type: ignore[operator]
        _set_popularity(model, data)
    model.eval()
    return Trained(model, TrainingHistory(stopped="plain", elapsed_s=time.perf_counter() - began_s))


def plain_blends(
    data: Dataset, model: MultiTaskModel, progress: Progress = silent
) -> tuple[RankingBlend | None, TaskBlend | None]:
    """Fit the method that the schema names, for what ranks the catalogue and for what predicts tasks.

    Raises:
        TrainingError: If it has nothing to say on these data.
    """
    name, refit = data.schema.model.architecture, data.schema.training.refit
    progress(f"fitting {name}", 0, 1)
    began_s = time.perf_counter()
    if name in PAIR_MEMBERS:
        fitted = PAIR_MEMBERS[name].fit(data, data.rows("train"), data.schema.training.seed)
        if not fitted.tasks:
            raise TrainingError(
                f"the architecture '{name}' has no task whose training labels differ",
                "check the labels, or choose another architecture",
            )
        network = ModelPredictor(model, data, known="train")
        of_tasks = task_blend_of(data, name, fitted, network.predict, time.perf_counter() - began_s)
        if not refit:
            return None, of_tasks
        rows = np.sort(np.concatenate([data.rows("train"), data.rows("validation")]))
        of_tasks.members = {name: of_tasks.members[name].refit(data, rows, data.schema.training.seed)}
        return None, of_tasks
    reason = MEMBERS[name].steps_aside(data)
    if reason is not None:
        raise TrainingError(
            f"the architecture '{name}' has nothing to say here: {reason}", "choose another architecture"
        )
    settings = MEMBERS[name].choose(data)
    spent_s = time.perf_counter() - began_s
    report: dict[str, Any] = {"members": {}}

    def blend(*splits: str) -> RankingBlend:
        scores = MEMBERS[name].fit_scores(data, settings, splits)
        rows = np.concatenate([data.rows(split) for split in splits])
        occurs = np.bincount(data.item_row[rows], minlength=len(data.items)) > 0
        return RankingBlend({name: scores}, {NETWORK: _TIE, name: 1.0}, occurs, report)

    found = blend("train")
    alone, together = _ndcg(data, model, None), _ndcg(data, model, found)
    report["ndcg@10"] = together
    report["members"][NETWORK] = {"weight": _TIE, "alone": alone, "without": together, "fit_s": None}
    report["members"][name] = {"weight": 1.0, "alone": together, "without": alone, "fit_s": spent_s}
    return blend("train", "validation") if refit else found, None


def _ndcg(data: Dataset, model: MultiTaskModel, blend: RankingBlend | None) -> float | None:
    predictor = ModelPredictor(model, data, known="train", blend=blend)
    found = ranking_metrics(data, predictor, "validation", intervals=False)
    value = None if found is None else found.get("ndcg@10")
    return float(value) if isinstance(value, int | float) else None


def _base(data: Dataset, name: str) -> NDArray[np.float32]:
    """What gives the base rate of a task before its link function, [K]."""
    task, statistics = data.schema.tasks[name], data.encoder.statistics(name)
    if task.on == "interaction":
        labels = data.label(name, data.rows("train")).astype(np.float64)
    else:
        of_entity = data.entity_labels[name]
        labels = of_entity.values[of_entity.split == 0].astype(np.float64)
    return _constant(task, statistics, labels, max(1, len(data.encoder.classes.get(name, ())))).astype(
        np.float32
    )


def _constant(
    task: Task, statistics: LabelStatistics, labels: NDArray[np.float64], outputs: int
) -> NDArray[np.float64]:
    if task.has_sets:
        rows = labels[~np.isnan(labels).any(axis=1)] if labels.ndim > 1 else np.zeros((0, outputs))
        p = (rows.sum(axis=0) + 1) / (len(rows) + 2)
        found: NDArray[np.float64] = np.log(p / (1 - p))
        return found
    known = labels[~np.isnan(labels)]
    if task.has_classes:
        count = np.bincount(known.astype(np.int64), minlength=outputs)[:outputs]
        shares = (count + 1) / (count.sum() + outputs)
        unlinked = task.unlink(shares[None], statistics)
        found = np.log(shares) if unlinked is None else unlinked[0]
        return found
    unlinked = task.unlink(np.array([known.mean() if len(known) else 0.0]), statistics)
    return np.zeros(outputs) if unlinked is None else unlinked


def _set_popularity(model: MultiTaskModel, data: Dataset) -> None:
    layout = data.encoder.layout("item")
    ids = [name for name, is_id in zip(layout.codes, layout.is_id, strict=False) if is_id]
    column = model.features.column("item", ids[0]) if ids else None
    if model.retrieval is None or column is None:
        return
    had = had_items(data, data.rows("train")).values
    count = np.bincount(had, minlength=len(data.items)).astype(np.float32)
    table = np.zeros(len(model.features.table.weight), np.float32)
    np.maximum.at(
        table, data.items.codes[:, layout.codes.index(ids[0])], count / max(count.max(initial=0), 1)
    )
    model.features.table.weight[:, 0] = torch.from_numpy(table)
    model.retrieval.item_direct.weight[-1, column] = 1.0  # the last output is the bias of the item
