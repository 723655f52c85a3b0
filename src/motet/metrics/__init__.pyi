from ._format import DASH, MINUS, SPACE, count, figure, interval_of, is_number, metric_name, number, percent
from ._intervals import bootstrap, bootstrap_means, calibration_curve, intervals_of, resampled_weights
from ._ranking import RankedUsers, rank_users, top_items
from ._statistic import Floats, Metric, Statistic, Users
from ._table import METRICS, metrics_of, prepare, register_metric, task_metrics, why_undefined

__all__ = [
    "DASH",
    "METRICS",
    "MINUS",
    "SPACE",
    "Floats",
    "Metric",
    "RankedUsers",
    "Statistic",
    "Users",
    "bootstrap",
    "bootstrap_means",
    "calibration_curve",
    "count",
    "figure",
    "interval_of",
    "intervals_of",
    "is_number",
    "metric_name",
    "metrics_of",
    "number",
    "percent",
    "prepare",
    "rank_users",
    "register_metric",
    "resampled_weights",
    "task_metrics",
    "top_items",
    "why_undefined",
]
