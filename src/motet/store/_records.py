"""What the store holds of users, items and what happened, as typed records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from motet.errors import StoreError
from motet.store._checks import (
    LATEST,
    LONGEST_TEXT,
    LONGEST_TYPE,
    MOST_VALUE,
    check_cells,
    check_number,
    check_text,
    check_time,
    new_id,
    now,
)

__all__ = ["Change", "Event", "Feedback", "Item", "Page", "User"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a user did with an item.

    Attributes:
        type: What was done, for example ``click``; at most 200 characters.
        user: Id of the user.
        item: Id of the item.
        value: How much of it, up to 1e15 either way; 1 by default.
        time: When, in UTC to the microsecond, up to the year 5000; now by default.
        id: The client's own id, by which the event counts once however often it is sent; made where missing.
        scenario: Where, for example ``home``.
        context: What else was so: at most 200 names with a text, a number, true, false or None each.
        list_id: The shown list that the item was in.
        propensity: With what probability the item was shown there, in (0, 1].
        seq: Its place in the order of all events, from 1; 0 until it is stored.
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

    def __post_init__(self) -> None:
        for name in ("id", "user", "item"):
            check_text(getattr(self, name), f"event.{name}")
        check_text(self.type, "event.type", longest=LONGEST_TYPE)
        for name in ("scenario", "list_id"):
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
    """All that a user did to an item in one way, in one row.

    Attributes:
        type: In which way.
        user: Id of the user.
        item: Id of the item.
        value: Sum of what was added since it was last overwritten, up to 1e300 either way; what is added or put is
            as limited as the value of an event.
        time: When it was first said, in UTC.
        updated: Latest time of what was said; ``time`` by default.
        labels: Whatever JSON can say; None where nothing was.
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
        labels: Whatever JSON can say; None where nothing was.
        comment: A free text.
        time: When first told of, in UTC; None takes the time of storing, or what is known already.
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
        is_hidden: Whether it is kept out of every answer.
        categories: Names of the categories it is in.
        timestamp: Its own time, for example of its release, in UTC.
        labels: Whatever JSON can say; None where nothing was.
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
    """That a user or an item was changed or deleted; of each only the latest change is kept.

    Attributes:
        seq: Place in the order of all changes.
        what: ``user`` or ``item``.
        key: Its id; of a deleted user the digest (``Users.digest``), for the id is gone.
        deleted: Whether it is gone.
    """

    seq: int
    what: Literal["user", "item"]
    key: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a longer list.

    Attributes:
        rows: The rows.
        cursor: Hand it in for the rows after these; empty at the end.
    """

    rows: tuple[T, ...]
    cursor: str
