"""The conclusions: what the numbers mean, in plain sentences for a reader who decides and does not train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from motet.evaluation.report._compare import FEW_ROWS, Comparison, TaskFacts, task_facts
from motet.evaluation.report._format import listing
from motet.metrics import count, is_number, metric_name, number, percent

__all__ = ["Conclusion", "Notice", "conclude", "lead", "notices"]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """One task in plain words.

    Attributes:
        task: Which.
        figure: The number to remember, and ``unit``, what it is.
        sentence: How good the model is and what that means.
        comparison: How it stands beside its baselines.
        verdict: ``ahead``, ``level``, ``behind`` or None, for the mark.
    """

    task: TaskFacts
    figure: str
    unit: str
    sentence: str
    comparison: str
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a decision should know; ``tone`` is ``warning`` or ``plain``, ``points`` go task by task."""

    tone: str
    title: str
    text: str
    points: list[str] = field(default_factory=list)


def conclude(comparison: Comparison, metrics: Mapping[str, Any]) -> Conclusion:
    """Say how good the model is on a task, and beside what."""
    task, own = comparison.task, comparison.model.primary
    if own.value is None:
        return Conclusion(task, "—", "not measured", f"It could not be measured: {own.reason}.", "", None)
    text = task.of_kind.describe(task.name, own.value, own.values, metrics)
    return Conclusion(task, text.figure, text.unit, text.sentence, _beside(comparison), comparison.verdict)


def _in_words(task: TaskFacts, value: float | None, values: Mapping[str, Any]) -> str:
    return task.of_kind.in_words(value, values) or f"{metric_name(task.metric)} {number(value)}"


def _beside(comparison: Comparison) -> str:
    best, task, own = comparison.best, comparison.task, comparison.model.primary
    if best is None:
        return "No baseline was measured on it, so there is nothing to compare this with."
    baseline = _in_words(task, best.value, best.primary.values)
    model = _in_words(task, own.value, own.values)
    if comparison.verdict == "ahead":
        return f"It is ahead of every baseline: the best, {best.name}, has {baseline}, the model {model}."
    if comparison.verdict == "behind":
        others = [rival.name for rival in comparison.better[1:]]
        also = f" Also ahead of it: {listing(others)}." if others else ""
        return (
            f"A plain baseline does better: {best.name}, with {baseline} against the model's {model}.{also}"
        )
    if best.value == own.value:
        return f"It is level with the best baseline, {best.name}, to the last digit: {baseline}."
    what = "the model may be as good" if best.value > (own.value or 0.0) else "its lead may be chance"
    return (
        f"The best baseline, {best.name}, has {baseline}, the model {model}. The baseline is within the 95\u00a0% "
        f"interval of the model's own number, so {what}."
    )


def lead(comparisons: list[Comparison]) -> str:
    """The whole report in one or two sentences."""
    judged = [c for c in comparisons if c.verdict is not None]
    if not judged:
        return "This model has not been compared with any baseline yet, so its numbers stand alone."
    parts = []
    ahead = [c for c in judged if c.verdict == "ahead"]
    if len(ahead) == len(judged):
        which = (
            "its one task"
            if len(judged) == 1
            else f"all {len(judged)} tasks that one was measured on"
            if len(judged) < len(comparisons)
            else f"all {len(judged)} tasks"
        )
        return f"The model is ahead of every baseline on {which}.{_unjudged(comparisons)}"
    if ahead:
        parts.append(f"ahead of every baseline on {_quoted(ahead)}")
    level = [c for c in judged if c.verdict == "level"]
    if level:
        parts.append(f"level with the best baseline on {_quoted(level)}")
    behind = [c for c in judged if c.verdict == "behind"]
    if behind:
        parts.append(f"behind a plain baseline on {_quoted(behind)}")
    return f"The model is {'; '.join(parts)}.{_unjudged(comparisons)}"


def _unjudged(comparisons: list[Comparison]) -> str:
    left = [c for c in comparisons if c.verdict is None]
    return f" No comparison was possible on {_quoted(left)}." if left else ""


def _quoted(comparisons: list[Comparison]) -> str:
    return listing([f"“{c.task.name}”" for c in comparisons])


def notices(metrics: Mapping[str, Any], comparisons: list[Comparison]) -> list[Notice]:
    """What a decision should know, what went wrong first."""
    found = _lost_notices(comparisons) + _transfer_notices(metrics) + _calibration_notices(comparisons)
    found += _cold_notices(metrics, comparisons) + _origin_notices(metrics)
    return sorted(found, key=lambda notice: notice.tone != "warning")


def _origin_notices(metrics: Mapping[str, Any]) -> list[Notice]:
    """Where the weights are from, if they were not all learnt together."""
    found = []
    added = metrics.get("added") or {}
    if added:
        names = listing([f"“{name}”" for name in added])
        points = [
            f"“{name}”: {count(facts.get('parameters'))} weights of its own, trained on "
            f"{count(facts.get('training_rows'))} rows."
            for name, facts in added.items()
        ]
        text = (
            f"{names} {'was' if len(added) == 1 else 'were'} added to the model afterwards, which was left as it is: "
            "the other tasks predict what they predicted. Added tasks are predicted by the network alone, without plain "
            "methods beside it."
        )
        found.append(Notice("plain", f"Added later: {names}", text, points))
    start = metrics.get("start")
    if start:
        weights = start["weights"]
        points = [
            f"“{name}”: embeddings of {count(of['copied'])} of {count(of['of'])} words"
            for name, of in start["embeddings"].items()
        ]
        points += [
            f"Begun afresh, because {why}: {len(layers)} layers" for why, layers in start["fresh"].items()
        ]
        text = (
            f"Training began with {count(weights['copied'])} of {count(weights['of'])} weights of the bundle "
            f"{start['bundle']}, trained on “{start['name']}”."
        )
        found.append(Notice("plain", "A warm start", text, points))
    return found


