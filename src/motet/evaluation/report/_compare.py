"""The primary metric of each task, read from an evaluation in JSON, and the model beside its baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

from motet.metrics import interval_of, is_number
from motet.schema import TASK_KINDS, Task

__all__ = [
    "BASELINE_NAMES",
    "FEW_ROWS",
    "Comparison",
    "PrimaryValue",
    "Rival",
    "TaskFacts",
    "Track",
    "compare",
    "interval_of",
    "primary",
    "skipped_baselines",
    "task_facts",
    "track",
]

BASELINE_NAMES: Mapping[str, str] = {
    "popularity": "popularity",
    "like_ratio": "user and item averages",
    "item_knn": "item–item neighbours",
    "text_neighbours": "items with like texts",
    "recent_popularity": "popular of late",
    "ease": "EASE",
    "als": "alternating least squares",
    "linear": "a linear model",
    "tfidf": "TF-IDF words",
    "lightgbm": "LightGBM",
    "hybrid_mf": "hybrid matrix factorisation",
    "fm": "a factorisation machine",
    "single_task": "the same model on this task alone",
}
"""How a baseline is called in a sentence; any other is called by its own name."""

FEW_ROWS: Final = 100
"""Fewer rows than this carry no judgement about a group or a scenario."""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What a task is.

    Attributes:
        name: Its name.
        kind: Its kind, as in a schema.
        label: The expression behind its label; "" if the schema does not say.
    """

    name: str
    kind: str
    label: str = ""

    @property
    def metric(self) -> str:
        """Its primary metric."""
        return self.of_kind.primary_metric

    @property
    def of_kind(self) -> type[Task]:
        """What motet knows of such tasks."""
        return TASK_KINDS[self.kind]


@dataclass(frozen=True, slots=True)
class PrimaryValue:
    """A predictor's primary metric on a task.

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
    what it does not say follows from which metrics there are.
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
    kind = (declared or {}).get("kind")
    return kind if kind in fitting else max(fitting, key=lambda kind: fitting[kind], default=None)


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


def primary(evaluation: Mapping[str, Any], task: TaskFacts) -> PrimaryValue | None:
    """A predictor's primary metric on a task; None if it does not do the task."""
    values = (
        evaluation.get("ranking")
        if task.of_kind.ranks_catalogue
        else (evaluation.get("tasks") or {}).get(task.name)
    )
    if not values or task.metric not in values:
        return None
    value = values[task.metric]
    reason = str(values.get("undefined") or "undefined on these rows")
    return PrimaryValue(value if is_number(value) else None, interval_of(values, task.metric), values, reason)


# The model beside its baselines, task by task.

Verdict = Literal["ahead", "level", "behind"]


@dataclass(frozen=True, slots=True)
class Rival:
    """A predictor's primary metric on a task.

    Attributes:
        name: How it is called in a sentence.
        role: The model, a baseline, or the model's own architecture on one task.
        primary: Its number.
    """

    name: str
    role: Literal["model", "baseline", "alone"]
    primary: PrimaryValue

    @property
    def value(self) -> float:
        """The primary metric; only rivals that have one are compared."""
        return self.primary.value if self.primary.value is not None else float("nan")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The model and its baselines on one task.

    Attributes:
        task: Which.
        model: The model; its value may be undefined.
        rivals: Baselines with a value, best first, the single-task model among them.
        verdict: Against the best plain baseline; None if there is none to compare with.
    """

    task: TaskFacts
    model: Rival
    rivals: list[Rival]
    verdict: Verdict | None

    @property
    def best(self) -> Rival | None:
        """The best plain baseline."""
        return next((rival for rival in self.rivals if rival.role == "baseline"), None)

    @property
    def better(self) -> list[Rival]:
        """Plain baselines with a higher number, best first, whether the lead is sure or not."""
        return [r for r in self.rivals if r.role == "baseline" and r.value > self.model.value]


def compare(metrics: Mapping[str, Any], task: TaskFacts) -> Comparison | None:
    """Put the model beside every baseline that does a task; None if the model does not do it.

    The best baseline is level with the model if its value is within the 95 % interval around the
    model's; without an interval the larger number is ahead.
    """
    own = primary(metrics, task)
    if own is None:
        return None
    rivals = []
    for name, evaluation in (metrics.get("baselines") or {}).items():
        found = primary(evaluation, task)
        if found is not None and found.value is not None:
            role: Literal["baseline", "alone"] = "alone" if name == "single_task" else "baseline"
            rivals.append(Rival(BASELINE_NAMES.get(name, name), role, found))
    rivals.sort(key=lambda rival: -rival.value)
    comparison = Comparison(task, Rival("this model", "model", own), rivals, None)
    if own.value is None or comparison.best is None:
        return comparison
    low, high = own.interval or (own.value, own.value)
    other = comparison.best.value
    verdict: Verdict = "ahead" if other < low else "behind" if other > high else "level"
    return Comparison(task, comparison.model, rivals, verdict)


@dataclass(frozen=True, slots=True)
class Track:
    """Position of a value and its interval on the axis of their task, in per cent of its width."""

    rival: Rival
    at: float
    low: float
    high: float


def track(comparison: Comparison) -> tuple[list[Track], tuple[float, float]]:
    """Lay out a task's predictors on one axis, best first, and say where the axis ends."""
    shown = sorted([comparison.model, *comparison.rivals], key=lambda rival: -rival.value)
    shown = [rival for rival in shown if rival.primary.value is not None]
    if not shown:
        return [], (0.0, 1.0)
    spans = [rival.primary.interval or (rival.value, rival.value) for rival in shown]
    low = min(min(span[0], r.value) for span, r in zip(spans, shown, strict=True))
    high = max(max(span[1], r.value) for span, r in zip(spans, shown, strict=True))
    margin = 0.06 * (high - low) or 0.05
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    tracks = [Track(r, place(r.value), place(s[0]), place(s[1])) for r, s in zip(shown, spans, strict=True)]
    return tracks, (low, high)


def skipped_baselines(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Baselines that were skipped, and why."""
    return [
        (BASELINE_NAMES.get(name, name), str(evaluation["skipped"]))
        for name, evaluation in (metrics.get("baselines") or {}).items()
        if evaluation.get("skipped")
    ]
