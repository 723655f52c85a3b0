"""How items stand to each other: what goes together, what replaces what, what is the same twice.

Legend of shapes: I items, S sessions, G groups of sessions of like size, P pairs of items.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import chdtrc, xlogy

from motet.assistant._likeness import Likeness, duplicate_pairs, likeness_of
from motet.data import Behaviour, Dataset
from motet.errors import RequestError
from motet.schema import Part, Schema, require_known

__all__ = [
    "Chance",
    "ItemRelations",
    "PairCounts",
    "RelationSettings",
    "grown_relations",
    "mine_relations",
    "pair_counts",
    "sessions",
]

_GROUPS = 24  # sizes of sessions are distinguished this finely
_BLOCK_CELLS = 1 << 24  # cells of a block of pair counts, held at once


def sessions(
    behaviour: Behaviour,
    items: int,
    *,
    kept: NDArray[np.bool_] | None = None,
    gap_us: int | None = None,
    longest: int = 200,
) -> sp.csr_array:
    """Cut what users did into sessions: a pause longer than ``gap_us`` begins a new one.

    Args:
        behaviour: The events.
        items: I.
        kept: Which events count, bool [n]; all when left out.
        gap_us: Longest pause within a session, microseconds; one session a user when left out.
        longest: Items a session that are looked at, the latest ones, ≥ 2.

    Returns:
        Zeros and ones, [S, I]; every session has at least one item.
    """
    users = np.repeat(np.arange(len(behaviour.items)), behaviour.items.lengths())
    rows, time = behaviour.items.values, behaviour.time
    if kept is not None:
        users, rows, time = users[kept], rows[kept], time[kept]
    if not len(rows):
        return sp.csr_array((0, items), dtype=np.float64)
    begins = np.ones(len(rows), bool)
    begins[1:] = users[1:] != users[:-1]
    if gap_us is not None:
        begins[1:] |= np.diff(time) > gap_us
    session = np.cumsum(begins) - 1
    sizes = np.bincount(session)
    from_end = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(rows))
    late = from_end <= longest
    shape = (len(sizes), items)
    taken = sp.csr_array((np.ones(int(late.sum())), (session[late], rows[late])), shape=shape)
    taken.sum_duplicates()
    taken.data[:] = 1.0
    return taken


class Chance:
    """How often two items would fall into one session if nothing drew them together.

    The null keeps how often each item is taken and how long each session is, as the bipartite
    configuration model does (Saracco et al. 2017, Inferring monopartite projections of bipartite
    networks). A session of size n takes item i with probability

        p_i(n) = 1 − exp(−n θ_i),   θ_i such that Σ_s p_i(n_s) = d_i,

    and the pair (i, j) is expected Σ_s c(n_s) p_i(n_s) p_j(n_s) times, with c(n) such that a session of
    size n holds n (n − 1) ordered pairs, for an item is taken once. Long sessions hold many pairs, and
    a count of sessions alone would take each of them for a sign. Sizes are rounded into 24 groups.

    Args:
        taken: Zeros and ones, [S, I].
    """

    def __init__(self, taken: sp.csr_array) -> None:
        size = np.diff(taken.indptr).astype(np.float64)
        often = np.asarray(taken.sum(axis=0)).ravel()
        group = np.unique(np.round(np.log1p(size) * 3), return_inverse=True)[1] if len(size) else size
        group = np.minimum(group, _GROUPS - 1).astype(np.int64)
        count = np.bincount(group).astype(np.float64)  # [G]
        mean = np.bincount(group, size) / np.maximum(count, 1)
        low, high = np.zeros(len(often)), np.full(len(often), 50.0)
        for _ in range(60):  # bisection: Σ p rises with θ
            middle = (low + high) / 2
            found = -np.expm1(-np.outer(middle, mean)) @ count
            low, high = np.where(found < often, middle, low), np.where(found < often, high, middle)
        taking = -np.expm1(-np.outer((low + high) / 2, mean))  # [I, G]
        taking[often == 0] = 0.0
        ordered = taking.sum(axis=0) ** 2 - (taking**2).sum(axis=0)  # [G]
        held = np.bincount(group, size * (size - 1), minlength=len(count))
        self._part = taking * np.sqrt(held / np.maximum(ordered, 1e-12))

    def expected(self, a: NDArray[np.intp], b: NDArray[np.intp]) -> NDArray[np.float64]:
        """Expected number of common sessions of pairs, [P]."""
        found: NDArray[np.float64] = np.einsum("pg,pg->p", self._part[a], self._part[b])
        return found


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Pairs a < b that were taken together, with what chance would give.

    Attributes:
        a: Item rows, [P].
        b: Item rows, [P].
        count: Common sessions, [P].
        expected: Common sessions by chance, [P].
        p_value: Of the count under chance, one-sided, [P].
    """

    a: NDArray[np.intp]
    b: NDArray[np.intp]
    count: NDArray[np.float64]
    expected: NDArray[np.float64]
    p_value: NDArray[np.float64]

    def significant(self, level: float, tests: int) -> NDArray[np.bool_]:
        """Pairs beyond chance with a false discovery rate of at most ``level`` (Benjamini & Hochberg 1995).

        Args:
            level: The rate, in (0, 1).
            tests: Pairs that were looked at, those never taken together among them.
        """
        order = np.argsort(self.p_value, kind="stable")
        passes = self.p_value[order] <= level * np.arange(1, len(order) + 1) / max(tests, 1)
        last = int(np.flatnonzero(passes).max(initial=-1))
        found = np.zeros(len(order), bool)
        found[order[: last + 1]] = True
        return found


