"""What the numbers mean, in plain sentences for somebody who decides and does not train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from motet.evaluation._report._compare import Comparison
from motet.evaluation._report._headline import TaskFacts
from motet.evaluation._report._words import count, is_number, listing, number, percent

__all__ = ["Conclusion", "Notice", "conclude", "lead", "notices", "short"]

_FEW_ROWS = 100  # fewer rows carry no judgement about new users or items


@dataclass(frozen=True, slots=True)
class Conclusion:
    """One task in plain words.

    Attributes:
        task: Which.
        figure: The number to remember, and ``unit``, what it is.
        sentence: How good the model is and what that means.
        comparison: How it stands beside its controls.
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
    """Something a decision should know; ``tone`` is ``warning`` or ``plain``."""

    tone: str
    title: str
    text: str


def short(kind: str, value: float | None) -> str:
    """A headline in two or three words.

    Example:
        >>> short("binary", 0.79), short("retrieval", 0.1234)
        ('79\\xa0%', '0.123')
    """
    return percent(value) if kind == "binary" else number(value)


def conclude(comparison: Comparison, metrics: Mapping[str, Any]) -> Conclusion:
    """Say how good the model is on a task, and beside what."""
    task, own = comparison.task, comparison.model.headline
    if own.value is None:
        return Conclusion(task, "—", "not measured", f"It could not be measured: {own.reason}.", "", None)
    figure, unit, sentence = _MEANINGS[task.kind](task.name, own.value, own.values, metrics)
    return Conclusion(task, figure, unit, sentence, _beside(comparison), comparison.verdict)


def _binary(name: str, value: float, values: Mapping[str, Any], _: Mapping[str, Any]) -> tuple[str, str, str]:
    worth = " That is no better than tossing a coin." if value <= 0.505 else " A coin would manage 50\u00a0%."
    rates = ""
    predicted, real = values.get("predicted_rate"), values.get("label_rate")
    if is_number(predicted) and is_number(real):
        rates = (
            f" On average it foretells a chance of {percent(predicted)}; {percent(real)} is what happened."
        )
    sentence = (
        f"Of two cases, one with “{name}” and one without, the model ranks the right one higher in "
        f"{percent(value)} of pairs.{worth}{rates}"
    )
    return percent(value), "of pairs ranked right", sentence


def _regression(
    name: str, value: float, values: Mapping[str, Any], _: Mapping[str, Any]
) -> tuple[str, str, str]:
    rmse, mae = values.get("rmse"), values.get("mae")
    if not is_number(rmse) or rmse is None or value >= 1:
        return number(value), "skill", f"“{name}” has a skill of {number(value)}."
    plain = rmse / (1 - value)
    gain = (
        f"{percent(value)} less than guessing the same average for everybody ({number(plain, 2)})"
        if value > 0
        else f"no better than guessing the same average for everybody ({number(plain, 2)})"
    )
    off = f" On average a prediction is {number(mae, 2)} off." if is_number(mae) else ""
    return (
        number(rmse, 2),
        "typical error",
        f"Predictions of “{name}” have a typical error (RMSE) of {number(rmse, 2)}, {gain}.{off}",
    )


def _multiclass(
    name: str, value: float, values: Mapping[str, Any], _: Mapping[str, Any]
) -> tuple[str, str, str]:
    right = values.get("accuracy")
    return (
        percent(right),
        "named right",
        f"The model names the right “{name}” in {percent(right)} of cases. Counting rare classes as much as "
        f"common ones, its mean F1 is {number(value, 2)} of 1.",
    )


def _multilabel(
    name: str, value: float, values: Mapping[str, Any], _: Mapping[str, Any]
) -> tuple[str, str, str]:
    return (
        number(value, 2),
        "average precision",
        f"Going down the model's list for each label of “{name}”, surest first, {percent(value)} of what stands "
        f"at or above a true one is right (mean average precision, rare labels counting as much as common ones).",
    )


def _retrieval(
    name: str, value: float, values: Mapping[str, Any], metrics: Mapping[str, Any]
) -> tuple[str, str, str]:
    items = (metrics.get("data") or {}).get("items")
    catalogue = f" out of {count(items)}" if is_number(items) else ""
    hit, users = values.get("hit@10"), values.get("users")
    people = f"the {count(users)} users" if is_number(users) else "the users"
    return (
        percent(hit),
        "find something",
        f"Shown ten items{catalogue}, {percent(hit)} of {people} with something to find (“{name}”) see at least "
        f"one of them. The lists reach {number(value)} of an ideal list's gain (NDCG@10).",
    )


_MEANINGS = {
    "binary": _binary,
    "regression": _regression,
    "multiclass": _multiclass,
    "multilabel": _multilabel,
    "retrieval": _retrieval,
}


def _in_words(comparison: Comparison, value: float, values: Mapping[str, Any]) -> str:
    kind = comparison.task.kind
    if kind == "regression" and is_number(values.get("rmse")):
        return f"a typical error of {number(values['rmse'], 2)}"
    return percent(value) if kind == "binary" else f"{comparison.task.metric} {number(value)}"


