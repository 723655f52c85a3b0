"""What comes in is checked once, where it comes in."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, overload

from motet.errors import StoreError

__all__ = [
    "check_cells",
    "check_json",
    "check_number",
    "check_text",
    "check_time",
    "from_us",
    "is_cell",
    "new_id",
    "now",
    "read_json",
    "to_us",
    "within",
]

LONGEST_ID: Final = 512
LONGEST_TEXT: Final = 100_000
LONGEST_JSON: Final = 1_000_000
# What happened is told to a model as it is stored: these are within the limits of motet.recommend.LiveEvent.
LONGEST_TYPE: Final = 200
MOST_CELLS: Final = 200
MOST_VALUE: Final = 1e15
LATEST: Final = datetime(5000, 1, 1, tzinfo=UTC)
MOST_SUM: Final = 1e300  # of values: adding another one stays far from where floats end

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SHOWN: Final = 60
_INTEGERS: Final = range(-(2**63), 2**63)


def now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """An id that nobody else has."""
    return uuid.uuid4().hex


def to_us(time: datetime) -> int:
    """Microseconds since 1970 in UTC.

    Example:
        >>> to_us(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
        1000000
    """
    return (time - _EPOCH) // _MICROSECOND


def from_us(time_us: int) -> datetime:
    """The time that :func:`to_us` took."""
    return _EPOCH + timedelta(microseconds=time_us)


def check_text(value: object, what: str, *, longest: int = LONGEST_ID, empty: bool = False) -> None:
    """Refuse what is no text that every database can hold.

    Raises:
        StoreError: If it is no text, empty where it must not be, too long, or holds NUL or half a surrogate pair.
    """
    if not isinstance(value, str):
        raise StoreError(f"{what} is {_short(value)}, which is no text", "give a string")
    if not value and not empty:
        raise StoreError(f"{what} is empty", "give a string of at least one character")
    if len(value) > longest:
        raise StoreError(f"{what} has {len(value)} characters", f"give at most {longest}")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise StoreError(f"{what} is {_short(value)}, which is no Unicode", "send UTF-8") from None
    if "\0" in value:
        raise StoreError(f"{what} is {_short(value)}, which holds a NUL character", "take it out")


def check_number(value: object, what: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Refuse what is no finite number in a range.

    Returns:
        The number as a float.

    Raises:
        StoreError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise StoreError(f"{what} is {_short(value)}, which is no number", "give a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not low <= number <= high:
        raise StoreError(f"{what} is {_short(value)}", f"give a finite number from {low:g} to {high:g}")
    return number


def within(value: float, most: float) -> float:
    """The number, or the nearest one whose magnitude is not above another.

    Example:
        >>> within(float("-inf"), 10.0), within(3.0, 10.0)
        (-10.0, 3.0)
    """
    return max(-most, min(most, value))


def check_time(value: object, what: str, latest: datetime | None = None) -> datetime:
    """Refuse what is no time with a zone, or after another.

    Returns:
        The time in UTC.

    Raises:
        StoreError: If it is none.
    """
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise StoreError(f"{what} is {_short(value)}", "give a datetime with a time zone")
    try:
        time = value.astimezone(UTC)
    except OverflowError:
        raise StoreError(f"{what} is {_short(value)}", "give a time between the years 1 and 9999") from None
    if latest is not None and time > latest:
        raise StoreError(f"{what} is {_short(value)}", f"give a time up to the year {latest.year}")
    return time


def is_cell(value: object) -> bool:
    """Whether a value is a cell of a table: a text, a number of 64 bits, true, false or nothing.

    Example:
        >>> is_cell("red"), is_cell(2**63), is_cell(["red"])
        (True, False, False)
    """
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return value in _INTEGERS
    return value is None or isinstance(value, str)


def check_cells(value: object, what: str) -> None:
    """Refuse what is no object of cells by name.

    Raises:
        StoreError: If it is none, or has too many.
    """
    if not isinstance(value, Mapping):
        raise StoreError(f"{what} is a {type(value).__name__}", "give an object")
    if len(value) > MOST_CELLS:
        raise StoreError(f"{what} has {len(value)} columns", f"give at most {MOST_CELLS}")
    for name, cell in value.items():
        if not isinstance(name, str):
            raise StoreError(f"{what} has the name {_short(name)}, which is no text", "give a string")
        if not is_cell(cell):
            problem = f"{what} has a {type(cell).__name__} that is no cell as {_short(name)}"
            raise StoreError(problem, "give a text, a number of 64 bits, true, false or null for each name")


@overload
def check_json(value: object, what: str, *, longest: int = ..., none: Literal[False] = ...) -> str: ...
@overload
def check_json(value: object, what: str, *, longest: int = ..., none: Literal[True]) -> str | None: ...
def check_json(value: object, what: str, *, longest: int = LONGEST_JSON, none: bool = False) -> str | None:
    """Write a value as JSON text.

    Args:
        value: Whatever JSON can say.
        what: Its name in errors.
        longest: Most characters of it.
        none: Whether None stays None instead of becoming ``null``.

    Raises:
        StoreError: If it cannot be JSON, or is too long.
    """
    if none and value is None:
        return None
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"{what} cannot be written as JSON ({error})", "give what JSON can hold") from None
    if len(text) > longest:
        raise StoreError(f"{what} has {len(text)} characters as JSON", f"give at most {longest}")
    return text


def read_json(text: str | None) -> Any:
    """What :func:`check_json` wrote."""
    return None if text is None else json.loads(text)


def _short(value: object) -> str:
    said = ascii(value)
    return said if len(said) <= _SHOWN else said[:_SHOWN] + "…"
