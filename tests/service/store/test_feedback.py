from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from motet.errors import StoreError
from motet.service.store import METADATA, Event, Feedback, Store, StoreSettings

FEEDBACK = METADATA.tables["feedback"]

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
Model: TypeAlias = dict[tuple[str, str, str], Feedback]


def test_adding_sums_and_overwriting_replaces(store: Store) -> None:
    first = Feedback("star", "u", "i", 2, T0, labels={"a": 1}, comment="fine")
    assert store.feedback.add([first]) == [True]
    store.feedback.add([Feedback("star", "u", "i", 3, T0 + HOUR)])
    assert store.feedback.get("star", "u", "i") == replace(first, value=5.0, updated=T0 + HOUR)
    store.feedback.add([Feedback("star", "u", "i", 1, T0 - HOUR, labels=[], comment="better")])
    found = store.feedback.get("star", "u", "i")
    assert found == replace(first, value=6.0, updated=T0 + HOUR, labels=[], comment="better")
    last = Feedback("star", "u", "i", -1, T0 - HOUR)
    store.feedback.put([last])
    assert store.feedback.get("star", "u", "i") == last
    assert [event.value for event in store.events.after(0)] == [2, 3, 1, -1]


def test_a_retry_with_the_same_ids_counts_once(store: Store) -> None:
    row = Feedback("star", "u", "i", 2)
    assert store.feedback.add([row, row], ids=["a", "b"]) == [True, True]
    assert store.feedback.add([row, row], ids=["b", "c"]) == [False, True]
    assert store.feedback.of_user("u")[0].value == 6.0
    with pytest.raises(StoreError, match="1 rows came with 2 ids"):
        store.feedback.add([row], ids=["d", "e"])


def test_every_way_to_ask(store: Store) -> None:
    keys = [(t, u, i) for t in ("like", "read") for u in ("u1", "u2") for i in ("i1", "i2", "i3")]
    store.feedback.add([Feedback(*key, time=T0) for key in reversed(keys)])
    rows = {key: Feedback(*key, time=T0) for key in keys}
    assert store.feedback.of_user("u1") == [rows[k] for k in keys if k[1] == "u1"]
    assert store.feedback.of_user("u1", "read") == [rows[k] for k in keys if k[:2] == ("read", "u1")]
    assert store.feedback.of_item("i2") == [rows[k] for k in keys if k[2] == "i2"]
    assert store.feedback.of_item("i2", "like") == [rows[k] for k in keys if k[2] == "i2" and k[0] == "like"]
    assert store.feedback.of_pair("u2", "i3") == [rows[k] for k in keys if k[1:] == ("u2", "i3")]
    assert store.feedback.get("like", "u1", "i9") is None
    assert store.counts.by_type() == {"like": 6, "read": 6}
    assert store.feedback.delete("u2", "i3", "like") == 1
    assert store.feedback.delete("u1", "i1") == 2
    assert store.feedback.delete("u1", "i1") == 0
    assert len(store.feedback.page(100).rows) == 9


@pytest.mark.parametrize("type", [None, "read"])
def test_pages_neither_repeat_nor_skip_while_others_write(store: Store, type: str | None) -> None:
    store.feedback.add([Feedback(t, f"u{i:02}", "i", time=T0) for t in ("like", "read") for i in range(20)])
    seen: list[tuple[str, str]] = []
    cursor, pages = "", 0
    while True:
        page = store.feedback.page(7, cursor, type=type)
        seen += [(row.type, row.user) for row in page.rows]
        store.feedback.add([Feedback("like", "u00", f"new{pages}"), Feedback("zzz", "u", f"new{pages}")])
        store.feedback.delete("u05", "i")
        pages += 1
        cursor = page.cursor
        if not cursor or pages > 50:
            break
    old = [(t, u) for t, u in seen if t != "zzz" and u != "u05"]
    wanted = ["like", "read"] if type is None else [type]
    assert [key for key in old if seen.count(key) == 1] == old
    assert old == [(t, f"u{i:02}") for t in wanted for i in range(20) if i != 5]


def test_what_is_to_come_can_be_left_out(store: Store) -> None:
    future = datetime.now(UTC) + HOUR
    store.feedback.add([Feedback("like", "u", "now", time=T0), Feedback("like", "u", "later", time=future)])
    assert [row.item for row in store.feedback.page(10, until_now=True).rows] == ["now"]


