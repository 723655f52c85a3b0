"""Line charts as inline SVG: text stays text, colours are the page's own, nothing has an id.

The markup is built as a tree, so that names from data are escaped by the serialiser.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

from motet.metrics import count, is_number, metric_name, number, percent

__all__ = ["calibration_chart", "pareto_chart", "search_chart", "ticks", "training_chart"]

_WIDTH = 340.0
_LEFT, _RIGHT = 44.0, 12.0
Points = Sequence[tuple[float, float]]
_WHOLE = ("complete", "cut")  # trials that may be the best


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers within [low, high], about as many as wanted.

    Example:
        >>> ticks(0.03, 0.22)
        [0.05, 0.1, 0.15, 0.2]
    """
    if not high > low:
        return [low]
    step = 10 ** math.floor(math.log10((high - low) / wanted))
    step = min((step * m for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs((high - low) / s - wanted))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)] or [low]


class _Panel:
    """A pair of axes on a chart, from data to points of the drawing."""

    def __init__(self, parent: ET.Element, top: float, height: float, x: Points, y: Points) -> None:
        self.parent, self.top, self.height = parent, top, height
        self.x, self.y = _range(x), _range(y)

    def place(self, x: float, y: float) -> tuple[float, float]:
        (x0, x1), (y0, y1) = self.x, self.y
        across = _LEFT + (x - x0) / (x1 - x0) * (_WIDTH - _LEFT - _RIGHT)
        return round(across, 1), round(self.top + self.height * (1 - (y - y0) / (y1 - y0)), 1)

    def axes(self, x_ticks: Mapping[float, str], y_ticks: Mapping[float, str]) -> None:
        for value, text in y_ticks.items():
            _, y = self.place(self.x[0], value)
            _line(self.parent, "grid", (_LEFT, y), (_WIDTH - _RIGHT, y))
            _text(self.parent, (_LEFT - 6, y + 3.5), text, "end")
        for value, text in x_ticks.items():
            x, _ = self.place(value, self.y[0])
            _text(self.parent, (x, self.top + self.height + 15), text, "middle")

    def curve(self, points: Points, kind: str) -> None:
        placed = [self.place(x, y) for x, y in points]
        if len(placed) > 1:
            path = " ".join(f"{x},{y}" for x, y in placed)
            ET.SubElement(self.parent, "polyline", {"class": f"curve {kind}", "points": path})
        for x, y in placed:
            self.dot(x, y, kind, 2.5)

    def dot(self, x: float, y: float, kind: str, radius: float) -> None:
        ET.SubElement(
            self.parent, "circle", {"class": f"dot {kind}", "cx": f"{x}", "cy": f"{y}", "r": f"{radius}"}
        )


def _range(values: Points) -> tuple[float, float]:
    low, high = min(v for pair in values for v in pair), max(v for pair in values for v in pair)
    margin = 0.08 * (high - low) or max(0.01, 0.08 * abs(high))
    return low - margin, high + margin


