"""Pages for operators: monitoring of the service and metrics of models."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from motet.messages import say
from motet.service.web._charts import Chart, by_day, chart_of
from motet.service.web._client import Caller, path
from motet.service.web._shown import area, name_of, number
from motet.service.web._visit import Visit

__all__ = ["WINDOWS", "Line", "compared", "judge", "operate", "waits_in_words"]

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

WINDOWS: Final = {"15m": 15, "1h": 60, "24h": 1_440, "7d": 10_080, "30d": 43_200}
"""Times that can be looked at, in minutes."""
_USUAL: Final = "1h"
_DAY_MIN: Final = 1_440
_ROUTES: Final = 12  # the busiest ones
_FAILURES: Final = 25
_TRAININGS: Final = 8
_JOBS: Final = 12
_DAYS: Final = 30


async def operate(visit: Visit, caller: Caller) -> dict[str, Any]:
    """The content of the page for operators.

    Args:
        visit: The request, which may name the window of time and the last action.
        caller: The API.

    Raises:
        ApiError: If the service refuses or fails.
    """
    language = visit.language
    window = visit.one("window") if visit.one("window") in WINDOWS else _USUAL
    minutes = WINDOWS[window]
    stats, timeline, models, learner, surveys, jobs = await asyncio.gather(
        caller.get("/v1/stats", minutes=min(minutes, _DAY_MIN)),
        caller.get("/v1/stats/timeline", minutes=minutes),
        caller.get("/v1/models"),
        caller.maybe("/v1/learner"),
        caller.maybe("/v1/surveys"),
        caller.maybe("/v1/jobs", n=_JOBS),
    )
    steps = timeline["steps"]
    active = next((model for model in models if model.get("state") == "active"), None)
    done = visit.one("done")
    message = {
        "activate": "done_activated",
        "rollback": "done_rolled_back",
        "load": "done_loaded",
        "train": "done_asked",
    }.get(done)
    trainings = (learner or {}).get("trainings", [])
    return {
        "windows": list(WINDOWS),
        "window": window,
        "step": _step(timeline["step_s"], visit),
        "since": _when(timeline["since"]),
        "workers": timeline["workers"],
        "kept_hours": timeline["kept_minutes"] // 60,
        "is_short": any(step["requests"] is None for step in steps),
        "charts": _charts(timeline, language),
        "total": sum(step["requests"] or 0 for step in steps),
        "failed": sum(step["errors"] or 0 for step in steps),
        "routes": [_route(one, timeline["routes"]) for one in timeline["routes"] if _is_api(one)][:_ROUTES],
        "failures": [
            {**one, "route": one["route"].replace(" none", f" {visit.t('no_route')}")}
            for one in timeline["failures"][:_FAILURES]
        ],
        "feedback": _counts(stats["feedback"]),
        "served_by": _counts(stats["served_by"]),
        "satisfaction": _satisfaction(stats["satisfaction"], language),
        "surveys": [_survey(one, language) for one in surveys or ()],
        "models": [{**model, "chosen": _main_metrics(model["metrics"])} for model in models],
        "active": active,
        "previous": next((model for model in models if model.get("state") == "previous"), None),
        "learner": learner if learner and (learner["runs"] or trainings) else None,
        "waits": waits_in_words(learner, language) if learner else "",
        "trainings": [_training(one, visit) for one in trainings[:_TRAININGS]],
        "canary": trainings[0]["model"] if trainings and trainings[0]["state"] == "canary" else "",
        "jobs": [_job(one, visit) for one in jobs or ()],
        "drift": stats["drift"][:_ROUTES],
        "quality": [row for row in stats["data_quality"] if row["count"]],
        "shadow": stats["shadow"][-40:],
        "message": visit.t(message, name=active["name"] if active else "") if message else "",
        "refresh_s": 10,
    }


def _charts(timeline: Mapping[str, Any], language: str) -> dict[str, Chart]:
    """Requests, latency, and what is recorded in the store, over the window."""
    steps, step_s = timeline["steps"], timeline["step_s"]
    start_s = steps[0]["time"]

    def chart(first_voice: int, whole: bool, **names: str) -> Chart:
        lines = [(say(key, language), [step[name] for step in steps]) for name, key in names.items()]
        return chart_of(lines, start_s, step_s, language, first_voice=first_voice, whole=whole)

    return {
        "requests": chart(0, True, requests="answers", errors="errors"),
        "latency": chart(2, False, p50_ms="latency_p50", p99_ms="latency_p99"),
        "recorded": chart(2, True, events="recorded_events", lists="recorded_lists"),
    }


def _is_api(one: Mapping[str, Any]) -> bool:
    return str(one["route"]).startswith(("/v1", "/api"))


def _route(one: Mapping[str, Any], routes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    top = max((max(other["by_step"], default=0) for other in routes if _is_api(other)), default=0)
    return {
        "name": one["route"],
        "calls": one["requests"],
        "errors": one["errors"],
        "chart": area(one["by_step"], top=top),
        **{q: one["latency_ms"].get(q) for q in ("p50", "p99")},
    }


def _step(step_s: int, visit: Visit) -> str:
    """The length of a step, as the unit of what is counted in it."""
    minutes = step_s // 60
    if minutes == 1:
        return visit.t("per_minute")
    return visit.t("per_minutes", n=minutes) if minutes % 60 else visit.t("per_hours", n=minutes // 60)


def _when(time: str | None) -> str:
    """A time of the API as people read it, in UTC."""
    return str(time)[:16].replace("T", " ") if time else ""


def _took(began: str, ended: str | None) -> str:
    if not ended:
        return ""
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _training(one: Mapping[str, Any], visit: Visit) -> dict[str, Any]:
    """A candidate of the learner, and why it was accepted or refused."""
    details = one["details"]
    return {
        "number": one["number"],
        "began": _when(one["began"]),
        "cause": one["cause"],
        "events": details.get("events"),
        "model": one["model"],
        "state": one["state"],
        "verdict": _verdict(one, visit),
    }


def waits_in_words(status: Mapping[str, Any], language: str) -> str:
    """What the next training waits for, as a sentence; empty while one is under way, or where no learner was.

    Args:
        status: What ``GET /v1/learner`` answers.
        language: ``en`` or ``zh``.
    """
    found = status["waits_for"]
    if found is None:
        return ""
    events, users, at = found["events"], found["users"], found["at"]
    parts = [] if not events else [say("wait_events", language, count=events, n=f"{events:,}")]
    if users:
        parts.append(say("wait_users", language, count=users, n=f"{users:,}"))
    what = parts[0] if len(parts) == 1 else ""
    if len(parts) == 2:
        what = say("wait_and", language, one=parts[0], two=parts[1])
    is_ready = events == 0 and not users
    if is_ready:
        return say("wait_now", language)
    if at is not None and not (found["first"] and users):  # time does not stand in for users
        time = say(
            "wait_time" if found["first"] else "wait_until", language, when=str(at)[:16].replace("T", " ")
        )
        what = say("wait_or", language, one=what, two=time) if what else time
    if not what:
        return say("wait_asked", language)
    return say("wait_first" if found["first"] else "wait_next", language, what=what)


_LOWER_NDCG: Final = "NDCG@10"  # how the reasons of a judgement begin
_SLOW_LIST: Final = "a list takes"


def _verdict(one: Mapping[str, Any], visit: Visit) -> str:
    """Why a candidate was accepted or refused: from its scores where there are some, else in the learner's words."""
    judged, reason = one["details"].get("judged") or {}, str(one["details"].get("reason") or "")
    if found := one["details"].get("canary"):
        said = _canary(found)
        if one["state"] == "canary":
            return visit.t("verdict_canary", **said)
        if one["state"] == "kept" and (key := _PROBLEMS.get(str(found.get("problem")))):
            return visit.t(key, **said)
    scores: dict[str, Any] = {
        "n": number(judged.get("events", 0)),
        "ndcg": f"{judged.get('ndcg', 0):.3f}",
        "active": f"{judged.get('active_ndcg', 0):.3f}",
        "ms": f"{judged.get('median_ms', 0):.0f}",
    }
    problem = str(judged.get("problem") or "")
    if one["state"] == "kept" and problem.startswith(_LOWER_NDCG):
        return visit.t("verdict_lower", **scores)
    if one["state"] == "kept" and problem.startswith(_SLOW_LIST):
        return visit.t("verdict_slow", **scores)
    if reason:
        return f"{reason} {visit.t('verdict_scores', **scores)}" if judged else reason
    if one["state"] in ("active", "replaced", "activating") and judged:
        passed = visit.t("verdict_canary_passed", **said) if found else ""
        return f"{visit.t('verdict_accepted', **scores)} {passed}".strip()
    return ""


