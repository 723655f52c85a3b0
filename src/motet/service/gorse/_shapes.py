"""Times, durations, bodies and answers in the formats of Gorse."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_pascal

from motet.errors import RequestError
from motet.service.store import Feedback, Item

if TYPE_CHECKING:
    from motet.service.engine import UserView

__all__ = [
    "NO_TIME",
    "FeedbackIn",
    "FeedbackOut",
    "FeedbackPage",
    "GorseHealth",
    "GorseItemIn",
    "GorseItemPatch",
    "GorseUserIn",
    "GorseUserPatch",
    "ItemOut",
    "ItemPage",
    "Row",
    "Score",
    "SessionIn",
    "UserOut",
    "UserPage",
    "feedback_out",
    "item_in",
    "item_out",
    "message_parts",
    "message_time",
    "read_duration",
    "read_time",
    "user_out",
    "write_time",
]

NO_TIME: Final = "0001-01-01T00:00:00Z"
"""The time that Gorse answers if there is none."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND: Final = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}
_COMPACT: Final = {4: "%Y", 8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAY: Final = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +", re.IGNORECASE)
_DAY: Final = "|".join(
    (
        r"(?P<y1>\d{4})[-/.年](?P<m1>\d{1,2})(?:[-/.月](?P<d1>\d{1,2})日?)?",
        r"(?P<m2>\d{1,2})[-/.](?P<d2>\d{1,2})[-/.](?P<y2>\d{4})",
        r"(?P<b3>[a-z]{3,9})\.? (?P<d3>\d{1,2})(?:st|nd|rd|th)?,? (?P<y3>\d{4})",
        r"(?P<d4>\d{1,2})[- /](?P<b4>[a-z]{3,9})\.?[- /,]+(?P<y4>\d{4})",
    )
)
_HOUR: Final = r"(?P<h>\d{1,2}):(?P<min>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?(?: ?(?P<half>[ap]m))?"
_ZONE: Final = r"(?: ?(?P<z>z|utc|gmt|[+-]\d{2}:?\d{2})(?: [a-z]{3,5}| [+-]\d{2,4}| \([^)]*\))?)?"
_USUAL: Final = re.compile(rf"(?:{_DAY})(?:[ T:,]+{_HOUR}{_ZONE})?", re.IGNORECASE)
_C: Final = re.compile(r"([a-z]{3} \d{1,2}) ([\d:.]+)( [+-]\d{4}| [a-z]{3})? (\d{4})", re.IGNORECASE)
_UNIT_S: Final = {
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ns": 1e-9,
}
_PIECE: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ms|us|µs|μs|ns|h|m|s)")
_LONGEST: Final = 64
_LAST_YEAR: Final = 4_999
_LONGEST_DURATION_S: Final = 100 * 365 * 86_400.0


def read_time(text: str) -> datetime | None:
    """Read a time in any usual format: ISO 8601, RFC 1123, Unix times, names of months; UTC if there is no zone.

    Of 2/1/2020 the month comes first, as in Gorse.

    Args:
        text: The time; empty for none.

    Raises:
        RequestError: If it is none, or after the year 4999.

    Example:
        >>> str(read_time("1577934245")), str(read_time("Jan 2, 2020 03:04 AM"))
        ('2020-01-02 03:04:05+00:00', '2020-01-02 03:04:00+00:00')
    """
    cleaned = " ".join(text.split())
    if not cleaned or cleaned == NO_TIME:
        return None
    found = _read(cleaned) if len(cleaned) <= _LONGEST else None
    if found is None or found.year > _LAST_YEAR:
        raise RequestError(
            f'Could not find format for "{text[:_LONGEST]}"', "write it as 2006-01-02T15:04:05Z"
        )
    return found


def _read(text: str) -> datetime | None:
    try:
        if text.isdecimal() and text.isascii():
            if len(text) in _COMPACT:
                return datetime.strptime(text, _COMPACT[len(text)]).replace(tzinfo=UTC)
            per_second = _PER_SECOND[len(text)]
            whole, part = divmod(int(text), per_second)
            return datetime.fromtimestamp(whole, UTC) + timedelta(microseconds=part * 10**6 // per_second)
        return _aware(datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)))
    except (ValueError, OverflowError, OSError, KeyError):
        pass
    try:
        plain = _C.sub(r"\1, \4 \2\3", _WEEKDAY.sub("", text, count=1))
        match = _USUAL.fullmatch(plain)
        return _aware(parsedate_to_datetime(text)) if match is None else _matched(match.groupdict())
    except (ValueError, OverflowError, TypeError):
        return None


def _matched(found: dict[str, str | None]) -> datetime:
    part = {name.rstrip("1234"): value for name, value in found.items() if value is not None}
    month = int(part["m"]) if "m" in part else 1 + _MONTHS.index(part["b"][:3].lower())
    hour = int(part.get("h", "0"))
    if "half" in part:
        if not 1 <= hour <= 12:
            raise ValueError(f"no hour {hour} of twelve")
        hour = hour % 12 + 12 * (part["half"].lower() == "pm")
    microsecond = int(part.get("f", "0").ljust(6, "0")[:6])
    zone: tzinfo = UTC
    if (offset := part.get("z", "z"))[0] in "+-":
        minutes = int(offset[1:3]) * 60 + int(offset[-2:])
        zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    second, minute = int(part.get("s", "0")), int(part.get("min", "0"))
    day = int(part.get("d", "1"))
    return _aware(datetime(int(part["y"]), month, day, hour, minute, second, microsecond, zone))


