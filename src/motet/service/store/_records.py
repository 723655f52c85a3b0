"""Records of the store, each validated when it is made."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeVar, overload

from motet.errors import StoreError

__all__ = [
    "Change",
    "Event",
    "Feedback",
    "Item",
    "Page",
    "User",
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
# An event goes to a model as it is stored: these are within the limits of motet.recommend.live.LiveEvent.
LONGEST_TYPE: Final = 200
MOST_CELLS: Final = 200
MOST_VALUE: Final = 1e15
LATEST: Final = datetime(5000, 1, 1, tzinfo=UTC)
MOST_SUM: Final = 1e300  # limit of sums, far below the float maximum

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SHOWN: Final = 60
_INTEGERS: Final = range(-(2**63), 2**63)


def now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A unique id."""
    return uuid.uuid4().hex


def to_us(time: datetime) -> int:
    """Microseconds since 1970 in UTC.

    Example:
        >>> to_us(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
        1000000
    """
    return (time - _EPOCH) // _MICROSECOND


def from_us(time_us: int) -> datetime:
    """The inverse of :func:`to_us`."""
    return _EPOCH + timedelta(microseconds=time_us)


def check_text(value: object, what: str, *, longest: int = LONGEST_ID, empty: bool = False) -> None:
    """Check a text that must fit in every database.

    Raises:
        StoreError: If it is not a text, empty where it must not be, too long, or holds NUL or half a surrogate pair.
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
    """Check a finite number in a range.

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
    """Check a time with a zone and a latest value.

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
    """Check an object of cells by name.

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
    """Encode a value as JSON text.

    Args:
        value: Any JSON value.
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
    """Decode the text of :func:`check_json`."""
    return None if text is None else json.loads(text)


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Event:
    """An interaction of a user with an item.

    Attributes:
        type: Type of the interaction, for example ``click``; at most 200 characters.
        user: Id of the user.
        item: Id of the item.
        value: Its value, up to ±1e15; 1 by default.
        time: Its time, in UTC to the microsecond, up to the year 5000; now by default.
        id: An id of the client, so that an event sent again counts once; generated by default.
        scenario: The scenario, for example ``home``.
        context: Further columns: at most 200 names with a text, a number, true, false or None each.
        list_id: The recommended list that held the item.
        propensity: Probability with which the item was shown, in (0, 1].
        seq: Place in the order of all events, from 1; 0 until it is stored.
        identity: The id that it was recorded under, where that is an identity of the user.
    """

    type: str
    user: str
    item: str
    value: float = 1.0
    time: datetime = field(default_factory=now)
    id: str = field(default_factory=new_id)
    scenario: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    list_id: str | None = None
    propensity: float | None = None
    seq: int = 0
    identity: str | None = None

    def __post_init__(self) -> None:
        for name in ("id", "user", "item"):
            check_text(getattr(self, name), f"event.{name}")
        check_text(self.type, "event.type", longest=LONGEST_TYPE)
        for name in ("scenario", "list_id", "identity"):
            if getattr(self, name) is not None:
                check_text(getattr(self, name), f"event.{name}")
        value = check_number(self.value, "event.value", -MOST_VALUE, MOST_VALUE)
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "time", check_time(self.time, "event.time", LATEST))
        check_cells(self.context, "event.context")
        if self.propensity is not None:
            object.__setattr__(
                self, "propensity", check_number(self.propensity, "event.propensity", 0.0, 1.0)
            )
            if self.propensity == 0:
                raise StoreError("event.propensity is 0, so it cannot have been shown", "give one above 0")


@dataclass(frozen=True, slots=True)
class Feedback:
    """All interactions of one type of a user with an item, in one row.

    Attributes:
        type: Type of the interaction.
        user: Id of the user.
        item: Id of the item.
        value: Sum of the values added since the last overwrite, up to ±1e300; a single value has the limits of an
            event.
        time: When it was first recorded, in UTC.
        updated: When it was last changed; ``time`` by default.
        labels: Any JSON value; None for none.
        comment: A free text.
    """

    type: str
    user: str
    item: str
    value: float = 1.0
    time: datetime = field(default_factory=now)
    updated: datetime | None = None
    labels: Any = None
    comment: str = ""

    def __post_init__(self) -> None:
        for name in ("type", "user", "item"):
            check_text(getattr(self, name), f"feedback.{name}")
        check_text(self.comment, "feedback.comment", longest=LONGEST_TEXT, empty=True)
        object.__setattr__(self, "value", check_number(self.value, "feedback.value"))
        object.__setattr__(self, "time", check_time(self.time, "feedback.time"))
        updated = self.time if self.updated is None else check_time(self.updated, "feedback.updated")
        object.__setattr__(self, "updated", updated)


@dataclass(frozen=True, slots=True)
class User:
    """A user.

    Attributes:
        id: The id.
        labels: Any JSON value; None for none.
        comment: A free text.
        time: When first recorded, in UTC; None keeps the stored time, or takes the present one.
    """

    id: str
    labels: Any = None
    comment: str = ""
    time: datetime | None = None

    def __post_init__(self) -> None:
        check_text(self.id, "user.id")
        check_text(self.comment, "user.comment", longest=LONGEST_TEXT, empty=True)
        if self.time is not None:
            object.__setattr__(self, "time", check_time(self.time, "user.time"))


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the live catalogue.

    Attributes:
        id: The id.
        is_hidden: Whether it is left out of every answer.
        categories: Names of the categories it is in.
        timestamp: Its own time, for example of its release, in UTC.
        labels: Any JSON value; None for none.
        comment: A free text.
        fields: Values of catalogue columns by name.
    """

    id: str
    is_hidden: bool = False
    categories: tuple[str, ...] = ()
    timestamp: datetime | None = None
    labels: Any = None
    comment: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_text(self.id, "item.id")
        check_text(self.comment, "item.comment", longest=LONGEST_TEXT, empty=True)
        if not isinstance(self.is_hidden, bool):
            raise StoreError(f"item.is_hidden is {self.is_hidden!r}", "give true or false")
        if not isinstance(self.categories, list | tuple):
            raise StoreError(f"item.categories is a {type(self.categories).__name__}", "give a list of names")
        object.__setattr__(self, "categories", tuple(self.categories))
        for category in self.categories:
            check_text(category, "item.categories")
        if self.timestamp is not None:
            object.__setattr__(self, "timestamp", check_time(self.timestamp, "item.timestamp"))
        if not isinstance(self.fields, Mapping):
            raise StoreError(f"item.fields is a {type(self.fields).__name__}", "give an object")


@dataclass(frozen=True, slots=True)
class Change:
    """A change or deletion of a user, an item or an identity; only the latest of each is kept.

    Attributes:
        seq: Place in the order of all changes.
        what: ``user``, ``item`` or ``identity``.
        key: Its id; of a deleted user or identity the digest (``Users.digest``), as the id is deleted.
        deleted: Whether it was deleted; an identity that was unlinked is only changed.
    """

    seq: int
    what: Literal["user", "item", "identity"]
    key: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a longer list.

    Attributes:
        rows: The rows.
        cursor: Cursor of the next page; empty at the end.
    """

    rows: tuple[T, ...]
    cursor: str
