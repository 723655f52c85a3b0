"""Drift: distributions of features in requests and events against those of the training data."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.data import EntityTable
from motet.schema import Entity

if TYPE_CHECKING:
    from motet.service.engine import ServedModel

__all__ = ["Drift", "stability"]

_KEPT: Final = 5_000
_FEWEST: Final = 50
_BINS: Final = 10
_MOST_CODES: Final = 20
_SMALL: Final = 1e-4


def stability(expected: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Population stability index of two histograms: Σ (q − p)·ln(q / p) of their shares (Siddiqi 2006, ch. 8).

    Args:
        expected: Counts, [n].
        found: Counts, [n].

    Example:
        >>> round(stability(np.array([50.0, 50.0]), np.array([50.0, 50.0])), 3)
        0.0
        >>> round(stability(np.array([50.0, 50.0]), np.array([90.0, 10.0])), 2)
        0.88
    """
    p = np.maximum(expected / max(expected.sum(), 1.0), _SMALL)
    q = np.maximum(found / max(found.sum(), 1.0), _SMALL)
    return float(((q - p) * np.log(q / p)).sum())


class Drift:
    """Compares the users of the latest requests and the items of the latest events with the training data.

    For each feature it computes the population stability index. By convention, below 0.1 is no drift and above 0.25
    is much.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._served: weakref.ref[ServedModel] | None = None
        self._seen: dict[Entity, deque[tuple[NDArray[np.int32], NDArray[np.float32]]]] = {}
        self._expected: dict[tuple[str, str], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def note(self, served: ServedModel, entity: Entity, table: EntityTable, row: int) -> None:
        """Add the user of a request or the item of an event.

        Args:
            served: The model that encoded it.
            entity: ``user`` or ``item``.
            table: The table that holds its features.
            row: Its row there.
        """
        one = (np.asarray(table.codes[row]), np.asarray(table.numbers[row]))
        with self._lock:
            if self._served is None or self._served() is not served:
                self._served, self._seen, self._expected = weakref.ref(served), {}, {}
            self._seen.setdefault(entity, deque(maxlen=_KEPT)).append(one)

    def report(self) -> list[dict[str, Any]]:
        """The index of each feature, largest first; features with too few values are left out."""
        with self._lock:
            served = None if self._served is None else self._served()
            seen = {entity: list(rows) for entity, rows in self._seen.items() if len(rows) >= _FEWEST}
        if served is None:
            return []
        found = []
        for entity, rows in seen.items():
            codes = np.stack([one for one, _ in rows])
            numbers = np.stack([one for _, one in rows])
            found += self._of(served, entity, codes, numbers)
        return sorted(found, key=lambda one: -one["psi"])

    def _of(
        self, served: ServedModel, entity: Entity, codes: NDArray[np.int32], numbers: NDArray[np.float32]
    ) -> list[dict[str, Any]]:
        bundle = served.bundle
        layout, table = bundle.data.encoder.layout(entity), bundle.data.table(entity)
        behaviour = bundle.behaviour
        counts = np.diff(behaviour.items.offsets) if entity == "user" else np.bincount(behaviour.items.values, minlength=len(table))  # fmt: skip
        weights = counts[: len(table)].astype(np.float64)
        ids = {name for name, feature in getattr(bundle.schema.features, entity).items() if feature.is_id}
        found = []
        for column, name in enumerate(layout.codes):
            if name not in ids:
                known = np.asarray(table.codes[:, column])
                found.append(_report_row(entity, name, *_of_codes(known, weights, codes[:, column])))
        for column, name in enumerate(layout.number_features):
            cells = np.asarray(table.numbers[:, column])
            found.append(_report_row(entity, name, *_of_numbers(cells, weights, numbers[:, column])))
        return found


def _of_codes(
    known: NDArray[np.int32], weights: NDArray[np.float64], seen: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Histograms of the most frequent codes; all others share one bin."""
    values, places = np.unique(known, return_inverse=True)
    totals = np.bincount(places, weights, minlength=len(values))
    kept = values[np.argsort(-totals, kind="stable")[:_MOST_CODES]]

    def histogram(codes: NDArray[np.int32], by: NDArray[np.float64]) -> NDArray[np.float64]:
        counts = [by[codes == code].sum() for code in kept.tolist()]
        return np.array([*counts, by.sum() - sum(counts)])

    return histogram(known, weights), histogram(seen, np.ones(len(seen)))


def _of_numbers(
    known: NDArray[np.float32], weights: NDArray[np.float64], seen: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Histograms over the deciles of the training data."""
    order = np.argsort(known, kind="stable")
    below = np.cumsum(weights[order])
    places = np.searchsorted(below, np.linspace(0, 1, _BINS + 1)[1:-1] * max(below[-1], 1e-9))
    edges = np.unique(known[order][np.minimum(places, len(order) - 1)])
    bins = len(edges) + 1
    expected = np.bincount(np.searchsorted(edges, known, side="left"), weights, minlength=bins).astype(
        np.float64
    )
    found = np.bincount(np.searchsorted(edges, seen, side="left"), minlength=bins).astype(np.float64)
    return expected, found


def _report_row(
    entity: str, name: str, expected: NDArray[np.float64], found: NDArray[np.float64]
) -> dict[str, Any]:
    psi = stability(expected, found)
    return {
        "feature": f"{entity}.{name}",
        "psi": round(psi, 4),
        "level": "none" if psi < 0.1 else "some" if psi < 0.25 else "much",
        "n": int(found.sum()),
        "expected": (expected / max(expected.sum(), 1.0)).round(4).tolist(),
        "found": (found / max(found.sum(), 1.0)).round(4).tolist(),
    }
