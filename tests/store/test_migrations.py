from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from motet.errors import StoreError, StoreUnavailableError
from motet.store import Event, Feedback, Item, Shown, ShownItem, Store, StoreSettings, User
from motet.store._database import Database
from motet.store._migrations import NEWEST, migrate
from motet.store._steps import statements
from motet.store._tables import METADATA


def _shape(database: Database) -> dict[str, Any]:
    """Tables with their columns, keys and indices, as the database tells them."""
    with database.reading() as connection:
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
                sorted(
                    (i["name"], tuple(i["column_names"]), bool(i["unique"])) for i in seen.get_indexes(table)
                ),
            )
            for table in sorted(seen.get_table_names())
        }


def test_migrated_tables_are_those_that_the_code_means(url: str) -> None:
    database = Database(url, StoreSettings())
    assert migrate(database) == 0
    migrated = _shape(database)
    with database.writing() as connection:
        METADATA.drop_all(connection)
        METADATA.create_all(connection)
    assert migrated == _shape(database)
    database.close()


@pytest.mark.parametrize("version", range(1, NEWEST))
def test_every_older_version_is_brought_to_the_newest(url: str, version: int) -> None:
    database = Database(url, StoreSettings())
    assert migrate(database, version) == 0
    with database.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO events (id, type, user_id, item_id, value, time, context)"
            " VALUES ('e1', 'click', 'u', 'i', 1, 1000000, '{}')"
        )
        connection.exec_driver_sql("INSERT INTO users VALUES ('u', NULL, 'since then', 5, 'u')")
        salt = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'salt'").scalar()
    assert migrate(database) == version
    assert migrate(database) == NEWEST
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'salt'").scalar() == salt
    database.close()
    with Store(url) as store:
        user = store.users.get("u")
        assert user is not None
        assert user.comment == "since then"
        assert store.events.add([Event("click", "u", "i", id="e1"), Event("click", "u", "i")]) == [
            False,
            True,
        ]
        assert [event.seq for event in store.events.after(0)] == [1, 2]
        store.items.put([Item("i")])
        store.shown.add([Shown((ShownItem("i"),))])


def test_a_newer_store_is_refused_and_left_alone(url: str) -> None:
    with Store(url) as store:
        store.users.put([User("u")])
    database = Database(url, StoreSettings())
    with database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE meta SET value = '{NEWEST + 1}' WHERE key = 'version'")  # noqa: S608
    with pytest.raises(StoreError, match=f"version {NEWEST + 1}.*up to {NEWEST}"):
        Store(url)
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM users").scalar() == 1
    database.close()


def test_a_step_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(url, StoreSettings())
    migrate(database, 1)
    before = _shape(database)

    def broken(step: int, dialect: str) -> list[str]:
        last = ["CREATE TABLE users (nonsense"] if step == NEWEST - 1 else []
        return [*statements(step, dialect), *last]

    monkeypatch.setattr("motet.store._migrations.statements", broken)
    with pytest.raises(StoreError):
        migrate(database)
    assert _shape(database) == before
    monkeypatch.undo()
    assert migrate(database) == 1
    database.close()


def test_many_open_a_new_store_at_once(url: str) -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(6)

    def open_and_write(number: int) -> None:
        try:
            start.wait()
            with Store(url) as store:
                store.feedback.add([Feedback("like", "u", "i")], ids=[f"{number}"])
        except BaseException as error:  # (told by the assertion below)
            failures.append(error)

    threads = [threading.Thread(target=open_and_write, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Store(url) as store:
        assert store.feedback.of_user("u")[0].value == 6.0


def test_a_database_of_others_is_refused(url: str) -> None:
    database = Database(url, StoreSettings())
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE users (name TEXT)")
    database.close()
    with pytest.raises(StoreError, match=r"other tables \(users\)"):
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
