"""What the plain methods that rank have in common: the users' items, the search on validation rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset, Ragged
from motet.evaluation import CatalogueTask, catalogue_task, rank_catalogue
from motet.models.baselines._baseline import Baseline, Known, fit_rows
from motet.models.baselines._item_scores import ItemScores

__all__ = ["DECAYS", "Quality", "RankingBaseline", "had_items", "quality_on_validation", "search"]

Quality = Callable[[ItemScores], float]
S = TypeVar("S")

DECAYS: Final = (1.0, 0.97, 0.9, 0.75, 0.5)
_SEARCH_USERS: Final = 2000
_SEARCH_CELLS: Final = 50_000_000
_TIE: Final = 1e-6


def had_items(dataset: Dataset, rows: NDArray[np.int64]) -> Ragged:
    """The items of each user that the retrieval task would have found, oldest first, [U].

    Args:
        dataset: With a retrieval task; without one the lists are empty.
        rows: Interactions that are looked at.
    """
    name = dataset.schema.retrieval_task
    if name is None:
        return Ragged.empty(len(dataset.users))
    rows = rows[dataset.label(name, rows) > 0]
    rows = rows[np.lexsort((dataset.item_row[rows], dataset.time[rows], dataset.user_row[rows]))]
    lengths = np.bincount(dataset.user_row[rows], minlength=len(dataset.users)).astype(np.int64)
    return Ragged.from_lengths(dataset.item_row[rows], lengths)


def quality_on_validation(dataset: Dataset) -> Quality | None:
    """Mean NDCG@10 over users of the validation, 2,000 of them at most; None where there are none."""
    task = catalogue_task(dataset, "validation")
    if task is None or not len(task.users):
        return None
    most = max(1, min(_SEARCH_USERS, _SEARCH_CELLS // max(len(dataset.items), 1)))
    if len(task.users) > most:
        chosen = np.sort(np.random.default_rng(0).choice(len(task.users), most, replace=False))
        task = CatalogueTask(task.users[chosen], task.relevant[chosen], task.seen[chosen])
    had = had_items(dataset, dataset.rows("train"))

    def quality(scores: ItemScores) -> float:
        ranked = rank_catalogue(task, lambda users: scores.scores(had.take(users)))
        return 0.0 if ranked is None else float(ranked.ndcg.mean())

    return quality


def search(start: S, axes: Sequence[tuple[str, Sequence[Any]]], quality: Callable[[S], float]) -> S:
    """The best settings, one after the other: each takes the value that is best with the others as they are.

    Args:
        start: Where to begin, a data class.
        axes: Field and the values to try, in order.
        quality: Higher is better; the first of equals is kept.
    """
    best, value = start, quality(start)
    for name, values in axes:
        for one in values:
            if one == getattr(best, name):
                continue
            tried = replace(best, **{name: one})  # type: ignore[type-var]
            if (found := quality(tried)) > value:
                best, value = tried, found
    return best


class RankingBaseline(Baseline):
    """Ranks by the items that a user had.

    Args:
        had: Items of each user, [U].
        scores: Fitted.
        popularity: Training positives of each item, [I]: orders the items that get equal scores.
    """

    def __init__(self, had: Ragged, scores: ItemScores, popularity: NDArray[np.float32]) -> None:
        self._had, self.scores, self._popularity = had, scores, popularity

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a retrieval task."""
        return None if dataset.schema.retrieval_task else "no retrieval task"

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        splits: Sequence[str] = ("train",),
        known: Known = "validation",
        seed: int = 0,
    ) -> Self:
        """Choose settings on the validation rows, and fit on the rows of some splits."""
        scores = cls.fit_scores(dataset, splits)
        past = had_items(
            dataset, fit_rows(dataset, ("train",) if known == "train" else ("train", "validation"))
        )
        liked = had_items(dataset, fit_rows(dataset, splits)).values
        count = np.bincount(liked, minlength=len(dataset.items)).astype(np.float32)
        return cls(past, scores, count / max(count.max(initial=0), 1))

    @classmethod
    @abstractmethod
    def fit_scores(cls, dataset: Dataset, splits: Sequence[str] = ("train",)) -> ItemScores:
        """Choose settings on the validation rows, and fit on the rows of some splits."""

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Nothing: it only ranks."""
        return {}

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Scores of all items, those that tie by their popularity."""
        scores = self.scores.scores(self._had.take(users))
        spread = np.abs(scores).max(axis=1, keepdims=True, initial=0)
        ties = np.where(spread > 0, spread, 1).astype(np.float32) * np.float32(_TIE) * self._popularity
        return scores + ties
