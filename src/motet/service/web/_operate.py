"""Pages for operators: monitoring of the service and metrics of models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from motet.service.web._client import Caller, path
from motet.service.web._shown import Area, area
from motet.service.web._visit import Visit

__all__ = ["Line", "compared", "judge", "operate"]

# -- metrics of one or two models -----------------------------------------------------------------

_METRICS: Final = ("auc", "gauc", "log_loss", "ece", "rmse", "mae", "macro_f1", "macro_ap", "accuracy", "ndcg@10", "recall@10", "hit@10", "mrr", "coverage@10", "diversity@10")  # fmt: skip
_LOWER: Final = frozenset({"log_loss", "ece", "rmse", "mae", "brier"})


@dataclass(frozen=True, slots=True)
class Line:
    """One metric of one or two models.

    Attributes:
        part: The task, or ``ranking``.
        metric: Its name.
        left: Value of the first model.
        right: Value of the second model, if there is one.
        is_apart: Whether their intervals do not overlap.
        better: ``left``, ``right``, or empty.
    """

    part: str
    metric: str
    left: float | None
    right: float | None
    is_apart: bool
    better: str


async def judge(visit: Visit, caller: Caller) -> dict[str, Any]:
    """The content of the page that compares models.

    Args:
        visit: The request, which may name one or two models.
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
        left: Metrics of a bundle, or None.
        right: Metrics of another bundle, or None.
    """
    parts = [*(left or {}).get("tasks", {}), "ranking"]
    lines = []
    for part in parts:
        one, two = _part(left, part), _part(right, part)
        for metric in _METRICS:
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


# -- traffic, latency, feedback, models and drift -------------------------------------------------

_MINUTES: Final = 60
_ROUTES: Final = 12  # the busiest ones
_TRAININGS: Final = 10


async def operate(visit: Visit, caller: Caller) -> dict[str, Any]:
    """The content of the page for operators.

    Args:
        visit: The request, which may name the last action.
        caller: The API.

    Raises:
        ApiError: If the service refuses or fails.
    """
    stats, models, learner, surveys = await asyncio.gather(
        caller.get("/v1/stats", minutes=_MINUTES),
        caller.get("/v1/models"),
        caller.maybe("/v1/learner"),
        caller.maybe("/v1/surveys"),
    )
    traffic = traffic_by_route(stats["traffic"], _MINUTES, time.time())
    latency = stats["latency_ms"]
    names = sorted(traffic, key=lambda route: -sum(traffic[route]))[:_ROUTES]
    total = requests_by_minute(stats["traffic"], _MINUTES, time.time())
    top = max((max(values, default=0) for values in traffic.values()), default=0)
    active = next((model for model in models if model.get("state") == "active"), None)
    done = visit.one("done")
    message = {
        "activate": "done_activated",
        "rollback": "done_rolled_back",
        "load": "done_loaded",
        "train": "done_asked",
    }.get(done)
    return {
        "minutes": _MINUTES,
        "total": sum(total),
        "total_chart": area(total),
        "routes": [_route(name, traffic.get(name, []), latency.get(name, {}), top) for name in names],
        "errors": _counts(stats["errors"]),
        "feedback": _counts(stats["feedback"]),
        "served_by": _counts(stats["served_by"]),
        "satisfaction": _satisfaction(stats["satisfaction"]),
        "surveys": [_survey(one, visit.language) for one in surveys or ()],
        "models": [{**model, "chosen": _main_metrics(model["metrics"])} for model in models],
        "active": active,
        "previous": next((model for model in models if model.get("state") == "previous"), None),
        "learner": learner if learner and (learner["runs"] or learner["trainings"]) else None,
        "trainings": [_training(one) for one in (learner or {}).get("trainings", [])[:_TRAININGS]],
        "drift": stats["drift"][:_ROUTES],
        "quality": [row for row in stats["data_quality"] if row["count"]],
        "shadow": stats["shadow"][-40:],
        "message": visit.t(message, name=active["name"] if active else "") if message else "",
        "refresh_s": 10,
    }


def _training(one: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the table of trainings."""
    details = one["details"]
    judged = details.get("judged") or {}
    return {
        "number": one["number"],
        "began": str(one["began"])[:16].replace("T", " "),
        "cause": one["cause"],
        "events": details.get("events"),
        "state": one["state"],
        "ndcg": judged.get("ndcg"),
        "active_ndcg": judged.get("active_ndcg"),
        "reason": details.get("reason", ""),
    }


