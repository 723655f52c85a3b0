"""Numbers as people read them. What is not a finite number is an em dash."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

__all__ = [
    "DASH",
    "count",
    "duration",
    "figure",
    "is_number",
    "listing",
    "metric_name",
    "moment",
    "number",
    "percent",
    "signed",
    "size",
]

_CAPITALS = ("auc", "gauc", "ece", "f1", "rmse", "mae", "r2", "ap", "lrap", "ndcg", "mrr")

DASH = "—"
_SPACE = "\u00a0"  # keeps a number and its unit on one line
_MINUS = "−"


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
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text.replace("-", _MINUS)


def figure(value: Any, more: int = 0) -> str:
    """A number in the label's own unit, with about three digits that count.

    Example:
        >>> figure(0.9512), figure(47.625), figure(47.625, more=1), figure(12345.6)
        ('0.95', '47.6', '47.62', '12,346')
    """
    if not is_number(value):
        return DASH
    return number(value, more + (2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0))


def signed(value: Any, digits: int = 3) -> str:
    """A difference, with its sign.

    Example:
        >>> signed(0.0142), signed(-0.5, 1), signed(0.0)
        ('+0.014', '−0.5', '±0.000')
    """
    if not is_number(value):
        return DASH
    text = number(value, digits)
    if float(f"{value:.{digits}f}") == 0:
        return f"±{text}"
    return text if text.startswith(_MINUS) else f"+{text}"


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
    return number(value, digits) + _SPACE + "%"


def count(value: Any) -> str:
    """A whole number with thousands set apart.

    Example:
        >>> count(10000)
        '10,000'
    """
    return number(value, 0)


def size(size_bytes: Any) -> str:
    r"""A size in bytes, in the unit that suits it.

    Example:
        >>> size(1_610_612_736), size(900)
        ('1.6\xa0GB', '900\xa0B')
    """
    if not is_number(size_bytes):
        return DASH
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f}{_SPACE}{unit}"
    return f"{size_bytes:.0f}{_SPACE}B"


def duration(elapsed_s: Any) -> str:
    r"""A time in seconds, in the units that suit it.

    Example:
        >>> duration(12.34), duration(200), duration(7300)
        ('12.3\xa0s', '3\xa0min 20\xa0s', '2\xa0h 1\xa0min')
    """
    if not is_number(elapsed_s):
        return DASH
    if elapsed_s < 60:
        return f"{elapsed_s:.1f}{_SPACE}s"
    seconds = round(elapsed_s)
    if seconds < 3600:
        return f"{seconds // 60}{_SPACE}min {seconds % 60}{_SPACE}s"
    return f"{seconds // 3600}{_SPACE}h {seconds % 3600 // 60}{_SPACE}min"


def listing(parts: list[str]) -> str:
    """Join as prose does.

    Example:
        >>> listing(["a", "b", "c"])
        'a, b and c'
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def metric_name(metric: str) -> str:
    """A metric as it is called in print.

    Example:
        >>> metric_name("macro_ap"), metric_name("ndcg@10"), metric_name("skill")
        ('macro AP', 'NDCG@10', 'skill')
    """
    words = metric.split("_")
    return " ".join(w.upper() if w.split("@")[0] in _CAPITALS else w for w in words)


def moment(time: Any) -> str:
    """An ISO time as people write it; anything else as it is.

    Example:
        >>> moment("2026-03-01T09:05:00+00:00"), moment("yesterday")
        ('1 March 2026, 09:05 UTC', 'yesterday')
    """
    try:
        then = datetime.fromisoformat(str(time))
    except ValueError:
        return str(time)
    if then.tzinfo is not None:
        then = then.astimezone(UTC)
    zone = "" if then.tzinfo is None else " UTC"
    return f"{then.day} {_MONTHS[then.month - 1]} {then:%Y, %H:%M}{zone}"


# Not by strftime, which would follow the machine's locale.
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
