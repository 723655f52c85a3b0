from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url

from motet.errors import StoreError, StoreUnavailableError
from motet.service.store import (
    METADATA,
    Event,
    Feedback,
    Shown,
    ShownItem,
    Store,
    StoreSettings,
    SurveyAnswer,
    User,
)

HEAD = "0008"

# How stores were made before Alembic kept their version, word by word: such files are out there.
_TYPES = {
    "sqlite": {
        "{id}": "TEXT",
        "{seq}": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
        "{double}": "DOUBLE",
        "{bytes}": "BLOB",
    },
    "postgresql": {
        "{id}": 'TEXT COLLATE "C"',
        "{seq}": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "{double}": "DOUBLE PRECISION",
        "{bytes}": "BYTEA",
    },
}
_META = "CREATE TABLE meta (key {id} NOT NULL PRIMARY KEY, value TEXT NOT NULL)"
_ONE = (
    "CREATE TABLE users (id {id} NOT NULL PRIMARY KEY, labels TEXT, comment TEXT NOT NULL, time BIGINT NOT NULL,"
    " words TEXT NOT NULL)",
    "CREATE TABLE items (id {id} NOT NULL PRIMARY KEY, is_hidden BOOLEAN NOT NULL, categories TEXT NOT NULL,"
    " time BIGINT, labels TEXT, comment TEXT NOT NULL, fields TEXT NOT NULL, words TEXT NOT NULL)",
    "CREATE TABLE events (seq {seq}, id {id} NOT NULL, type {id} NOT NULL, user_id {id} NOT NULL,"
    " item_id {id} NOT NULL, value {double} NOT NULL, time BIGINT NOT NULL, scenario {id}, context TEXT NOT NULL,"
    " list_id {id}, propensity {double})",
    "CREATE UNIQUE INDEX events_by_id ON events (id)",
    "CREATE INDEX events_by_user ON events (user_id, seq)",
    "CREATE TABLE feedback (type {id} NOT NULL, user_id {id} NOT NULL, item_id {id} NOT NULL,"
    " value {double} NOT NULL, time BIGINT NOT NULL, updated BIGINT NOT NULL, labels TEXT, comment TEXT NOT NULL,"
    " PRIMARY KEY (type, user_id, item_id))",
    "CREATE INDEX feedback_by_user ON feedback (user_id, type, item_id)",
    "CREATE INDEX feedback_by_item ON feedback (item_id, type, user_id)",
    "CREATE TABLE changes (seq {seq}, what {id} NOT NULL, key {id} NOT NULL, deleted BOOLEAN NOT NULL)",
    "CREATE UNIQUE INDEX changes_by_key ON changes (what, key)",
    "CREATE TABLE tombstones (digest {bytes} NOT NULL PRIMARY KEY, time BIGINT NOT NULL, returned BOOLEAN NOT NULL)",
)

_TWO = (
    "CREATE INDEX events_by_time ON events (time, type)",
    "CREATE TABLE shown (id {id} NOT NULL PRIMARY KEY, user_id {id}, session_id {id}, scenario {id},"
    " time BIGINT NOT NULL, model {id}, items TEXT NOT NULL)",
    "CREATE INDEX shown_by_user ON shown (user_id, time)",
    "CREATE INDEX shown_by_time ON shown (time, id)",
    "CREATE TABLE satisfaction (list_id {id} NOT NULL PRIMARY KEY, user_id {id}, scenario {id}, time BIGINT NOT NULL,"
    " rating INTEGER, survey TEXT)",
    "CREATE INDEX satisfaction_by_user ON satisfaction (user_id)",
    "CREATE INDEX satisfaction_by_time ON satisfaction (time)",
    "CREATE TABLE states (kind {id} NOT NULL, id {id} NOT NULL, user_id {id}, state TEXT NOT NULL,"
    " time BIGINT NOT NULL, PRIMARY KEY (kind, id))",
    "CREATE INDEX states_by_user ON states (user_id)",
    "CREATE INDEX states_by_time ON states (time)",
)

_THREE = (
    "CREATE TABLE models (name {id} NOT NULL PRIMARY KEY, path TEXT NOT NULL, state {id} NOT NULL,"
    " reason TEXT NOT NULL, created BIGINT NOT NULL, changed BIGINT NOT NULL)",
    "CREATE TABLE keys (id {id} NOT NULL PRIMARY KEY, digest {bytes} NOT NULL, scopes TEXT NOT NULL,"
    " name TEXT NOT NULL, created BIGINT NOT NULL, revoked BIGINT)",
    "CREATE TABLE settings (name {id} NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
)

_STEPS = (_ONE, _TWO, _THREE)
_SALT = "ab" * 32


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    place = make_url(url).set(drivername="postgresql+psycopg") if "://" in url else f"sqlite:///{url}"
    engine = create_engine(place)
    try:
        yield engine
    finally:
        engine.dispose()