def _aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def write_time(time: datetime | None) -> str:
    """Write a time as Gorse does: UTC, without zeros at the end of the fraction.

    Example:
        >>> write_time(datetime(2020, 1, 2, 3, 4, 5, 120000, tzinfo=UTC)), write_time(None)
        ('2020-01-02T03:04:05.12Z', '0001-01-01T00:00:00Z')
    """
    if time is None:
        return NO_TIME
    text = time.astimezone(UTC).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def read_duration(text: str) -> timedelta:
    """Read a duration as Go writes them.

    Args:
        text: Such as ``1h30m`` or ``-1.5s``; empty is none.

    Raises:
        RequestError: If it is none, or longer than a hundred years.

    Example:
        >>> str(read_duration("1h30m")), str(read_duration("0"))
        ('1:30:00', '0:00:00')
    """
    wrong = RequestError(f'time: invalid duration "{text[:_LONGEST]}"', "write it as 10m or 1h30m0s")
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest in ("", "0"):
        if text in ("+", "-"):
            raise wrong
        return timedelta(0)
    pieces = _PIECE.findall(rest)
    if len(rest) > _LONGEST or "".join(number + unit for number, unit in pieces) != rest:
        raise wrong
    seconds = sign * math.fsum(float(number) * _UNIT_S[unit] for number, unit in pieces)
    if abs(seconds) > _LONGEST_DURATION_S:
        raise wrong
    return timedelta(seconds=seconds)


# -- messages of the dump ---------------------------------------------------------------------------


def message_parts(message: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a message in the wire format of protocol buffers, each with its number.

    See https://protobuf.dev/programming-guides/encoding.

    Raises:
        ValueError: If it is none.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"a field of wire type {wire}")
        if at + size > len(message):
            raise ValueError("a field is cut off")
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("a number is cut off")
        byte, at = message[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is too long")


def message_time(message: bytes) -> str:
    """The time of a message, as Gorse writes it."""
    seconds = nanoseconds = 0
    for number, value in message_parts(message):
        if number == 1:
            seconds = value - (1 << 64) if value >> 63 else value
        elif number == 2:
            nanoseconds = value
    time = _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    return write_time(time)


# -- bodies and answers: keys in PascalCase, defaults and zero values of Gorse --------------------


def _null_is_the_default(schema: dict[str, Any]) -> None:
    """Describe that optional fields may be null."""
    for name, described in schema.get("properties", {}).items():
        kinds = described.get("anyOf", ())
        if (
            name in schema.get("required", ())
            or {"type": "null"} in kinds
            or not ("type" in described or kinds)
        ):
            continue
        about = {
            key: described.pop(key)
            for key in ("title", "description", "default", "examples")
            if key in described
        }
        plain = dict(described)
        described.clear()
        described.update({"anyOf": [plain, {"type": "null"}], **about})


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
        description="In any usual format; in UTC if there is no zone.",
        examples=["2026-01-02T15:04:05Z"],
        json_schema_extra={
            "pattern": r"^(|[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])(T([01]\d|2[0-3])(:[0-5]\d){2}Z)?)$"
        },
    ),
]


class GorseUserIn(_In):
    """A user."""

    user_id: _Id
    labels: Any = Field(None, examples=[{"occupation": "engineer"}])
    comment: _Text = ""


class GorseUserPatch(_In):
    """Changes of a user; null leaves a field."""

    labels: Any = None
    comment: _Text | None = None


class GorseItemIn(_In):
    """An item."""

    item_id: _Id
    is_hidden: bool = False
    categories: _Categories = Field(default_factory=list)
    timestamp: _Time = ""
    labels: Any = Field(None, examples=[{"genres": ["Comedy"]}])
    comment: _Text = ""


class GorseItemPatch(_In):
    """Changes of an item; null leaves a field."""

    is_hidden: bool | None = None
    categories: _Categories | None = None
    timestamp: _Time | None = None
    labels: Any = None
    comment: _Text | None = None


class SessionIn(_In):
    """An interaction with an item in a session."""

    feedback_type: _Type
    item_id: _Id
    value: float = 0.0
    timestamp: _Time = ""


class FeedbackIn(SessionIn):
    """An interaction of a user with an item."""

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


class GorseHealth(_Out):
    """Whether the service can answer."""

    ready: bool
    data_store_error: str | None
    cache_store_error: str | None
    data_store_connected: bool
    cache_store_connected: bool


def user_out(user: UserView) -> UserOut:
    """A user as it is answered."""
    return UserOut(user_id=user.id, labels=user.labels, comment=user.comment)


def item_in(sent: GorseItemIn) -> Item:
    """An item for the store.

    Raises:
        RequestError: If its time cannot be read.
    """
    return Item(
        sent.item_id,
        sent.is_hidden,
        tuple(dict.fromkeys(sent.categories)),
        read_time(sent.timestamp),
        sent.labels,
        sent.comment,
    )


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