def pair_counts(taken: sp.csr_array, *, support: int) -> PairCounts:
    """Count pairs, and test each count against chance by its log-likelihood ratio.

        G = 2 (c ln(c / E) − (c − E))   for c > E,   p = P(χ²₁ > G) / 2

    (the Poisson form of Dunning 1993, Accurate methods for the statistics of surprise and coincidence).

    Args:
        taken: Zeros and ones, [S, I].
        support: Fewest common sessions of a pair that is kept, ≥ 1.
    """
    chance = Chance(taken)
    parts = list(_blocks(taken, support))
    a = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, np.intp)
    b = np.concatenate([part[1] for part in parts]) if parts else np.zeros(0, np.intp)
    count = np.concatenate([part[2] for part in parts]) if parts else np.zeros(0)
    expected = np.maximum(chance.expected(a, b), 1e-12)
    ratio = 2 * (xlogy(count, count / expected) - (count - expected))
    p_value = np.where(count > expected, chdtrc(1, np.maximum(ratio, 0)) / 2, 1.0)
    return PairCounts(a, b, count, expected, p_value)


def _blocks(
    taken: sp.csr_array, support: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]]:
    """Pairs a < b with enough support, some items at a time."""
    items = taken.shape[1]
    columns = sp.csr_array(taken.T)
    step = max(1, _BLOCK_CELLS // max(items, 1))
    for start in range(0, items, step):
        block = sp.coo_array(columns[start : start + step] @ taken)
        a, b = block.row.astype(np.intp) + start, block.col.astype(np.intp)
        keep = (a < b) & (block.data >= support)
        order = np.lexsort((b[keep], a[keep]))
        yield a[keep][order], b[keep][order], block.data[keep][order]


_DAY_US = 86_400_000_000


class RelationSettings(Part):
    """What counts as a relation.

    Attributes:
        taken: Task whose positive label says that a user took an item; the last step of the longest
            funnel of binary tasks when left out, else what says that it was liked.
        within_days: A longer pause begins a new session, days > 0; a user's whole history is one session
            when left out, as it is where events have no time.
        support: Fewest common sessions, ≥ 1.
        level: False discovery rate of what goes together, in (0, 1).
        shrinkage: Sessions by which a ratio is drawn to 1, > 0.
        alike: From this likeness on, two items stand in for each other rather than go together.
        same_text: Cosine of texts from which two items are the same thing.
        longest_session: Items a session that are looked at, the latest ones.
        neighbours: Strongest relations of each kind that an item keeps.
    """

    taken: str | None = None
    within_days: float | None = Field(None, gt=0)
    support: int = Field(3, ge=1)
    level: float = Field(0.05, gt=0, lt=1)
    shrinkage: float = Field(3.0, gt=0)
    alike: float = Field(0.6, gt=0, le=1)
    same_text: float = Field(0.98, gt=0, le=1)
    longest_session: int = Field(200, ge=2)
    neighbours: int = Field(30, ge=1)


@dataclass(frozen=True, slots=True)
class ItemRelations:
    """Relations of items, all symmetric.

    Attributes:
        complements: Strength in (0, 1) of pairs that go together, 1 − 1 / (shrunk ratio to chance), [I, I].
        substitutes: Strength in (0, 1] of pairs that stand in for each other, [I, I].
        duplicates: True for the same thing under two ids, [I, I].
        likeness: How alike any two items are in text and tags.
    """

    complements: sp.csr_array
    substitutes: sp.csr_array
    duplicates: sp.csr_array
    likeness: Likeness

    def __len__(self) -> int:
        return int(self.complements.shape[0])

    def strongest(self, item: int, kind: str = "complements", k: int = 10) -> list[tuple[int, float]]:
        """The strongest relations of an item as (item row, strength), the strongest first.

        Args:
            item: Its row.
            kind: ``complements`` or ``substitutes``.
            k: At most so many.

        Raises:
            RequestError: If the kind is not known.
        """
        require_known(kind, ("complements", "substitutes"), "the relation", RequestError)
        matrix: sp.csr_array = getattr(self, kind)
        span = slice(int(matrix.indptr[item]), int(matrix.indptr[item + 1]))
        rows, strength = matrix.indices[span], matrix.data[span]
        best = np.lexsort((rows, -strength))[:k]
        return [(int(rows[place]), float(strength[place])) for place in best]


def mine_relations(
    data: Dataset, behaviour: Behaviour, settings: RelationSettings | None = None
) -> ItemRelations:
    """Find relations in what users did and in what items say of themselves.

    Two items **go together** if they fall into the same session of what was taken more often than
    chance allows (see :class:`~motet.assistant._relations.Chance`) and are not alike. They **stand in for
    each other** if they are alike and not taken together beyond chance:

        strength = likeness · v / (v + c),   c, v = (count + m) / (expected + m)

    with c from what was taken and v from all events, so that what is looked at together and taken
    alternatively comes first. They are **the same** by :func:`~motet.assistant._likeness.duplicate_pairs`.

    Args:
        data: The items: their catalogue, texts and tags.
        behaviour: What users did; without test rows for anything that is measured on them.
        settings: What counts as a relation.

    Raises:
        RequestError: If the task named is not one on interactions.
    """
    settings = settings or RelationSettings()
    items = len(data.items)
    likeness = likeness_of(data)
    task = _taken(data.schema, behaviour, settings.taken)
    kept = None if task is None else behaviour.label(task) > 0.5
    gap_us = None
    if settings.within_days is not None and (behaviour.time != 0).any():
        gap_us = round(settings.within_days * _DAY_US)
    cut = {"gap_us": gap_us, "longest": settings.longest_session}
    taken = sessions(behaviour, items, kept=kept, **cut)  # type: ignore[arg-type]
    seen = sessions(behaviour, items, **cut)  # type: ignore[arg-type]
    pairs = pair_counts(taken, support=settings.support)
    looked_at = int((np.asarray(taken.sum(axis=0)) >= settings.support).sum())
    beyond = pairs.significant(settings.level, looked_at * (looked_at - 1) // 2)
    same_a, same_b = duplicate_pairs(data.catalogue, likeness, text_at_least=settings.same_text)
    same = _symmetric(same_a, same_b, np.ones(len(same_a)), items)
    complements = _complements(pairs, beyond, likeness, same, settings, items)
    substitutes = _substitutes(pairs, beyond, taken, seen, likeness, same, settings)
    return ItemRelations(complements, substitutes, same.astype(bool), likeness)


def grown_relations(relations: ItemRelations, data: Dataset, changed: NDArray[np.int64]) -> ItemRelations:
    """Relations of items some of which came after they were mined.

    What goes together with a new item is not known yet; what it is like, and the same as, its words say.

    Args:
        relations: As mined.
        data: All items, those of before in their places.
        changed: Places of the items that are new or were replaced.
    """
    items, settings = len(data.items), RelationSettings()
    likeness = likeness_of(data)
    kept = relations.duplicates.tocoo()
    same = ~np.isin(kept.row, changed) & ~np.isin(kept.col, changed) & (kept.row < kept.col)
    a, b = duplicate_pairs(data.catalogue, likeness, text_at_least=settings.same_text, rows=changed)
    a, b = np.concatenate([kept.row[same], a]), np.concatenate([kept.col[same], b])
    return ItemRelations(
        _widened(relations.complements, items),
        _widened(relations.substitutes, items),
        _symmetric(a, b, np.ones(len(a)), items).astype(bool),
        likeness,
    )


def _widened(matrix: sp.csr_array, items: int) -> sp.csr_array:
    ends = np.full(items - matrix.shape[0], matrix.indptr[-1], matrix.indptr.dtype)
    parts = (matrix.data, matrix.indices, np.concatenate([matrix.indptr, ends]))
    return sp.csr_array(parts, shape=(items, items))


def _taken(schema: Schema, behaviour: Behaviour, name: str | None) -> str | None:
    """The task that says what was taken; None if every event does."""
    binary = [n for n in behaviour.tasks if schema.tasks[n].is_chance]
    if name is not None:
        require_known(name, behaviour.tasks, "the task that says what was taken", RequestError)
        return name

    def steps(task: str) -> int:
        before = schema.tasks[task].after
        return 0 if before is None else 1 + steps(before)

    deepest = max(binary, key=steps, default=None)
    if deepest is not None and steps(deepest) > 1:
        return deepest
    liked = schema.liking_task
    return liked if liked in behaviour.tasks else None


def _symmetric(
    a: NDArray[np.intp], b: NDArray[np.intp], values: NDArray[np.float64], items: int
) -> sp.csr_array:
    place = (np.concatenate([a, b]), np.concatenate([b, a]))
    matrix = sp.csr_array((np.concatenate([values, values]), place), shape=(items, items))
    matrix.sort_indices()
    return matrix


def _complements(
    pairs: PairCounts,
    beyond: NDArray[np.bool_],
    likeness: Likeness,
    same: sp.csr_array,
    settings: RelationSettings,
    items: int,
) -> sp.csr_array:
    a, b = pairs.a[beyond], pairs.b[beyond]
    m = settings.shrinkage
    strength = 1 - (pairs.expected[beyond] + m) / (pairs.count[beyond] + m)
    keep = (strength > 0) & (likeness.of_pairs(a, b) < settings.alike) & ~_holds(same, a, b)
    return _strongest(a[keep], b[keep], strength[keep], items, settings.neighbours)


def _substitutes(
    pairs: PairCounts,
    beyond: NDArray[np.bool_],
    taken: sp.csr_array,
    seen: sp.csr_array,
    likeness: Likeness,
    same: sp.csr_array,
    settings: RelationSettings,
) -> sp.csr_array:
    items = taken.shape[1]
    parts = list(likeness.pairs_above(settings.alike, np.arange(items)))
    a, b, alike = (np.concatenate([part[i] for part in parts]) for i in range(3))
    together = _symmetric(pairs.a[beyond], pairs.b[beyond], np.ones(int(beyond.sum())), items)
    keep = ~_holds(same, a, b) & ~_holds(together, a, b)
    a, b, alike = a[keep].astype(np.intp), b[keep].astype(np.intp), alike[keep]
    c, v = _ratio(taken, a, b, settings.shrinkage), _ratio(seen, a, b, settings.shrinkage)
    return _strongest(a, b, alike * v / (v + c), items, settings.neighbours)


def _ratio(
    taken: sp.csr_array, a: NDArray[np.intp], b: NDArray[np.intp], shrinkage: float
) -> NDArray[np.float64]:
    """Common sessions of pairs beside what chance gives, shrunk to 1, [P]."""
    columns = sp.csc_array(taken).T.tocsr()
    count = np.empty(len(a))
    for start in range(0, len(a), 100_000):
        part = slice(start, start + 100_000)
        count[part] = np.asarray(columns[a[part]].multiply(columns[b[part]]).sum(axis=1)).ravel()
    ratio: NDArray[np.float64] = (count + shrinkage) / (Chance(taken).expected(a, b) + shrinkage)
    return ratio


def _holds(matrix: sp.csr_array, a: NDArray[np.intp], b: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which pairs a matrix has, [P]."""
    if not len(a) or not matrix.nnz:
        return np.zeros(len(a), bool)
    width = matrix.shape[1]
    there = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)).astype(np.int64) * width
    found: NDArray[np.bool_] = np.isin(a.astype(np.int64) * width + b, there + matrix.indices)
    return found


def _strongest(
    a: NDArray[np.intp], b: NDArray[np.intp], strength: NDArray[np.float64], items: int, k: int
) -> sp.csr_array:
    """Both directions of pairs that are among the k strongest of either side."""
    one, other = np.concatenate([a, b]), np.concatenate([b, a])
    both = np.concatenate([strength, strength])
    order = np.lexsort((other, -both, one))
    counts = np.bincount(one, minlength=items)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.zeros(len(order), bool)
    kept[order[rank < k]] = True
    either = kept[: len(a)] | kept[len(a) :]
    return _symmetric(a[either], b[either], strength[either], items)
