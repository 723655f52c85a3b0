"""How good each model is, and two of them side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from motet.pages._api import Caller, path
from motet.pages._visit import Visit

__all__ = ["Line", "compared", "judge"]

_TOLD: Final = ("auc", "gauc", "log_loss", "ece", "rmse", "mae", "macro_f1", "macro_ap", "accuracy", "ndcg@10", "recall@10", "hit@10", "mrr", "coverage@10", "diversity@10")  # fmt: skip
_LOWER: Final = frozenset({"log_loss", "ece", "rmse", "mae", "brier"})


@dataclass(frozen=True, slots=True)
class Line:
    """One metric of one or two models.

    Attributes:
        part: The task, or ``ranking``.
        metric: Its name.
        left: Of the first model.
        right: Of the second, if there is one.
        is_apart: Whether their intervals do not touch.
        better: ``left``, ``right``, or empty.
    """

    part: str
    metric: str
    left: float | None
    right: float | None
    is_apart: bool
    better: str


async def judge(visit: Visit, caller: Caller) -> dict[str, Any]:
    """What the page for judges shows.

    Args:
        visit: Names one or two models.
        caller: The API.

    Raises:
        ApiError: If the service refuses or fails.
    """
    models = [one for one in await caller.get("/v1/models") if one["state"] != "refused"]
    names = [one["name"] for one in models]
    active = next((one["name"] for one in models if one["state"] == "active"), names[0] if names else "")
    left = visit.one("left") if visit.one("left") in names else active
    right = visit.one("right") if visit.one("right") in names else ""
    right = "" if right == left else right
    shown = [one for one in (left, right) if one]
    metrics = await asyncio.gather(*(caller.maybe(path("v1", "models", one, "metrics")) for one in shown))
    there = await asyncio.gather(*(caller.has(path("v1", "models", one, "report")) for one in shown))
    lines = compared(metrics[0] if metrics else None, metrics[1] if len(metrics) > 1 else None)
    return {
        "names": names,
        "left": left,
        "right": right,
        "lines": lines,
        "reports": dict(zip(shown, there, strict=True)),
    }


def compared(left: Mapping[str, Any] | None, right: Mapping[str, Any] | None) -> list[Line]:
    """Metrics of tasks and of ranking, side by side.

    Args:
        left: Metrics as a bundle holds them; None for none.
        right: The same.
    """
    parts = [*(left or {}).get("tasks", {}), "ranking"]
    lines = []
    for part in parts:
        one, two = _part(left, part), _part(right, part)
        for metric in _TOLD:
            a, b = one.get(metric), two.get(metric)
            if not isinstance(a, int | float):
                continue
            first, second = _interval(one, metric), _interval(two, metric)
            apart = bool(first and second and (first[1] < second[0] or second[1] < first[0]))
            better = ""
            if isinstance(b, int | float) and a != b:
                better = "left" if (a < b) == (metric in _LOWER) else "right"
            lines.append(Line(part, metric, a, b if isinstance(b, int | float) else None, apart, better))
    return lines


def _part(metrics: Mapping[str, Any] | None, part: str) -> Mapping[str, Any]:
    metrics = metrics or {}
    found = metrics.get("ranking") if part == "ranking" else (metrics.get("tasks") or {}).get(part)
    return found if isinstance(found, Mapping) else {}


def _interval(part: Mapping[str, Any], metric: str) -> tuple[float, float] | None:
    found = part.get(f"{metric}_interval")
    return (float(found[0]), float(found[1])) if isinstance(found, list) and len(found) == 2 else None