def _beside(comparison: Comparison) -> str:
    best = comparison.best
    if best is None:
        return "No control was measured on it, so there is nothing to hold this against."
    reached = _in_words(comparison, best.value, best.headline.values)
    if comparison.verdict == "ahead":
        return f"It is ahead of every control; the best, {best.name}, reaches {reached}."
    if comparison.verdict == "behind":
        names = listing([rival.name for rival in comparison.better])
        return f"A plain control does better: {names}. The best of them reaches {reached}."
    side = "slightly more" if best.value > comparison.model.value else "slightly less"
    if best.value == comparison.model.value:
        side = "as much"
    return (
        f"It is level with the best control, {best.name}, which reaches {reached}: {side}, and within the "
        f"95\u00a0% uncertainty of the model's own number."
    )


def lead(comparisons: list[Comparison]) -> str:
    """The whole report in one or two sentences."""
    judged = [c for c in comparisons if c.verdict is not None]
    if not judged:
        return "This model has not been held against any control yet, so its numbers stand alone."
    parts = []
    ahead = [c for c in judged if c.verdict == "ahead"]
    if len(ahead) == len(judged):
        which = "its one task" if len(judged) == 1 else f"all {len(judged)} tasks"
        return f"The model is ahead of every control on {which}."
    if ahead:
        parts.append(f"ahead of every control on {_quoted(ahead)}")
    level = [c for c in judged if c.verdict == "level"]
    if level:
        parts.append(f"level with the best control on {_quoted(level)}")
    behind = [c for c in judged if c.verdict == "behind"]
    if behind:
        parts.append(f"behind a plain control on {_quoted(behind)}")
    return f"The model is {listing(parts)}."


def _quoted(comparisons: list[Comparison]) -> str:
    return listing([f"“{c.task.name}”" for c in comparisons])


def notices(metrics: Mapping[str, Any], comparisons: list[Comparison]) -> list[Notice]:
    """What a decision should know, what went wrong first."""
    found = [
        Notice(
            "warning",
            f"A control wins on “{c.task.name}”",
            f"{_capital(c.better[0].name)} reaches {short(c.task.kind, c.better[0].value)} on {c.task.metric}, the "
            f"model {short(c.task.kind, c.model.value)}. For this task alone the plain method is the better choice.",
        )
        for c in comparisons
        if c.verdict == "behind"
    ]
    found += _transfer_notices(metrics)
    found += _calibration_notices(comparisons)
    found += _cold_notices(metrics, comparisons)
    return found


def _transfer_notices(metrics: Mapping[str, Any]) -> list[Notice]:
    transfer = metrics.get("transfer") or {}
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
                "No task is measurably worse off in the joint model than in the same architecture trained on it alone.",
            )
        ]
    return []


def _calibration_notices(comparisons: list[Comparison]) -> list[Notice]:
    found = []
    for c in comparisons:
        values = c.model.headline.values
        predicted, real = values.get("predicted_rate"), values.get("label_rate")
        if not (is_number(predicted) and is_number(real)) or not real:
            continue
        off = float(predicted) / float(real) - 1
        if abs(off) > 0.1:
            found.append(
                Notice(
                    "warning",
                    f"Probabilities of “{c.task.name}” run {'high' if off > 0 else 'low'}",
                    f"It foretells {percent(predicted)} on average where {percent(real)} happened, "
                    f"{percent(abs(off))} too {'much' if off > 0 else 'little'}. Its order of items is not touched by "
                    f"that; prices and thresholds built on the probability are.",
                )
            )
    return found


def _cold_notices(metrics: Mapping[str, Any], comparisons: list[Comparison]) -> list[Notice]:
    rows = (metrics.get("rows") or {}).get("groups") or {}
    groups = metrics.get("groups") or {}
    found = []
    for group, who in (("cold_user", "users"), ("cold_item", "items")):
        if group not in rows:
            continue
        title = f"New {who}"
        if not rows[group]:
            text = f"Every test row has {who} seen in training, so nothing is known about new {who}."
            found.append(Notice("plain", title, text))
            continue
        share = f"{count(rows[group])} test rows have {who} never seen in training"
        if rows[group] < _FEW_ROWS:
            text = f"Only {share}: too few to say how good the model is for new {who}."
            found.append(Notice("plain", title, text))
            continue
        parts = []
        for c in comparisons:
            new = (groups.get(group) or {}).get(c.task.name, {}).get(c.task.metric)
            warm = (groups.get("warm") or {}).get(c.task.name, {}).get(c.task.metric)
            if is_number(new):
                against = f" against {short(c.task.kind, warm)} for known ones" if is_number(warm) else ""
                parts.append(f"“{c.task.name}” {short(c.task.kind, new)}{against} ({c.task.metric})")
        rest = f" There the model reaches {listing(parts)}." if parts else " No task is defined on them."
        found.append(Notice("plain", title, f"{share}.{rest}"))
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
