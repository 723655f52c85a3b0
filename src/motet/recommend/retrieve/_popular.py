"""Candidates that do not depend on the user: popular of all times, lately and by scenario, and the newest."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.recommend.live import AppendOnlyArray, CatalogueSnapshot
from motet.recommend.retrieve._retrieve import CandidateQuery, best_of
from motet.training import Bundle

__all__ = ["DecayedLikes", "Newest", "Ordered", "PopularSource"]

# An order of the catalogue by one number an item, of which the head is kept sorted.
#
# Legend of shapes: I items, by their first rows.

_HEAD: Final = 20_000
_STEP: Final = 512
_SORT_EVERY_S: Final = 0.05
_SMALL: Final = 1000  # so few are sorted at once


class Ordered:
    """Items by falling score; nothing is sorted for a request but what it takes.

    Scores only rise, so the head is kept exact by looking at the rows that changed; a long one at most every
    twentieth of a second. A request walks down the head; where too few of it may come, the items that may are
    looked at one by one.

    Args:
        scores: float64 [I]; −∞ for an item that has no place in the order.
        head: Items whose order is kept, ≥ 1.
        sort_every_s: Seconds between two sorts of a long head.

    Example:
        >>> order = Ordered(np.array([1.0, 3.0, 2.0]))
        >>> order.head.tolist()
        [1, 2, 0]
        >>> order.add(np.array([0]), np.array([9.0]))
        >>> order.head.tolist()
        [0, 1, 2]
    """

    def __init__(
        self, scores: NDArray[np.float64], *, head: int = _HEAD, sort_every_s: float = _SORT_EVERY_S
    ) -> None:
        self._scores = AppendOnlyArray(scores.copy())
        self._most, self._sort_every_s = head, sort_every_s
        self._head = _sorted(self._scores.view, np.flatnonzero(scores > -np.inf), head)
        self._changed: list[NDArray[np.int64]] = []
        self._sorted_s = time.monotonic()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._scores)

    @property
    def scores(self) -> NDArray[np.float64]:
        """Of all items, [I]."""
        return self._scores.view

    @property
    def head(self) -> NDArray[np.int64]:
        """The first rows, in order."""
        if self._changed and self._is_due() and self._lock.acquire(blocking=False):
            try:
                self._sort()
            finally:
                self._lock.release()
        return self._head

    def add(self, rows: NDArray[np.int64], gains: NDArray[np.float64]) -> None:
        """Let scores rise; rows beyond the end are new items, which start from nothing.

        Args:
            rows: Distinct rows, [n].
            gains: ≥ 0, [n]; where an item has no place yet, its score.
        """
        with self._lock:
            if len(rows) and rows.max() >= len(self._scores):
                self._scores.append(np.full(int(rows.max()) + 1 - len(self._scores), -np.inf))
            scores = self._scores.view
            scores[rows] = np.where(scores[rows] > -np.inf, scores[rows] + gains, gains)
            self._changed.append(rows)
            if self._is_due():
                self._sort()

    def scale(self, factor: float) -> None:
        """Multiply all scores by a positive number, which changes no order."""
        with self._lock:
            view = self._scores.view
            np.multiply(view, factor, out=view)

    def best(self, ask: CandidateQuery, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The first n that may come, best first."""
        head, now, missing = self.head, ask.now, n
        found: list[NDArray[np.int64]] = []
        complete = len(head) < self._most
        if complete or ask.eligible.count > self._most:
            for start in range(0, len(head), _STEP):
                rows = now.now(head[start : start + _STEP])
                rows = rows[ask.may_come(rows)][:missing]
                found.append(rows)
                missing -= len(rows)
                if not missing:
                    break
        scores = self._scores.view
        if missing and not complete:
            rows = ask.eligible.rows
            rows = rows[ask.may_come(rows)]
            first = now.origin[rows]
            rows, first = rows[first < len(scores)], first[first < len(scores)]
            placed = scores[first] > -np.inf
            return best_of(rows[placed], scores[first[placed]].astype(np.float32), n)
        rows = np.concatenate(found) if found else np.zeros(0, np.int64)
        return rows, scores[now.origin[rows]].astype(np.float32)

    def _is_due(self) -> bool:
        return len(self._head) < _SMALL or time.monotonic() - self._sorted_s > self._sort_every_s

    def _sort(self) -> None:
        changed, self._changed = self._changed, []
        self._head = _sorted(self._scores.view, np.unique(np.concatenate([self._head, *changed])), self._most)
        self._sorted_s = time.monotonic()


