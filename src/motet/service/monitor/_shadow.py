"""Shadow evaluation: predictions of recommended items against the outcomes."""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from motet.data import EventMeanings
from motet.errors import MotetError
from motet.metrics import METRICS
from motet.schema import Schema, expression_columns, parse_expression
from motet.service.store import Event, Shown, Store

__all__ = ["Outcomes", "Shadow", "labels_of"]

_log: Final = logging.getLogger("motet.service.engine")
_MOST_LISTS: Final = 20_000
_MOST_ITEMS: Final = 1_000  # of one list
_FEWEST: Final = 2


def labels_of(schema: Schema, events: Sequence[Event]) -> list[dict[str, float]]:
    """Labels per task that follow from each event.

    An event with the name of a task gives the label of that task; one with the name of a column of the interactions
    gives the labels of all tasks that are computed from its columns.

    Args:
        schema: The schema, with the label expressions.
        events: As stored.
    """
    found: list[dict[str, float]] = [{} for _ in events]
    tasks = {name: schema.tasks[name] for name in _compared(schema)}
    # A rejection is not a label here: with one hidden item, the other items of a list of likes would no longer count
    # as negatives.
    meanings = EventMeanings(schema)
    parsed = [meanings.of(one.type, one.value) for one in events]
    cells = [{**dict(one.context), one.type: one.value} for one in events]
    for name, task in tasks.items():
        columns = expression_columns(task.label) if task.label else []
        for at, one in enumerate(events):
            if parsed[at].task == name and not parsed[at].is_negative and name not in columns:
                found[at][name] = one.value if task.is_number else float(bool(parsed[at].is_positive))
        recorded = [
            at for at, row in enumerate(cells) if columns and all(row.get(c) is not None for c in columns)
        ]
        if not recorded:
            continue
        try:
            frame = pl.DataFrame(
                {c: pl.Series(c, [cells[at][c] for at in recorded], strict=False) for c in columns}
            )
            truth = frame.select(parse_expression(task.label, "the schema").cast(pl.Float64).alias("y"))["y"]
        except (pl.exceptions.PolarsError, MotetError, TypeError):
            continue
        for at, y in zip(recorded, truth.to_list(), strict=False):
            if y is not None and math.isfinite(y) and (task.is_number or y in (0, 1)):
                found[at][name] = float(y)
    return found


class Outcomes:
    """Labels of recommended lists, for the lists with the latest events.

    Only ids of lists and items and the labels are held, no user ids. The store knows the user of a list; when a user
    is deleted, so is the list, and :meth:`drop` removes its labels.
    """

    def __init__(self) -> None:
        self._lists: OrderedDict[str, dict[str, dict[str, float]]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, schema: Schema, events: Sequence[Event]) -> None:
        """Add events that name a list, up to 1,000 items per list."""
        named = [one for one in events if one.list_id is not None]
        if not named:
            return
        with self._lock:
            for one, labels in zip(named, labels_of(schema, named), strict=True):
                if labels:
                    items = self._lists.pop(str(one.list_id), {})
                    if one.item in items or len(items) < _MOST_ITEMS:
                        items.setdefault(one.item, {}).update(labels)
                    self._lists[str(one.list_id)] = items
            while len(self._lists) > _MOST_LISTS:
                self._lists.popitem(last=False)

    def drop(self, lists: Iterable[str]) -> None:
        """Remove lists."""
        with self._lock:
            for id in lists:
                self._lists.pop(id, None)

    def copy(self) -> dict[str, dict[str, dict[str, float]]]:
        """Labels by list, item and task."""
        with self._lock:
            return {
                id: {item: dict(labels) for item, labels in items.items()}
                for id, items in self._lists.items()
            }


class Shadow:
    """Compares logged predictions with outcomes, by day, task and scenario.

    If a binary task has only positive labels in a list, from events with its own name, the other items of the list
    count as negatives.

    Args:
        store: Holds the recommendation log.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.outcomes = Outcomes()
        self._report: list[dict[str, Any]] = []

    def report(self) -> list[dict[str, Any]]:
        """The result of the last comparison."""
        return self._report

    def compute(self, schema: Schema) -> list[dict[str, Any]]:
        """Compare again; labels of lists that are no longer in the store are removed.

        Args:
            schema: The schema of the active model; tasks that it does not have are left out.
        """
        outcomes = self.outcomes.copy()
        shown = self._store.shown.get_many(list(outcomes))
        self.outcomes.drop(outcomes.keys() - shown.keys())
        pairs: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
        for id, one in shown.items():
            for task, scored in _scored(schema, one, outcomes[id]).items():
                day = str(one.time.date())
                pairs[day, task, one.scenario or ""] += scored
        found = []
        for (day, task, scenario), scored in sorted(pairs.items()):
            p = np.array([prediction for prediction, _ in scored])
            y = np.array([label for _, label in scored])
            found.append(
                {"day": day, "task": task, "scenario": scenario, "n": len(y), **_measured(schema, task, p, y)}
            )
        self._report = found
        return found


def _scored(
    schema: Schema, shown: Shown, outcomes: Mapping[str, Mapping[str, float]]
) -> dict[str, list[tuple[float, float]]]:
    """Predictions and labels per task for the items of one list."""
    found: dict[str, list[tuple[float, float]]] = {}
    there = [outcomes[one.item] for one in shown.items if one.item in outcomes]
    recorded = {task for labels in there for task in labels}
    for task in recorded & _compared(schema):
        values = [labels[task] for labels in there if task in labels]
        only_yes = schema.tasks[task].is_chance and all(label > 0 for label in values)
        columns = expression_columns(schema.tasks[task].label)
        implied = only_yes and task not in columns and _own_name(schema, task)
        scored = []
        for item in shown.items:
            prediction = item.predictions.get(task)
            label = outcomes.get(item.item, {}).get(task, 0.0 if implied else None)
            if isinstance(prediction, int | float) and label is not None:
                scored.append((float(prediction), float(label)))
        found[task] = scored
    return found


def _compared(schema: Schema) -> set[str]:
    """The tasks whose predictions can be compared with events."""
    return {
        name
        for name, task in schema.tasks.items()
        if task.on == "interaction" and task.ranks and not task.ranks_catalogue
    }


def _own_name(schema: Schema, task: str) -> bool:
    """Whether the label of a task is a yes-or-no column, so that a missing event counts as no."""
    label = schema.tasks[task].label.strip()
    return label.isidentifier() or label.endswith("= 1")


def _measured(schema: Schema, task: str, p: Any, y: Any) -> dict[str, Any]:
    if schema.tasks[task].is_number:
        return {"auc": None, "calibration": _ratio(p, y), "rmse": float(np.sqrt(np.mean((p - y) ** 2))) if len(y) else None}  # fmt: skip
    both = len(y) >= _FEWEST and 0 < y.sum() < len(y)
    return {"auc": METRICS["auc"](y, p) if both else None, "calibration": _ratio(p, y)}


def _ratio(p: Any, y: Any) -> float | None:
    """Mean prediction over mean outcome: above 1 if predictions are too high."""
    return float(p.mean() / y.mean()) if len(y) and y.mean() > 0 else None