def requests_by_minute(by_minute: Sequence[Mapping[str, Any]], minutes: int, now_s: float) -> list[int]:
    """All requests in each minute, oldest first: of pages and of the API, as errors are counted.

    Args:
        by_minute: Minutes in which there were requests, with a count of each route.
        minutes: Number of minutes.
        now_s: Present time in seconds since 1970.

    Example:
        >>> requests_by_minute([{"minute": 60, "routes": {"/v1/ask": 2, "page": 9}}], 3, 125.0)
        [0, 11, 0]
    """
    first = int(now_s // 60) - minutes + 1
    counts = {int(one["minute"]) // 60 - first: sum(one["routes"].values()) for one in by_minute}
    return [counts.get(place, 0) for place in range(minutes)]


def traffic_by_route(
    by_minute: Sequence[Mapping[str, Any]], minutes: int, now_s: float
) -> dict[str, list[int]]:
    """Calls of each route of the API in each minute, oldest first.

    Args:
        by_minute: Minutes in which there were calls, with a count of each route.
        minutes: Number of minutes.
        now_s: Present time in seconds since 1970.

    Example:
        >>> traffic_by_route([{"minute": 60, "routes": {"/v1/ask": 2, "/": 9}}], 3, 125.0)
        {'/v1/ask': [0, 2, 0]}
    """
    first = int(now_s // 60) - minutes + 1
    found: dict[str, list[int]] = {}
    for one in by_minute:
        place = int(one["minute"]) // 60 - first
        for route, count in one["routes"].items():
            if 0 <= place < minutes and route.startswith(("/v1", "/api")):
                found.setdefault(route, [0] * minutes)[place] += int(count)
    return found


def _route(name: str, counts: Sequence[int], latency: Mapping[str, float], top: int) -> dict[str, Any]:
    chart: Area = area(counts, top=top)
    return {
        "name": name,
        "calls": sum(counts),
        "chart": chart,
        **{q: latency.get(q) for q in ("p50", "p90", "p99")},
    }


def _counts(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """Name, count, and share of the largest; largest first."""
    found = sorted(counts.items(), key=lambda pair: -pair[1])
    top = max((n for _, n in found), default=0) or 1
    return [(name, n, n / top) for name, n in found]


def _satisfaction(days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of all ratings, and of each day."""
    rated = [
        (str(one["day"]), int(one["count"]), float(one["mean"])) for one in days if one["mean"] is not None
    ]
    n = sum(count for _, count, _ in rated)
    mean = sum(count * stars for _, count, stars in rated) / n if n else None
    by_day: dict[str, tuple[int, float]] = {}
    for day, count, stars in rated:
        before, total = by_day.get(day, (0, 0.0))
        by_day[day] = (before + count, total + count * stars)
    means = [total / count for _, (count, total) in sorted(by_day.items())]
    return {"n": n, "mean": mean, "chart": area(means, top=5)}


def _survey(survey: Mapping[str, Any], language: str) -> dict[str, Any]:
    """A survey for display: the question, numbers of all and by part, and the mean of each day."""
    settings = survey["settings"]
    means = [day["mean"] for day in survey["by_day"] if day["mean"] is not None]
    names = [one[language] or one["en"] for one in settings["choices"]]
    counts = survey["total"]["counts"]
    return {
        "question": settings["question"][language] or settings["question"]["en"],
        "is_open": survey["state"] == "open",
        "rows": [survey["total"], *survey["by_scenario"], *survey["by_model"]],
        "counts": [(names[int(value)], n) for value, n in counts.items()] if names else [],
        "chart": area(means, top=5 if settings["kind"] == "stars" else 1),
    }


def _main_metrics(metrics: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The score, and the first metric of each task."""
    found = [("score", metrics["score"])] if isinstance(metrics.get("score"), float) else []
    for task, measured in (metrics.get("tasks") or {}).items():
        first = next(((name, n) for name, n in measured.items() if isinstance(n, float)), None)
        found += [(f"{task} {first[0]}", first[1])] if first is not None else []
    return found[:3]
