"""Ranking the whole catalogue for every user who has something to find.

Legend: U users, I items, k length of the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset
from motet.errors import DataError
from motet.metrics import RankedUsers, bootstrap_means, rank_users
from motet.schema import Predictor

__all__ = ["CatalogueTask", "catalogue_task", "rank_catalogue", "ranking_metrics"]

# Bytes a cell of a block of scores takes, with the comparisons made on it.
_CELL_BYTES = 16
_SEEN = {"validation": ("train",), "test": ("train", "validation"), "train": ()}

Scorer = Callable[[NDArray[np.int64]], NDArray[np.float32] | None]


@dataclass(frozen=True, slots=True)
class CatalogueTask:
    """Who is ranked, what they should find, and what they may not be shown again.

    Attributes:
        users: User rows with at least one item to find, ascending, [U].
        relevant: The items to find, CSR of zeros and ones [U, I].
        seen: Items that the ranking leaves out, CSR [U, I].
    """

    users: NDArray[np.int64]
    relevant: sp.csr_array
    seen: sp.csr_array


def catalogue_task(dataset: Dataset, split: str, scenario: int | None = None) -> CatalogueTask | None:
    """What a ranking of the catalogue is measured against.

    Items of the user's earlier rows, whatever their label, are left out: training rows when the
    validation is ranked, training and validation rows when the test is; not so where the task says
    that users come back to items (``repeats``). Users are those with a
    positive row in the split on an item that is not left out.

    Args:
        dataset: With a retrieval task; None is returned if it has none.
        split: ``validation`` or ``test``.
        scenario: Code of the scenario whose positive rows count alone; all of them when left out.
    """
    name = dataset.schema.retrieval_task
    if name is None:
        return None
    again = dataset.schema.tasks[name].offers_again
    earlier = [dataset.rows(part) for part in _SEEN[split] if not again]
    rows = dataset.rows(split)
    positive = rows[dataset.label(name, rows) > 0]
    if scenario is not None:
        positive = positive[dataset.scenario[positive] == scenario]
    seen = _pairs(dataset, np.concatenate([np.empty(0, np.int64), *earlier]))
    relevant = _pairs(dataset, positive)
    relevant = (relevant - relevant.multiply(seen)).tocsr()
    relevant.eliminate_zeros()
    users = np.flatnonzero(np.diff(relevant.indptr)).astype(np.int64)
    return CatalogueTask(users, relevant[users], seen[users])


def _pairs(dataset: Dataset, rows: NDArray[np.int64]) -> sp.csr_array:
    """Users and items that meet in some rows, as a matrix of zeros and ones [users, items]."""
    shape = (len(dataset.users), len(dataset.items))
    meet = sp.csr_array(
        (np.ones(len(rows), np.float32), (dataset.user_row[rows], dataset.item_row[rows])), shape=shape
    )
    meet.sum_duplicates()
    meet.data[:] = 1.0
    return meet


def rank_catalogue(
    task: CatalogueTask, scorer: Scorer, *, k: int = 10, block_bytes: int = 64 << 20
) -> RankedUsers | None:
    """Rank all items for all users of a task, in blocks of users of bounded memory.

    Args:
        task: From :func:`catalogue_task`.
        scorer: Scores of all items for some users, shape [U', I]; None if it cannot rank.
        k: Length of the lists.
        block_bytes: Memory of a block of scores, about.

    Returns:
        Values of each user, in the order of ``task.users``; None if the scorer cannot rank.

    Raises:
        DataError: If a score is missing or not finite.
    """
    blocks: list[RankedUsers] = []
    for block in _blocks(len(task.users), block_bytes // (_CELL_BYTES * max(task.seen.shape[1], 1))):
        given = scorer(task.users[block])
        if given is None:
            return None
        shape = (block.stop - block.start, task.seen.shape[1])
        if given.shape != shape:
            raise DataError(f"scores of shape {given.shape} for {shape[0]} users and {shape[1]} items", "")
        if not np.isfinite(given).all():
            raise DataError("a score of an item is not finite", "fix the predictor's score_items")
        seen = task.seen[block].toarray() > 0
        blocks.append(rank_users(np.where(seen, -np.inf, given), task.relevant[block].toarray() > 0, k))
    if not blocks:
        none = np.empty(0)
        return RankedUsers(none, none, none, none, np.empty((0, k), np.int64))
    return RankedUsers(
        **{f.name: np.concatenate([getattr(b, f.name) for b in blocks]) for f in fields(RankedUsers)}
    )


def _blocks(total: int, size: int) -> Iterator[slice]:
    size = max(1, size)
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def ranking_metrics(
    dataset: Dataset,
    predictor: Predictor,
    split: str = "test",
    *,
    k: int = 10,
    seed: int = 0,
    intervals: bool = True,
) -> dict[str, float | int | list[float] | str | None] | None:
    """Rank the catalogue for the first retrieval task and measure the lists.

    Args:
        dataset: Where users, items and earlier rows come from.
        predictor: Scores the catalogue.
        split: ``validation`` or ``test``; see :func:`catalogue_task` for what counts.
        k: Length of the lists.
        seed: Seed of the bootstrap over users.
        intervals: Whether to give 95 % intervals of the means over users.

    Returns:
        ``ndcg@k, recall@k, hit@k, mrr, coverage@k, diversity@k, novelty@k``, their intervals where
        they are means over users, and the number of users; None without a retrieval task, or if
        the predictor cannot rank. Diversity is one minus the mean cosine of two items of a list,
        by tags or else by the first vector of the items (Ziegler et al. 2005); novelty the mean of
        −log₂ of an item's smoothed share (n+1)/(N+I) of training rows (Zhou et al. 2010).
    """
    task = catalogue_task(dataset, split)
    if task is None:
        return None
    ranked = rank_catalogue(task, predictor.score_items, k=k)
    if ranked is None:
        return None
    values = {
        f"ndcg@{k}": ranked.ndcg,
        f"recall@{k}": ranked.recall,
        f"hit@{k}": ranked.hit,
        "mrr": ranked.reciprocal_rank,
    }
    result: dict[str, float | int | list[float] | str | None] = {"users": len(task.users)}
    if not len(task.users):
        result |= dict.fromkeys([*values, f"coverage@{k}", f"diversity@{k}", f"novelty@{k}"])
        return result | {"undefined": "no user has anything to find"}
    result |= {name: float(value.mean()) for name, value in values.items()}
    shown = ranked.top[ranked.top >= 0]
    result[f"coverage@{k}"] = len(np.unique(shown)) / len(dataset.items)
    result[f"diversity@{k}"] = _diversity(dataset, ranked.top)
    counts = np.bincount(dataset.item_row[dataset.rows("train")], minlength=len(dataset.items))
    share = (counts + 1) / (counts.sum() + len(counts))
    result[f"novelty@{k}"] = float(-np.log2(share[shown]).mean()) if len(shown) else None
    if intervals:
        for name, interval in bootstrap_means(values, seed=seed).items():
            result[f"{name}_interval"] = None if interval is None else list(interval)
    return result


def _diversity(dataset: Dataset, top: NDArray[np.int64]) -> float | None:
    vectors = _item_vectors(dataset)
    if vectors is None:
        return None
    squares = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
    # Items without tags say nothing about likeness, so pairs are among described items only.
    described = (top >= 0) & (squares[np.maximum(top, 0)] > 0)
    count = described.sum(axis=1)
    usable = count >= 2
    if not usable.any():
        return None
    members = sp.csr_array(
        (np.ones(int(described.sum())), (np.nonzero(described)[0], top[described])),
        shape=(len(top), vectors.shape[0]),
    )
    total = members @ vectors
    square_of_sum = np.asarray(total.multiply(total).sum(axis=1)).ravel()[usable]
    pairs = count[usable] * (count[usable] - 1)
    return float((1 - (square_of_sum - count[usable]) / pairs).mean())


def _item_vectors(dataset: Dataset) -> sp.csr_array | None:
    """Unit vectors of the items: all tags together, or else the first vector; all zeros if unknown."""
    items = dataset.items
    if items.tags:
        parts = []
        for lists in items.tags.values():
            names, columns = np.unique(lists.values, return_inverse=True)
            rows = np.repeat(np.arange(len(lists)), lists.lengths())
            shape = (len(lists), max(len(names), 1))
            parts.append(sp.csr_array((np.ones(len(columns)), (rows, columns)), shape=shape))
        matrix = sp.csr_array(sp.hstack(parts))
    elif items.vector_rows.shape[1]:
        name = dataset.encoder.layout("item").vectors[0]
        matrix = sp.csr_array(dataset.vectors[name][items.vector_rows[:, 0]].astype(np.float64))
    else:
        return None
    norm = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = np.divide(1.0, norm, out=np.zeros_like(norm), where=norm > 0)
    return sp.csr_array(sp.diags_array(scale) @ matrix)
