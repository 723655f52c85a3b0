"""What many like: of all times, lately, and in each scenario."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.bundle import Bundle
from motet.recommend._sources._ordered import Ordered
from motet.recommend._sources._source import Ask

__all__ = ["DecayedLikes", "Popular"]

_DAY_S: Final = 86_400.0
_MOST_SCENARIOS: Final = 200
_LARGEST: Final = 2.0**60


class DecayedLikes:
    r"""Likes of each item, of which each counts half as much after each half-life.

    s_i = Σ_e 2^((t_e − t₀)/h): forward decay (Cormode et al. 2009, §III), which orders items as
    Σ_e 2^(−(t − t_e)/h) does at any moment t, and so needs no work while time goes by. The landmark t₀ moves on
    when numbers grow large.

    Args:
        rows: Items of past likes, [n].
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


class Popular:
    """What many like, as a source of candidates.

    Likes are those of the bundle's behaviour and those told while serving; of scenarios only the latter where the
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
        """Likes told while serving.

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

    def candidates(self, ask: Ask, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See :class:`CandidateSource`."""
        if not self._by_scenario:
            return self._all.order.best(ask, n)
        likes = self._places.get(ask.scenario or "")
        if likes is None:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        return likes.order.best(ask, n)
