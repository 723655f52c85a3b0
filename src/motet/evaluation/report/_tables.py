"""The tables of the report: cells with a text, a tint and the reason where there is no number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from motet.evaluation.report._compare import BASELINE_NAMES, FEW_ROWS, TaskFacts
from motet.evaluation.report._format import duration, signed
from motet.metrics import (
    DASH,
    METRICS,
    count,
    interval_of,
    is_number,
    metric_name,
    metrics_of,
    number,
    percent,
)
from motet.schema import TASK_KINDS

__all__ = [
    "Cell",
    "Table",
    "all_metrics",
    "cost_rows",
    "fold_tables",
    "importance_table",
    "matrix_table",
    "member_tables",
    "ranking_table",
    "relation_matrices",
    "search_tables",
    "slice_table",
    "traffic_table",
    "transfer_table",
]

_MOST_SLICES = 40  # more rows than this are no table for people
_SMALLEST_SCALE = 0.05  # differences below it stay pale, so that noise does not look like news
_ACCURACY = ("ndcg@10", "recall@10", "hit@10", "mrr")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: Its number or word.
        note: Small print: a difference, an interval, or why there is no number.
        tint: Strength of the colour behind it, 0 to 100; the text always says the same.
        tone: ``up``, ``down`` or "", which colour.
        strong: Whether it is the best of its column.
    """

    text: str
    note: str = ""
    tint: int = 0
    tone: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head; the first column names the rows, with small print where it helps."""

    head: list[Cell]
    rows: list[tuple[Cell, list[Cell]]]
    note: str = ""


def _head(*names: str) -> list[Cell]:
    return [Cell(name) for name in names]


def _cell(values: Mapping[str, Any] | None, metric: str, digits: int = 3) -> Cell:
    if not values:
        return Cell(DASH, "not measured")
    if not is_number(values.get(metric)):
        return Cell(DASH, str(values.get("undefined") or "not measured"))
    return Cell(number(values[metric], digits))


def _tinted(text: str, note: str, share: float) -> Cell:
    strength = round(100 * min(1.0, abs(share)))
    return Cell(text, note, strength, "up" if share > 0 else "down" if share < 0 else "")


def slice_table(
    part: str,
    slices: Mapping[str, Any],
    rows: Mapping[str, Any],
    metrics: Mapping[str, Any],
    tasks: list[TaskFacts],
) -> Table | None:
    """Primary metric of each task in each scenario or group, tinted by its difference from all rows.

    Args:
        part: Head of the first column.
        slices: ``{slice: {task: {metric: value}}}``.
        rows: Test rows by slice.
        metrics: The whole evaluation.
        tasks: Their facts; those that are not measured in slices are left out.
    """
    shown = [t for t in tasks if any(t.name in of_task for of_task in slices.values())]
    if not slices or not shown:
        return None
    names = sorted(slices, key=lambda name: -(rows.get(name) or 0))
    overall = {t.name: (metrics["tasks"].get(t.name) or {}).get(t.metric) for t in shown}
    gaps = [
        slices[n][t.name][t.metric] - overall[t.name]
        for n in names
        for t in shown
        if is_number(overall[t.name])
        and is_number(slices[n].get(t.name, {}).get(t.metric))
        and _rows_of(slices[n][t.name], rows.get(n)) >= FEW_ROWS
    ]
    scale = max([_SMALLEST_SCALE, *(abs(gap) for gap in gaps)])
    body = [(Cell("all rows", _rows_note(metrics.get("rows", {}).get("total"))), [
        _cell(metrics["tasks"].get(t.name), t.metric) for t in shown
    ])]  # fmt: skip
    for name in names[:_MOST_SLICES]:
        cells = []
        for t in shown:
            values = slices[name].get(t.name)
            cell = _cell(values, t.metric)
            if cell.text != DASH and values is not None and is_number(overall[t.name]):
                gap = values[t.metric] - overall[t.name]
                few = _rows_of(values, rows.get(name)) < FEW_ROWS
                cell = Cell(cell.text, "few rows") if few else _tinted(cell.text, signed(gap), gap / scale)
            cells.append(cell)
        body.append(
            (Cell(name.replace("_", " ") if part == "group" else name, _rows_note(rows.get(name))), cells)
        )
    left_out = len(names) - _MOST_SLICES
    note = f"{left_out} smaller ones are not shown; metrics.json holds them." if left_out > 0 else ""
    return Table([Cell(part), *(Cell(t.name, metric_name(t.metric)) for t in shown)], body, note)


def traffic_table(metrics: Mapping[str, Any], tasks: list[TaskFacts]) -> Table | None:
    """Users and items of each scenario, those it shares with others, and predicted / observed means of tasks."""
    traffic = metrics.get("traffic") or {}
    shown = [t.name for t in tasks if any(t.name in (of.get("tasks") or {}) for of in traffic.values())]
    entities = [name for name in ("users", "items") if any(name in of for of in traffic.values())]
    if len(traffic) < 2:  # one scenario shares nothing
        return None
    body = []
    for name in sorted(traffic, key=lambda name: -traffic[name]["rows"])[:_MOST_SLICES]:
        of = traffic[name]
        cells = [Cell(count(of["rows"]))]
        for entity in entities:
            share = of.get(f"shared_{entity}")
            note = f"{percent(share)} elsewhere too" if is_number(share) else ""
            cells.append(Cell(count(of.get(entity, 0)), note))
        for task in shown:
            means = (of.get("tasks") or {}).get(task) or {}
            measured = (metrics.get("scenarios") or {}).get(name, {}).get(task, {})
            notes = [f"{metric_name(m)} {number(measured[m])}" for m in ("gauc", "ece", "rmse") if is_number(measured.get(m))]  # fmt: skip
            ratio = means.get("ratio")
            cells.append(Cell(number(ratio, 2) if is_number(ratio) else DASH, " · ".join(notes)))
        body.append((Cell(name), cells))
    head = [Cell("scenario"), Cell("rows"), *map(Cell, entities)]
    return Table([*head, *(Cell(task, "predicted / observed") for task in shown)], body)


def _rows_of(values: Mapping[str, Any], of_slice: Any) -> float:
    """Rows with a known label, or else all rows of the slice; infinite where neither is known."""
    known = values.get("rows", of_slice)
    return float(known) if is_number(known) else float("inf")


def _rows_note(rows: Any) -> str:
    return f"{count(rows)} rows" if is_number(rows) else ""


def ranking_table(metrics: Mapping[str, Any]) -> Table | None:
    """Every ranking metric of the model and of the baselines that rank; the best of each is strong."""
    own = metrics.get("ranking")
    if not own:
        return None
    rankings = {"this model": own}
    for name, evaluation in (metrics.get("baselines") or {}).items():
        if evaluation.get("ranking"):
            rankings[BASELINE_NAMES.get(name, name)] = evaluation["ranking"]
    ranking = {n for kind in TASK_KINDS.values() if kind.ranks_catalogue for n in kind.metrics}
    names = [n for n in METRICS if n in ranking and any(n in r for r in rankings.values())]
    best = {
        n: max((r[n] for r in rankings.values() if is_number(r.get(n))), default=None)
        if n in _ACCURACY
        else None
        for n in names
    }
    body = []
    for title, values in rankings.items():
        cells = []
        for n in names:
            cell, interval = _cell(values, n), interval_of(values, n)
            strong = len(rankings) > 1 and best[n] is not None and values.get(n) == best[n]
            note = f"{number(interval[0])} to {number(interval[1])}" if interval else cell.note
            cells.append(Cell(cell.text, note, strong=strong))
        body.append((Cell(title), cells))
    return Table(_head("predictor", *map(metric_name, names)), body)


def all_metrics(metrics: Mapping[str, Any], task: TaskFacts) -> Table:
    """Every metric of a task with its interval and its meaning."""
    of_ranking = task.of_kind.ranks_catalogue
    values = (metrics.get("ranking") if of_ranking else metrics["tasks"].get(task.name)) or {}
    body = []
    for name, metric in metrics_of(task.of_kind).items():
        if name in values:
            cell, interval = _cell(values, name, 4), interval_of(values, name)
            span = f"{number(interval[0], 4)} to {number(interval[1], 4)}" if interval else ""
            better = {True: "higher is better", False: "lower is better", None: ""}[metric.higher_is_better]
            body.append((Cell(name), [cell, Cell(span), Cell(metric.meaning, better)]))
    return Table(_head("metric", "value", "95\u00a0% interval", "meaning"), body)


def transfer_table(transfer: Mapping[str, Any] | None) -> Table | None:
    """The joint model beside the same architecture on each task alone."""
    if not transfer:
        return None
    body = []
    for name, facts in transfer.items():
        difference, interval = (
            facts.get("difference"),
            interval_of(facts | {"d_interval": facts.get("interval")}, "d"),
        )
        if facts.get("negative_transfer"):
            verdict = Cell("▼ lost by sharing", "negative transfer")
        elif is_number(difference) and interval and interval[0] > 0:
            verdict = Cell("▲ gained by sharing")
        else:
            verdict = Cell("≈ no sure difference")
        span = f"{signed(interval[0])} to {signed(interval[1])}" if interval else "no interval"
        body.append((Cell(name, metric_name(str(facts.get("metric") or ""))), [
            Cell(number(facts.get("multi"))), Cell(number(facts.get("single"))),
            Cell(signed(difference), span), verdict,
        ]))  # fmt: skip
    return Table(_head("task", "all tasks together", "this task alone", "difference", "reading"), body)


def member_tables(blend: Mapping[str, Any] | None) -> list[tuple[str, Table]]:
    """What the network and plain methods each add to what the bundle serves, as (caption, table)."""
    found = []
    ranking = (blend or {}).get("ranking")
    if ranking:
        body = [
            (
                Cell(_member(name)),
                [
                    Cell(
                        number(of.get("weight"), 2) if of.get("weight") else DASH,
                        "" if of.get("weight") else "left out",
                    ),
                    Cell(number(of.get("alone"), 4)),
                    Cell(number(of.get("without"), 4)),
                    _seconds(of.get("fit_s")),
                ],
            )
            for name, of in ranking["members"].items()
        ]
        head = _head("method", "weight", "alone", "all without it", "fitted in")
        caption = f"Ranking the catalogue: NDCG@10 on validation rows, of users and of single events, {number(ranking['ndcg@10'], 4)} together"
        found.append((caption, Table(head, body)))
    for task, facts in ((blend or {}).get("tasks") or {}).items():
        weights, loss = facts.get("weights") or {}, facts["loss"]
        body = [
            (
                Cell(_member(name)),
                [
                    Cell(number(weights[name], 2)) if weights.get(name) else Cell(DASH, "left out"),
                    Cell(number(value, 4)),
                    _seconds(facts["fit_s"].get(name)),
                ],
            )
            for name, value in loss.items()
            if name != "blend"
        ]
        caption = f"{task}: loss on validation rows, {number(loss['blend'], 4)} together, over folds of them"
        found.append((caption, Table(_head("method", "weight", "loss alone", "fitted in"), body)))
    return found


_STATES = {
    "complete": "finished",
    "cut": "cut off by the time",
    "pruned": "given up",
    "diverged": "not finite",
}
_MOST_TRIALS = 20


def search_tables(search: Mapping[str, Any] | None) -> list[tuple[str, Table]]:
    """What a search chose, and at last its best trials, as (caption, table)."""
    if not search:
        return []
    best, default = search["best"], search["default"]
    body = [
        (
            Cell(title),
            [
                Cell(number(of["score"], 4), "" if is_number(of["score"]) else "training diverged"),
                Cell(number(of.get("test_score"), 4)),
            ],
        )
        for title, of in (
            ("settings of the schema", default),
            (f"trial {count(best['trial'])}, the best", best),
        )
    ]
    scores = Table(_head("", "validation rows", "test rows, the network alone"), body)
    if not best["trial"]:
        scores = Table(
            _head("", "validation rows"), [(Cell("settings of the schema, the best"), body[0][1][:1])]
        )
    found = [("Overall score", scores)]
    if search["chosen"]:
        rows = [
            (Cell(path), [Cell(str(of["value"])), Cell(str(of["was"]))])
            for path, of in search["chosen"].items()
        ]
        found.append(("Settings that the search changed", Table(_head("setting", "chosen", "before"), rows)))
    trials = sorted(search["trials"], key=lambda t: -t["score"] if is_number(t["score"]) else float("inf"))
    rows = [
        (
            Cell(count(t["trial"]), "" if t["trial"] else "the schema"),
            [
                Cell(number(t["score"], 4), _STATES.get(t["state"], t["state"])),
                Cell(count(t["validations"])),
                Cell(duration(t["elapsed_s"])),
                *(Cell(f"{t['settings'].get(path, DASH)}") for path in search["chosen"]),
            ],
        )
        for t in trials[:_MOST_TRIALS]
    ]
    left_out = len(trials) - _MOST_TRIALS
    note = f"{left_out} others are not shown; metrics.json holds them." if left_out > 0 else ""
    short = [path.rpartition(".")[2] for path in search["chosen"]]
    head = _head("trial", "score", "validations", "time", *short)
    return [*found, ("Trials by their score on validation rows", Table(head, rows, note))]


def fold_tables(
    folds: Mapping[str, Any] | None, tasks: list[TaskFacts]
) -> tuple[Table, list[tuple[TaskFacts, Table]]] | None:
    """The primary metric of each task in every fold, and each metric of a task over folds."""
    if not folds:
        return None
    of_task = {
        t.name: (folds.get("ranking") if t.of_kind.ranks_catalogue else folds["tasks"].get(t.name)) or {}
        for t in tasks
    }
    shown = [t for t in tasks if t.metric in of_task[t.name]]
    primary = [of_task[t.name][t.metric] for t in shown]
    rows = [
        (
            Cell(f"fold {count(fold['fold'])}", f"{count(fold['rows']['test'])} test rows"),
            [Cell(number(of["values"][place])) for of in primary],
        )
        for place, fold in enumerate(folds["each"])
    ]
    spans = [_span(of, 3) for of in primary]
    rows.append(
        (
            Cell("mean", "95 % interval"),
            [Cell(number(of["mean"]), s) for of, s in zip(primary, spans, strict=True)],
        )
    )
    rows.append((Cell("deviation"), [Cell(number(of["deviation"])) for of in primary]))
    head = [Cell("fold"), *(Cell(t.name, metric_name(t.metric)) for t in shown)]
    every = [
        (
            t,
            Table(
                _head("metric", "mean", "deviation", "95 % interval"),
                [
                    (
                        Cell(name),
                        [Cell(number(of["mean"], 4)), Cell(number(of["deviation"], 4)), Cell(_span(of, 4))],
                    )
                    for name, of in of_task[t.name].items()
                ],
            ),
        )
        for t in shown
    ]
    return Table(head, rows), every


def _span(of: Mapping[str, Any], digits: int) -> str:
    span = of.get("interval")
    return f"{number(span[0], digits)} to {number(span[1], digits)}" if span else DASH


def _member(name: str) -> str:
    return BASELINE_NAMES.get(name, name)


def _seconds(value: Any) -> Cell:
    return Cell(f"{value:.1f} s") if is_number(value) else Cell(DASH, "with the model")


def relation_matrices(relations: Mapping[str, Any] | None) -> list[tuple[str, str, Table]]:
    """Label correlation and gradient cosine as (title, meaning, table), those that there are."""
    relations = relations or {}
    found = []
    for title, meaning, *keys in (
        (
            "Do the labels move together?",
            "Correlation of two tasks' labels on training rows: +1 they always agree, 0 unrelated, −1 opposed.",
            "labels", "label_correlation",
        ),
        (
            "Do the tasks pull the model the same way?",
            "Cosine of two tasks' gradients on the shared representation: above 0 they help each other, below 0 "
            "they are in each other's way.",
            "gradients", "gradient_cosine",
        ),
    ):  # fmt: skip
        content: Any = relations
        for key in keys:  # either name, or the whole of task_relations() under the first one
            content = (
                content[key]
                if isinstance(content, Mapping) and isinstance(content.get(key), Mapping)
                else content
            )
        if isinstance(content, Mapping) and len(content.get("tasks") or ()) > 1:
            found.append(
                (title, meaning, matrix_table(content["tasks"], content.get("matrix") or content["cosine"]))
            )
    return found


def matrix_table(names: list[str], matrix: list[list[Any]]) -> Table:
    """A symmetric matrix in [−1, 1], tinted by value; the diagonal says nothing and is left empty."""
    body = []
    for i, name in enumerate(names):
        cells = []
        for j in range(len(names)):
            value = matrix[i][j]
            if i == j:
                cells.append(Cell("·"))
            elif is_number(value):
                cells.append(_tinted(signed(value, 2), "", value))
            else:
                cells.append(Cell(DASH, "no common rows that vary"))
        body.append((Cell(name), cells))
    return Table(_head("", *names), body)


def cost_rows(cost: Mapping[str, Any]) -> list[tuple[str, str, str, float]]:
    """Parameters and share of the training time per task: name, parameters, share as text and in per cent."""
    return [
        (
            name,
            count(facts.get("parameters")),
            percent(facts.get("time_share")),
            round(100 * min(1.0, max(0.0, facts["time_share"])), 1)
            if is_number(facts.get("time_share"))
            else 0.0,
        )
        for name, facts in (cost.get("tasks") or {}).items()
    ]


def importance_table(importance: Mapping[str, Any] | None) -> Table | None:
    """What each task loses where a feature has the values of other rows, the largest loss first."""
    if not importance:
        return None
    tasks = list(importance["metrics"])
    features: Mapping[str, Any] = importance["features"]
    drops = {
        name: [(task, of["tasks"][task], of["tasks"][task].get("drop")) for task in tasks]
        for name, of in features.items()
    }
    order = sorted(drops, key=lambda name: -max(d if is_number(d) else 0.0 for *_, d in drops[name]))
    scale = max([_SMALLEST_SCALE, *(abs(d) for of in drops.values() for *_, d in of if is_number(d))])
    body = [
        (Cell(name, features[name]["entity"]), [
            _tinted(signed(d, 4), _span(of, 4) if of.get("interval") else "", d / scale) if is_number(d)
            else Cell(DASH, "not defined") for _, of, d in drops[name]
        ])
        for name in order
    ]  # fmt: skip
    return Table(_head("feature", *tasks), body)
