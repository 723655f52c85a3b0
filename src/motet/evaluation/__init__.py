"""Metrics, controls, and the task × scenario evaluation."""

from motet.evaluation._bootstrap import bootstrap
from motet.evaluation._calibration import calibration_curve
from motet.evaluation._catalogue import rank_catalogue, ranking_metrics
from motet.evaluation._controls import CONTROLS, Control, register_baseline, run_controls
from motet.evaluation._evaluate import Evaluation, evaluate
from motet.evaluation._metrics import (
    HEADLINES,
    METRICS,
    metrics_of,
    register_metric,
    task_metrics,
    why_undefined,
)
from motet.evaluation._ranking import rank_users, top_items
from motet.evaluation._relations import label_correlation, task_relations
from motet.evaluation._report import render_report
from motet.evaluation._score import headlines, score_of, validation_score
from motet.evaluation._statistic import Metric
from motet.evaluation._transfer import negative_transfer, paired_intervals

__all__ = [
    "CONTROLS",
    "HEADLINES",
    "METRICS",
    "Control",
    "Evaluation",
    "Metric",
    "bootstrap",
    "calibration_curve",
    "evaluate",
    "headlines",
    "label_correlation",
    "metrics_of",
    "negative_transfer",
    "paired_intervals",
    "rank_catalogue",
    "rank_users",
    "ranking_metrics",
    "register_baseline",
    "register_metric",
    "render_report",
    "run_controls",
    "score_of",
    "task_metrics",
    "task_relations",
    "top_items",
    "validation_score",
    "why_undefined",
]
