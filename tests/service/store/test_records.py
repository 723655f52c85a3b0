"""Anything that a record accepts comes back from every database as it went in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motet.service.store import Event, Item, Page, Store, User, read_cursor, write_cursor

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.floats(-1e15, 1e15)
UP_TO_5000 = st.datetimes(datetime(1, 1, 2), datetime(5000, 1, 1), timezones=st.just(UTC))
ANY = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@ANY
@given(TEXTS, TEXTS, TEXTS, VALUES, UP_TO_5000, st.dictionaries(TEXTS, CELLS, max_size=3), st.none() | TEXTS)
def test_events(
    store: Store,
    type: str,
    user: str,
    item: str,
    value: float,
    time: datetime,
    context: Any,
    scenario: str | None,
) -> None:
    event = Event(type, user, item, value, time, scenario=scenario, context=context)
    place = store.events.last()
    assert store.events.add([event], feedback="none") == [True]
    (found,) = store.events.after(place)
    assert (found.type, found.user, found.item, found.value, found.time) == (type, user, item, value, time)
    assert (found.scenario, found.context, found.id) == (scenario, context, event.id)


@ANY
@given(TEXTS, JSON, TIMES, TEXTS, st.lists(TEXTS, max_size=3))
def test_users_and_items(
    store: Store, id: str, labels: Any, time: datetime, text: str, names: list[str]
) -> None:
    user = User(id, labels, text, time)
    item = Item(id, False, tuple(names), time, labels, text, {"x": labels})
    store.users.put([user])
    store.items.put([item])
    assert store.users.get(id) == user
    assert store.items.get(id) == item
    if text.strip():
        assert id in {found.id for found in store.items.search(text[:5].strip() or id, 10_000).rows}


@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_cursors(of: str, key: list[str]) -> None:
    cursor = write_cursor(of, key)
    assert cursor.isascii()
    assert "/" not in cursor
    assert read_cursor(of, cursor, len(key)) == key
    assert Page((1,), cursor).rows == (1,)
