"""The one number by which a task is judged, read from an evaluation in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from motet.kinds import interval_of, is_number
from motet.schema import TASK_KINDS, Task

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
        return self.of_kind.primary_metric

    @property
    def of_kind(self) -> type[Task]:
        """What motet knows of such tasks."""
        return TASK_KINDS[self.kind]


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
        kind = _kind_of(declared.get(name), values)
        if kind is not None:
            found[name] = TaskFacts(name, kind, _expression(declared.get(name), "label"))
    if metrics.get("ranking"):
        kinds = [kind for kind in TASK_KINDS if TASK_KINDS[kind].ranks_catalogue]
        ranked = [n for n, t in declared.items() if t.get("kind") in kinds and n not in found]
        name = ranked[0] if ranked else "ranking" if "ranking" not in found else "catalogue ranking"
        kind = str(declared[name]["kind"]) if ranked else kinds[0]
        found[name] = TaskFacts(name, kind, _expression(declared.get(name), "positive"))
    order = [*(name for name in declared if name in found), *(name for name in found if name not in declared)]
    return [found[name] for name in order]


def _kind_of(declared: Mapping[str, Any] | None, values: Mapping[str, Any]) -> str | None:
    """The kind of a task: that of the schema, or else the one with most of its metrics; None if none fits."""
    fitting = {
        kind: sum(metric in values for metric in TASK_KINDS[kind].metrics)
        for kind in TASK_KINDS
        if TASK_KINDS[kind].primary_metric in values and not TASK_KINDS[kind].ranks_catalogue
    }
    said = (declared or {}).get("kind")
    return said if said in fitting else max(fitting, key=lambda kind: fitting[kind], default=None)


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
        if task.of_kind.ranks_catalogue
        else (evaluation.get("tasks") or {}).get(task.name)
    )
    if not values or task.metric not in values:
        return None
    value = values[task.metric]
    reason = str(values.get("undefined") or "undefined on these rows")
    return Headline(value if is_number(value) else None, interval_of(values, task.metric), values, reason)