def _line(parent: ET.Element, kind: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    (x1, y1), (x2, y2) = start, end
    ET.SubElement(parent, "line", {"class": kind, "x1": f"{x1}", "y1": f"{y1}", "x2": f"{x2}", "y2": f"{y2}"})


def _text(parent: ET.Element, at: tuple[float, float], text: str, anchor: str, kind: str = "tick") -> None:
    attributes = {"class": kind, "x": f"{at[0]:.1f}", "y": f"{at[1]:.1f}", "text-anchor": anchor}
    ET.SubElement(parent, "text", attributes).text = text


def _chart(height: float, description: str) -> ET.Element:
    return ET.Element(
        "svg",
        {"viewBox": f"0 0 {_WIDTH:g} {height:g}", "role": "img", "aria-label": description, "class": "chart"},
    )


def _markup(chart: ET.Element) -> Markup:
    return Markup(ET.tostring(chart, encoding="unicode"))  # noqa: S704 (escaped by the serialiser)


def _short_axis(low: float, high: float, wanted: int) -> dict[float, str]:
    values = ticks(low, high, wanted)
    step = values[1] - values[0] if len(values) > 1 else 0.1
    digits = max(0, min(4, -math.floor(math.log10(step) + 1e-9)))
    digits += 1 if digits and abs(step * 10**digits - round(step * 10**digits)) > 1e-6 else 0
    return {value: number(value, digits) for value in values}


def training_chart(name: str, metric: str, history: Mapping[str, Any]) -> Markup | None:
    """Draw a task's training loss above its primary metric on validation rows, epoch by epoch.

    Args:
        name: Of the task; None of its values need exist.
        metric: Name of the primary metric.
        history: As in ``metrics.json``.

    Returns:
        An ``svg`` element; None if there is nothing to draw.
    """
    validations = history.get("validations") or []
    loss = [(v["epoch"], v["loss"][name]) for v in validations if is_number((v.get("loss") or {}).get(name))]
    # bundles that earlier versions wrote have it under the former name
    found = [
        (v["epoch"], (v.get("primary_values") or v.get("headlines") or {}).get(name)) for v in validations
    ]
    value: list[tuple[float, float]] = [
        (epoch, float(y)) for epoch, y in found if y is not None and is_number(y)
    ]
    if not loss and not value:
        return None
    best = history.get("best", -1)
    best_epoch = (
        validations[best]["epoch"] if isinstance(best, int) and 0 <= best < len(validations) else None
    )
    panels = [(p, kind, title) for p, kind, title in (
        (loss, "loss", "training loss"), (value, "value", f"{metric_name(metric)}, validation")) if p]  # fmt: skip
    bottom = 126 * len(panels) + 18
    chart = _chart(bottom + 4, _describe(name, metric, loss, value, best_epoch))
    epochs = [(v["epoch"], v["epoch"]) for v in validations]
    for i, (points, kind, title) in enumerate(panels):
        panel = _Panel(chart, 26 + 126 * i, 88, epochs, [(y, y) for _, y in points])
        x_ticks = _short_axis(*panel.x, 5) if i == len(panels) - 1 else {}
        panel.axes(x_ticks, _short_axis(*panel.y, 3))
        _text(chart, (_LEFT, panel.top - 8), title, "start", "title")
        if best_epoch is not None:
            x, _ = panel.place(best_epoch, panel.y[0])
            _line(chart, "best", (x, panel.top), (x, panel.top + panel.height))
        panel.curve(points, kind)
        marked = [point for point in points if point[0] == best_epoch]
        for point in marked:
            x, y = panel.place(*point)
            panel.dot(x, y, f"{kind} chosen", 5)
            _text(chart, (_WIDTH - _RIGHT, panel.top - 8), f"kept: {number(point[1])}", "end", f"kept {kind}")
    _text(chart, (_WIDTH - _RIGHT, bottom), "epoch", "end")
    return _markup(chart)


def _describe(name: str, metric: str, loss: Points, value: Points, best_epoch: float | None) -> str:
    parts = [f"Training of {name}."]
    if loss:
        parts.append(f"The training loss went from {number(loss[0][1])} to {number(loss[-1][1])}.")
    if value:
        parts.append(
            f"{metric_name(metric)} on validation rows went from {number(value[0][1])} to {number(value[-1][1])}."
        )
    if best_epoch is not None:
        parts.append(f"The weights of epoch {number(best_epoch, 1)} were kept.")
    return " ".join(parts)


def search_chart(search: Mapping[str, Any]) -> Markup | None:
    """Draw the validation score of every trial of a search, and the best so far, trial by trial.

    Args:
        search: As in ``metrics.json``.

    Returns:
        An ``svg`` element; None if no trial has a score.
    """
    scored = [(float(t["trial"]), t["score"], t["state"]) for t in search["trials"] if is_number(t["score"])]
    if not scored:
        return None
    reached, so_far = [], -math.inf
    for trial, score, state in scored:
        if state in _WHOLE:
            so_far = max(so_far, score)
        if so_far > -math.inf:
            reached.append((trial, so_far))
    last = float(len(search["trials"]) - 1)
    best, height = search["best"], 228.0
    chart = _chart(
        height,
        f"Validation score of {count(len(scored))} trials: {number(search['default']['score'], 4)} with the settings of "
        f"the schema, {number(best['score'], 4)} in trial {count(best['trial'])}, the best.",
    )
    scores = [score for _, score, _ in scored]
    panel = _Panel(chart, 26, height - 64, [(0.0, last)], [(score, score) for score in scores])
    marks = [round(value) for value in ticks(0, max(1.0, last), 5) if value == round(value)]
    panel.axes({float(value): str(value) for value in marks if value <= last}, _short_axis(*panel.y, 4))
    _text(chart, (_LEFT, panel.top - 8), "score on validation rows", "start", "title")
    _text(chart, (_WIDTH - _RIGHT, height - 6), "trial", "end")
    steps = [point for one, two in itertools.pairwise(reached) for point in (one, (two[0], one[1]))]
    placed = [panel.place(*point) for point in [*steps, *reached[-1:]]]
    path = " ".join(f"{x},{y}" for x, y in placed)
    ET.SubElement(chart, "polyline", {"class": "curve value", "points": path})
    for trial, score, state in scored:
        panel.dot(*panel.place(trial, score), "value" if state in _WHOLE else "loss", 2.5)
    x, y = panel.place(float(best["trial"]), best["score"])
    panel.dot(x, y, "value chosen", 5)
    _text(chart, (_WIDTH - _RIGHT, panel.top - 8), f"best: {number(best['score'], 4)}", "end", "kept value")
    return _markup(chart)


def pareto_chart(points: Mapping[str, tuple[float, float]], cost: str, value: str) -> Markup | None:
    """Draw what methods reach against what they cost, the cost on the log scale, and which none beats in both.

    Args:
        points: Cost, above 0, and value of each method; a higher value is better.
        cost: What the cost is, with its unit.
        value: What the value is.

    Returns:
        An ``svg`` element; None for fewer than two methods.
    """
    known = {n: (math.log10(c), v) for n, (c, v) in points.items() if c > 0 and math.isfinite(v)}
    if len(known) < 2:
        return None
    best = pareto_front(points)
    height = 300.0
    chart = _chart(
        height, f"{value} against {cost}; no method is both better and cheaper than {', '.join(best)}."
    )
    panel = _Panel(
        chart,
        24,
        height - 62,
        [(x, x) for x, _ in known.values()],
        [(y, y) for _, y in known.values()],
    )
    low, high = (10**x for x in panel.x)
    across = [m * 10**k for k in range(math.floor(panel.x[0]), math.ceil(panel.x[1]) + 1) for m in (1, 2, 5)]
    across = [t for t in across if low <= t <= high]
    across = across if len(across) > 2 else ticks(low, high, 3)  # within a decade
    panel.axes({math.log10(t): f"{t:g}" for t in across}, _short_axis(*panel.y, 4))
    front = [known[name] for name in best]
    steps = [point for one, two in itertools.pairwise(front) for point in (one, (two[0], one[1]))]
    path = " ".join(f"{x},{y}" for x, y in (panel.place(*point) for point in [*steps, *front[-1:]]))
    ET.SubElement(chart, "polyline", {"class": "curve value", "points": path})
    for name, point in known.items():
        x, y = panel.place(*point)
        panel.dot(x, y, "value" if name in best else "loss", 4)
        last = x > 0.7 * _WIDTH
        _text(chart, (x - 7 if last else x + 7, y - 5), name, "end" if last else "start")
    _text(chart, (_LEFT, 13), value, "start", "title")
    _text(chart, (_WIDTH - _RIGHT, height - 6), cost, "end", "title")
    return _markup(chart)


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The methods that no other beats in both cost and value, cheapest first.

    Example:
        >>> pareto_front({"small": (1.0, 0.7), "large": (9.0, 0.8), "waste": (9.5, 0.75)})
        ['small', 'large']
    """
    front: list[str] = []
    reached = -math.inf
    for name, (cost, value) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if cost > 0 and math.isfinite(value) and value > reached:
            front.append(name)
            reached = value
    return front


def calibration_chart(name: str, curve: Mapping[str, Any]) -> Markup | None:
    """Draw what happened against what was predicted, with the 95 % range of each bin's share.

    The ranges are Wilson's score interval (1927), which holds for small shares; it takes
    rows as independent.

    Args:
        name: Of the task.
        curve: From :func:`~motet.metrics.calibration_curve`.

    Returns:
        An ``svg`` element; None if there is nothing to draw.
    """
    triples = zip(
        curve.get("predicted") or [], curve.get("observed") or [], curve.get("rows") or [], strict=False
    )
    bins = [(p, o, n) for p, o, n in triples if is_number(p) and is_number(o) and is_number(n) and n > 0]
    if not bins:
        return None
    ranges = [_wilson(o, n) for _, o, n in bins]
    top = min(1.0, max([p for p, _, _ in bins] + [high for _, high in ranges]))
    height = 300.0
    worst = max(bins, key=lambda b: abs(b[0] - b[1]))
    chart = _chart(
        height,
        f"Calibration of {name}: {count(len(bins))} bins of test rows, predicted chance against what "
        f"happened; the farthest bin was given {percent(worst[0])} and {percent(worst[1])} happened.",
    )
    panel = _Panel(chart, 24, height - 62, [(0, top)], [(0, top)])
    marks = {value / 100: f"{text}\u00a0%" for value, text in _short_axis(0, 100 * top, 4).items()}
    panel.axes(marks, marks)
    _line(chart, "ideal", panel.place(0, 0), panel.place(top, top))
    for (p, o, _), (low, high) in zip(bins, ranges, strict=True):
        _line(chart, "bar", panel.place(p, low), panel.place(p, min(high, panel.y[1])))
        panel.dot(*panel.place(p, o), "value", 3.5)
    _text(chart, (_LEFT, 13), "what happened", "start", "title")
    _text(chart, (_WIDTH - _RIGHT, height - 6), "predicted chance", "end", "title")
    return _markup(chart)


def _wilson(share: float, rows: float) -> tuple[float, float]:
    z = 1.959964
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return max(0.0, centre - half), min(1.0, centre + half)
