"""A trained model as a predictor over a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from motet.data import Batch, Batcher, Dataset, Ragged
from motet.models import MultiTaskModel, Outputs, link
from motet.models.baselines import Pairs, had_items
from motet.training.blending import RankingBlend, TaskBlend

__all__ = ["ModelPredictor"]

_PAIR_ROWS = 8192
_USER_ROWS = 1024


class ModelPredictor:
    """Predicts with a model; follows :class:`motet.schema.Predictor` and its entity extension.

    Args:
        model: The model; it is put in evaluation mode for each call.
        data: The data set it is bound to.
        known: What a ranking may look at of a user's history: events in ``train``, or in
            ``validation`` and before.
        blend: Plain members that rank beside the model; it ranks alone when left out.
        task_blend: Plain members that predict tasks beside the model; it does so alone when left out.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        data: Dataset,
        *,
        known: Literal["train", "validation"] = "validation",
        blend: RankingBlend | None = None,
        task_blend: TaskBlend | None = None,
    ) -> None:
        self.model, self.data, self.known = model, data, known
        self.blend, self.task_blend = blend, task_blend
        self.batcher = Batcher(data)
        self._had: Ragged | None = None

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Predict interactions; see :class:`motet.schema.Predictor`."""
        parts: dict[str, list[NDArray[np.float32]]] = {task: [] for task in self.model.outputs}
        for start in range(0, max(len(rows), 1), _PAIR_ROWS):
            some = rows[start : start + _PAIR_ROWS]
            logits = self._logits(self.batcher.batch(some))
            if self.task_blend is not None:
                logits = self.task_blend.logits(self.data.schema.tasks, logits, Pairs.of(self.data, some))
            for task, values in logits.items():
                parts[task].append(self._linked(task, torch.from_numpy(values)))
        return {task: np.concatenate(values) for task, values in parts.items()}

    def predict_batch(self, batch: Batch) -> dict[str, NDArray[np.float32]]:
        """Predict the rows of one batch by the model alone, on the labels' own scale."""
        return {task: self._linked(task, torch.from_numpy(y)) for task, y in self._logits(batch).items()}

    def _logits(self, batch: Batch) -> dict[str, NDArray[np.float32]]:
        self.model.eval()
        with torch.no_grad():
            return {task: y.numpy() for task, y in self.model(batch).logits.items()}

    def score_items(
        self, users: NDArray[np.int64], scenario: int | None = None
    ) -> NDArray[np.float32] | None:
        """Score the whole catalogue, [U, I], in a scenario of this code or in none; None without a retrieval task."""
        scores = self._network_scores(users, scenario)
        if scores is None or self.blend is None:
            return scores
        if self._had is None:
            splits = ("train",) if self.known == "train" else ("train", "validation")
            self._had = had_items(self.data, np.concatenate([self.data.rows(split) for split in splits]))
        return self.blend.scores(scores, self._had.take(users))

    def score_events(self, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Score the whole catalogue by the model alone for users as they stood before some interactions, [n, I]."""
        if self.model.retrieval is None:
            return None
        self.model.eval()
        vectors, bias = self.item_vectors()
        parts = []
        with torch.no_grad():
            for start in range(0, len(rows), _USER_ROWS):
                outputs = self.model(self.batcher.batch(rows[start : start + _USER_ROWS]))
                users = outputs.user_vectors[outputs.inputs.user_of_row]
                users = users + outputs.query_shift if outputs.query_shift.shape[1] else users
                parts.append(torch.addmm(bias, users, vectors.T).numpy())
        return np.concatenate(parts) if parts else np.zeros((0, len(self.data.items)), np.float32)

    def _network_scores(
        self, users: NDArray[np.int64], scenario: int | None = None
    ) -> NDArray[np.float32] | None:
        if self.model.retrieval is None:
            return None
        self.model.eval()
        vectors, bias = self.item_vectors()
        if scenario is not None:  # (u + shift)·v, without another pass for the users
            with torch.no_grad():
                shift = self.model.retrieval.shift(torch.tensor([scenario]))
                bias = bias + vectors @ shift[0] if shift.shape[1] else bias
        distinct, inverse = np.unique(users, return_inverse=True)  # batches sort their unique rows
        parts = [
            torch.addmm(bias, self._user_vectors(distinct[start : start + _USER_ROWS]), vectors.T).numpy()
            for start in range(0, len(distinct), _USER_ROWS)
        ]
        return np.concatenate(parts)[inverse] if parts else np.zeros((0, len(self.data.items)), np.float32)

    def predict_entities(self, entity: Literal["user", "item"]) -> Mapping[str, NDArray[np.float32]]:
        """Predict the tasks on users or items for all of their rows."""
        tasks = [name for name in self.model.entity_heads if self.data.schema.tasks[name].on == entity]
        if not tasks:
            return {}
        self.model.eval()
        parts: dict[str, list[NDArray[np.float32]]] = {task: [] for task in tasks}
        with torch.no_grad():
            for start in range(0, len(self.data.table(entity)), _PAIR_ROWS):
                rows = np.arange(start, min(start + _PAIR_ROWS, len(self.data.table(entity))), dtype=np.int32)
                outputs = self.model(self._entity_batch(entity, rows))
                for task in tasks:
                    parts[task].append(self._linked(task, outputs.entity[task]))
        return {task: np.concatenate(values) for task, values in parts.items()}

    def item_vectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Retrieval vectors [I, D] and biases [I] of the whole catalogue."""
        vectors, biases = [], []
        with torch.no_grad():
            for start in range(0, len(self.data.items), _PAIR_ROWS):
                rows = np.arange(start, min(start + _PAIR_ROWS, len(self.data.items)), dtype=np.int32)
                outputs = self.model(self._entity_batch("item", rows))
                vectors.append(outputs.item_vectors)
                biases.append(outputs.item_bias)
        return torch.cat(vectors), torch.cat(biases)

    def _user_vectors(self, users: NDArray[np.int64]) -> torch.Tensor:
        with torch.no_grad():
            outputs: Outputs = self.model(self._entity_batch("user", users.astype(np.int32)))
        return outputs.user_vectors

    def _entity_batch(self, entity: Literal["user", "item"], rows: NDArray[np.int32]) -> Batch:
        """One pair for each user or item, rows distinct and increasing; the other side is row 0 and the context an arbitrary row."""
        zeros = np.zeros(len(rows), np.int32)
        user, item = (rows, zeros) if entity == "user" else (zeros, rows)
        before = {
            name: (history.known if self.known == "validation" else history.train)[user]
            for name, history in self.data.histories.items()
        }
        return self.batcher.assemble(user, item, before, np.zeros(len(rows), np.int64))

    def _linked(self, task: str, logits: torch.Tensor) -> NDArray[np.float32]:
        values: NDArray[np.float32] = link(self.data.schema, self.data.encoder, task, logits).numpy()
        return values
