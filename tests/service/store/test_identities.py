"""Identities in the store: records stay where they are, reads by user find them, and nothing outlives a deletion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, select, table, text

from motet.errors import StoreError
from motet.service.store import (
    MOST_IDENTITIES,
    Event,
    ExperimentRecord,
    ExposedUser,
    Feedback,
    Identity,
    Shown,
    ShownItem,
    Store,
    User,
)

_T = datetime(2026, 1, 1, tzinfo=UTC)


def test_reads_by_user_find_what_identities_recorded(url: str) -> None:
    with Store(url) as store:
        store.events.add([Event("view", "app:1", "tea"), Event("view", "ann", "milk")])
        store.shown.add([Shown((ShownItem("tea"),), user="app:1"), Shown((ShownItem("milk"),), user="ann")])
        assert store.identities.link("ann", "app:1")
        assert not store.identities.link("ann", "app:1")
        for id in ("ann", "app:1"):
            assert [one.item for one in store.events.of_user(id)] == ["milk", "tea"]
            assert {one.items[0].item for one in store.shown.of_user(id)} == {"milk", "tea"}
        assert [(one.user, one.identity) for one in store.events.after(0)] == [
            ("ann", "app:1"),
            ("ann", None),
        ]
        assert store.users.get("ann") is not None  # linking adds a user that is not there
        assert store.identities.unlink("app:1", "app:1")
        assert [one.item for one in store.events.of_user("ann")] == ["milk"]
        assert [one.item for one in store.events.of_user("app:1")] == ["tea"]


def test_feedback_of_identities_is_added_up_and_divided_again(url: str) -> None:
    with Store(url) as store:
        store.feedback.add([Feedback("view", "ann", "tea", 2.0, _T, labels=["a"], comment="first")])
        store.feedback.add([Feedback("view", "app:1", "tea", 3.0, _T + timedelta(days=1))])
        store.identities.link("ann", "app:1")
        found = store.feedback.get("view", "app:1", "tea")
        assert found == Feedback(
            "view", "ann", "tea", 5.0, _T, _T + timedelta(days=1), labels=["a"], comment="first"
        )
        assert store.feedback.of_user("ann") == store.feedback.of_pair("app:1", "tea") == [found]
        assert store.feedback.of_item("tea", "view") == [found]
        assert [(one.user, one.value) for one in store.feedback.page().rows] == [("ann", 2.0), ("app:1", 3.0)]
        store.identities.unlink("ann", "app:1")
        assert [one.value for one in store.feedback.of_item("tea")] == [2.0, 3.0]
        store.identities.link("ann", "app:1")
        assert store.feedback.delete("app:1", "tea") == 2
        assert store.feedback.of_item("tea") == []


def test_outcomes_of_an_experiment_include_those_under_identities(url: str) -> None:
    with Store(url) as store:
        store.experiments.create(ExperimentRecord("e", {}))
        store.experiments.expose([ExposedUser("e", "ann", "b", 0, _T)])
        hour = timedelta(hours=1)
        store.events.add(
            [Event("buy", who, "tea", time=_T + k * hour) for k, who in enumerate(["ann", "app:1", "bob"])]
        )
        store.shown.add([Shown((ShownItem("tea"),), user="app:1", time=_T + hour)])
        store.identities.link("ann", "app:1")
        day = timedelta(days=1)
        found = store.experiments.outcomes("e", ["buy"], window=day, before=day, until=_T + day, lists=True)
        assert [(one.user, one.type) for one in found] == [("ann", "buy"), ("ann", "buy"), ("ann", "")]


def test_a_deletion_leaves_no_id_behind(url: str) -> None:
    with Store(url) as store:
        store.identities.link("ann-of-oslo", "app:secret")
        store.events.add([Event("view", "app:secret", "tea", time=_T)])
        store.feedback.add([Feedback("view", "app:secret", "tea")])
        store.users.put([User("app:secret")])
        assert store.users.delete("app:secret")
        assert store.events.add([Event("view", "app:secret", "tea", time=_T)]) == [False]  # a late sender
        assert store.identities.restore([Identity("app:secret", "ann-of-oslo", _T)]) == [False]
        store.identities.follow()
        assert store.identities.group("app:secret") == ("app:secret",)
        with store._database.reading() as connection:
            tables = inspect(connection).get_table_names()
            rows = [connection.execute(select(text("*")).select_from(table(name))).all() for name in tables]
    assert len(tables) > 15
    kept = [repr(rows).encode()] if "://" in url else [repr(rows).encode(), Path(url).read_bytes()]
    assert not any(word in content for word in (b"secret", b"oslo") for content in kept)


def test_another_process_follows_links_in_any_number(url: str) -> None:
    with Store(url) as one, Store(url) as other:
        one.identities.restore([Identity(f"app:{k}", f"u{k % 400}", _T) for k in range(1200)])
        other.identities.follow()
        assert other.identities.group("app:800") == ("u0", "app:0", "app:400", "app:800")
        one.identities.unlink("u0", "app:400")
        one.identities.link("u1", "app:400")
        other.identities.follow()
        assert other.identities.group("u0") == ("u0", "app:0", "app:800")
        assert other.identities.group("u1") == ("u1", "app:1", "app:401", "app:801", "app:400")
        one.users.delete("app:1")
        other.identities.follow()
        assert other.identities.resolve("app:400") == "app:400"
        for store in (one, other):
            store.identities.follow()
        with Store(url) as third:
            for id in ("u0", "app:0", "u1", "app:2"):
                assert third.identities.group(id) == one.identities.group(id) == other.identities.group(id)


def test_what_cannot_be_linked_is_refused_and_unlinking_is_the_cure(url: str) -> None:
    with Store(url) as store:
        store.identities.link("ann", "app:1")
        with pytest.raises(StoreError, match="another user") as caught:
            store.identities.link("bob", "app:1")
        assert caught.value.cure == "unlink it from 'ann' first"
        store.identities.unlink("ann", "app:1")
        assert store.identities.link("bob", "app:1")
        with pytest.raises(StoreError, match="has identities itself"):
            store.identities.link("ann", "bob")
        with pytest.raises(StoreError, match="own id"):
            store.identities.link("app:1", "bob")
        done = store.identities.restore([Identity(f"b{k}", "bob") for k in range(MOST_IDENTITIES + 1)])
        assert done == [True] * (MOST_IDENTITIES - 1) + [False] * 2
        with pytest.raises(StoreError, match=f"{MOST_IDENTITIES} identities"):
            store.identities.link("bob", "one more")
        assert [one.user for one in store.identities.of_user("b3")] == ["bob"] * MOST_IDENTITIES


def test_reading_events_of_a_user_uses_indices(tmp_path: Path) -> None:
    """Whatever is linked: the plan of the query names no scan of a table."""
    place = tmp_path / "store.sqlite"
    Store(place).close()
    queries = (
        "SELECT events.*, identities.user_id FROM events LEFT OUTER JOIN identities ON"
        " identities.identity = events.user_id WHERE events.user_id IN ('a', 'b') ORDER BY events.seq DESC LIMIT 9",
        "SELECT events.*, identities.user_id FROM events LEFT OUTER JOIN identities ON"
        " identities.identity = events.user_id WHERE events.seq > 5 ORDER BY events.seq LIMIT 9",
    )
    engine = create_engine(f"sqlite:///{place}")
    with engine.begin() as connection:
        for query in queries:
            plan = [str(row[3]) for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
            assert not any(step.startswith("SCAN") for step in plan), plan
    engine.dispose()
