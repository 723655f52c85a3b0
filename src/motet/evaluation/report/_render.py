"""From ``metrics.json`` to one HTML page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from motet.errors import DataError
from motet.evaluation.report._compare import compare, skipped_baselines, task_facts, track
from motet.evaluation.report._conclusions import conclude, lead, notices
from motet.evaluation.report._format import date_time, duration, signed, size
from motet.evaluation.report._plots import calibration_chart, search_chart, training_chart
from motet.evaluation.report._tables import (
    all_metrics,
    cost_rows,
    fold_tables,
    importance_table,
    member_tables,
    ranking_table,
    relation_matrices,
    search_tables,
    slice_table,
    traffic_table,
    transfer_table,
)
from motet.metrics import METRICS, count, metric_name, number, percent
from motet.schema import TASK_KINDS

__all__ = ["draw_page", "render_report"]

_ENDINGS = {
    "epochs": "every epoch was done",
    "patience": "the score had stopped getting better",
    "time limit": "the time was up",
}


def render_report(metrics: Mapping[str, Any]) -> str:
    """Draw the report of a trained model as one self-contained HTML page.

    Everything comes from the content of ``metrics.json``. Only ``dataset`` and ``tasks`` must be there;
    a section whose part is missing or null is left out. The page loads nothing from elsewhere, follows
    the reader's light or dark theme, and is the same text for the same metrics. All texts from data are
    escaped.

    Args:
        metrics: An evaluation as :func:`~motet.evaluation.evaluate` gives it, with any of ``motet,
            created, synthetic, architecture, schema, score, calibration, baselines, blend, transfer,
            relations, cost, history, data, search, folds``.

    Returns:
        The page, ready to be written as UTF-8.

    Raises:
        DataError: If ``dataset`` or ``tasks`` is missing.

    Example:
        >>> page = render_report({"dataset": "toy", "tasks": {"buy": {"auc": 0.75, "rows": 40}}})
        >>> "ranks the right one higher in 75" in page
        True
    """
    for key, kind in (("dataset", str), ("tasks", Mapping)):
        if not isinstance(metrics.get(key), kind):
            raise DataError(
                f"the metrics have no '{key}'", "pass the content of a metrics.json that 'motet train' wrote"
            )
    return draw_page("report.html.jinja", _view(_without_nulls(metrics)))


def draw_page(template: str, view: Mapping[str, Any]) -> str:
    """Draw a page of this package with its style and its one script.

    Args:
        template: File of this package.
        view: What it names, beside ``style``, ``script`` and ``script_hash``.
    """
    script = _read("report.js")
    own = {
        "style": Markup(_read("report.css")),  # noqa: S704 (our own file)
        "script": Markup(script),  # noqa: S704 (our own file)
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    page = _environment().get_template(template).render({**own, **view})
    # A lone surrogate or a NUL, which JSON can carry, is no text of a UTF-8 page.
    return page.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def _without_nulls(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that are there, and within parts that go by name, the names that are there."""
    kept = {key: value for key, value in metrics.items() if value is not None}
    for key in ("tasks", "baselines", "transfer", "calibration", "scenarios", "groups", "traffic"):
        if key in kept:
            kept[key] = {name: value for name, value in kept[key].items() if value is not None}
    return kept


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "metric_name": metric_name,
        "date_time": date_time,
        "number": number,
        "signed": signed,
        "percent": percent,
        "count": count,
        "size": size,
        "duration": duration,
    }
    return environment


def _read(name: str) -> str:
    return files("motet.evaluation.report").joinpath(name).read_text(encoding="utf-8")


def _view(metrics: Mapping[str, Any]) -> dict[str, Any]:
    tasks = task_facts(metrics)
    comparisons = [found for task in tasks if (found := compare(metrics, task)) is not None]
    rows = metrics.get("rows") or {}
    history = metrics.get("history") or {}
    return {
        "m": {key: metrics.get(key) for key in _OPTIONAL} | {"dataset": metrics["dataset"]},
        "kinds": {name: kind.called for name, kind in TASK_KINDS.items()},
        "endings": _ENDINGS,
        "meanings": {name: metric.meaning for name, metric in METRICS.items()},
        "terms": [
            (name, metric.meaning)
            for name, metric in METRICS.items()
            if name in (metrics.get("ranking") or {})
        ],
        "rows": rows,
        "lead": lead(comparisons),
        "conclusions": [conclude(comparison, metrics) for comparison in comparisons],
        "notices": notices(metrics, comparisons),
        "duels": [(c, *track(c)) for c in comparisons if c.rivals],
        "skipped": skipped_baselines(metrics),
        "ranking": ranking_table(metrics),
        "scenarios": slice_table(
            "scenario", metrics.get("scenarios") or {}, rows.get("scenarios") or {}, metrics, tasks
        ),
        "traffic": traffic_table(metrics, tasks),
        "groups": slice_table("group", metrics.get("groups") or {}, rows.get("groups") or {}, metrics, tasks),
        "calibration": [
            (name, chart, curve)
            for name, curve in (metrics.get("calibration") or {}).items()
            if (chart := calibration_chart(name, curve)) is not None
        ],
        "training": [
            (task, chart)
            for task in tasks
            if (chart := training_chart(task.name, task.metric, history)) is not None
        ],
        "transfer": transfer_table(metrics.get("transfer")) if len(tasks) > 1 else None,
        "matrices": relation_matrices(metrics.get("relations")),
        "members": member_tables(metrics.get("blend")),
        "importance": importance_table(metrics.get("importance")),
        "search_plot": search_chart(metrics["search"]) if metrics.get("search") else None,
        "search": search_tables(metrics.get("search")),
        "folds": fold_tables(metrics.get("folds"), tasks),
        "every": [(task, all_metrics(metrics, task)) for task in tasks],
        "cost_rows": cost_rows(metrics.get("cost") or {}),
    }


_OPTIONAL = (
    "motet", "created", "split", "seed", "synthetic", "architecture", "schema", "score", "history", "cost", "data",
    "search", "folds", "refit", "bag", "learnt_from", "gates", "importance",
)  # fmt: skip
