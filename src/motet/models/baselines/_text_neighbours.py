"""Baseline: items whose texts are like those of the items a user had."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.models.baselines._item_scores import ItemScores, ItemVectors
from motet.models.baselines._ranking import DECAYS, RankingBaseline, quality_on_validation

__all__ = ["TextNeighbours", "content_vectors"]


class TextNeighbours(RankingBaseline):
    """Cosine between the text of an item and the weighed sum of the texts of the user's items.

    Vectors of all text and vector features of the items side by side, each of length 1, as the language model
    gives them. How much less older items of a user weigh is chosen by NDCG@10 on the validation rows.
    """

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a retrieval task, or without texts or vectors of items."""
        if content_vectors(dataset) is None:
            return "no text or vector of the items"
        return super().steps_aside(dataset)

    @classmethod
    def choose(cls, dataset: Dataset) -> float:
        """The decay."""
        quality = quality_on_validation(dataset)
        if quality is None or not dataset.schema.keys.time:
            return 1.0
        return max(DECAYS, key=lambda decay: quality(cls.fit_scores(dataset, decay)))

    @classmethod
    def fit_scores(cls, dataset: Dataset, settings: float, splits: Sequence[str] = ("train",)) -> ItemScores:
        """Nothing but the texts is looked at."""
        vectors = content_vectors(dataset)
        return ItemVectors(
            settings, np.zeros((len(dataset.items), 1), np.float32) if vectors is None else vectors
        )


def content_vectors(dataset: Dataset) -> NDArray[np.float32] | None:
    """Vectors of the items' texts side by side, of length 1 in all, or zeros; None where there are none, [I, D]."""
    columns = dataset.encoder.layout("item").vectors
    features = dataset.schema.features.item
    parts = []
    for at, name in enumerate(columns):
        if features[name].from_graph:
            continue
        vectors = dataset.vectors[name][dataset.items.vector_rows[:, at]]
        parts.append(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
    if not parts:
        return None
    together = np.concatenate(parts, axis=1).astype(np.float32)
    norm = np.linalg.norm(together, axis=1, keepdims=True)
    found: NDArray[np.float32] = together / np.maximum(norm, 1e-12)
    return found
