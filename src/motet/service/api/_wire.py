"""Bodies of the routes that ingest events, items and users."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, Strict, WithJsonSchema

from motet.recommend import RequestPart
from motet.service.store import Event, Item, User

__all__ = [
    "Done",
    "EventIn",
    "EventsIn",
    "IdentityIn",
    "ItemIn",
    "ItemPatch",
    "ItemsIn",
    "Put",
    "UserDeleted",
    "UserIn",
    "UserPatch",
    "UsersIn",
]

_MOST = 10_000
_Time = Annotated[
    datetime,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "number", "description": "Unix time in seconds; in milliseconds above 2e10."},
            ],
            "examples": ["2026-01-02T15:04:05Z"],
        }
    ),
]


def _utc(time: datetime) -> datetime:
    """A time without a zone is in UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


class EventIn(RequestPart):
    """An interaction of a user with an item."""

    type: str = Field(min_length=1, max_length=200, description="What: a column or task of the schema, or any word.", examples=["rating"])  # fmt: skip
    user: str = Field(min_length=1, max_length=512, examples=["42"])
    item: str = Field(min_length=1, max_length=512, examples=["50"])
    value: Annotated[float, Strict()] = Field(1.0, description="How much of it.", examples=[5])
    time: _Time | None = Field(None, description="When; now by default; UTC if there is no zone.")
    id: str | None = Field(None, min_length=1, max_length=512, description="The event counts once however often it is sent.")  # fmt: skip
    scenario: str | None = Field(None, min_length=1, max_length=512)
    context: dict[str, Any] = Field(default_factory=dict, max_length=200, description="Further columns of the interaction.")  # fmt: skip
    list_id: str | None = Field(None, min_length=1, max_length=512, description="The list that the item was shown in.")  # fmt: skip

    def event(self) -> Event:
        """Convert it for the store."""
        more: dict[str, Any] = {"id": self.id} if self.id is not None else {}
        if self.time is not None:
            more["time"] = _utc(self.time)
        return Event(
            self.type,
            self.user,
            self.item,
            self.value,
            scenario=self.scenario,
            context=self.context,
            list_id=self.list_id,
            **more,
        )


class EventsIn(RequestPart):
    """Some events; all are stored, or none."""

    events: tuple[EventIn, ...] = Field(min_length=1, max_length=_MOST, fail_fast=True)


class ItemPatch(RequestPart):
    """Changes of an item."""

    is_hidden: Annotated[bool, Strict()] | None = None
    categories: Annotated[tuple[str, ...], Field(max_length=1000, fail_fast=True)] | None = None
    timestamp: _Time | None = Field(None, description="Its own time; the time of ingestion by default.")
    labels: Any = None
    comment: str | None = Field(None, max_length=100_000)
    fields: dict[str, Any] | None = Field(
        None, max_length=1000, description="Columns of the items table.", examples=[{"title": "Space Pirates (2024)", "year": 2024}]
    )  # fmt: skip

    def changes(self) -> dict[str, Any]:
        """Convert them for the store."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        if given.get("timestamp") is not None:
            given["timestamp"] = _utc(given["timestamp"])
        return given


class ItemBody(RequestPart):
    """An item, without its id."""

    is_hidden: Annotated[bool, Strict()] = False
    categories: tuple[str, ...] = Field((), max_length=1000, fail_fast=True)
    timestamp: _Time | None = Field(None, description="Its own time; the time of ingestion by default.")
    labels: Any = None
    comment: str = Field("", max_length=100_000)
    fields: dict[str, Any] = Field(
        default_factory=dict, max_length=1000, description="Columns of the items table.", examples=[{"title": "Space Pirates (2024)", "year": 2024}]
    )  # fmt: skip

    def item(self, id: str) -> Item:
        """Convert it for the store."""
        time = None if self.timestamp is None else _utc(self.timestamp)
        return Item(id, self.is_hidden, self.categories, time, self.labels, self.comment, self.fields)


class ItemIn(ItemBody):
    """An item."""

    id: str = Field(min_length=1, max_length=512, examples=["space-pirates"])


class ItemsIn(RequestPart):
    """Some items."""

    items: tuple[ItemIn, ...] = Field(min_length=1, max_length=_MOST, fail_fast=True)


class UserPatch(RequestPart):
    """Changes of a user."""

    labels: Any = None
    comment: str | None = Field(None, max_length=100_000)


class UserBody(RequestPart):
    """A user, without its id."""

    labels: Any = Field(None, description="An object with columns of the users table, or anything.", examples=[{"age": 33}])  # fmt: skip
    comment: str = Field("", max_length=100_000)

    def user(self, id: str) -> User:
        """Convert it for the store."""
        return User(id, self.labels, self.comment)


class UserIn(UserBody):
    """A user."""

    id: str = Field(min_length=1, max_length=512, examples=["ann"])


class UsersIn(RequestPart):
    """Some users."""

    users: tuple[UserIn, ...] = Field(min_length=1, max_length=_MOST, fail_fast=True)


class IdentityIn(RequestPart):
    """A further id of a user."""

    identity: str = Field(min_length=1, max_length=512, examples=["app:123"])


class Put(BaseModel):
    """How many were new, and how many were known."""

    new: int
    replaced: int


class Done(BaseModel):
    """Confirmation."""

    done: bool = True


class OutOfModel(BaseModel):
    """When the weights of the model no longer rest on a user who was deleted."""

    training: int = Field(
        description="The first full training of this number or a later one is without the user; see /v1/learner."
    )
    by: datetime | None = Field(description="When it begins at the latest; null without a schedule.")


class UserDeleted(Done):
    """Confirmation of a deletion."""

    out_of_model: OutOfModel | None = Field(None, description="Left out where nothing was ever trained here.")