def _old_store(url: str, version: int) -> None:
    """A store as motet made it before Alembic, at one of its three versions, with rows in every table."""
    with _engine(url) as engine, engine.begin() as connection:
        for statement in (_META, *(one for step in _STEPS[:version] for one in step)):
            for name, kind in _TYPES[engine.dialect.name].items():
                statement = statement.replace(name, kind)  # noqa: PLW2901
            connection.exec_driver_sql(statement)
        for statement in (
            f"INSERT INTO meta VALUES ('version', '{version}')",  # noqa: S608
            f"INSERT INTO meta VALUES ('salt', '{_SALT}')",  # noqa: S608
            "INSERT INTO events (id, type, user_id, item_id, value, time, context)"
            " VALUES ('e1', 'click', 'u', 'i', 1, 1000000, '{}')",
            "INSERT INTO users VALUES ('u', NULL, 'since then', 5, 'u')",
            "INSERT INTO items VALUES ('i', FALSE, '[\"tea\"]', NULL, NULL, '', '{}', 'i')",
            "INSERT INTO feedback VALUES ('click', 'u', 'i', 1, 1000000, 1000000, NULL, '')",
            "INSERT INTO changes (what, key, deleted) VALUES ('user', 'u', FALSE)",
        ):
            connection.exec_driver_sql(statement)
        if version > 1:
            for statement in (
                "INSERT INTO shown VALUES ('l', 'u', NULL, 'home', 2000000, 'm1', '[]')",
                "INSERT INTO satisfaction VALUES ('l', 'u', 'home', 3000000, 4, NULL)",
                "INSERT INTO states VALUES ('session', 's', 'u', '[1]', 4000000)",
            ):
                connection.exec_driver_sql(statement)
        if version > 2:
            for statement in (
                "INSERT INTO models VALUES ('m1', '/m1', 'loaded', '', 1, 1)",
                "INSERT INTO settings VALUES ('theme', '\"dark\"')",
            ):
                connection.exec_driver_sql(statement)


def _shape(connection: Connection) -> dict[str, Any]:
    """Tables with their columns, keys and indices, as the database reports them."""
    seen = inspect(connection)
    return {
        table: (
            {
                c["name"]: (
                    type(c["type"]).__name__,
                    c["nullable"],
                    getattr(c["type"], "collation", None),
                )
                for c in seen.get_columns(table)
            },
            seen.get_pk_constraint(table)["constrained_columns"],
            sorted((i["name"], tuple(i["column_names"]), bool(i["unique"])) for i in seen.get_indexes(table)),
        )
        for table in sorted(seen.get_table_names())
    }


def _is_counted(connection: Connection, table: str) -> bool:
    """Whether the database itself gives out ``seq``, and never one twice."""
    if connection.dialect.name == "sqlite":
        query = f"SELECT sql FROM sqlite_master WHERE name = '{table}'"  # noqa: S608
        return "AUTOINCREMENT" in str(connection.exec_driver_sql(query).scalar())
    return bool(
        next(c for c in inspect(connection).get_columns(table) if c["name"] == "seq")["identity"]["always"]
    )


def test_migrated_tables_are_those_that_the_code_means(url: str) -> None:
    Store(url).close()
    with _engine(url) as engine:
        with engine.begin() as connection:
            migrated = _shape(connection)
            assert connection.exec_driver_sql("SELECT version_num FROM motet_version").scalars().all() == [
                HEAD
            ]
        with engine.begin() as connection:
            METADATA.drop_all(connection)
            METADATA.create_all(connection)
            assert migrated == _shape(connection)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_store_of_every_older_version_is_taken_over(
    url: str, version: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    _old_store(url, version)
    for _ in range(2):  # the second time there is nothing to do
        with Store(url) as store:
            user = store.users.get("u")
            assert user is not None
            assert user.comment == "since then"
            item = store.items.get("i")
            assert item is not None
            assert item.categories == ("tea",)
            (event,) = store.events.after(0)
            assert (event.id, event.seq, event.time) == ("e1", 1, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
            assert store.feedback.of_user("u")[0].value == 1.0
            assert [change.key for change in store.changes.after(0)] == ["u"]
            if version > 1:
                assert store.satisfaction.get("l") is not None
                assert store.shown.get("l") is not None
                assert store.states.get("session", "s") is not None
            if version > 2:
                assert [model.name for model in store.models.all()] == ["m1"]
                assert store.values.get("theme") == "dark"
    with Store(url) as store:
        assert store.events.add([Event("click", "u", "i", id="e1"), Event("click", "u", "i")]) == [
            False,
            True,
        ]
        assert [event.seq for event in store.events.after(0)] == [1, 2]
        store.shown.add([Shown((ShownItem("i"),), id="l2")])
        assert store.satisfaction.put(SurveyAnswer("l2", 5))
        store.keys.create(["read"])
    with _engine(url) as engine, engine.begin() as connection:
        salt = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'salt'").scalar()
        assert salt == _SALT
        # A motet from before Alembic reads this, and says that the store is newer than it.
        assert connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'version'").scalar() == "4"
        taken_over = _shape(connection)
        assert _is_counted(connection, "events")
    other = (
        str(tmp_path / "new.sqlite") if "://" not in url else request.getfixturevalue("second_postgres_url")
    )
    Store(other).close()
    with _engine(other) as engine, engine.begin() as connection:
        assert _shape(connection) == taken_over
        assert _is_counted(connection, "events")
        assert _is_counted(connection, "changes")


@pytest.mark.parametrize("version_table", ["motet_version", "meta"])
def test_a_newer_store_is_refused_and_left_alone(url: str, version_table: str) -> None:
    if version_table == "meta":  # of an older version
        _old_store(url, 3)
    else:
        with Store(url) as store:
            store.users.put([User("u")])
    with _engine(url) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE motet_version SET version_num = '0099'"
                if version_table == "motet_version"
                else "UPDATE meta SET value = '0099' WHERE key = 'version'"
            )
            before = _shape(connection)
        with pytest.raises(StoreError, match=f"version 0099.*up to {HEAD}"):
            Store(url)
        with engine.begin() as connection:
            assert _shape(connection) == before
            assert connection.exec_driver_sql("SELECT count(*) FROM users").scalar() == 1


def test_a_step_that_fails_leaves_nothing(url: str) -> None:
    _old_store(url, 2)
    with _engine(url) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TABLE settings (of_somebody TEXT)"
            )  # the last table of the next step
            before = _shape(connection)
        with pytest.raises(StoreError, match="settings"):
            Store(url)
        with engine.begin() as connection:
            assert _shape(connection) == before
            assert connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'version'").scalar() == "2"
            connection.exec_driver_sql("DROP TABLE settings")
    with Store(url) as store:
        assert store.events.last() == 1
        store.values.put("theme", "light")


