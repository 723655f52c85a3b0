from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from motet.errors import StoreError
from motet.service.store import Event, Feedback, Kind, Shown, ShownItem, State, Store, SurveyAnswer, User

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def test_put_get_patch(store: Store) -> None:
    ann = User("ann", {"age": 30, "likes": ["tea"]}, "regular", T0)
    assert store.users.put([ann, User("bob"), User("bob", comment="again")]) == [True, True, False]
    assert store.users.get("ann") == ann
    bob = store.users.get("bob")
    assert bob is not None
    assert bob.comment == "again"
    assert store.users.patch("ann", comment="seldom")
    assert store.users.get("ann") == User("ann", ann.labels, "seldom", T0)
    assert store.users.patch("ann", labels=["x"])
    assert store.users.get("ann") == User("ann", ["x"], "seldom", T0)
    assert not store.users.patch("nobody", comment="x")
    store.users.put([User("ann")])
    assert store.users.get("ann") == User("ann", time=T0)
    assert store.users.count() == 2
    assert store.users.get_many(["ann", "none"]).keys() == {"ann"}
    assert store.users.get("none") is None


def test_pages_follow_ids_by_code_point(store: Store) -> None:
    ids = ["A", "Z", "a", "z", "Ä", "中", "😀"]
    store.users.put([User(id, time=T0) for id in reversed(ids)])
    seen: list[str] = []
    cursor = ""
    while True:
        page = store.users.page(2, cursor)
        seen += [user.id for user in page.rows]
        cursor = page.cursor
        if not cursor:
            break
    assert seen == ids


def test_search_takes_signs_literally_and_ignores_case(store: Store) -> None:
    store.users.put(
        [
            User("u1", {"city": "KÖLN"}, "100% tea_lover"),
            User("u2", ["绿茶"], "teaXlover"),
            User("100x", comment="back\\slash"),
        ]
    )

    def found(text: str, *, prefix: bool = False) -> list[str]:
        return [user.id for user in store.users.search(text, prefix=prefix).rows]

    assert found("köln") == ["u1"]
    assert found("100%") == ["u1"]
    assert found("a_l") == ["u1"]
    assert found("TEA") == ["u1", "u2"]
    assert found("绿") == ["u2"]
    assert found("\\") == ["100x"]
    assert found("100", prefix=True) == ["100x", "u1"]
    assert found("tea", prefix=True) == ["u2"]
    assert found("' OR 1=1 --") == []
    page = store.users.search("u", 1)
    assert [user.id for user in store.users.search("u", 1, page.cursor).rows] == ["u2"]
    for wrong in ("", "x" * 257):
        with pytest.raises(StoreError, match="searched"):
            store.users.search(wrong)


GONE = "Vilhelmina-8231"


def _fill(store: Store, user: str) -> None:
    past = datetime.now(UTC) - timedelta(minutes=5)
    store.users.put([User(user, {"of": user}, user)])
    store.users.patch(user, comment=f"twice {user}")
    store.events.add([Event("click", user, f"i{k}", time=past, id=f"{user}-{k}") for k in range(40)])
    store.feedback.put([Feedback("star", user, "i1", 5, past, comment=user)])
    shown = Shown((ShownItem("i1", 0.5, predictions={"click": 0.1}),), user=user, id=f"list-{user}")
    store.shown.add([shown])
    store.satisfaction.put(SurveyAnswer(f"list-{user}", 5, {"why": user}))
    store.states.put(State("conversation", f"c-{user}", {"last": user}, user))
    store.states.put(State("session", f"s-{user}", {"last": user}, user))


def _bytes_of(url: str) -> dict[str, bytes]:
    """Everything in every table, and for SQLite everything in its files."""
    found: dict[str, bytes] = {}
    if "://" not in url:
        for path in Path(url).parent.iterdir():
            found[path.name] = path.read_bytes()
        with sqlite3.connect(url) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in names:
                found[f"table {name}"] = repr(connection.execute(f"SELECT * FROM {name}").fetchall()).encode()  # noqa: S608
        connection.close()
        return found
    with psycopg.connect(make_url(url).render_as_string(hide_password=False)) as server:
        rows = server.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchall()
        for (name,) in rows:
            query = f"SELECT * FROM {name}".encode()  # noqa: S608
            found[f"table {name}"] = repr(server.execute(query).fetchall()).encode()
    return found


