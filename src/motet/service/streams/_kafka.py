"""Kafka topics. The client is in the extra ``streams``, and imported when a topic is opened."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from motet.errors import StreamError, StreamUnavailableError, require_packages
from motet.service.streams._messages import Cursor, OutMessage, StreamAddress, StreamMessage

__all__ = ["KafkaSink", "KafkaSource"]

_log: Final = logging.getLogger("motet.service.streams")
_CONNECT_S: Final = 5.0
_START_S: Final = 5.0
_LOOK_S: Final = 60.0
_OWN: Final = (
    "bootstrap.servers",
    "group.id",
    "enable.auto.commit",
    "auto.offset.reset",
    "enable.idempotence",
)


def _settings(address: StreamAddress, given: Mapping[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    require_packages("streams", "confluent_kafka")
    if clash := next((name for name in given if name in _OWN), None):
        raise StreamError(f"the Kafka setting '{clash}' is not yours to set", "leave it out of the file")
    servers = ",".join(
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.hosts
    )
    return {
        "client.id": "motet",
        "reconnect.backoff.max.ms": 2_000,
        "log_level": 2,  # a broker that is away is said once, not several times a second
        **given,
        "bootstrap.servers": servers,
        **own,
    }


def _kafka_client(make: Any, settings: dict[str, Any]) -> Any:
    from confluent_kafka import KafkaException  # noqa: PLC0415

    try:
        return make(settings, logger=_log)
    except (KafkaException, TypeError, ValueError) as error:
        said = error.args[0].str() if isinstance(error, KafkaException) else str(error)
        raise StreamError(
            f"Kafka's client refuses a setting ({said})", "correct the file of --kafka-config"
        ) from None


def _explained(error: Any, where: str) -> StreamError:
    """What an error of Kafka means."""
    from confluent_kafka import KafkaError  # noqa: PLC0415

    unknown = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)
    denied = (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
    )
    code, said = error.code(), error.str()
    if code in unknown:
        topic = where.rpartition("/")[2]
        cure = f"create it: kafka-topics.sh --bootstrap-server HOST:9092 --create --topic {topic}"
        return StreamError(f"there is no topic {where} ({said})", cure)
    if code in denied:
        return StreamError(f"{where} refuses the user ({said})", "put user and rights into --kafka-config")
    if code in (KafkaError.TOPIC_EXCEPTION, KafkaError.MSG_SIZE_TOO_LARGE):
        return StreamError(f"{where} refuses it ({said})", "correct name or limits of the topic")
    cure = "start the broker, or correct host and port"
    return StreamUnavailableError(f"{where} cannot be reached ({said})", cure)


def _partitions(client: Any, address: StreamAddress, wait_s: float) -> list[int]:
    from confluent_kafka import KafkaException  # noqa: PLC0415

    try:
        found = client.list_topics(address.name, timeout=wait_s).topics[address.name]
    except KafkaException as error:
        raise _explained(error.args[0], address.where) from None
    if found.error is not None:
        raise _explained(found.error, address.where)
    return sorted(found.partitions)


class KafkaSource:
    """All partitions of a topic, read by one process; the offsets are kept in a consumer group.

    The partitions are assigned, not balanced within the group: a process that is started again after a crash goes on
    at once, instead of waiting until the group gives up the one that died. Two processes would read everything twice,
    and every event would still count once.

    Args:
        address: The topic.
        given: Further settings of librdkafka, for example for a cluster with users.
    """

    def __init__(self, address: StreamAddress, given: Mapping[str, Any] | None = None) -> None:
        self._address = address
        own = {
            "group.id": address.group,
            "enable.auto.commit": False,
            "auto.offset.reset": address.start,
            "queued.max.messages.kbytes": 16_384,
        }
        self._settings = _settings(address, given or {}, own)
        self._consumer: Any = None
        self._known: list[int] = []
        self._looked_s = 0.0
        self._is_away = threading.Event()
        self._is_committed = threading.Event()
        self._is_committed.set()

    def open(self) -> None:
        """Connect, and find the partitions."""
        from confluent_kafka import OFFSET_STORED, Consumer, TopicPartition  # noqa: PLC0415

        settings = {**self._settings, "on_commit": self._committed, "error_cb": self._failed}
        self._consumer = _kafka_client(Consumer, settings)
        self._known = _partitions(self._consumer, self._address, _START_S)
        self._looked_s = time.monotonic()
        self._consumer.assign([TopicPartition(self._address.name, one, OFFSET_STORED) for one in self._known])

    def _failed(self, error: Any) -> None:
        from confluent_kafka import KafkaError  # noqa: PLC0415

        if error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
            self._is_away.set()

    def _committed(self, error: Any, offsets: object) -> None:
        if error is not None:
            _log.warning("%s: the offsets were not committed (%s)", self._address.where, error.str())
        self._is_committed.set()

    def read(self, limit: int, wait_s: float) -> list[StreamMessage]:
        """New messages."""
        from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415

        if self._is_away.is_set():
            _partitions(self._consumer, self._address, 1.0)
            self._is_away.clear()
        if time.monotonic() - self._looked_s >= _LOOK_S:
            self._look()
        try:
            first = self._consumer.poll(wait_s)
            found = [] if first is None else [first, *self._consumer.consume(max(limit - 1, 1), 0.0)]
        except KafkaException as error:
            raise _explained(error.args[0], self._address.where) from None
        messages = []
        for one in found:
            if (wrong := one.error()) is not None:
                explained = _explained(wrong, self._address.where)
                # The client connects again by itself.
                if wrong.code() == KafkaError._PARTITION_EOF or isinstance(explained, StreamUnavailableError):
                    continue
                raise explained
            messages.append(self._message(one))
        return messages

    def _message(self, one: Any) -> StreamMessage:
        kind, time_ms = one.timestamp()
        time = datetime.fromtimestamp(time_ms / 1000, UTC) if kind and 0 < time_ms < 4e12 else None
        partition, offset = one.partition(), one.offset()
        # With the time: a topic that was deleted and made again begins at the same offsets.
        place = f"kafka:{self._address.name}:{partition}:{offset}:{time_ms}"
        return StreamMessage(place, one.value() or b"", time, (partition, offset))

    def _look(self) -> None:
        """Find partitions that were added."""
        from confluent_kafka import OFFSET_STORED, TopicPartition  # noqa: PLC0415

        self._looked_s = time.monotonic()
        try:
            found = _partitions(self._consumer, self._address, _CONNECT_S)
        except StreamUnavailableError:
            return
        if new := [one for one in found if one not in self._known]:
            self._known += new
            self._consumer.incremental_assign(
                [TopicPartition(self._address.name, one, OFFSET_STORED) for one in new]
            )

    def done(self, messages: Sequence[StreamMessage]) -> None:
        """Commit the offsets, without waiting: what is read again because of that counts once."""
        from confluent_kafka import TopicPartition  # noqa: PLC0415

        last: dict[int, int] = {}
        for one in messages:
            partition, offset = one.token
            last[partition] = max(offset, last.get(partition, -1))
        self._is_committed.clear()
        offsets = [TopicPartition(self._address.name, one, offset + 1) for one, offset in last.items()]
        self._consumer.commit(offsets=offsets, asynchronous=True)

    def again(self) -> None:
        """Nothing: the client goes on where it was."""

    def is_at_end(self) -> bool:
        """Whether every partition was read up to its end of now."""
        from confluent_kafka import KafkaException, TopicPartition  # noqa: PLC0415

        parts = [TopicPartition(self._address.name, one) for one in self._known]
        try:
            for part in self._consumer.position(parts):
                low, high = self._consumer.get_watermark_offsets(part, timeout=_CONNECT_S)
                reached = part.offset
                if reached < 0 and low < high:  # nothing was read yet: perhaps there is nothing new
                    if self._address.start == "latest":
                        continue
                    reached = self._consumer.committed([part], _CONNECT_S)[0].offset
                if max(reached, low) < high:
                    return False
        except KafkaException:
            return False
        return True

    def close(self) -> None:
        """Wait a little for the last commit, and disconnect."""
        if self._consumer is None:
            return
        until_s = time.monotonic() + _CONNECT_S
        self._consumer.pause(self._consumer.assignment())
        while not self._is_committed.is_set() and time.monotonic() < until_s:
            self._consumer.poll(0.1)
        self._consumer.close()


class KafkaSink:
    """A topic that is written to, idempotently; the messages of one key are in one partition, in order.

    Args:
        address: The topic.
        stop: Ends the wait for a broker that is away.
        given: Further settings of librdkafka.
    """

    def __init__(
        self, address: StreamAddress, stop: threading.Event, given: Mapping[str, Any] | None = None
    ) -> None:
        self._address, self._stop = address, stop
        own = {"enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 0}
        self._settings = _settings(address, given or {}, own)
        self._producer: Any = None

    def open(self) -> None:
        """Connect, and check that the topic is there, or is made by the broker."""
        from confluent_kafka import Producer  # noqa: PLC0415

        self._producer = _kafka_client(Producer, self._settings)
        _partitions(self._producer, self._address, _START_S)

    def cursor(self) -> Cursor | None:
        """None: a topic does not say."""
        return None

    def send(self, messages: Sequence[OutMessage]) -> None:
        """Write messages, and wait until the broker has all of them; while it is away, that is until it is back."""
        failed: list[Any] = []

        def delivered(error: Any, message: object) -> None:
            if error is not None:
                failed.append(error)

        for one in messages:
            while True:
                try:
                    self._producer.produce(
                        self._address.name, one.content, one.key.encode(), on_delivery=delivered
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
        begin_s, is_said = time.monotonic(), False
        while self._producer.flush(0.5):
            if time.monotonic() - begin_s > _CONNECT_S and not is_said:
                _log.warning("%s takes nothing now: waiting for its brokers", self._address.where)
                is_said = True
            if self._stop.is_set():
                raise StreamUnavailableError(
                    f"{self._address.where} did not take all messages", "they are sent at the next start"
                )
        if failed:
            raise _explained(failed[0], self._address.where)

    def close(self) -> None:
        """Drop what could not be sent."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(1.0)