_PROBLEMS: Final = {
    "failed": "verdict_canary_failed",
    "slow": "verdict_canary_slow",
    "success": "verdict_canary_success",
}


def _canary(found: Mapping[str, Any]) -> dict[str, Any]:
    """What a canary counted, as its sentences say it."""
    new, now = found.get("new") or {}, found.get("active") or {}

    def rate(arm: Mapping[str, Any]) -> str:
        return f"{100 * arm.get('hits', 0) / max(1, arm.get('judged', 0)):.1f}"

    return {
        "share": f"{100 * found['share']:.3g}",
        "watched": round(found["watched_s"] / 60),
        "whole": round(found["for_s"] / 60),
        "n": number(new.get("judged", 0)),
        "rate": rate(new),
        "m": number(now.get("judged", 0)),
        "other": rate(now),
        "lists": number(new.get("lists", 0)),
        "failed": number(new.get("failed", 0)),
        "others": number(now.get("lists", 0)),
        "others_failed": number(now.get("failed", 0)),
        "ms": f"{new.get('p90_ms', 0):.0f}",
        "other_ms": f"{now.get('p90_ms', 0):.0f}",
    }


def _job(one: Mapping[str, Any], visit: Visit) -> dict[str, Any]:
    """An import, an export, a change of models or a training."""
    outcome = one["details"].get("outcome") if one["kind"] == "training" else None
    if outcome:
        result = name_of("training", outcome, visit.language)
    else:
        result = one["reason"] or _result(one["details"], visit)
    return {
        "kind": one["kind"],
        "what": one["what"],
        "state": one["state"],
        "began": _when(one["began"]),
        "took": _took(one["began"], one["ended"]),
        "result": result,
    }


