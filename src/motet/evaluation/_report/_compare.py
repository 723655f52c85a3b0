"""The model beside its controls, task by task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from motet.evaluation._report._headline import CONTROL_NAMES, Headline, TaskFacts, headline

__all__ = ["Comparison", "Rival", "Track", "compare", "track"]

Verdict = Literal["ahead", "level", "behind"]


@dataclass(frozen=True, slots=True)
class Rival:
    """A predictor's headline on a task.

    Attributes:
        name: How it is called in a sentence.
        role: The model, a control, or the model's own architecture on one task.
        headline: Its number.
    """

    name: str
    role: Literal["model", "control", "alone"]
    headline: Headline

    @property
    def value(self) -> float:
        """The headline; only rivals that have one are compared."""
        return self.headline.value if self.headline.value is not None else float("nan")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The model and its controls on one task.

    Attributes:
        task: Which.
        model: The model; its value may be undefined.
        rivals: Controls with a value, best first, the single-task model among them.
        verdict: Against the best plain control; None if there is none to compare with.
    """

    task: TaskFacts
    model: Rival
    rivals: list[Rival]
    verdict: Verdict | None

    @property
    def best(self) -> Rival | None:
        """The best plain control."""
        return next((rival for rival in self.rivals if rival.role == "control"), None)

    @property
    def better(self) -> list[Rival]:
        """Plain controls with a higher number, best first, whether the lead is sure or not."""
        return [r for r in self.rivals if r.role == "control" and r.value > self.model.value]


def compare(metrics: Mapping[str, Any], task: TaskFacts) -> Comparison | None:
    """Put the model beside every control that does a task; None if the model does not do it.

    The best control is level with the model if its value lies within the 95 % interval around the
    model's; without an interval the larger number is ahead.
    """
    own = headline(metrics, task)
    if own is None:
        return None
    rivals = []
    for name, evaluation in (metrics.get("controls") or {}).items():
        found = headline(evaluation, task)
        if found is not None and found.value is not None:
            role: Literal["control", "alone"] = "alone" if name == "single_task" else "control"
            rivals.append(Rival(CONTROL_NAMES.get(name, name), role, found))
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
    """Where a value and its interval stand on the axis of their task, in per cent of its width."""

    rival: Rival
    at: float
    low: float
    high: float


def track(comparison: Comparison) -> tuple[list[Track], tuple[float, float]]:
    """Lay out a task's predictors on one axis, best first, and say where the axis ends."""
    shown = sorted([comparison.model, *comparison.rivals], key=lambda rival: -rival.value)
    shown = [rival for rival in shown if rival.headline.value is not None]
    if not shown:
        return [], (0.0, 1.0)
    spans = [rival.headline.interval or (rival.value, rival.value) for rival in shown]
    low = min(min(span[0], r.value) for span, r in zip(spans, shown, strict=True))
    high = max(max(span[1], r.value) for span, r in zip(spans, shown, strict=True))
    margin = 0.06 * (high - low) or 0.05
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    tracks = [Track(r, place(r.value), place(s[0]), place(s[1])) for r, s in zip(shown, spans, strict=True)]
    return tracks, (low, high)
