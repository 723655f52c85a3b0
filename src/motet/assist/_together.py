"""What is taken together more often than chance: sessions, expected counts, significance.

Legend of shapes: I items, S sessions, G groups of sessions of like size, P pairs of items.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import chdtrc, xlogy

from motet.data import Behaviour

__all__ = ["Chance", "PairCounts", "pair_counts", "sessions"]

_GROUPS = 24  # sizes of sessions are told apart this finely
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