@pytest.mark.parametrize("cursor", ["x", "!!!", "W10", "WyJ1c2VycyIsImEiXQ", "ÿ", "[]", "a" * 10_001])
def test_a_cursor_of_something_else_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(StoreError, match="cursor"):
        store.feedback.page(10, cursor)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "put", "delete", "again"]),
        st.lists(
            st.tuples(
                st.sampled_from(["like", "read"]),
                st.sampled_from(["u", "ü"]),
                st.sampled_from(["i", "j"]),
                st.integers(-8, 8),
                st.integers(0, 5),
            ),
            min_size=1,
            max_size=5,
        ),
    ),
    max_size=8,
)


def _apply(model: Model, step: str, row: Feedback) -> None:
    key = (row.type, row.user, row.item)
    old = model.get(key)
    if step == "add" and old is not None:
        assert old.updated is not None
        assert row.updated is not None
        model[key] = replace(old, value=old.value + row.value, updated=max(old.updated, row.updated))
    else:
        model[key] = row


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_any_sequence_equals_a_plain_dict(
    steps: list[tuple[str, list[tuple[str, str, str, int, int]]]],
) -> None:
    with (
        tempfile.TemporaryDirectory() as place,
        Store(Path(place) / "s.sqlite", StoreSettings(group_commit=False)) as store,
    ):
        model: Model = {}
        last: tuple[list[Feedback], list[str]] = ([], [])
        for number, (step, parts) in enumerate(steps):
            rows = [Feedback(t, u, i, v, T0 + HOUR * hours) for t, u, i, v, hours in parts]
            ids = [f"{number}-{k}" for k in range(len(rows))]
            if step == "delete":
                for row in rows:
                    there = [key for key in model if key[1:] == (row.user, row.item)]
                    assert store.feedback.delete(row.user, row.item) == len(there)
                    for key in there:
                        del model[key]
            elif step == "again":
                assert not any(store.feedback.add(last[0], ids=last[1]))
            else:
                write = store.feedback.add if step == "add" else store.feedback.put
                assert write(rows, ids=ids) == [True] * len(rows)
                last = (rows, ids)
                for row in rows:
                    _apply(model, step, row)
        assert {(r.type, r.user, r.item): r for r in store.feedback.page(100).rows} == model


def test_a_sum_is_never_infinite(store: Store) -> None:
    """What a store of before limits were set may hold: rows that no further sum may break, and that can be read."""
    rows = [
        {
            "type": "star",
            "user_id": user,
            "item_id": "i",
            "value": value,
            "time": 0,
            "updated": 0,
            "comment": "",
        }
        for user, value in (("huge", 1.7e308), ("low", -1.7e308), ("endless", float("inf")))
    ]
    with store._database.writing() as connection:
        connection.execute(FEEDBACK.insert(), rows)
    assert [one.value for one in store.feedback.page(10).rows] == [1e300, 1e300, -1e300]
    store.feedback.add([Feedback("star", "huge", "i", 1e15), Feedback("star", "endless", "i", 1)])
    store.events.add([Event("star", "low", "i", -1e15)])
    assert [one.value for one in store.feedback.page(10).rows] == [1e300, 1e300, -1e300]
    with store._database.reading() as connection:
        kept = connection.execute(select(FEEDBACK.c.value).order_by(FEEDBACK.c.user_id)).scalars().all()
    assert kept == [1e300, 1e300, -1e300]
    lines = list(store.export_lines("feedback"))
    assert store.import_lines("feedback", lines).new == 3
    assert [one.value for one in store.feedback.page(10).rows] == [1e300, 1e300, -1e300]


@pytest.mark.parametrize("value", [1e16, -1e16, 1e308])
def test_a_value_beyond_measure_is_refused(store: Store, value: float) -> None:
    with pytest.raises(StoreError, match=r"feedback\.value is .*") as caught:
        store.feedback.add([Feedback("star", "u", "i", value)])
    assert "1e+15" in caught.value.cure
    with pytest.raises(StoreError, match=r"event\.value"):
        Event("star", "u", "i", value)
    assert store.feedback.page(10).rows == ()
