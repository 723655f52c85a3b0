from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import polars as pl
import pytest

from motet.errors import StoreError
from motet.service.store import Event, Feedback, Imported, Item, Kind, Store, User

KINDS: tuple[Kind, ...] = get_args(Kind)
T0 = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def _fill(store: Store) -> None:
    store.users.put([User(f"u{k:04}", {"k": [k, None, "ü"]}, "x\ny" * (k % 3), T0) for k in range(1_500)])
    store.items.put(
        [Item("i1", True, ("a", "中"), datetime(1, 1, 1, tzinfo=UTC), "l", "c", {"n": 1.5}), Item("i2")]
    )
    store.events.add(
        [
            Event(
                "view",
                f"u{k % 7}",
                "i",
                k / 2,
                T0 + timedelta(microseconds=k),
                f"e{k}",
                "home",
                {"k": k},
                "l",
                0.5,
            )
            for k in range(2_100)
        ]
    )
    store.feedback.put([Feedback("star", "u1", "i1", 4, T0, T0 + timedelta(days=1), {"a": None}, "good")])


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_out_and_in_again_is_the_same_store(store: Store, tmp_path: Path, ending: str) -> None:
    _fill(store)
    counts = {kind: store.export_file(kind, tmp_path / f"{kind}.{ending}") for kind in KINDS}
    assert counts["users"] == 1_500
    assert counts["items"] == 2
    assert counts["events"] == 2_101
    assert counts["feedback"] == 8
    assert not list(tmp_path.glob("*.part"))
    with Store(tmp_path / "second.sqlite") as second:
        for _ in range(2):  # twice is once
            for kind in KINDS:
                second.import_file(kind, tmp_path / f"{kind}.{ending}", feedback="none")
        for kind in KINDS:
            assert list(second.export_lines(kind)) == list(store.export_lines(kind))
        again = second.import_file("events", tmp_path / f"events.{ending}")
        assert again == Imported(2_101, 0)


def test_events_alone_bring_their_feedback(store: Store, tmp_path: Path) -> None:
    store.events.add([Event("click", "u", "i", 2, T0, f"e{k}") for k in range(5)])
    with Store(tmp_path / "second.sqlite") as second:
        assert second.import_lines("events", store.export_lines("events")) == Imported(5, 5)
        assert second.feedback.of_user("u") == store.feedback.of_user("u")


def test_parquet_is_typed(store: Store, tmp_path: Path) -> None:
    _fill(store)
    store.export_file("events", tmp_path / "e.parquet")
    frame = pl.read_parquet(tmp_path / "e.parquet")
    assert frame.schema["time"] == pl.Datetime("us", "UTC")
    assert frame["seq"].is_sorted()
    assert frame["value"].sum() == sum(k / 2 for k in range(2_100)) + 4


def test_lines_stream(store: Store) -> None:
    """Lines are read as they are written: nothing waits for the end."""
    written: list[int] = []

    def lines() -> Iterator[bytes]:
        for k in range(3_000):
            if k in (1_500, 2_500):
                written.append(store.users.count())
            yield json.dumps({"id": f"u{k}"}).encode()

    assert store.import_lines("users", lines()) == Imported(3_000, 3_000)
    assert written == [1_000, 2_000]
    streamed = store.export_lines("users")
    next(streamed)
    store.users.put([User("zzz")])
    assert b'"zzz"' in list(streamed)[-1]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "line 2 is not JSON"),
        (b"[1]", "line 2 is not an object"),
        (b'"\xff"', "line 2 is not JSON"),
        (b'{"id": "x", "type": "t", "user": "u"}', "line 2: a row of events has no 'item'"),
        (b'{"id": "x", "type": "t", "user": "u", "item": 5}', "line 2: event.item"),
        (b'{"id": "x", "type": "t", "user": "u", "item": "i", "valu": 5}', "'valu' is not known"),
        (b'{"id": "x", "type": "t", "user": "u", "item": "i", "time": "soon"}', "line 2: events.time"),
        (b'{"id": "x", "type": "t", "user": "u", "item": "i", "time": "2026-01-01"}', "line 2: event.time"),
        (b'{"id": "x", "type": "t", "user": "u", "item": "i", "context": "x"}', "line 2: event.context"),
        (
            b'{"id": "x", "type": "t", "user": "u", "item": "i", "context": {"a": [1]}}',
            "line 2: event.context",
        ),
        (
            b'{"id": "x", "type": "t", "user": "u", "item": "i", "context": {"a": "' + b"x" * 9_000 + b'"}}',
            "line 2: event.context",
        ),
        (
            b'{"id": "x", "type": "t", "user": "u", "item": "i", "context": {"a": "\\ud800"}}',
            "line 2: event.context",
        ),
        (b'{"id": "x", "type": "%s", "user": "u", "item": "i"}' % (b"t" * 201), "line 2: event.type"),
        (b'{"id": "x", "type": "t", "user": "u", "item": "i", "value": 1e16}', "line 2: event.value"),
        (
            b'{"id": "x", "type": "t", "user": "u", "item": "i", "time": "6000-01-01T00:00:00Z"}',
            "line 2: event.time",
        ),
        (b"[" * 200_000, "line 2 is not JSON"),
        (b"x" * 4_000_001, "line 2 is longer"),
    ],
)
def test_a_wrong_line_is_named(store: Store, line: bytes, problem: str) -> None:
    good = b'{"id": "1", "type": "t", "user": "u", "item": "i", "scenario": null, "seq": 99}'
    with pytest.raises(StoreError, match=problem) as caught:
        store.import_lines("events", [good, line])
    assert caught.value.cure
    assert store.import_lines("events", [good, b"", b" \n"]) == Imported(1, 1)
    assert store.events.last() == 1


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.csv", b"", "no known kind"),
        ("x.parquet", b"nonsense", "cannot be read"),
        ("none.jsonl", None, "not there"),
        ("long.jsonl", b"x" * 4_100_000, "line 1 is longer"),
    ],
)
def test_a_wrong_file_is_refused(
    store: Store, tmp_path: Path, name: str, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StoreError, match=problem):
        store.import_file("users", tmp_path / name)


def test_names_are_checked(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="did you mean 'users'"):
        store.export_lines("user")  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="no known kind"):
        store.export_file("users", tmp_path / "x.csv")
    with pytest.raises(StoreError, match="directory"):
        store.export_file("users", tmp_path / "none" / "x.jsonl")
    pl.DataFrame({"id": ["i"], "labels": ["no JSON"]}).write_parquet(tmp_path / "i.parquet")
    with pytest.raises(StoreError, match="row 1: labels is not JSON"):
        store.import_file("items", tmp_path / "i.parquet")