def _result(details: Mapping[str, Any], visit: Visit) -> str:
    if "new" in details:
        return visit.t(
            "job_rows_new", count=details["rows"], rows=number(details["rows"]), new=number(details["new"])
        )
    if "rows" in details:
        return visit.t("job_rows", count=details["rows"], rows=number(details["rows"]))
    return str(details.get("name", ""))


def _counts(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """Name, count, and share of the largest; largest first."""
    found = sorted(counts.items(), key=lambda pair: -pair[1])
    top = max((n for _, n in found), default=0) or 1
    return [(name, n, n / top) for name, n in found]


def _satisfaction(days: Sequence[Mapping[str, Any]], language: str) -> dict[str, Any]:
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
    means = [(day, total / count) for day, (count, total) in by_day.items()]
    return {"n": n, "mean": mean, "chart": _daily(means, language, top=5)}


def _daily(means: Sequence[tuple[str, float]], language: str, *, top: float) -> Chart:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return by_day(means, language, say("mean_of_day", language), top=top, last=today, count=_DAYS)


def _survey(survey: Mapping[str, Any], language: str) -> dict[str, Any]:
    """A survey for display: the question, numbers of all and by part, and the mean of each day."""
    settings = survey["settings"]
    means = [(str(day["of"]), float(day["mean"])) for day in survey["by_day"] if day["mean"] is not None]
    names = [one[language] or one["en"] for one in settings["choices"]]
    counts = survey["total"]["counts"]
    return {
        "question": settings["question"][language] or settings["question"]["en"],
        "is_open": survey["state"] == "open",
        "rows": [survey["total"], *survey["by_scenario"], *survey["by_model"]],
        "counts": [(names[int(value)], n) for value, n in counts.items()] if names else [],
        "chart": _daily(means, language, top=5 if settings["kind"] == "stars" else 1),
    }


def _main_metrics(metrics: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The score, and the first metric of each task."""
    found = [("score", metrics["score"])] if isinstance(metrics.get("score"), float) else []
    for task, measured in (metrics.get("tasks") or {}).items():
        first = next(((name, n) for name, n in measured.items() if isinstance(n, float)), None)
        found += [(f"{task} {first[0]}", first[1])] if first is not None else []
    return found[:3]
