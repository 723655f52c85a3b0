"""Numbers as people read them. What is not a finite number is an em dash."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = [
    "DASH",
    "MINUS",
    "SPACE",
    "count",
    "figure",
    "interval_of",
    "is_number",
    "metric_name",
    "number",
    "percent",
]

_CAPITALS = ("auc", "gauc", "ece", "f1", "rmse", "mae", "r2", "ap", "lrap", "ndcg", "mrr")

DASH = "—"
SPACE = "\u00a0"  # keeps a number and its unit on one line
MINUS = "−"


def is_number(value: Any) -> bool:
    """Whether a value from JSON can be written and drawn as a number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any, digits: int = 3) -> str:
    """A number with a fixed count of decimals.

    Example:
        >>> number(-0.12345), number(None)
        ('−0.123', '—')
    """
    if not is_number(value):
        return DASH
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text.replace("-", MINUS)


def figure(value: Any, more: int = 0) -> str:
    """A number in the label's own unit, with about three digits that count.

    Example:
        >>> figure(0.9512), figure(47.625), figure(47.625, more=1), figure(12345.6)
        ('0.95', '47.6', '47.62', '12,346')
    """
    if not is_number(value):
        return DASH
    return number(value, more + (2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0))


def percent(share: Any, digits: int | None = None) -> str:
    r"""A share in per cent, with as many decimals as a small one needs.

    Example:
        >>> percent(0.7912), percent(0.0046), percent(0.9996)
        ('79\xa0%', '0.46\xa0%', '99.96\xa0%')
    """
    if not is_number(share):
        return DASH
    value = share * 100
    if digits is None:
        distance = min(abs(value), abs(100 - value))
        digits = 0 if distance >= 10 or distance == 0 else 1 if distance >= 1 else 2
    return number(value, digits) + SPACE + "%"


def count(value: Any) -> str:
    """A whole number with thousands set apart.

    Example:
        >>> count(10000)
        '10,000'
    """
    return number(value, 0)


def metric_name(metric: str) -> str:
    """A metric as it is called in print.

    Example:
        >>> metric_name("macro_ap"), metric_name("ndcg@10"), metric_name("skill")
        ('macro AP', 'NDCG@10', 'skill')
    """
    words = metric.split("_")
    return " ".join(w.upper() if w.split("@")[0] in _CAPITALS else w for w in words)


def interval_of(values: Mapping[str, Any], metric: str) -> tuple[float, float] | None:
    """The 95 % interval of a metric, if the evaluation holds one."""
    interval = values.get(f"{metric}_interval")
    if not isinstance(interval, list | tuple) or len(interval) != 2 or not all(map(is_number, interval)):
        return None
    return float(interval[0]), float(interval[1])