def _sorted(scores: NDArray[np.float64], rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(rows) > most:
        edge = np.partition(scores[rows], len(rows) - most)[len(rows) - most]
        rows = rows[scores[rows] >= edge]
    head: NDArray[np.int64] = rows[np.lexsort((rows, -scores[rows]))][:most].astype(np.int64)
    return head


# What many like: of all times, lately, and in each scenario.

_DAY_S: Final = 86_400.0
_MOST_SCENARIOS: Final = 200
_LARGEST: Final = 2.0**60


class DecayedLikes:
    r"""Likes of each item, of which each counts half as much after each half-life.

    s_i = Σ_e 2^((t_e − t₀)/h): forward decay (Cormode et al. 2009, §III), which orders items as
    Σ_e 2^(−(t − t_e)/h) does at any time t, and so needs no work while time goes by. The landmark t₀ moves on
    when numbers grow large.

    Args:
        rows: Items of earlier likes, [n].
        time_s: When they were, [n].
        items: Rows of the catalogue.
        half_life_s: h; infinite counts every like alike.

    Example:
        >>> likes = DecayedLikes(np.array([0, 0, 1]), np.array([0.0, 0.0, 10.0]), 2, half_life_s=5.0)
        >>> likes.order.head.tolist(), likes.order.scores.tolist()
        ([1, 0], [0.5, 1.0])
    """

    def __init__(
        self, rows: NDArray[np.int64], time_s: NDArray[np.float64], items: int, *, half_life_s: float
    ) -> None:
        self._half_life_s = half_life_s
        self._landmark_s = float(time_s.max()) if len(time_s) else 0.0
        scores = np.bincount(rows, self._weights(time_s), minlength=items)
        self.order = Ordered(np.where(scores > 0, scores, -np.inf))

    def add(self, rows: NDArray[np.int64], time_s: NDArray[np.float64]) -> None:
        """Further likes."""
        if not len(rows):
            return
        weights = self._weights(time_s)
        if weights.max() > _LARGEST:
            latest_s = float(time_s.max())
            # not to nothing: a like of long ago still counts for more than none
            self.order.scale(2.0 ** max((self._landmark_s - latest_s) / self._half_life_s, -900.0))
            self._landmark_s = latest_s
            weights = self._weights(time_s)
        distinct, at = np.unique(rows, return_inverse=True)
        self.order.add(distinct, np.bincount(at, weights).astype(np.float64))

    def _weights(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        if np.isinf(self._half_life_s):
            return np.ones(len(time_s))
        exponent = np.clip((time_s - self._landmark_s) / self._half_life_s, -1000.0, 1000.0)
        weights: NDArray[np.float64] = np.exp2(exponent)
        return weights


class PopularSource:
    """What many like, as a source of candidates.

    Likes are those of the bundle's behaviour and those recorded while serving; of scenarios only the latter where the
    bundle was written before bundles kept where a like was.

    Args:
        bundle: With behaviour.
        name: Of the source.
        half_life_s: See :class:`DecayedLikes`.
        by_scenario: Whether only likes of the scenario asked for count.
    """

    inline = True

    def __init__(
        self, bundle: Bundle, *, name: str, half_life_s: float = float("inf"), by_scenario: bool = False
    ) -> None:
        self.name = name
        self._half_life_s, self._by_scenario = half_life_s, by_scenario
        behaviour, task = bundle.behaviour, bundle.schema.liking_task
        liked = np.ones(len(behaviour.time), bool) if task is None else behaviour.label(task) > 0
        rows = behaviour.items.values[liked].astype(np.int64)
        self._items = len(bundle.data.items)
        self._all = DecayedLikes(rows, behaviour.time[liked] / 1e6, self._items, half_life_s=half_life_s)
        self._places: dict[str, DecayedLikes] = {}
        if by_scenario and behaviour.scenario is not None:
            where, time_s = behaviour.scenario[liked], behaviour.time[liked] / 1e6
            for code, scenario in enumerate(bundle.data.encoder.scenarios[: _MOST_SCENARIOS + 1]):
                here = where == code
                if code and here.any():  # 0 is unknown
                    self._places[scenario] = DecayedLikes(
                        rows[here], time_s[here], self._items, half_life_s=half_life_s
                    )
        self._lock = threading.Lock()

    def add(
        self, rows: NDArray[np.int64], time_s: NDArray[np.float64], scenarios: Sequence[str | None]
    ) -> None:
        """Take in likes recorded while serving.

        Args:
            rows: First rows of their items, [n].
            time_s: [n].
            scenarios: [n].
        """
        with self._lock:
            if not self._by_scenario:
                self._all.add(rows, time_s)
                return
            for scenario in {s for s in scenarios if s is not None}:
                at = np.array([s == scenario for s in scenarios])
                if scenario not in self._places and len(self._places) < _MOST_SCENARIOS:
                    none = np.zeros(0)
                    self._places[scenario] = DecayedLikes(
                        none.astype(np.int64), none, self._items, half_life_s=self._half_life_s
                    )
                if scenario in self._places:
                    self._places[scenario].add(rows[at], time_s[at])

    @property
    def likes(self) -> NDArray[np.float64]:
        """Likes of all items in all scenarios by their first rows; −∞ where an item has none, [I]."""
        return self._all.order.scores

    def candidates(self, ask: CandidateQuery, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        if not self._by_scenario:
            return self._all.order.best(ask, n)
        likes = self._places.get(ask.scenario or "")
        if likes is None:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        return likes.order.best(ask, n)


# The newest items.


class Newest:
    """Items by when they appeared, the newest first; those of unknown age last.

    Args:
        now: The catalogue at the start.
    """

    inline = True
    name = "newest"

    def __init__(self, now: CatalogueSnapshot) -> None:
        self._order = Ordered(np.maximum(now.appeared_s, -1e30))
        self._known = len(now)

    def grow(self, now: CatalogueSnapshot) -> None:
        """Take in the rows that are new."""
        rows = np.arange(self._known, len(now))
        self._known = len(now)
        rows = rows[now.origin[rows] == rows]
        if len(rows):
            self._order.add(rows, np.maximum(now.appeared_s[rows], -1e30))

    def candidates(self, ask: CandidateQuery, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        return self._order.best(ask, n)