def test_tables_of_another_alembic_stay_apart(url: str) -> None:
    with _engine(url) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('theirs')")
        Store(url).close()
        Store(url).close()
        with engine.begin() as connection:
            assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [
                "theirs"
            ]


def test_many_open_a_new_store_at_once(url: str) -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(6)

    def open_and_write(number: int) -> None:
        try:
            start.wait()
            with Store(url) as store:
                store.feedback.add([Feedback("like", "u", "i")], ids=[f"{number}"])
        except BaseException as error:  # (reported by the assertion below)
            failures.append(error)

    threads = [threading.Thread(target=open_and_write, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Store(url) as store:
        assert store.feedback.of_user("u")[0].value == 6.0


def test_two_stores_are_made_at_once(tmp_path: Path, postgres_url: str) -> None:
    """Alembic's context is one per process: stores of different places must not get into each other's."""
    failures: list[BaseException] = []
    places = [*(str(tmp_path / f"{k}.sqlite") for k in range(4)), postgres_url]
    start = threading.Barrier(len(places))

    def make(place: str) -> None:
        try:
            start.wait()
            Store(place).close()
        except BaseException as error:  # (reported by the assertion below)
            failures.append(error)

    threads = [threading.Thread(target=make, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for place in places:
        with _engine(place) as engine, engine.begin() as connection:
            assert set(METADATA.tables) <= set(inspect(connection).get_table_names())


OPEN_AND_ADD = """
import sys
from motet.service.store import Event, Store
input()
with Store(sys.argv[1]) as store:
    store.events.add([Event("click", "u", "i", id=sys.argv[2])])
"""


@pytest.mark.parametrize("kind", ["new", "old"])
def test_many_processes_open_a_store_at_once(url: str, kind: str) -> None:
    if kind == "old":
        _old_store(url, 1)
    command = [sys.executable, "-c", OPEN_AND_ADD, url]
    processes = [
        subprocess.Popen(
            [*command, f"p{k}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(4)
    ]
    for process in processes:  # all are there before the first opens
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, "\n".join(said)
    with Store(url) as store:
        expected = {f"p{k}" for k in range(4)} | ({"e1"} if kind == "old" else set())
        assert {event.id for event in store.events.after(0)} == expected


def test_a_database_of_others_is_refused(url: str) -> None:
    with _engine(url) as engine, engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE users (name TEXT)")
    with pytest.raises(StoreError, match=r"other tables \(users\)"):
        Store(url)


def test_a_table_meta_of_others_is_refused(url: str) -> None:
    with _engine(url) as engine, engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE meta (key TEXT, value TEXT)")
    with pytest.raises(StoreError, match="is no store of motet"):
        Store(url)


@pytest.mark.parametrize("place", ["mysql://h/x", "sqlite://", "sqlite:///:memory:", "http://[x"])
def test_a_place_of_no_known_kind_is_refused(place: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store(place)
    assert "postgresql://" in caught.value.cure


def test_passwords_stay_out_of_errors() -> None:
    with pytest.raises(StoreError) as caught:
        Store("postgresql://me:sesame@127.0.0.1:9/x", StoreSettings(patience_s=1))
    assert "sesame" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailableError, match="damaged"):
        Store(tmp_path / "x.sqlite")
    with pytest.raises(StoreError, match="directory"):
        Store(tmp_path / "none" / "x.sqlite")


def test_sqlite_is_as_durable_as_it_says(tmp_path: Path) -> None:
    with Store(tmp_path / "x.sqlite") as store, store._database.writing() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
