"""The one number by which a task is judged, read from an evaluation in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from motet.evaluation._metrics import HEADLINES
from motet.evaluation._report._words import is_number

__all__ = ["CONTROL_NAMES", "FEW_ROWS", "Headline", "TaskFacts", "headline", "interval_of", "task_facts"]

CONTROL_NAMES: Mapping[str, str] = {
    "popularity": "popularity",
    "like_ratio": "user and item averages",
    "item_item": "item–item neighbours",
    "ease": "EASE",
    "linear": "a linear model",
    "tfidf": "TF-IDF words",
    "lightgbm": "LightGBM",
    "single_task": "the same model on this task alone",
}
"""How a control is called in a sentence; any other is called by its own name."""

FEW_ROWS: Final = 100
"""Fewer rows than this carry no judgement about a group or a scenario."""

# A multi-label task has a macro F1 as well, so it is asked about before a multi-class one.
_TELLTALES = {"auc": "binary", "skill": "regression", "macro_ap": "multilabel", "macro_f1": "multiclass"}


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What a task is.

    Attributes:
        name: Its name.
        kind: Its kind, as in a schema.
        label: The expression behind its label; "" if the schema does not tell.
    """

    name: str
    kind: str
    label: str = ""

    @property
    def metric(self) -> str:
        """The metric that is its headline."""
        return HEADLINES[self.kind]


@dataclass(frozen=True, slots=True)
class Headline:
    """A predictor's headline on a task.

    Attributes:
        value: The metric; None where undefined.
        interval: Its 95 % interval, if there is one.
        values: All metrics of the task.
        reason: Why the value is None.
    """

    value: float | None
    interval: tuple[float, float] | None
    values: Mapping[str, Any]
    reason: str


def task_facts(metrics: Mapping[str, Any]) -> list[TaskFacts]:
    """The tasks that were measured, in the order of the schema.

    The schema is read leniently, since a report may be drawn from a bundle of another version;
    what it does not tell is told by which metrics there are.
    """
    declared = _declared(metrics.get("schema"))
    found: dict[str, TaskFacts] = {}
    for name, values in (metrics.get("tasks") or {}).items():
        kind = next((kind for metric, kind in _TELLTALES.items() if metric in values), None)
        if kind is not None:
            found[name] = TaskFacts(name, kind, _expression(declared.get(name), "label"))
    if metrics.get("ranking"):
        ranked = [n for n, t in declared.items() if t.get("kind") == "retrieval" and n not in found]
        name = ranked[0] if ranked else "ranking" if "ranking" not in found else "catalogue ranking"
        found[name] = TaskFacts(name, "retrieval", _expression(declared.get(name), "positive"))
    order = [*(name for name in declared if name in found), *(name for name in found if name not in declared)]
    return [found[name] for name in order]


def _declared(schema: Any) -> dict[str, Mapping[str, Any]]:
    try:
        content = yaml.safe_load(schema) if isinstance(schema, str) else None
    except yaml.YAMLError:
        return {}
    tasks = content.get("tasks") if isinstance(content, dict) else None
    if not isinstance(tasks, dict):
        return {}
    return {str(name): task for name, task in tasks.items() if isinstance(task, dict)}


def _expression(task: Mapping[str, Any] | None, key: str) -> str:
    return str((task or {}).get(key) or "")


def headline(evaluation: Mapping[str, Any], task: TaskFacts) -> Headline | None:
    """A predictor's headline on a task; None if it does not do the task."""
    values = (
        evaluation.get("ranking")
        if task.kind == "retrieval"
        else (evaluation.get("tasks") or {}).get(task.name)
    )
    if not values or task.metric not in values:
        return None
    value = values[task.metric]
    reason = str(values.get("undefined") or "undefined on these rows")
    return Headline(value if is_number(value) else None, interval_of(values, task.metric), values, reason)


def interval_of(values: Mapping[str, Any], metric: str) -> tuple[float, float] | None:
    """The 95 % interval of a metric, if the evaluation holds one."""
    interval = values.get(f"{metric}_interval")
    if not isinstance(interval, list | tuple) or len(interval) != 2 or not all(map(is_number, interval)):
        return None
    return float(interval[0]), float(interval[1])
