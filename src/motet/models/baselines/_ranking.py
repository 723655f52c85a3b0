"""What the plain methods that rank have in common: the users' items, the search on validation rows."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset, Ragged
from motet.evaluation import CatalogueTask, catalogue_task, rank_catalogue
from motet.models.baselines._baseline import Baseline, Known, fit_rows
from motet.models.baselines._item_scores import ItemScores

__all__ = [
    "DECAYS",
    "Quality",
    "RankingBaseline",
    "RankingQueries",
    "best_of",
    "climb",
    "had_items",
    "quality_on_validation",
    "ranking_queries",
    "search",
]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Quality = Callable[[ItemScores], float]
S = TypeVar("S")

DECAYS: Final = (1.0, 0.97, 0.9, 0.75, 0.5, 0.3)
_SEARCH_QUERIES: Final = 4000
_SEARCH_CELLS: Final = 50_000_000
_EVENTS_OF_USER: Final = 20
_FEW_QUERIES: Final = 1000
_LEAST_GAIN: Final = 1.01  # times the quality of settings that were chosen before, or they stay
_ORDERED: Final = ("time", "user_time")  # splits whose validation rows come after a user's training rows
_TIE: Final = 1e-6


def had_items(dataset: Dataset, rows: Rows) -> Ragged:
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


@dataclass(frozen=True, slots=True)
class RankingQueries:
    """What rankings are judged by while settings and weights are chosen: lists to make, and what they should hold.

    First users as they stand at the end of training, who should find all their validation positives; then, where
    there are times, single validation events, each given all that its user had before it, as a service sees them.

    Attributes:
        users: User rows of the first queries, [U].
        events: Interactions of the others, [E].
        had: Items of each query's user before it, oldest first, [U + E].
        task: What they should find and may not be shown, Q = U + E; its users are the numbers of the queries.
    """

    users: Rows
    events: Rows
    had: Ragged
    task: CatalogueTask

    def of_events(self) -> RankingQueries:
        """The events alone."""
        at = np.arange(len(self.users), len(self.users) + len(self.events))
        task = CatalogueTask(np.arange(len(at)), self.task.relevant[at], self.task.seen[at])
        return RankingQueries(self.users[:0], self.events, self.had.take(at), task)

    def quality(self, scorer: Callable[[Rows], Floats | None]) -> float:
        """Mean of NDCG@10 over users and of NDCG@10 over events.

        Args:
            scorer: Scores of all items for some queries, by number.
        """
        ranked = rank_catalogue(self.task, scorer)
        if ranked is None:
            return 0.0
        size = len(self.users)
        parts = [part.mean() for part in (ranked.ndcg[:size], ranked.ndcg[size:]) if len(part)]
        return float(np.mean(parts))


def ranking_queries(dataset: Dataset, cells: int = _SEARCH_CELLS, seed: int = 0) -> RankingQueries | None:
    """Queries from the validation rows, a seeded sample of 4,000 at most; None where there is nothing to find.

    Args:
        dataset: The data set.
        cells: Most scores, of all items for all queries.
        seed: Of the sample.
    """
    task = catalogue_task(dataset, "validation")
    if task is None or not len(task.users):
        return None
    rng = np.random.default_rng(seed)
    ordered = bool(dataset.schema.keys.time) and dataset.schema.split.by in _ORDERED
    most = max(1, min(_SEARCH_QUERIES, cells // max(len(dataset.items), 1)) // (2 if ordered else 1))
    chosen = _some(np.arange(len(task.users)), most, rng)
    users = task.users[chosen]
    had, relevant, seen = (
        had_items(dataset, dataset.rows("train")).take(users),
        task.relevant[chosen],
        task.seen[chosen],
    )
    events = _single_events(dataset, most, rng) if ordered else users[:0]
    if len(events):
        before = _before(dataset, events)
        shape = (len(events), len(dataset.items))
        ones = np.ones(len(events), np.float32)
        found = sp.csr_array((ones, (np.arange(len(events)), dataset.item_row[events])), shape=shape)
        relevant = sp.csr_array(sp.vstack([relevant, found]))
        offered = dataset.schema.tasks[str(dataset.schema.retrieval_task)].offers_again
        shown = Ragged.empty(len(events)) if offered else _before(dataset, events, liked=False)
        left_out = np.repeat(np.arange(len(events)), shown.lengths())
        out = sp.csr_array(
            sp.coo_array((np.ones(len(left_out), np.float32), (left_out, shown.values)), shape=shape)
        )
        seen = sp.csr_array(sp.vstack([seen, out]))
        had = Ragged.from_lengths(
            np.concatenate([had.values, before.values]), np.concatenate([had.lengths(), before.lengths()])
        )
    numbers = np.arange(len(users) + len(events))
    return RankingQueries(users, events, had, CatalogueTask(numbers, relevant, seen))


def _some(values: Rows, most: int, rng: np.random.Generator) -> Rows:
    return values if len(values) <= most else np.sort(rng.choice(values, most, replace=False))


def _single_events(dataset: Dataset, most: int, rng: np.random.Generator) -> Rows:
    """Validation positives of items that the user had not met before, or that may come again."""
    name = str(dataset.schema.retrieval_task)
    rows = dataset.rows("validation")
    rows = rows[dataset.label(name, rows) > 0]
    if not dataset.schema.tasks[name].offers_again:
        every = np.concatenate([dataset.rows("train"), dataset.rows("validation")])
        every = every[np.lexsort((dataset.time[every], dataset.user_row[every]))]
        pair = dataset.user_row[every].astype(np.int64) * len(dataset.items) + dataset.item_row[every]
        rows = np.intersect1d(rows, every[np.unique(pair, return_index=True)[1]])
    rows = rng.permutation(rows)
    place = np.argsort(dataset.user_row[rows], kind="stable")
    of_user = dataset.user_row[rows][place]
    number = np.empty(len(rows), np.int64)
    number[place] = np.arange(len(rows)) - np.searchsorted(of_user, of_user)
    return _some(np.sort(rows[number < _EVENTS_OF_USER]), most, rng)


def _before(dataset: Dataset, events: Rows, *, liked: bool = True) -> Ragged:
    """Items that the user of each interaction had strictly before it in training or validation, oldest first, [E]."""
    rows = np.concatenate([dataset.rows("train"), dataset.rows("validation")])
    if liked:
        rows = rows[dataset.label(str(dataset.schema.retrieval_task), rows) > 0]
    rows = rows[np.lexsort((dataset.item_row[rows], dataset.time[rows], dataset.user_row[rows]))]
    _, moment = np.unique(dataset.time, return_inverse=True)
    span = int(moment.max(initial=0)) + 1
    key = dataset.user_row[rows].astype(np.int64) * span + moment[rows]
    user = dataset.user_row[events].astype(np.int64)
    starts, stops = np.searchsorted(key, user * span), np.searchsorted(key, user * span + moment[events])
    lengths = stops - starts
    at = (
        np.repeat(starts, lengths)
        + np.arange(lengths.sum())
        - np.repeat(np.cumsum(lengths) - lengths, lengths)
    )
    return Ragged.from_lengths(dataset.item_row[rows][at], lengths)


def quality_on_validation(dataset: Dataset, *, few: bool = False) -> Quality | None:
    """How well scores rank, by :func:`ranking_queries`; None where there is nothing to find.

    Args:
        dataset: The data set.
        few: A thousand single events alone, where there are times: what a service is asked, in a quarter of the time.
    """
    cells = min(_SEARCH_CELLS, 2 * _FEW_QUERIES * max(len(dataset.items), 1)) if few else _SEARCH_CELLS
    queries = ranking_queries(dataset, cells)
    if queries is None:
        return None
    if few and len(queries.events):
        queries = queries.of_events()
    return lambda scores: queries.quality(lambda numbers: scores.scores(queries.had.take(numbers)))


def search(
    start: S,
    axes: Sequence[tuple[str, Sequence[Any]]],
    quality: Callable[[S], float],
    until_s: float | None = None,
) -> S:
    """The best settings, one after the other: each takes the value that is best with the others as they are.

    Args:
        start: Where to begin, a data class.
        axes: Field and the values to try, in order.
        quality: Higher is better; the first of equals is kept.
        until_s: Reading of :func:`time.monotonic` after which nothing else is tried.
    """
    best, value = start, quality(start)
    for name, values in axes:
        for one in values:
            if one == getattr(best, name):
                continue
            if until_s is not None and time.monotonic() > until_s:
                return best
            tried = replace(best, **{name: one})  # type: ignore[type-var]
            if (found := quality(tried)) > value:
                best, value = tried, found
    return best


def climb(start: S, axes: Sequence[tuple[str, Sequence[Any]]], quality: Callable[[S], float]) -> S:
    """Settings near those of before: along each axis as far as every step makes them better by a hundredth.

    Args:
        start: Settings of before, a data class.
        axes: Field and its values, in order.
        quality: Higher is better.
    """
    best, value = start, quality(start)
    for name, values in dict(axes).items():
        grid = sorted({*values, getattr(best, name)})
        for step in (-1, 1):
            at, before = grid.index(getattr(best, name)) + step, best
            while 0 <= at < len(grid):
                tried = replace(best, **{name: grid[at]})  # type: ignore[type-var]
                if (found := quality(tried)) <= value * _LEAST_GAIN:
                    break
                best, value, at = tried, found, at + step
            if best is not before:
                break
    return best


def best_of(values: Sequence[float], near: float | None, quality: Callable[[float], float]) -> float:
    """The best of some numbers; that of before, unless another is better by a hundredth."""
    found = {value: quality(value) for value in values}
    best = max(found, key=lambda value: found[value])
    return best if near is None or found[best] > quality(near) * _LEAST_GAIN else near


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
        scores = cls.fit_scores(dataset, cls.choose(dataset), splits)
        past = had_items(
            dataset, fit_rows(dataset, ("train",) if known == "train" else ("train", "validation"))
        )
        liked = had_items(dataset, fit_rows(dataset, splits)).values
        count = np.bincount(liked, minlength=len(dataset.items)).astype(np.float32)
        return cls(past, scores, count / max(count.max(initial=0), 1))

    @classmethod
    @abstractmethod
    def choose(cls, dataset: Dataset, until_s: float | None = None, near: Any = None) -> Any:
        """Settings that, fitted on training rows, rank the validation best.

        Args:
            dataset: The data set.
            until_s: Reading of :func:`time.monotonic` after which nothing else is tried.
            near: Settings of before, a number or several by name: only what is near to them is tried, on fewer queries.
        """

    @classmethod
    @abstractmethod
    def fit_scores(cls, dataset: Dataset, settings: Any, splits: Sequence[str] = ("train",)) -> ItemScores:
        """Fit on the rows of some splits with the settings of :meth:`choose`."""

    def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Nothing: it only ranks."""
        return {}

    def score_items(self, users: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Scores of all items, those that tie by their popularity."""
        return self.score_histories(self._had.take(users))

    def score_histories(self, had: Ragged) -> NDArray[np.float32]:
        """Scores of all items for users who had these items, oldest first; ties by popularity, [U, I]."""
        scores = self.scores.scores(had)
        spread = np.abs(scores).max(axis=1, keepdims=True, initial=0)
        ties = np.where(spread > 0, spread, 1).astype(np.float32) * np.float32(_TIE) * self._popularity
        return scores + ties
