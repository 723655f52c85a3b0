"""What Gorse's clients send and get: its keys in PascalCase, its defaults, its zero values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_pascal

from motet.serving._answers import UserView
from motet.serving._gorse._times import NO_TIME, write_time
from motet.store import Feedback, Item

__all__ = [
    "FeedbackIn",
    "FeedbackOut",
    "FeedbackPage",
    "Health",
    "ItemIn",
    "ItemOut",
    "ItemPage",
    "ItemPatch",
    "Row",
    "Score",
    "SessionIn",
    "UserIn",
    "UserOut",
    "UserPage",
    "UserPatch",
    "feedback_out",
    "item_out",
    "user_out",
]


def _null_is_the_default(schema: dict[str, Any]) -> None:
    """Describe that null may stand for whatever need not be told."""
    for name, said in schema.get("properties", {}).items():
        kinds = said.get("anyOf", ())
        if name in schema.get("required", ()) or {"type": "null"} in kinds or not ("type" in said or kinds):
            continue
        about = {key: said.pop(key) for key in ("title", "description", "default", "examples") if key in said}
        plain = dict(said)
        said.clear()
        said.update({"anyOf": [plain, {"type": "null"}], **about})


class _In(BaseModel):
    """A body: keys in any case, unknown keys left alone and null for the default, as Go reads JSON."""

    model_config = ConfigDict(
        alias_generator=to_pascal,
        extra="ignore",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        json_schema_extra=_null_is_the_default,
    )

    @model_validator(mode="before")
    @classmethod
    def _as_go(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        names = {str(field.alias).casefold(): str(field.alias) for field in cls.model_fields.values()}
        found: dict[str, Any] = {}
        for key, value in content.items():
            name = names.get(str(key).casefold())
            if name is not None and value is not None:
                found[name] = value
        return found


class _Out(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True, frozen=True)


_Id = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^/\x00]+$")]
_Type = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/\x00]+$", examples=["like"])]
_Text = Annotated[str, Field(max_length=100_000, pattern=r"^[^\x00]*$")]
_Categories = Annotated[list[_Id], Field(max_length=1000, fail_fast=True)]
_Time = Annotated[
    str,
    Field(
        description="In any usual format; in UTC where no zone is said.",
        examples=["2026-01-02T15:04:05Z"],
        json_schema_extra={
            "pattern": r"^(|[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])(T([01]\d|2[0-3])(:[0-5]\d){2}Z)?)$"
        },
    ),
]


class UserIn(_In):
    """A user."""

    user_id: _Id
    labels: Any = Field(None, examples=[{"occupation": "engineer"}])
    comment: _Text = ""


class UserPatch(_In):
    """What changes of a user; null for the rest."""

    labels: Any = None
    comment: _Text | None = None


class ItemIn(_In):
    """An item."""

    item_id: _Id
    is_hidden: bool = False
    categories: _Categories = Field(default_factory=list)
    timestamp: _Time = ""
    labels: Any = Field(None, examples=[{"genres": ["Comedy"]}])
    comment: _Text = ""


class ItemPatch(_In):
    """What changes of an item; null for the rest."""

    is_hidden: bool | None = None
    categories: _Categories | None = None
    timestamp: _Time | None = None
    labels: Any = None
    comment: _Text | None = None


class SessionIn(_In):
    """Something that was done with an item; by whom does not matter."""

    feedback_type: _Type
    item_id: _Id
    value: float = 0.0
    timestamp: _Time = ""


class FeedbackIn(SessionIn):
    """Something that a user did with an item."""

    user_id: _Id
    labels: Any = None
    comment: _Text = ""


class UserOut(_Out):
    """A user."""

    user_id: str
    labels: Any
    comment: str


class ItemOut(_Out):
    """An item."""

    item_id: str
    is_hidden: bool
    categories: tuple[str, ...]
    timestamp: str
    labels: Any
    comment: str


class FeedbackOut(_Out):
    """All that a user did to an item in one way."""

    feedback_type: str
    user_id: str
    item_id: str
    value: float
    timestamp: str
    updated: str = NO_TIME
    labels: Any = None
    comment: str = ""


class Score(_Out):
    """An item or a user with a score; larger comes first."""

    id: str
    score: float


class Row(_Out):
    """How many rows were written."""

    row_affected: int


class UserPage(_Out):
    """Some users, and where the next begin; empty at the end."""

    cursor: str
    users: tuple[UserOut, ...]


class ItemPage(_Out):
    """Some items, and where the next begin; empty at the end."""

    cursor: str
    items: tuple[ItemOut, ...]


class FeedbackPage(_Out):
    """Some feedback, and where the next begins; empty at the end."""

    cursor: str
    feedback: tuple[FeedbackOut, ...]


class Health(_Out):
    """Whether the service can answer."""

    ready: bool
    data_store_error: str | None
    cache_store_error: str | None
    data_store_connected: bool
    cache_store_connected: bool


def user_out(user: UserView) -> UserOut:
    """A user as it is answered."""
    return UserOut(user_id=user.id, labels=user.labels, comment=user.comment)


def item_out(item: Item) -> ItemOut:
    """A stored item as it is answered."""
    return ItemOut(
        item_id=item.id,
        is_hidden=item.is_hidden,
        categories=item.categories,
        timestamp=write_time(item.timestamp),
        labels=item.labels,
        comment=item.comment,
    )


def feedback_out(feedback: Feedback) -> FeedbackOut:
    """Stored feedback as it is answered."""
    return FeedbackOut(
        feedback_type=feedback.type,
        user_id=feedback.user,
        item_id=feedback.item,
        value=feedback.value,
        timestamp=write_time(feedback.time),
        updated=write_time(feedback.updated),
        labels=feedback.labels,
        comment=feedback.comment,
    )
