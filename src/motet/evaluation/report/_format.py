"""Numbers as people read them. What is not a finite number is an em dash."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from motet.metrics import DASH, MINUS, SPACE, count, figure, is_number, metric_name, number, percent

__all__ = [
    "DASH",
    "count",
    "date_time",
    "duration",
    "figure",
    "is_number",
    "listing",
    "metric_name",
    "number",
    "percent",
    "signed",
    "size",
]


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
    return text if text.startswith(MINUS) else f"+{text}"


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
            return f"{size_bytes / scale:.1f}{SPACE}{unit}"
    return f"{size_bytes:.0f}{SPACE}B"


def duration(elapsed_s: Any) -> str:
    r"""A time in seconds, in the units that suit it.

    Example:
        >>> duration(12.34), duration(200), duration(7300)
        ('12.3\xa0s', '3\xa0min 20\xa0s', '2\xa0h 1\xa0min')
    """
    if not is_number(elapsed_s):
        return DASH
    if elapsed_s < 60:
        return f"{elapsed_s:.1f}{SPACE}s"
    seconds = round(elapsed_s)
    if seconds < 3600:
        return f"{seconds // 60}{SPACE}min {seconds % 60}{SPACE}s"
    return f"{seconds // 3600}{SPACE}h {seconds % 3600 // 60}{SPACE}min"


def listing(parts: list[str]) -> str:
    """Join as prose does.

    Example:
        >>> listing(["a", "b", "c"])
        'a, b and c'
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def date_time(time: Any) -> str:
    """An ISO time as text; anything else as it is.

    Example:
        >>> date_time("2026-03-01T09:05:00+00:00"), date_time("yesterday")
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
