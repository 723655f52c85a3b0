"""A file that grows: rotation, truncation, long lines, a kill in the middle; and files that are written."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from motet.errors import StreamError
from motet.service.store import Event, Store
from motet.service.streams import StreamAddress, StreamCounts, ingest_stream, publish_stream

Waits = Callable[[Callable[[], object], str], None]
ReadAll = Callable[[Store], list[Event]]


def line(k: int, **more: object) -> bytes:
    return json.dumps({"type": "click", "user": f"u{k % 7}", "item": f"i{k}", **more}).encode() + b"\n"


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(lines))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.jsonl"
    path.touch()
    return path


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def reader(store: Store, log: Path, notices: list[str]) -> Iterator[StreamCounts]:
    """Reads the file in a thread."""
    stop, counts = threading.Event(), StreamCounts()
    thread = threading.Thread(
        target=ingest_stream,
        args=(store, StreamAddress.parse(f"file:{log}")),
        kwargs={"stop": stop, "counts": counts, "notice": notices.append},
    )
    thread.start()
    yield counts
    stop.set()
    thread.join()


def once(store: Store, log: Path, **more: Any) -> StreamCounts:
    return ingest_stream(store, StreamAddress.parse(f"file:{log}"), once=True, **more)


def test_lines_are_read_whole_and_once(store: Store, log: Path, read_all: ReadAll) -> None:
    append(log, line(0), b"\n", line(0), b"oops\n", line(1))
    counts = once(store, log, batch=2)
    assert (counts.events, counts.repeated, counts.dead) == (3, 0, 1)  # equal lines are two events
    append(log, line(2), line(3)[:-1])
    assert once(store, log).events == 2  # also the last line, which has no end
    assert once(store, log).events == 0
    assert [event.item for event in read_all(store)] == ["i0", "i0", "i1", "i2", "i3"]
    (dead,) = map(json.loads, log.with_name("clicks.jsonl.dead").read_text().splitlines())
    assert dead["content"] == "oops"


def test_a_line_without_end_waits_for_it(reader: StreamCounts, log: Path, waits: Waits) -> None:
    append(log, line(0), line(1)[:10])
    waits(lambda: reader.events == 1, "the first is read")
    append(log, line(1)[10:], line(2))
    waits(lambda: reader.events == 3, "all are read")
    assert reader.dead == 0


def test_a_line_that_is_too_long_is_not_held_in_memory(store: Store, log: Path, read_all: ReadAll) -> None:
    long = line(1, context={"x": "y" * 3_000_000})
    append(log, line(0), long, line(2), b"z" * 70_000)
    counts = once(store, log)
    assert (counts.events, counts.dead) == (2, 2)
    assert [event.item for event in read_all(store)] == ["i0", "i2"]
    for size in range(195, 206):  # around the limit
        content = line(3, context={"x": ""})
        line_of_size = line(3, context={"x": "y" * (size + 1 - len(content))})
        assert len(line_of_size) == size + 1
        log.write_bytes(line_of_size)
        assert once(store, log, largest=200).dead == int(size > 200)


def test_through_rotation(
    reader: StreamCounts, store: Store, log: Path, waits: Waits, read_all: ReadAll
) -> None:
    append(log, line(0))
    waits(lambda: reader.events == 1, "the first is read")
    with log.open("ab") as writer:  # which goes on for a while, as before logrotate's postrotate
        log.rename(log.with_name("clicks.jsonl.1"))
        append(log, line(0), line(1))  # the first line again, at the same byte
        writer.write(line(2))
    waits(lambda: reader.events == 4, "both are read")
    assert [event.item for event in read_all(store)] == ["i0", "i2", "i0", "i1"]


def test_through_rotation_while_nothing_read(store: Store, log: Path, read_all: ReadAll) -> None:
    append(log, line(0), line(1))
    once(store, log)
    append(log, line(2))
    log.rename(log.with_name("clicks.jsonl.1"))
    append(log, line(0), line(3))
    assert once(store, log).events == 3
    assert [event.item for event in read_all(store)] == ["i0", "i1", "i2", "i0", "i3"]


def test_through_truncation(
    reader: StreamCounts, store: Store, log: Path, notices: list[str], waits: Waits, read_all: ReadAll
) -> None:
    append(log, line(0), line(1))
    waits(lambda: reader.events == 2, "all is read")
    log.write_bytes(line(9) + line(1) + line(2) + line(3))  # longer than before: its beginning gives it away
    waits(lambda: reader.events == 6, "the new lines are read")
    assert any("truncated" in one for one in notices)
    assert [event.item for event in read_all(store)] == ["i0", "i1", "i9", "i1", "i2", "i3"]


def test_a_file_that_is_gone_is_said(store: Store, log: Path, notices: list[str]) -> None:
    append(log, line(0))
    once(store, log)
    log.rename(log.with_name("elsewhere"))
    append(log, line(1))
    assert once(store, log, notice=notices.append).events == 1
    assert "not read" in notices[0]


def test_killed_in_the_middle_nothing_is_lost_or_twice(
    store: Store, place: Path, log: Path, command: Any, waits: Waits, read_all: ReadAll
) -> None:
    append(log, *(line(k) for k in range(500)))
    arguments = ("in", "--store", place, "--from", f"file:{log}", "--batch", 10)
    process = command(*arguments)
    waits(lambda: store.events.last() >= 50, "some are read")
    process.kill()
    assert store.events.last() < 500
    log.rename(log.with_name("clicks.jsonl.1"))
    append(log, *(line(k) for k in range(500, 600)))
    assert command(*arguments, "--once").wait()[0] == 0
    assert Counter(event.item for event in read_all(store)) == Counter(f"i{k}" for k in range(600))


def test_events_are_appended_once(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    address = StreamAddress.parse(f"file:{path}")
    store.events.add([Event("click", "ann", f"i{k}") for k in range(30)])
    assert publish_stream(store, address, once=True, batch=7).published == 30
    lines = path.read_bytes().splitlines(keepends=True)
    # a crash cut the last line, and the store does not know of the ones before
    path.write_bytes(b"".join(lines[:20]) + lines[20][:15])
    assert publish_stream(store, address, once=True).published == 10
    assert path.read_bytes() == b"".join(lines)
    path.rename(tmp_path / "out.jsonl.1")
    store.events.add([Event("click", "ann", "new")])
    assert publish_stream(store, address, once=True).published == 1
    with Store(tmp_path / "other.sqlite") as other, pytest.raises(StreamError, match="not of this store"):
        publish_stream(other, address, once=True)


def test_what_is_wrong_at_the_start_is_said(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="touch"):
        ingest_stream(store, StreamAddress.parse(f"file:{tmp_path}/missing"))
    log = tmp_path / "log"
    log.touch()
    source = StreamAddress.parse(f"file:{log}")
    with pytest.raises(StreamError, match="into it again"):
        ingest_stream(store, source, source)
    with pytest.raises(StreamError, match="--dead"):
        ingest_stream(store, source, StreamAddress.parse(f"file:{tmp_path}"))
    with pytest.raises(StreamError, match="mkdir -p"):
        publish_stream(store, StreamAddress.parse(f"file:{tmp_path}/missing/out"))
    with pytest.raises(StreamError, match="directory of your own"):
        publish_stream(store, StreamAddress.parse(f"file:{tmp_path}"))