def test_nothing_of_a_deleted_user_is_left(store: Store, url: str) -> None:
    _fill(store, GONE)
    _fill(store, "other")
    before = _bytes_of(url)
    assert sum(GONE.encode() in content for name, content in before.items() if name.startswith("table")) >= 7
    place = store.changes.last()
    assert store.users.delete(GONE)
    left = _bytes_of(url)
    assert [name for name, content in left.items() if GONE.encode() in content] == []
    assert len([name for name in left if name.startswith("table")]) >= 13
    assert store.users.get("other") is not None
    assert len(store.events.of_user("other")) == 41
    assert store.satisfaction.get("list-other") is not None
    assert store.states.get("session", "s-other") is not None
    assert store.users.deleted_at([GONE, "other"]).keys() == {GONE}
    (change,) = store.changes.after(place)
    assert (change.what, change.key, change.deleted) == ("user", store.users.digest(GONE), True)
    assert not store.users.delete(GONE)


def test_what_was_before_a_deletion_never_comes_back(store: Store) -> None:
    _fill(store, GONE)
    kinds: tuple[Kind, ...] = ("users", "events", "feedback")
    lines = {kind: list(store.export_lines(kind)) for kind in kinds}
    store.users.delete(GONE)
    (deleted,) = store.users.deleted_at([GONE, "other"]).values()
    assert abs((datetime.now(UTC) - deleted).total_seconds()) < 60
    for kind, content in lines.items():
        assert store.import_lines(kind, content).new == 0
    assert store.events.add([Event("click", GONE, "i", time=deleted)]) == [False]
    assert store.users.get(GONE) is None
    assert store.feedback.of_user(GONE) == []
    assert list(store.export_lines("events")) == []
    # Later records belong to a new user with the same id; old rows stay out.
    assert store.events.add([Event("click", GONE, "i", id="new")], insert_missing=True) == [True]
    assert store.users.get(GONE) is not None
    assert store.users.deleted_at([GONE]) == {GONE: deleted}
    assert store.import_lines("events", lines["events"]).new == 0


def test_answers_in_flight_bring_nobody_back(store: Store) -> None:
    shown = Shown((ShownItem("i1"),), user=GONE, id="l1")
    state = State("session", "s1", ["i1"], GONE)
    store.users.put([User(GONE)])
    store.users.delete(GONE)
    assert store.shown.add([shown, Shown((), "l2")]) == [False, True]
    assert not store.states.put(state)
    store.users.put([User(GONE)])  # they are not of the new user with the same id either
    assert store.shown.add([shown]) == [False]
    assert not store.states.put(state)
    assert store.shown.get("l1") is None
    assert store.states.get("session", "s1") is None
    assert store.states.put(State("session", "s1", ["i2"], GONE))


def test_an_old_export_brings_nothing_back_after_a_return(store: Store) -> None:
    _fill(store, GONE)
    kinds: tuple[Kind, ...] = ("users", "events", "feedback")
    lines = {kind: list(store.export_lines(kind)) for kind in kinds}
    store.users.delete(GONE)
    store.users.put([User(GONE, {"is": "new"})])
    store.events.add([Event("click", GONE, "i", id="new")])
    for kind, content in lines.items():
        assert store.import_lines(kind, content).new == 0
    assert [event.id for event in store.events.of_user(GONE)] == ["new"]
    assert [(one.item, one.value) for one in store.feedback.of_user(GONE)] == [("i", 1.0)]
    user = store.users.get(GONE)
    assert user is not None
    assert user.labels == {"is": "new"}
    # Records without a time count as new, and an export made after the return comes back.
    store.import_lines("users", [b'{"id": "%s", "labels": "told now"}' % GONE.encode()])
    user = store.users.get(GONE)
    assert user is not None
    assert user.labels == "told now"
    again = {kind: list(store.export_lines(kind)) for kind in kinds}
    store.feedback.delete(GONE, "i")
    assert store.import_lines("feedback", again["feedback"]).new == 1


def test_who_is_put_anew_may_bring_a_past(store: Store) -> None:
    past = Event("click", GONE, "i", time=T0, id="past")
    store.users.put([User(GONE)])
    store.users.delete(GONE)
    (deleted,) = store.users.deleted_at([GONE]).values()
    assert store.events.add([past]) == [False]
    store.users.put([User(GONE)])
    assert store.users.deleted_at([GONE]) == {GONE: deleted}  # what was trained on before stays out
    assert store.events.add([past]) == [True]
    store.users.delete(GONE)
    assert store.users.deleted_at([GONE])[GONE] > deleted
    assert store.events.add([past]) == [False]
