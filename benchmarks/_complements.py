"""How good mined complements are on what users took later, and whether planted ones are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.assistant import ItemRelations, RelationSettings, mine_relations
from motet.data import Behaviour, Dataset, behaviour_of

__all__ = ["Lift", "complement_lift"]

_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Lift:
    """How often users later took what stands beside an item that they had.

    Attributes:
        pairs: Pairs of a user and an item beside one that it had, not yet had.
        rate: Share of them that the user took later.
        lift: That share beside the share of all users, who had not had it, that took the item later:
            1 for items that are merely popular.
        low: Of the lift, 95 % interval by the bootstrap over users.
        high: Likewise.
    """

    pairs: int
    rate: float
    lift: float
    low: float
    high: float


def complement_lift(data: Dataset, task: str | None, k: int, seed: int) -> Mapping[str, Lift]:
    """Complements mined from training rows, beside popularity and item-item, on validation and test rows.

    Args:
        data: With interactions.
        task: Whose positive label says that an item was taken; every row if None.
        k: Items that each rule puts beside an item.
        seed: Of the bootstrap.
    """
    behaviour = behaviour_of(data, splits=("train",))
    had = _matrix(behaviour, task, data)
    later = _matrix(behaviour_of(data, splits=("validation", "test")), task, data)
    any_before = _matrix(behaviour, None, data)
    relations = mine_relations(data, behaviour, RelationSettings(taken=task))
    unfiltered = mine_relations(data, behaviour, RelationSettings(taken=task, alike=1.0))
    rules = {
        "complements": _nearest(relations.complements, k),
        "complements, alike ones too": _nearest(unfiltered.complements, k),
        "item-item cosine": _nearest(_cosine(had), k),
        "item-item cosine, not alike": _nearest(_unlike(_cosine(had), relations), k),
        "popularity": _popular(had, k),
    }
    # complements stand beside some items only: the baseline beside the same items, as many each
    as_many = np.diff(rules["complements"].indptr)
    rules["item-item cosine, not alike, beside the same items and as many"] = _nearest(_unlike(_cosine(had), relations), as_many)  # fmt: skip
    return {name: _lift(rule, had, any_before, later, seed) for name, rule in rules.items()}


def _matrix(behaviour: Behaviour, task: str | None, data: Dataset) -> sp.csr_array:
    users = np.repeat(np.arange(len(behaviour.items)), behaviour.items.lengths())
    kept = np.ones(len(users), bool) if task is None else behaviour.label(task) > 0.5
    place = (users[kept], behaviour.items.values[kept])
    found = sp.csr_array((np.ones(int(kept.sum())), place), shape=(len(data.users), len(data.items)))
    found.sum_duplicates()
    found.data[:] = 1
    return found


def _cosine(had: sp.csr_array) -> sp.csr_array:
    often = np.asarray(had.sum(axis=0)).ravel()
    unit = had @ sp.diags_array(1 / np.sqrt(np.maximum(often, 1)))
    found = sp.csr_array(unit.T @ unit)
    found.setdiag(0)
    found.eliminate_zeros()
    return found


def _unlike(matrix: sp.csr_array, relations: ItemRelations) -> sp.csr_array:
    a, b = matrix.nonzero()
    keep = relations.likeness.of_pairs(a.astype(np.intp), b.astype(np.intp)) < RelationSettings().alike
    values = np.asarray(matrix[a, b]).ravel()[keep]
    return sp.csr_array((values, (a[keep], b[keep])), shape=matrix.shape)


def _nearest(matrix: sp.csr_array, k: int | NDArray[np.integer]) -> sp.csr_array:
    """The k strongest of each row as ones; k may be one number for each row."""
    line = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, line))
    rank = np.arange(matrix.nnz) - matrix.indptr[line]
    best = order[rank < np.broadcast_to(k, matrix.shape[0])[line]]
    return sp.csr_array((np.ones(len(best)), (line[best], matrix.indices[best])), shape=matrix.shape)


def _popular(had: sp.csr_array, k: int) -> sp.csr_array:
    best = np.argsort(-np.asarray(had.sum(axis=0)).ravel(), kind="stable")[:k]
    items = had.shape[1]
    place = (np.repeat(np.arange(items), k), np.tile(best, items))
    return sp.csr_array((np.ones(items * k), place), shape=(items, items))


def _lift(
    rule: sp.csr_array, had: sp.csr_array, before: sp.csr_array, later: sp.csr_array, seed: int
) -> Lift:
    beside = (had @ rule > 0).toarray() & (before.toarray() == 0)  # [U, I]
    fresh = before.toarray() == 0
    took = later.toarray() > 0
    base = (took & fresh).sum(axis=0) / np.maximum(fresh.sum(axis=0), 1)  # [I]
    hits, expected = (beside & took).sum(axis=1).astype(float), beside @ base
    count = beside.sum(axis=1)
    rng = np.random.default_rng(seed)
    users = len(hits)
    draws: list[float] = []
    for _ in range(_DRAWS):
        weight = np.bincount(rng.integers(users, size=users), minlength=users)
        draws.append(float(weight @ hits / max(float(weight @ expected), 1e-12)))
    low, high = np.quantile(np.asarray(draws), [0.025, 0.975])
    total: NDArray[np.float64] = np.array([hits.sum(), expected.sum(), count.sum()])
    return Lift(int(total[2]), total[0] / max(total[2], 1), total[0] / max(total[1], 1e-12), float(low), float(high))  # fmt: skip
