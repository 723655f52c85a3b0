"""Addresses of streams, and messages: as they are read, refused and written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import Field, ValidationError

from motet.errors import StoreError, StreamError
from motet.schema import require_known
from motet.service.api import EventIn
from motet.service.store import Event, Shown, event_row

__all__ = [
    "LARGEST_MESSAGE",
    "Cursor",
    "OutMessage",
    "RefusedMessage",
    "StreamAddress",
    "StreamMessage",
    "StreamSink",
    "StreamSource",
    "event_message",
    "list_message",
    "read_event",
]

LARGEST_MESSAGE: Final = (
    65_536  # an event within all limits of the store has at most about 50,000 bytes of UTF-8
)
_KEPT_CONTENT: Final = 4_096
_LONGEST_ID: Final = 512

StreamKind: TypeAlias = Literal["redis", "kafka", "file"]
_FORMS: Final = "write redis://host:6379/STREAM, kafka://broker:9092/TOPIC or file:PATH"
_PORTS: Final = {"redis": 6379, "rediss": 6379, "kafka": 9092}
_OPTIONS: Final = {
    "redis": ("group", "consumer", "start", "db", "maxlen"),
    "kafka": ("group", "start"),
}


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """Where a stream is.

    Attributes:
        kind: ``redis``, ``kafka`` or ``file``.
        where: The address without password and options.
        name: The Redis stream, the topic, or the absolute path.
        hosts: Host and port of each broker; none of a file.
        group: Consumer group, in which the broker keeps how far the stream is read.
        consumer: Name within a Redis group; after a crash the same name reads what was not acknowledged.
        start: Where a new group starts: ``earliest`` or ``latest``.
        user: User of a Redis server, if it has users.
        password: Password of a Redis server.
        database: Number of the Redis database.
        most_entries: About how many entries a Redis stream keeps when it is written to; all where None.
        is_encrypted: Whether Redis is reached over TLS.
    """

    kind: StreamKind
    where: str
    name: str
    hosts: tuple[tuple[str, int], ...] = ()
    group: str = "motet"
    consumer: str = "motet"
    start: Literal["earliest", "latest"] = "earliest"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    most_entries: int | None = None
    is_encrypted: bool = False

    @classmethod
    def parse(cls, text: str) -> StreamAddress:
        """Read ``redis://``, ``rediss://`` (TLS), ``kafka://`` with one or several brokers, or ``file:``.

        Raises:
            StreamError: If it is none of them, or an option is unknown; its text never holds the password.

        Example:
            >>> found = StreamAddress.parse("redis://:secret@cache/clicks?group=shop")
            >>> found.where, found.group
            ('redis://cache:6379/clicks', 'shop')
            >>> StreamAddress.parse("kafka://k1,k2:9093/clicks").hosts
            (('k1', 9092), ('k2', 9093))
        """
        scheme = text.partition(":")[0]
        if scheme == "file":
            return cls._of_file(text.removeprefix("file:"))
        if scheme not in _PORTS or "://" not in text:
            shown = f"{scheme}://…" if "://" in text else text  # what follows may hold a password
            raise StreamError(f"the stream '{shown[:100]}' is of no known kind", _FORMS)
        try:
            parts = urlsplit(text)
        except ValueError:
            raise StreamError(f"the address of the {scheme} stream cannot be read", _FORMS) from None
        hosts = tuple(_host(one, _PORTS[scheme]) for one in parts.netloc.rpartition("@")[2].split(","))
        name = unquote(parts.path.removeprefix("/"))
        kind: StreamKind = "kafka" if scheme == "kafka" else "redis"
        where = f"{scheme}://{','.join(f'{host}:{port}' for host, port in hosts)}/{name}"
        if not name:
            what = "topic" if kind == "kafka" else "stream"
            raise StreamError(f"the address {where} names no {what}", _FORMS)
        if kind == "redis" and len(hosts) > 1:
            raise StreamError(
                f"the address {where} names several servers", "name the one that has the stream"
            )
        if kind == "kafka" and "@" in parts.netloc:
            raise StreamError(
                f"the address {where} has a user",
                "put security.protocol, sasl.username and sasl.password into a file for --kafka-config",
            )
        return cls(kind, where, name, hosts, **_options(kind, parts, where))

    @classmethod
    def _of_file(cls, text: str) -> StreamAddress:
        if not text.removeprefix("//"):
            raise StreamError("the address file: names no file", _FORMS)
        path = Path(text.removeprefix("//")).absolute()
        return cls("file", f"file:{path}", str(path))

    def beside(self, ending: str) -> StreamAddress:
        """The stream of the same place whose name has an ending more."""
        changed = {name: getattr(self, name) for name in self.__slots__}
        return StreamAddress(**{**changed, "where": self.where + ending, "name": self.name + ending})


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        found = (parts.hostname or "", parts.port if parts.port is not None else port)
    except ValueError:
        found = ("", port)
    if not found[0]:
        raise StreamError(f"'{text[:100]}' is no host with a port", _FORMS)
    return found


def _options(kind: StreamKind, parts: SplitResult, where: str) -> dict[str, Any]:
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in given:
        require_known(name, _OPTIONS[kind], f"the option of {where}", StreamError)
    start = given.pop("start", "earliest")
    require_known(start, ("earliest", "latest"), f"start in {where}", StreamError)
    found: dict[str, Any] = {"start": start}
    for name, to, low in (("db", "database", 0), ("maxlen", "most_entries", 1)):
        if name in given:
            text = given.pop(name)
            if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) < low:
                raise StreamError(f"{name}={text[:40]} in {where}", f"give a whole number of at least {low}")
            found[to] = int(text)
    if empty := next((name for name, value in given.items() if not value), None):
        raise StreamError(f"{empty} in {where} is empty", f"give a name, such as {empty}=motet")
    if kind == "redis":
        # A colon in the user part is percent-encoded, as in every URL.
        user, password = parts.username, parts.password
        found |= {
            "user": unquote(user) if user else None,
            "password": unquote(password) if password else None,
            "is_encrypted": parts.scheme == "rediss",
        }
    return {**given, **found}


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """A message as it was read.

    Attributes:
        place: Where it is in its stream: the same whenever it is read again.
        content: Its bytes; None where the stream no longer holds it.
        time: When the broker got it; None where that is not known.
        token: What the source needs to acknowledge it.
    """

    place: str
    content: bytes | None
    time: datetime | None = None
    token: Any = None


Cursor: TypeAlias = int | list[Any]


@dataclass(frozen=True, slots=True)
class OutMessage:
    """A message to be written.

    Attributes:
        key: Messages of one key stay in order, also over the partitions of a topic.
        content: A JSON object on one line.
        cursor: How far the store is published once it is written: the number of the event, or time and id of the list.
    """

    key: str
    content: bytes
    cursor: Cursor | None = None


class StreamSource(Protocol):
    """A stream that is read. Messages are acknowledged in the order in which they are read."""

    def open(self) -> None:
        """Connect, and check that the stream is there."""

    def read(self, limit: int, wait_s: float) -> list[StreamMessage]:
        """Some messages; none if there are none within a time."""

    def done(self, messages: Sequence[StreamMessage]) -> None:
        """Acknowledge messages: they are on disk."""

    def again(self) -> None:
        """After an outage: read what was not acknowledged again."""

    def is_at_end(self) -> bool:
        """Whether everything in it was read; asked after a read that gave nothing."""

    def close(self) -> None:
        """Disconnect."""


class StreamSink(Protocol):
    """A stream that is written to."""

    def open(self) -> None:
        """Connect, and check that it can be written to."""

    def cursor(self) -> Cursor | None:
        """The cursor of the last message that it holds; None where it does not know."""

    def send(self, messages: Sequence[OutMessage]) -> None:
        """Write messages in order; when this returns, the stream holds them."""

    def close(self) -> None:
        """Disconnect."""


class RefusedMessage(Exception):  # noqa: N818 (it goes to the dead letters, and nowhere else)
    """A message that is no event.

    Args:
        message: The message.
        reason: Why.
        cure: What its sender may do.
    """

    def __init__(self, message: StreamMessage, reason: str, cure: str) -> None:
        super().__init__(reason)
        self._message, self._reason, self._cure = message, reason, cure

    def dead_letter(self) -> OutMessage:
        """The message for the stream of dead letters."""
        content = self._message.content or b""
        letter = {
            "reason": self._reason,
            "cure": self._cure,
            "place": self._message.place,
            "time": datetime.now(UTC).isoformat(),
            "bytes": len(content),
            "content": content[:_KEPT_CONTENT].decode("utf-8", "replace"),
        }
        return OutMessage(self._message.place, json.dumps(letter, ensure_ascii=False).encode())


class _EventMessage(EventIn):
    """An event as in ``POST /v1/events``; what ``motet stream out`` adds to it is allowed."""

    propensity: float | None = None
    seq: int | None = Field(None, description="Place in the store it came from; this one gives its own.")


def read_event(message: StreamMessage, largest: int = LARGEST_MESSAGE) -> Event:
    """Read a message as an event.

    An event without an id gets one from its place and content: read again, it counts once. One without a time gets
    that of the broker.

    Args:
        message: The message.
        largest: Most bytes of a message.

    Raises:
        RefusedMessage: If it is no event that the store takes.
    """
    content = message.content
    if content is None:
        reason = "the stream was trimmed before the message was read again"
        raise RefusedMessage(message, reason, "let the stream keep more messages")
    if len(content) > largest:
        reason = f"the message has more than {largest:,} bytes"
        raise RefusedMessage(message, reason, "send one event a message, without what is not used")
    try:
        row = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RefusedMessage(message, f"it is not JSON ({error})", "send a JSON object in UTF-8") from None
    if not isinstance(row, dict):
        reason = f"it is a JSON {type(row).__name__}, not an object"
        raise RefusedMessage(message, reason, "send one event a message") from None
    try:
        read = _EventMessage.model_validate(row)
        event = read.event()
        more: dict[str, Any] = {}
        if read.id is None:
            more["id"] = _id(message.place, content)
        if read.time is None and message.time is not None:
            more["time"] = message.time
        if read.propensity is not None:
            more["propensity"] = read.propensity
        event = _with(event, more) if more else event
        event_row(event, "add")  # the limit of the context
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        reason = f"'{where}': {first['msg']}" if where else str(first["msg"])
        raise RefusedMessage(message, reason, "send the fields of POST /v1/events") from None
    except StoreError as error:
        raise RefusedMessage(message, error.problem, error.cure) from None
    return event


def _with(event: Event, changes: dict[str, Any]) -> Event:
    found = {name: getattr(event, name) for name in Event.__slots__}
    return Event(**{**found, **changes})


def _id(place: str, content: bytes) -> str:
    """An id of the place, and of the content: a stream that was deleted and made again begins at the same places."""
    digest = hashlib.sha256(content).hexdigest()[:16]
    found = f"{place}:{digest}"
    if len(found) <= _LONGEST_ID:
        return found
    return f"{place[:200]}:{hashlib.sha256(place.encode()).hexdigest()}:{digest}"


def event_message(event: Event) -> OutMessage:
    """An event of the store as a message."""
    content = {
        "type": event.type,
        "user": event.user,
        "item": event.item,
        "value": event.value,
        "time": event.time.isoformat(),
        "id": event.id,
        "scenario": event.scenario,
        "context": dict(event.context),
        "list_id": event.list_id,
        "propensity": event.propensity,
        "seq": event.seq,
    }
    return OutMessage(event.user, json.dumps(content, ensure_ascii=False).encode(), event.seq)


def list_message(shown: Shown) -> OutMessage:
    """A list of the recommendation log as a message."""
    items = [
        {
            "rank": rank,
            "item": one.item,
            "score": one.score,
            "propensity": one.propensity,
            "sources": list(one.sources),
            "predictions": dict(one.predictions),
            **({"variant": one.variant} if one.variant else {}),
        }
        for rank, one in enumerate(shown.items, 1)
    ]
    content = {
        "list_id": shown.id,
        "user": shown.user,
        "session": shown.session,
        "scenario": shown.scenario,
        "time": shown.time.isoformat(),
        "model": shown.model,
        "items": items,
    }
    cursor = [shown.time.isoformat(), shown.id]
    return OutMessage(shown.user or shown.id, json.dumps(content, ensure_ascii=False).encode(), cursor)
