"""From ``compare.json`` to one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from motet.errors import DataError
from motet.evaluation.report._format import duration, signed, size
from motet.evaluation.report._plots import pareto_chart
from motet.evaluation.report._render import draw_page
from motet.evaluation.report._tables import Cell, Table
from motet.metrics import DASH, METRICS, count, is_number, metric_name, number

__all__ = ["render_comparison"]

_DIGITS: Final = 4
_MARKS: Final = {"better": "▲ better", "worse": "▼ worse", "level": "≈ within noise"}
_TONES: Final = {"better": "up", "worse": "down"}
_AXES: Final = (("latency_ms", "milliseconds for 1,000 candidates"), ("fit_s", "seconds of training"))


def render_comparison(content: Mapping[str, Any]) -> str:
    """Draw a comparison of methods as one self-contained HTML page.

    The page loads nothing from elsewhere, follows the reader's light or dark theme, and is the same text for the same
    content. All texts from data are escaped.

    Args:
        content: That of ``compare.json``, which :func:`motet.training.compare.compare_methods` writes.

    Returns:
        The page, ready to be written as UTF-8.

    Raises:
        DataError: If it is something else.
    """
    for key in ("schemas", "methods", "baseline"):
        if key not in content:
            raise DataError(f"the comparison has no '{key}'", "pass the content of a compare.json")
    parts = {name: _of_schema(name, schema, content) for name, schema in content["schemas"].items()}
    view = {
        "m": content,
        "title": "Comparison of methods",
        "parts": parts,
        "ranks": [
            (name, number(rank, 2))
            for name, rank in sorted(content["mean_rank"].items(), key=lambda item: item[1])
        ],
        "one_seed": len(content["seeds"]) == 1,
    }
    return draw_page("comparison.html.jinja", view)


def _of_schema(name: str, schema: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    scores = {m: s for m, s in schema["scores"].items() if is_number(s)}
    charts = []
    for key, cost in _AXES:
        points = {
            method: (float(of[key]), float(scores[method]))
            for method, of in schema["costs"].items()
            if method in scores and is_number(of.get(key))
        }
        chart = pareto_chart(points, cost, f"score over all tasks of {name}")
        charts += [] if chart is None else [chart]
    return {
        "synthetic": schema["synthetic"],
        "rows": count(schema["rows"]),
        "tasks": [_of_task(task, table, content) for task, table in schema["tasks"].items()],
        "costs": _costs(schema),
        "charts": charts,
        "chosen": _chosen(schema),
    }


def _of_task(name: str, table: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    metric = table["metric"]
    more = [
        (f"{metric_name(metric)} in scenario {scenario}", found["rows"], found["methods"])
        for scenario, found in table["scenarios"].items()
    ]
    more += [
        (metric_name(other), table["rows"], found["methods"]) for other, found in table["metrics"].items()
    ]
    return {
        "name": name,
        "metric": metric_name(metric),
        "meaning": METRICS[metric].meaning if metric in METRICS else "",
        "sentence": table["sentence"],
        "drawn": table["drawn"],
        "rows": count(table["rows"]),
        "tracks": _tracks(table["methods"], content["baseline"]),
        "more": [(title, count(rows), _slice(methods, content["baseline"])) for title, rows, methods in more],
    }


def _tracks(methods: Mapping[str, Any], baseline: str) -> dict[str, Any]:
    """Differences as points with their intervals on one axis, in per cent of its width; best first."""
    spans: list[float] = [
        bound
        for line in methods.values()
        for bound in (line.get("interval") or [line.get("difference") or 0.0])
    ]
    low, high = min([0.0, *spans]), max([0.0, *spans])
    margin = 0.06 * (high - low) or 0.001
    low, high = low - margin, high + margin

    def place(value: Any) -> float:
        return round(100 * float((value - low) / (high - low)), 2)

    lines = []
    known = sorted(
        methods.items(), key=lambda item: -(item[1]["mean"] if is_number(item[1]["mean"]) else -9e9)
    )
    for name, line in known:
        interval, difference = line.get("interval"), line.get("difference")
        verdict = line.get("verdict") or ""
        lines.append(
            {
                "name": name,
                "baseline": name == baseline,
                "value": _value(line),
                "rank": number(line.get("rank"), 1),
                "difference": signed(difference, _DIGITS) if name != baseline else "",
                "interval": _between(interval),
                "p": _p(line.get("p_holm")),
                "mark": _MARKS.get(verdict, ""),
                "tone": {"better": "ahead", "worse": "behind"}.get(verdict, "level"),
                "at": place(difference)
                if is_number(difference)
                else place(0.0)
                if name == baseline
                else None,
                "low": place(interval[0]) if interval else None,
                "width": round(place(interval[1]) - place(interval[0]), 2) if interval else None,
            }
        )
    return {"lines": lines, "zero": place(0.0), "ends": (signed(low, 3), signed(high, 3))}


def _value(line: Mapping[str, Any]) -> str:
    spread = line.get("deviation")
    return number(line["mean"], _DIGITS) + (f" ± {number(spread, _DIGITS)}" if is_number(spread) else "")


def _between(interval: Any) -> str:
    return "" if not interval else f"{signed(interval[0], _DIGITS)} to {signed(interval[1], _DIGITS)}"


def _p(p: Any) -> str:
    return DASH if not is_number(p) else "< 0.001" if p < 0.001 else number(p, 3)


def _slice(methods: Mapping[str, Any], baseline: str) -> Table:
    ranked = any("rank" in line for line in methods.values())  # in a scenario, not by a further metric
    rows = [
        (
            Cell(name),
            [
                Cell(_value(line)),
                Cell(
                    "" if name == baseline else signed(line.get("difference"), _DIGITS),
                    _between(line.get("interval")),
                ),
                *([Cell(number(line.get("rank"), 1))] if ranked else []),
            ],
        )
        for name, line in methods.items()
    ]
    head = [Cell("method"), Cell("value"), Cell("difference", "95 % interval, not corrected")]
    return Table([*head, *([Cell("rank")] if ranked else [])], rows)


def _costs(schema: Mapping[str, Any]) -> Table:
    head = [
        Cell("method"),
        Cell("score", "all tasks"),
        Cell("parameters", "in embeddings"),
        Cell("training"),
        Cell("rows/s"),
        Cell("1,000 candidates", "median, ms"),
        Cell("most memory"),
    ]
    rows = []
    for name, cost in schema["costs"].items():
        latency = cost.get("latency_ms")
        rows.append(
            (
                Cell(name),
                [
                    Cell(number(schema["scores"].get(name), _DIGITS)),
                    Cell(count(cost.get("parameters")), count(cost.get("embedding_parameters"))),
                    Cell(duration(cost.get("fit_s"))),
                    Cell(count(cost.get("rows_per_s"))),
                    Cell(number(latency, 2)),
                    Cell(size(cost.get("peak_bytes"))),
                ],
            )
        )
    return Table(head, rows)


def _chosen(schema: Mapping[str, Any]) -> Table | None:
    """What tuning chose; None where nothing was tuned."""
    tuned = {name: found for name, found in schema["chosen"].items() if found["tried"]}
    if not tuned:
        return None
    rows = []
    for name, found in tuned.items():
        first = found["tried"][0]["score"]
        gain = found["score"] - first if is_number(first) else None
        said = ", ".join(f"{path} = {value}" for path, value in found["settings"].items())
        rows.append(
            (
                Cell(name),
                [
                    Cell(str(len(found["tried"]))),
                    Cell(number(found["score"], _DIGITS), signed(gain, _DIGITS) if found["trial"] else ""),
                    Cell(said or "as it is"),
                ],
            )
        )
    head = [Cell("method"), Cell("trials"), Cell("validation score", "gain"), Cell("chosen settings")]
    return Table(head, rows)
