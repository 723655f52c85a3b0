"""What the stages of one request share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motet.recommend._live._items_now import ItemsNow
from motet.recommend._live._past import Past
from motet.recommend._live._scorer import Asker
from motet.recommend._objective import Objective
from motet.recommend._query import Query
from motet.recommend._sources._source import Ask

__all__ = ["Candidates", "Clock", "Request"]


@dataclass(slots=True)
class Clock:
    """Milliseconds of each stage."""

    timings_ms: dict[str, float] = field(default_factory=dict)
    _last_s: float = field(default_factory=time.perf_counter)

    def stage(self, name: str) -> None:
        """A stage is done."""
        now_s = time.perf_counter()
        self.timings_ms[name] = self.timings_ms.get(name, 0.0) + (now_s - self._last_s) * 1e3
        self._last_s = now_s


@dataclass(frozen=True, slots=True)
class Request:
    """A request, read.

    Attributes:
        query: As asked.
        now: The catalogue of its moment.
        past: What the user did, the session included.
        asker: Who asks, as the model sees it; None where the model failed.
        ask: What candidates are wanted for.
        objective: What is ranked by.
        seed: Of what is drawn.
        link: ``personal`` or ``session``; None where nothing is known of who asks.
        failure: Why there is no asker.
    """

    query: Query
    now: ItemsNow
    past: Past
    asker: Asker | None
    ask: Ask
    objective: Objective
    seed: int
    link: str | None
    failure: str | None = None


@dataclass(slots=True)
class Candidates:
    """Items on their way to an answer; stages add to it.

    Attributes:
        rows: [n].
        values: What they are ranked by, [n].
        raw: What the model says of them per task, before the link function, [n] or [n, K].
        links: Per row, which link of the chain gave it.
        found: Per source, the rows it gave.
        left_out: What was left out, with the reason.
    """

    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    raw: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    links: dict[int, str] = field(default_factory=dict)
    found: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, rows: NDArray[np.int64], link: str) -> NDArray[np.int64]:
        """Add rows at the end, but those that are there; returns the others."""
        new = rows[~np.isin(rows, self.rows)] if len(self.rows) else rows
        self.rows = np.concatenate([self.rows, new])
        self.links |= dict.fromkeys(new.tolist(), link)
        return new
