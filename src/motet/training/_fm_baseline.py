"""Baseline: a factorisation machine, trained by the loop that trains every model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.models.baselines import Baseline, Known
from motet.training._loop import train_model
from motet.training._predictor import ModelPredictor
from motet.training._refit import refit_network

__all__ = ["FmBaseline"]


class FmBaseline(Baseline):
    """Factorisation machine (Rendle 2010) of all tasks on interactions, stopped early on validation rows.

    It sees what the network sees, sequences and vectors of texts included, and is trained with the settings of the
    schema's ``training``; see :class:`~motet.models.architectures.FactorisationMachine`.
    """

    paper = "Rendle 2010, Factorization machines"
    marks = ("cold", "warm", "text", "scenario")

    def __init__(self, predictor: ModelPredictor) -> None:
        self._predictor = predictor

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a task on interactions that it can learn."""
        return None if _tasks(dataset) else "no task on interactions with labels to train on and to stop by"

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        splits: Sequence[str] = ("train",),
        known: Known = "validation",
        seed: int = 0,
    ) -> Self:
        """Train all tasks together on training rows; validation rows end the training, and are then learnt from if asked."""
        schema = dataset.schema
        tasks = {
            name: task.model_copy(update={"after": task.after if task.after in _tasks(dataset) else None})
            for name, task in schema.tasks.items()
            if name in _tasks(dataset)
        }
        model = schema.model.model_copy(update={"architecture": "fm", "options": {}})
        training = schema.training.model_copy(update={"seed": seed})
        alone = schema.model_copy(update={"tasks": tasks, "model": model, "training": training})
        trained = train_model(dataset, schema=alone)
        if "validation" in splits:
            refit_network(dataset, trained.model, alone)
        return cls(ModelPredictor(trained.model, dataset, known=known))

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Probability, number or distribution of each task."""
        return self._predictor.predict(rows)

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """It does not rank: scoring every pair of user and item is out of proportion."""
        return None


def _tasks(dataset: Dataset) -> list[str]:
    found = []
    for name in dataset.encoder.interaction_tasks:
        task, labels = dataset.schema.tasks[name], dataset.label(name, dataset.rows("train"))
        known = labels[~np.isnan(labels)]
        classes = dataset.encoder.classes.get(name, ())
        if task.ranks_catalogue or not len(known) or task.untrainable(known, classes) is not None:
            continue
        watched = dataset.label(name, dataset.rows("validation"))
        if len(np.unique(watched[~np.isnan(watched)])) > 1:
            found.append(name)
    return found
