"""Baseline: items whose texts are like those of the items a user had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from motet.data import Dataset
from motet.models._content import text_vectors
from motet.models.baselines._item_scores import ItemScores, ItemVectors
from motet.models.baselines._ranking import DECAYS, RankingBaseline, best_of, quality_on_validation

__all__ = ["TextNeighbours"]


class TextNeighbours(RankingBaseline):
    """Cosine between the text of an item and the weighed sum of the texts of the user's items.

    Vectors of all text and vector features of the items side by side, each of length 1, as the language model
    gives them. How much less older items of a user weigh is chosen by NDCG@10 on the validation rows.
    """

    marks = ("cold", "warm", "text")

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a retrieval task, or without texts or vectors of items."""
        if text_vectors(dataset) is None:
            return "no text or vector of the items"
        return super().steps_aside(dataset)

    @classmethod
    def choose(cls, dataset: Dataset, until_s: float | None = None, near: Any = None) -> float:
        """The decay."""
        quality = quality_on_validation(dataset, few=near is not None)
        if quality is None or not dataset.schema.keys.time:
            return 1.0
        return best_of(DECAYS, near, lambda decay: quality(cls.fit_scores(dataset, decay)))

    @classmethod
    def fit_scores(cls, dataset: Dataset, settings: float, splits: Sequence[str] = ("train",)) -> ItemScores:
        """Nothing but the texts is looked at."""
        vectors = text_vectors(dataset)
        return ItemVectors(
            settings, np.zeros((len(dataset.items), 1), np.float32) if vectors is None else vectors
        )
