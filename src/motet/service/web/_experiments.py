"""Pages of experiments: the list, and the result of one with its course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from motet.service.web._client import ApiError, Caller, path
from motet.service.web._shown import name_of
from motet.service.web._visit import Visit

__all__ = ["Course", "course_of", "experiment_page", "experiments_page", "send_experiment"]

_WIDTH: Final = 640
_HEIGHT: Final = 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 26
_TICKS: Final = 5
_ABOUT: Final = ("harmful", "better", "better_unguarded")


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
    return {
        "one": one,
        "results": results,
        "said": name_of("decision", decision, visit.language),
        "about": ", ".join(results["decision"]["variants"]) if decision in _ABOUT else "",
        "courses": [course_of(name, results["timeline"]) for name in names] if results else [],
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
    """The interval of a variant over time, as a chart.

    Attributes:
        variant: Name of the variant.
        band: Points of the interval's area; empty where nothing is known yet.
        line: Points of the difference.
        zero: Height of no difference.
        heights: Labels at the left: their place and text.
        times: Labels below: their place, anchor and text.
        last: Low, difference and high at the end; None where nothing is known yet.
    """

    variant: str
    band: str
    line: str
    zero: float
    heights: tuple[tuple[float, str], ...]
    times: tuple[tuple[float, str, str], ...]
    last: tuple[float, float, float] | None


def course_of(variant: str, timeline: Sequence[Mapping[str, Any]]) -> Course:
    """Draw the interval of a variant over time.

    Args:
        variant: Name of the variant.
        timeline: Moments, oldest first, as the API answers them.

    Example:
        >>> moments = [{"time": f"2026-01-0{n}T00:00:00Z", "intervals": {"b": [-1, 0, 1]}} for n in (1, 2)]
        >>> chart = course_of("b", moments)
        >>> chart.line, chart.zero == float(chart.line.split(",")[-1])
        ('56.0,102.0 628.0,102.0', True)
    """
    known = [
        (at, moment["intervals"][variant])
        for at, moment in enumerate(timeline)
        if variant in moment["intervals"]
    ]
    if not known:
        return Course(variant, "", "", 0.0, (), (), None)
    low = min(0.0, *(float(interval[0]) for _, interval in known))
    high = max(0.0, *(float(interval[2]) for _, interval in known))
    span = (high - low) or 1.0
    last = max(1, len(timeline) - 1)

    def x(at: int) -> float:
        return _LEFT + at / last * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / span * (_HEIGHT - _TOP - _BOTTOM)

    def points(part: int, reverse: bool = False) -> list[str]:
        some = [f"{x(at):.1f},{y(float(interval[part])):.1f}" for at, interval in known]
        return some[::-1] if reverse else some

    heights = tuple(
        (round(y(value), 1), f"{value:+.3g}" if value else "0")
        for value in (low + span * step / (_TICKS - 1) for step in range(_TICKS))
    )
    times = tuple(
        (round(x(at), 1), anchor, str(timeline[at]["time"])[:16].replace("T", " "))
        for at, anchor in ((0, "start"), (len(timeline) - 1, "end"))
    )
    ends = known[-1][1]
    return Course(
        variant,
        " ".join(points(2) + points(0, reverse=True)),
        " ".join(points(1)),
        round(y(0.0), 1),
        heights,
        times,
        (float(ends[0]), float(ends[1]), float(ends[2])),
    )
