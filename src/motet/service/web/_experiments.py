"""Pages of experiments: the list, and the result of one with its course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from motet.messages import say
from motet.service.web._charts import Chart, chart_of
from motet.service.web._client import ApiError, Caller, path
from motet.service.web._shown import name_of
from motet.service.web._visit import Visit

__all__ = ["Course", "course_of", "experiment_page", "experiments_page", "send_experiment"]

_STEP_S: Final = 3_600.0  # of a course of one moment
_ABOUT: Final = ("harmful", "better", "better_unguarded")
_MIXED: Final = {"better": "preferred", "harmful": "not_preferred", "mismatch": "uneven"}


async def experiments_page(visit: Visit, caller: Caller) -> dict[str, Any]:
    """The content of the page that lists experiments.

    Args:
        visit: The request.
        caller: The API.

    Raises:
        ApiError: If the service refuses or fails.
    """
    found = await caller.get("/v1/experiments")
    return {"experiments": list(reversed(found))}


async def experiment_page(visit: Visit, caller: Caller) -> dict[str, Any]:
    """The content of the page of one experiment.

    Args:
        visit: The request, which names it.
        caller: The API.

    Raises:
        ApiError: If there is no such experiment, or the service fails.
    """
    one = await caller.get(path("v1", "experiments", visit.id))
    results = one["results"]
    names = [variant["name"] for variant in one["settings"]["variants"]][1:]
    decision = results["decision"]["kind"] if results else "draft"
    mixed = one["settings"]["kind"] == "interleaving"
    words = _MIXED.get(decision, decision) if mixed else decision
    return {
        "one": one,
        "results": results,
        "said": name_of("decision", words, visit.language),
        "is_mixed": mixed,
        "about": ", ".join(results["decision"]["variants"]) if decision in _ABOUT else "",
        "courses": [course_of(name, results["timeline"], visit.language) for name in names]
        if results
        else [],
    }


async def send_experiment(visit: Visit, caller: Caller) -> str:
    """Start or stop an experiment, as a form says; returns where to go.

    Raises:
        ApiError: If the service refuses or fails.
    """
    kind, _, key = visit.one("do").partition(":")
    if kind not in ("start", "stop"):
        raise ApiError(422, visit.t("bad_act", act=kind[:20]))
    await caller.post(path("v1", "experiments", key, kind))
    return path("experiment", key)


@dataclass(frozen=True, slots=True)
class Course:
    """The interval of a variant over time.

    Attributes:
        variant: Name of the variant.
        chart: The low end, the difference and the high end.
        last: Low, difference and high at the end; None where nothing is known yet.
    """

    variant: str
    chart: Chart
    last: tuple[float, float, float] | None


def course_of(variant: str, timeline: Sequence[Mapping[str, Any]], language: str = "en") -> Course:
    """Draw the interval of a variant over time.

    Args:
        variant: Name of the variant.
        timeline: Moments, oldest first and evenly spaced, as the API answers them.
        language: Of dates.

    Example:
        >>> moments = [{"time": f"2026-01-0{n}T00:00:00Z", "intervals": {"b": [-1, 0, 1]}} for n in (1, 2)]
        >>> course = course_of("b", moments)
        >>> course.chart.curves[1].lines, course.chart.zero, course.last
        (('250.0,50.0 750.0,50.0',), 50.0, (-1.0, 0.0, 1.0))
    """
    parts = [moment["intervals"].get(variant) for moment in timeline]
    lines = [
        (say(key, language), [None if part is None else float(part[at]) for part in parts])
        for at, key in enumerate(("low_end", "difference", "high_end"))
    ]
    times = [datetime.fromisoformat(str(moment["time"])).timestamp() for moment in timeline]
    step_s = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else _STEP_S
    chart = chart_of(lines, times[0] - step_s / 2 if times else 0.0, step_s or _STEP_S, language, band=True)
    known = [part for part in parts if part is not None]
    last = (float(known[-1][0]), float(known[-1][1]), float(known[-1][2])) if known else None
    return Course(variant, chart, last)