def _lost_notices(comparisons: list[Comparison]) -> list[Notice]:
    found = []
    lost = [c for c in comparisons if c.verdict == "behind"]
    if lost:
        points = [
            f"“{c.task.name}”: {metric_name(c.task.metric)} is {number(c.better[0].value)} for {c.better[0].name}, "
            f"{number(c.model.value)} for this model."
            for c in lost
        ]
        advice = "Were that all that matters, the plain method would be the better choice."
        found.append(Notice("warning", f"A baseline wins on {_quoted(lost)}", advice, points))
    blind = [c for c in comparisons if c.task.of_kind.is_blind(c.model.primary.values)]
    if blind:
        text = "The test rows do not show that the model knows more about it than chance."
        found.append(Notice("warning", f"No better than a coin on {_quoted(blind)}", text))
    return found


def _transfer_notices(metrics: Mapping[str, Any]) -> list[Notice]:
    transfer = metrics.get("transfer") or {}
    if len(metrics["tasks"]) + bool(metrics.get("ranking")) < 2:
        return []  # one task has no other to share with
    lost = [name for name, facts in transfer.items() if facts.get("negative_transfer")]
    if lost:
        names = listing([f"“{name}”" for name in lost])
        return [
            Notice(
                "warning",
                f"Negative transfer on {names}",
                f"The same architecture trained on {'this task' if len(lost) == 1 else 'each of these tasks'} alone "
                f"does better than the joint model.",
            )
        ]
    if transfer:
        return [
            Notice(
                "plain",
                "No negative transfer",
                f"In the joint model {_listed(list(transfer))} measurably worse off than in the same architecture "
                f"trained on it alone.{_not_compared(transfer, metrics)}",
            )
        ]
    return []


def _listed(names: list[str]) -> str:
    return f"“{names[0]}” is not" if len(names) == 1 else f"none of {listing([f'“{n}”' for n in names])} is"


def _not_compared(transfer: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    left = [f"“{task.name}”" for task in task_facts(metrics) if task.name not in transfer]
    return f" Not compared: {listing(left)}." if left else ""


def _calibration_notices(comparisons: list[Comparison]) -> list[Notice]:
    found = []
    for c in comparisons:
        values = c.model.primary.values
        predicted, real = values.get("predicted_rate"), values.get("label_rate")
        if predicted is None or not is_number(predicted) or not is_number(real) or not real:
            continue
        off = predicted / real - 1
        gap = f"{number(predicted / real, 1)} times as much" if off > 1 else f"{percent(abs(off))} too "
        gap += "" if off > 1 else "much" if off > 0 else "little"
        if abs(off) > 0.1:
            found.append(
                Notice(
                    "warning",
                    f"Probabilities of “{c.task.name}” run {'high' if off > 0 else 'low'}",
                    f"It predicts {percent(predicted)} on average where {percent(real)} happened, "
                    f"{gap}. Its order of items is not touched by "
                    f"that; prices and thresholds built on the probability are.",
                )
            )
    return found


def _cold_notices(metrics: Mapping[str, Any], comparisons: list[Comparison]) -> list[Notice]:
    rows = (metrics.get("rows") or {}).get("groups") or {}
    groups = metrics.get("groups") or {}
    found = []
    for group, who in (("cold_user", "user"), ("cold_item", "item")):
        if group not in rows:
            continue
        title, seen = f"New {who}s", rows[group]
        if not seen:
            text = f"Every test row is of a known {who}, so nothing was learnt about new {who}s."
            found.append(Notice("plain", title, text))
            continue
        what = "row is" if seen == 1 else "rows are"
        share = f"{count(seen)} test {what} of {who}s never seen in training"
        if seen < FEW_ROWS:
            text = f"Only {share}: too few to say how good the model is for new {who}s."
            found.append(Notice("plain", title, text))
            continue
        cold, warm = groups.get(group) or {}, groups.get("warm") or {}
        parts = [
            _cold_task(who, c.task, cold.get(c.task.name) or {}, warm.get(c.task.name) or {})
            for c in comparisons
            if is_number((cold.get(c.task.name) or {}).get(c.task.metric))
        ]
        lost = [c.task.name for c in comparisons if c.task.of_kind.is_blind(cold.get(c.task.name) or {})]
        rest = "" if parts else " No task could be measured on them."
        if lost:
            rest += f" On {listing([f'“{name}”' for name in lost])} that is no better than tossing a coin."
        found.append(Notice("warning" if lost else "plain", title, f"{share}.{rest}", parts))
    return found


def _cold_task(who: str, task: TaskFacts, cold: Mapping[str, Any], warm: Mapping[str, Any]) -> str:
    def said(values: Mapping[str, Any]) -> tuple[str, str]:
        return task.of_kind.in_short(values) or (number(values.get(task.metric)), metric_name(task.metric))

    (new, what), (known, _) = said(cold), said(warm)
    return f"“{task.name}”: {new} {what}, for known {who}s {known}."
