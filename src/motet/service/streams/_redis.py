"""Redis streams. The client is in the extra ``streams``, and imported when a stream is opened."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, cast

from motet.errors import StreamError, StreamUnavailableError, require_packages
from motet.service.streams._messages import Cursor, OutMessage, StreamAddress, StreamMessage

__all__ = ["RedisSink", "RedisSource"]

_FIELD: Final = b"event"
_CONNECT_S: Final = 5.0
_ANSWER_S: Final = 20.0  # longer than any read waits
_CLAIM_AFTER_S: Final = 60.0
_DENIED: Final = ("NOAUTH", "WRONGPASS", "NOPERM", "invalid username-password", "Authentication")


class _RedisClient:
    """A connection to a Redis server, and what its errors mean.

    Args:
        address: The stream.
    """

    def __init__(self, address: StreamAddress) -> None:
        require_packages("streams", "redis")
        import redis  # noqa: PLC0415 (only where it is used)
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        self.address = address
        host, port = address.hosts[0]
        self.redis = redis
        self.client: Any = redis.Redis(
            host,
            port,
            db=address.database,
            username=address.user,
            password=address.password,
            ssl=address.is_encrypted,
            protocol=2,
            socket_connect_timeout=_CONNECT_S,
            socket_timeout=_ANSWER_S,
            retry=Retry(NoBackoff(), 0),  # an outage is seen, and what was not acknowledged read again
        )

    @contextmanager
    def explained(self) -> Iterator[None]:
        errors, where = self.redis.exceptions, self.address.where
        try:
            yield
        except (errors.ResponseError, errors.AuthenticationError) as error:
            message = str(error)
            if any(word in message for word in _DENIED):
                cure = "write redis://USER:PASSWORD@host/STREAM, of a user who may use the stream"
                raise StreamError(f"{where} refuses the user ({message})", cure) from None
            if "WRONGTYPE" in message:
                raise StreamError(f"{where} is no stream", "name another key of the server") from None
            if "DB index" in message:
                raise StreamError(f"{where} has no database {self.address.database}", "correct db=") from None
            if "unknown command" in message:
                raise StreamError(f"{where} has no streams", "use Redis 6.2 or later") from None
            raise StreamUnavailableError(f"{where} failed ({message})", "see the log of the server") from None
        except (errors.RedisError, OSError) as error:
            cure = "start the server, or correct host and port"
            raise StreamUnavailableError(f"{where} cannot be reached ({error})", cure) from None

    def open(self) -> None:
        with self.explained():
            kind = self.client.type(self.address.name)
        if kind not in (b"none", b"stream"):
            raise StreamError(f"{self.address.where} is no stream, but a {kind.decode()}", "name another key")

    def close(self) -> None:
        self.client.close()


class RedisSource:
    """A Redis stream, read in a consumer group.

    Entries are acknowledged after they are on disk. What the same consumer left unacknowledged is read again at the
    start and after an outage; what another one did not acknowledge for a minute is taken over.

    Args:
        address: The stream.
    """

    def __init__(self, address: StreamAddress) -> None:
        self._server = _RedisClient(address)
        self._client = self._server.client
        self._address = address
        self._has_pending = True
        self._claimed_s = -_CLAIM_AFTER_S

    def open(self) -> None:
        """Connect, and make the group if it is not there."""
        self._server.open()
        self._make_group("0" if self._address.start == "earliest" else "$")

    def _make_group(self, start: str) -> None:
        with self._server.explained():
            try:
                self._client.xgroup_create(self._address.name, self._address.group, start, mkstream=True)
            except self._server.redis.exceptions.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    def read(self, limit: int, wait_s: float) -> list[StreamMessage]:
        """Entries that were not acknowledged, then new ones."""
        with self._server.explained():
            try:
                return self._messages(self._read(limit, wait_s))
            except self._server.redis.exceptions.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
        self._make_group("0")  # the stream was deleted, or the server came back without it
        return []

    def _read(self, limit: int, wait_s: float) -> list[tuple[bytes, Any]]:
        name, group, consumer = self._address.name, self._address.group, self._address.consumer
        if self._has_pending:
            found = self._client.xreadgroup(group, consumer, {name: "0"}, count=limit)
            if entries := found[0][1] if found else []:
                return cast("list[tuple[bytes, Any]]", entries)
            self._has_pending = False
        if time.monotonic() - self._claimed_s >= _CLAIM_AFTER_S / 2:
            idle_ms = int(_CLAIM_AFTER_S * 1000)
            claimed = self._client.xautoclaim(name, group, consumer, idle_ms, "0-0", count=limit)
            if claimed[1]:
                return cast("list[tuple[bytes, Any]]", claimed[1])
            self._claimed_s = time.monotonic()
        block_ms = max(1, int(wait_s * 1000))
        found = self._client.xreadgroup(group, consumer, {name: ">"}, count=limit, block=block_ms)
        return found[0][1] if found else []

    def _messages(self, entries: Sequence[tuple[bytes, Any]]) -> list[StreamMessage]:
        messages = []
        for id, fields in entries:
            if id is None:  # Redis 6.2 says so of what was deleted
                continue
            place = f"redis:{self._address.name}:{id.decode()}"
            at_s = int(id.partition(b"-")[0]) / 1000
            time = (
                datetime.fromtimestamp(at_s, UTC) if 1e9 < at_s < 4e9 else None
            )  # others are ids of a sender's own
            # An entry without the field is refused as empty text, which is no JSON.
            content = fields.get(_FIELD, b"") if fields else None
            messages.append(StreamMessage(place, content, time, id))
        return messages

    def done(self, messages: Sequence[StreamMessage]) -> None:
        """Acknowledge entries."""
        with self._server.explained():
            self._client.xack(self._address.name, self._address.group, *(one.token for one in messages))

    def again(self) -> None:
        """Read what was not acknowledged again."""
        self._has_pending = True

    def is_at_end(self) -> bool:
        """True: a read that gave nothing was of everything."""
        return True

    def close(self) -> None:
        """Disconnect."""
        self._server.close()


class RedisSink:
    """A Redis stream that is written to: entries and cursor in one transaction, so that each is there once.

    Args:
        address: The stream.
        key: Name of the cursor, behind that of the stream.
    """

    def __init__(self, address: StreamAddress, key: str = "") -> None:
        self._server = _RedisClient(address)
        self._address = address
        self._key = f"{address.name}:{key}" if key else ""

    def open(self) -> None:
        """Connect."""
        self._server.open()

    def cursor(self) -> Cursor | None:
        """The cursor that was written with the last entries."""
        with self._server.explained():
            text = self._server.client.get(self._key) if self._key else None
        return None if text is None else cast(Cursor, json.loads(text))

    def send(self, messages: Sequence[OutMessage]) -> None:
        """Add entries."""
        if not messages:
            return
        with self._server.explained(), self._server.client.pipeline(transaction=True) as pipeline:
            for one in messages:
                pipeline.xadd(
                    self._address.name,
                    {_FIELD: one.content},
                    maxlen=self._address.most_entries,
                    approximate=True,
                )
            if self._key:
                pipeline.set(self._key, json.dumps(messages[-1].cursor))
            pipeline.execute()

    def close(self) -> None:
        """Disconnect."""
        self._server.close()
