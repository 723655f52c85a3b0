"""What goes from a stream into a store, and from a store into a stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, TypeVar

from motet.errors import StoreError, StoreUnavailableError, StreamError, StreamUnavailableError
from motet.service.store import Event, Shown, Store
from motet.service.streams._files import FileSink, FileSource
from motet.service.streams._kafka import KafkaSink, KafkaSource
from motet.service.streams._messages import (
    LARGEST_MESSAGE,
    Cursor,
    OutMessage,
    RefusedMessage,
    StreamAddress,
    StreamMessage,
    StreamSink,
    StreamSource,
    event_message,
    list_message,
    read_event,
)
from motet.service.streams._redis import RedisSink, RedisSource

__all__ = ["StreamCounts", "ingest_stream", "publish_stream"]

Published: TypeAlias = Literal["events", "recommendations"]
R = TypeVar("R")

_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 5.0
# A list is logged after it was answered, and has the time at which its request came.
_LATE_S: Final = 10.0


@dataclass(slots=True)
class StreamCounts:
    """Messages since the start.

    Attributes:
        events: Events that are new in the store.
        repeated: Events that the store had already, or whose user was deleted since.
        dead: Messages that went to the dead letters.
        published: Messages that were written.
        outages: How often the stream or the store was away.
    """

    events: int = 0
    repeated: int = 0
    dead: int = 0
    published: int = 0
    outages: int = 0


class _Stopped(Exception):  # noqa: N818 (no error)
    """Asked to stop during an outage."""


@dataclass(slots=True)
class _Patience:
    """Makes a call again until stream and store are there.

    Attributes:
        counts: Counts outages.
        stop: Ends the wait.
        notice: Called when an outage begins and ends.
    """

    counts: StreamCounts
    stop: threading.Event
    notice: Callable[[str], None]

    def __call__(self, call: Callable[[], R], after: Callable[[], object] = lambda: None) -> R:
        """Make a call until it succeeds.

        Args:
            call: What may raise an error of unavailability.
            after: Called before each further attempt.
        """
        wait_s, begin_s = _WAIT_S, None
        while True:
            try:
                found = call()
            except (StreamUnavailableError, StoreUnavailableError) as error:
                if self.stop.is_set():
                    raise _Stopped from None
                if begin_s is None:
                    begin_s = time.monotonic()
                    self.counts.outages += 1
                    self.notice(f"waiting: {error}")
                after()
                if self.stop.wait(wait_s):
                    raise _Stopped from None
                wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)
            else:
                if begin_s is not None:
                    self.notice(f"going on after {time.monotonic() - begin_s:.1f} s")
                return found


def ingest_stream(
    store: Store,
    address: StreamAddress,
    dead: StreamAddress | None = None,
    *,
    stop: threading.Event | None = None,
    once: bool = False,
    batch: int = 500,
    largest: int = LARGEST_MESSAGE,
    kafka: Mapping[str, Any] | None = None,
    counts: StreamCounts | None = None,
    notice: Callable[[str], None] = lambda line: None,
) -> StreamCounts:
    """Write the events of a stream into a store until it is stopped.

    A batch is on disk before its messages are acknowledged, and an event without an id has one of its place in the
    stream: killed at any moment and started again, each event is there once.

    Args:
        store: The store.
        address: The stream.
        dead: Where messages go that are no events; beside the stream, with the ending ``.dead``, when left out.
        stop: Set to stop after the batch at hand.
        once: Whether to stop when everything in the stream is read.
        batch: Most messages in one transaction.
        largest: Most bytes of a message.
        kafka: Further settings of librdkafka.
        counts: Counted in, for one who wants to look meanwhile.
        notice: Called with what an operator should know, a line each.

    Raises:
        StreamError: If the stream or that of the dead letters is not there, or refuses the user.
        StreamUnavailableError: If it cannot be reached at the start; later outages are waited for.
        MissingExtraError: If the client of the broker is not installed.
    """
    stop, counts = stop or threading.Event(), counts or StreamCounts()
    source = _source(store, address, stop, once=once, largest=largest, kafka=kafka or {}, notice=notice)
    place = dead or address.beside(".dead")
    if place.where == address.where:
        raise StreamError(
            f"the dead letters of {address.where} would go into it again", "name another --dead"
        )
    letters = _sink(place, stop, kafka)
    patience = _Patience(counts, stop, notice)
    try:
        source.open()
        try:
            letters.open()
        except StreamError as error:
            problem = f"the dead letters have no place: {error.problem}"
            raise type(error)(problem, f"{error.cure}; or name another place with --dead") from None
        while not stop.is_set():
            messages = patience(lambda: source.read(batch, _WAIT_S), source.again)
            if messages:
                _ingest(store, messages, letters, largest, patience)
                try:
                    source.done(messages)
                except (StreamUnavailableError, StoreUnavailableError):
                    source.again()  # read again, they count once
            elif once and patience(source.is_at_end):
                break
    except _Stopped:
        pass
    finally:
        source.close()
        letters.close()
    return counts


def _ingest(
    store: Store, messages: Sequence[StreamMessage], letters: StreamSink, largest: int, patience: _Patience
) -> None:
    events: list[tuple[StreamMessage, Event]] = []
    refused: list[RefusedMessage] = []
    for one in messages:
        try:
            events.append((one, read_event(one, largest)))
        except RefusedMessage as error:
            refused.append(error)
    new, more = patience(lambda: _add(store, events))
    refused += more
    patience.counts.events += new
    patience.counts.repeated += len(events) - len(more) - new
    if refused:
        dead = [one.dead_letter() for one in refused]
        patience(lambda: letters.send(dead))
        patience.counts.dead += len(dead)


def _add(store: Store, events: Sequence[tuple[StreamMessage, Event]]) -> tuple[int, list[RefusedMessage]]:
    """Write events; where the store refuses them, each alone. The number of new ones, and what was refused."""
    try:
        return sum(store.events.add([event for _, event in events])), []
    except StoreUnavailableError:
        raise
    except StoreError as error:
        if len(events) == 1:
            return 0, [RefusedMessage(events[0][0], error.problem, error.cure)]
    halves = [_add(store, some) for some in (events[: len(events) // 2], events[len(events) // 2 :])]
    return sum(new for new, _ in halves), [one for _, refused in halves for one in refused]


def publish_stream(
    store: Store,
    address: StreamAddress,
    what: Published = "events",
    *,
    types: Sequence[str] | None = None,
    after: int | None = None,
    stop: threading.Event | None = None,
    once: bool = False,
    batch: int = 500,
    kafka: Mapping[str, Any] | None = None,
    counts: StreamCounts | None = None,
    notice: Callable[[str], None] = lambda line: None,
) -> StreamCounts:
    """Write the events of a store, or its recommendation log, into a stream until it is stopped.

    Events come in the order of their numbers, lists in that of their times, ten seconds after. How far the stream is written
    is kept in the store, and beside it in Redis and in the file: there each message is once. A topic may have the last ones
    twice after a crash; they have the same ``id`` or ``list_id``.

    Args:
        store: The store.
        address: The stream, of one writer alone.
        what: ``events`` or ``recommendations``.
        types: Which types of events; all by default.
        after: Number of the event after which to begin, instead of where it ended.
        stop: As in :func:`ingest_stream`.
        once: Whether to stop when everything in the store is written.
        batch: Most messages at once.
        kafka: Further settings of librdkafka.
        counts: As in :func:`ingest_stream`.
        notice: As in :func:`ingest_stream`.

    Raises:
        StreamError: If the stream is not there, or refuses the user.
        StreamUnavailableError: If it cannot be reached at the start; later outages are waited for.
        MissingExtraError: If the client of the broker is not installed.
    """
    stop, counts = stop or threading.Event(), counts or StreamCounts()
    patience = _Patience(counts, stop, notice)
    # The numbers of another store say nothing of this one: the cursor in Redis bears a mark of the store.
    mark = store.users.digest("motet stream out")[:12]
    sink = _sink(address, stop, kafka, f"motet:{what}:{mark}")
    publisher = _Publisher(
        store, sink, address.where, what, types, batch, after if what == "events" else None
    )
    try:
        sink.open()
        while not stop.is_set():
            before = publisher.published
            is_more = patience(publisher.step, publisher.again)
            counts.published += publisher.published - before
            if not is_more:
                if once:
                    break
                stop.wait(_WAIT_S)
    except _Stopped:
        pass
    finally:
        sink.close()
    return counts


class _Publisher:
    """Writes what follows a cursor.

    Attributes:
        published: Messages that were written.
    """

    def __init__(
        self,
        store: Store,
        sink: StreamSink,
        where: str,
        what: Published,
        types: Sequence[str] | None,
        batch: int,
        after: int | None,
    ) -> None:
        self._store, self._sink, self._where = store, sink, where
        self._what, self._types, self._batch = what, types, batch
        self._key = f"stream out {what} {where}"
        self._cursor: Cursor | None = after
        self._must_ask = after is None
        self.published = 0

    def again(self) -> None:
        """After an outage what was sent last may be there or not: ask."""
        self._must_ask = self._must_ask or self.published > 0

    def step(self) -> bool:
        """Write some messages; whether there were any in the store."""
        if self._must_ask:
            self._cursor = self._asked()
            self._must_ask = False
        messages, reached = self._events() if self._what == "events" else self._lists()
        if messages:
            self._sink.send(messages)
            self.published += len(messages)
        if reached is None:
            return False
        self._cursor = reached
        self._store.values.put(self._key, reached)
        return True

    def _asked(self) -> Cursor | None:
        """How far the stream is written: as it says itself, or as this process or the store knows."""
        found = self._sink.cursor()
        if found is None:
            return self._cursor if self._cursor is not None else self._store.values.get(self._key)
        is_event = isinstance(found, int)
        if is_event != (self._what == "events") or (
            isinstance(found, int) and found > self._store.events.last()
        ):
            raise StreamError(f"{self._where} holds what is not of this store", "name a file of its own")
        return found

    def _events(self) -> tuple[list[OutMessage], Cursor | None]:
        found = self._store.events.after(self._cursor if isinstance(self._cursor, int) else 0, self._batch)
        wanted = [one for one in found if self._types is None or one.type in self._types]
        return [event_message(one) for one in wanted], found[-1].seq if found else None

    def _lists(self) -> tuple[list[OutMessage], Cursor | None]:
        last = None
        if isinstance(self._cursor, list):  # the list itself may be deleted by now
            last = Shown((), id=self._cursor[1], time=datetime.fromisoformat(self._cursor[0]))
        until = datetime.now(UTC) - timedelta(seconds=_LATE_S)
        found = [one for one in self._store.shown.after(last, self._batch) if one.time <= until]
        messages = [list_message(one) for one in found]
        return messages, messages[-1].cursor if messages else None


def _source(
    store: Store,
    address: StreamAddress,
    stop: threading.Event,
    *,
    once: bool,
    largest: int,
    kafka: Mapping[str, Any],
    notice: Callable[[str], None],
) -> StreamSource:
    if address.kind == "redis":
        return RedisSource(address)
    if address.kind == "kafka":
        return KafkaSource(address, kafka)
    return FileSource(address, store, largest, stop, notice, once=once)


def _sink(
    address: StreamAddress, stop: threading.Event, kafka: Mapping[str, Any] | None = None, key: str = ""
) -> StreamSink:
    if address.kind == "redis":
        return RedisSink(address, key)
    if address.kind == "kafka":
        return KafkaSink(address, stop, kafka)
    return FileSink(address)
