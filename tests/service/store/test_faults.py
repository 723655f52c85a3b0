"""Databases that fail, processes that die: nothing acknowledged is lost, nothing counts twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from sqlalchemy import Connection

from motet.errors import StoreError, StoreUnavailableError
from motet.service.store import Event, Feedback, Item, Store, StoreSettings, User, event_row
from motet.testing import PostgresServer

ROOT = Path(__file__).parents[3]


def _submit(store: Store, events: list[Event]) -> Future[list[bool]]:
    """Hand events in without waiting, as one of many callers at once does."""
    return store._writer.submit(
        store.events._event_writer.write, [event_row(event, "add") for event in events]
    )


@pytest.mark.soak
def test_killed_at_random_moments(url: str) -> None:
    command = [sys.executable, "-m", "benchmarks.store_faults", "--rounds", "8", "--url", url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert (result["lost"], result["twice"], result["feedback_wrong"]) == (0, 0, 0)
    assert result["rounds"] == 8
    assert result["acknowledged"] > 100


ADD_SAME = """
import sys
from motet.service.store import Event, Store
with Store(sys.argv[1]) as store:
    print(sum(sum(store.events.add([Event("click", "u", "i", id=str(k)) for k in range(n, n + 10)])) for n in range(200)))
"""


def test_two_processes_add_the_same_ids(url: str) -> None:
    Store(url).close()
    processes = [
        subprocess.Popen([sys.executable, "-c", ADD_SAME, url], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    counted = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(counted) == 209
    with Store(url) as store:
        assert sorted(int(event.id) for event in store.events.after(0)) == list(range(209))
        assert store.feedback.of_user("u")[0].value == 209.0


def _fill(store: Store) -> tuple[set[str], StoreUnavailableError]:
    """Write until it is refused; what was acknowledged, and the refusal."""
    acknowledged: set[str] = set()
    for k in range(1000):
        events = [Event("click", "u", "i", id=f"{k}-{n}", context={"x": "y" * 500}) for n in range(5)]
        try:
            store.events.add(events)
        except StoreUnavailableError as error:
            return acknowledged, error
        acknowledged |= {event.id for event in events}
    raise AssertionError("the disk was never full")


def _check_full(store: Store, make_room: Callable[[], None]) -> None:
    acknowledged, error = _fill(store)
    assert "full" in error.problem
    assert "make room" in error.cure
    assert acknowledged
    with pytest.raises(StoreUnavailableError):
        store.items.put([Item("big", comment="x" * 90_000)])
    assert store.can_read()
    assert {event.id for event in store.events.after(0, 10_000)} == acknowledged
    make_room()
    assert store.events.add([Event("click", "u", "i", id="last")]) == [True]
    assert {event.id for event in store.events.after(0, 10_000)} == acknowledged | {"last"}
    assert store.feedback.of_user("u")[0].value == len(acknowledged) + 1


def test_a_full_database_refuses_writes_and_not_reads(tmp_path: Path) -> None:
    with Store(tmp_path / "s.sqlite") as store:

        def limit(pages: int) -> None:
            with store._database.writing() as connection:
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        limit(80)
        _check_full(store, lambda: limit(1_000_000))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system cannot be mounted here; the full database is tested beside this")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_refuses_writes_and_not_reads(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 400_000)
    with Store(small_disk / "s.sqlite") as store:
        _check_full(store, ballast.unlink)


def test_a_file_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        store.events.add([Event("click", "u", "i", id="1")])
        away = [(place, tmp_path / f"away-{place.name}") for place in tmp_path.glob("s.sqlite*")]
        for place, elsewhere in away:
            place.rename(elsewhere)
        with pytest.raises(StoreUnavailableError, match="gone"):
            store.events.add([Event("click", "u", "i", id="2")])
        assert not store.can_read()
        assert not path.exists()  # nothing new was begun in its place
        for place, elsewhere in away:
            elsewhere.rename(place)
        assert store.events.add([Event("click", "u", "i", id="2")]) == [True]
        assert [event.id for event in store.events.after(0)] == ["1", "2"]


@pytest.mark.parametrize("end", ["stop", pytest.param("kill", marks=pytest.mark.soak)])
def test_a_server_that_ends_and_starts(end: str, postgres: PostgresServer, postgres_url: str) -> None:
    with Store(postgres_url, StoreSettings(patience_s=2)) as store:
        acknowledged: set[str] = set()
        refused = 0
        stop = threading.Event()

        def write() -> None:
            nonlocal refused
            number = 0
            while not stop.is_set():
                event = Event("click", "u", "i", id=f"{number}")
                try:
                    store.events.add([event])
                except StoreUnavailableError:
                    refused += 1
                    time.sleep(0.05)
                    continue  # the same event again: it may be there already
                acknowledged.add(event.id)
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(2):
            before = len(acknowledged)
            while len(acknowledged) < before + 20:
                time.sleep(0.01)
            getattr(postgres, end)()
            try:
                time.sleep(0.5)
                assert not store.can_read()
                with pytest.raises(StoreUnavailableError) as caught:
                    store.users.page()
                assert caught.value.cure
            finally:
                postgres.start()
            assert store.can_read()
        before = len(acknowledged)
        while len(acknowledged) < before + 20:
            time.sleep(0.01)
        stop.set()
        writer.join()
        found = [event.id for event in store.events.after(0, 10_000)]
        assert len(found) == len(set(found))
        assert set(found) == acknowledged
        assert refused >= 2
        assert store.feedback.of_user("u")[0].value == len(acknowledged)


def test_a_key_in_use_works_while_the_server_is_gone(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(postgres_url, StoreSettings(patience_s=2)) as store:
        used, key = store.keys.create(["read"])
        unused, _ = store.keys.create(["read"])
        assert store.keys.verify(used) == key
        monkeypatch.setattr("motet.service.store._service._FRESH_S", 0.0)
        postgres.stop()
        try:
            assert store.keys.verify(used) == key
            assert store.keys.verify(used[:-1] + "!") is None
            with pytest.raises(StoreUnavailableError):
                store.keys.verify(unused)
            monkeypatch.setattr("motet.service.store._service._STALE_S", 0.0)
            with pytest.raises(StoreUnavailableError):
                store.keys.verify(used)
        finally:
            postgres.start()
        assert store.keys.verify(unused) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"most_rows": 0},
        {"patience_s": -1},
        {"gather_s": -0.1},
        {"connections": 1},
        {"most_rows": 9, "most_waiting": 8},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(StoreError, match="the store's") as caught:
        StoreSettings(**wrong)  # type: ignore[arg-type]
    assert caught.value.cure


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    with Store(tmp_path / "s.sqlite") as store:
        store.events.add([Event("click", "u", "i", id="1")])
        with store._database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM events")
            began_s = time.monotonic()
            assert [event.id for event in store.events.after(0)] == ["1"]
            assert time.monotonic() - began_s < 5
        assert store.events.after(0) == []


def test_a_caller_with_wrong_rows_fails_alone(store: Store) -> None:
    """Many hand in at once, one of them what the database refuses: the others are written."""
    hold = threading.Event()
    inside = threading.Event()

    def wait(connection: Connection, rows: list[int]) -> list[int]:
        inside.set()
        hold.wait(10)
        return rows

    def broken(connection: Connection, rows: list[int]) -> list[int]:
        connection.exec_driver_sql("INSERT INTO meta (key) VALUES ('half')")
        return rows

    first = store._writer.submit(wait, [1])
    assert inside.wait(10)
    good = [_submit(store, [Event("click", "u", "i", id=f"{k}")]) for k in range(5)]
    bad = store._writer.submit(broken, [2])
    more = [_submit(store, [Event("click", "u", "i", id=f"{k}")]) for k in range(3, 8)]
    hold.set()
    assert first.result(10) == [1]
    with pytest.raises(StoreError, match="refused it"):
        bad.result(10)
    assert [call.result(10) for call in good] == [[True]] * 5
    assert [call.result(10) for call in more] == [[False]] * 2 + [[True]] * 3
    assert store.feedback.of_user("u")[0].value == 8.0
    assert store.written.failed == 1
    assert store.written.waiting == 0


def test_many_callers_share_transactions(url: str) -> None:
    with Store(url) as store:
        threads = [
            threading.Thread(
                target=lambda name: [store.events.add([Event("click", name, "i")]) for _ in range(30)],
                args=(f"u{k}",),
            )
            for k in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.written.rows == 240
        assert store.written.transactions < 120
        assert store.events.after(0, 1000)[-1].seq == 240


def test_too_many_that_wait_are_refused(url: str) -> None:
    hold, inside = threading.Event(), threading.Event()

    def wait(connection: Connection, rows: list[int]) -> list[int]:
        inside.set()
        hold.wait(10)
        return rows

    with Store(url, StoreSettings(most_rows=10, most_waiting=20)) as store:
        first = store._writer.submit(wait, [0])
        assert inside.wait(10)
        calls = [_submit(store, [Event("click", "u", "i") for _ in range(9)]) for _ in range(2)]
        with pytest.raises(StoreUnavailableError, match="19 rows wait"):
            _submit(store, [Event("click", "u", "i") for _ in range(2)])
        assert store.written.refused == 1
        hold.set()
        first.result(10)
        assert [sum(call.result(10)) for call in calls] == [9, 9]
        assert store.events.add([Event("click", "u", "i")]) == [True]


def test_a_call_that_is_cancelled_stops_nobody_else(url: str) -> None:
    hold, inside = threading.Event(), threading.Event()

    def wait(connection: Connection, rows: list[int]) -> list[int]:
        inside.set()
        hold.wait(10)
        return rows

    with Store(url) as store:
        first = store._writer.submit(wait, [0])
        assert inside.wait(10)
        calls = [_submit(store, [Event("click", "u", "i", id=f"{k}")]) for k in range(3)]
        assert calls[1].cancel()
        assert not first.cancel()
        hold.set()
        assert calls[0].result(10) == calls[2].result(10) == [True]
        last = _submit(store, [Event("click", "u", "i", id="3")])
        assert last.result(10) == [True]
        assert [event.id for event in store.events.after(0)] == ["0", "2", "3"]
        assert store.written.waiting == 0


def test_a_late_acknowledgement_is_an_error_that_may_be_repeated(url: str) -> None:
    hold = threading.Event()

    def wait(connection: Connection, rows: list[int]) -> list[int]:
        hold.wait(10)
        return rows

    with Store(url, StoreSettings(answer_s=0.2)) as store:
        store._writer.submit(wait, [0])
        with pytest.raises(StoreUnavailableError, match=r"no acknowledgement within 0\.2 s"):
            store.events.add([Event("click", "u", "i", id="1")])
        hold.set()
        time.sleep(0.2)
        assert store.events.add([Event("click", "u", "i", id="1")]) == [False]


def test_a_busy_file_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    with (
        Store(tmp_path / "s.sqlite", StoreSettings(patience_s=0.3)) as store,
        Store(tmp_path / "s.sqlite") as other,
    ):
        with other._database.writing():
            with pytest.raises(StoreUnavailableError, match="locked"):
                store.feedback.add([Feedback("like", "u", "i")])
            assert store.feedback.of_user("u") == []
        store.feedback.add([Feedback("like", "u", "i")])
        assert len(store.feedback.of_user("u")) == 1


def test_closing_writes_what_waits(url: str) -> None:
    store = Store(url)
    calls = [_submit(store, [Event("click", "u", "i", id=f"{k}")]) for k in range(50)]
    store.close()
    assert all(call.result(0) == [True] for call in calls)
    with pytest.raises(StoreUnavailableError, match="closed"):
        store.events.add([Event("click", "u", "i")])
    store.close()
    with Store(url) as again:
        assert again.events.last() == 50


@pytest.mark.parametrize("backup_while", ["idle", "written"])
def test_a_backup_is_the_store_at_one_moment(tmp_path: Path, backup_while: str) -> None:
    stop = threading.Event()
    with Store(tmp_path / "s.sqlite") as store:
        store.items.put([Item(f"i{k}", comment="x" * 1000) for k in range(500)])

        def write() -> None:
            while not stop.is_set():
                store.events.add([Event("click", "u", "i"), Event("click", "u", "i")])

        writer = threading.Thread(target=write)
        if backup_while == "written":
            writer.start()
        try:
            for _ in range(3):
                store.backup(tmp_path / "copy.sqlite")
        finally:
            stop.set()
            if writer.ident:
                writer.join()
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy.sqlite"]
    with Store(tmp_path / "copy.sqlite") as copy:
        assert copy.items.count() == 500
        events = copy.events.after(0, 10_000)
        assert len(events) % 2 == 0
        assert bool(events) == (backup_while == "written")
        feedback = copy.feedback.of_user("u")
        assert sum(row.value for row in feedback) == len(events)
        assert copy.events.add([Event("click", "u", "i")]) == [True]


def test_a_backup_where_it_cannot_be(tmp_path: Path, postgres_url: str) -> None:
    with Store(tmp_path / "s.sqlite") as store:
        with pytest.raises(StoreError, match="replace the store"):
            store.backup(tmp_path / "s.sqlite")
        with pytest.raises(StoreError, match="directory"):
            store.backup(tmp_path / "none" / "s.sqlite")
    with Store(postgres_url) as store:
        with pytest.raises(StoreError) as caught:
            store.backup(tmp_path / "copy.sqlite")
        assert "pg_dump" in caught.value.cure


def test_a_deletion_beside_a_reader_keeps_no_writer_waiting(tmp_path: Path) -> None:
    """A reader of what was before keeps the log as it is; it is emptied as soon as the reader is done."""
    path = tmp_path / "s.sqlite"

    def holding() -> list[str]:
        return [one.name for one in tmp_path.iterdir() if b"Vilhelmina" in one.read_bytes()]

    with Store(path, StoreSettings(patience_s=8)) as store:
        store.users.put([User("Vilhelmina")])
        with store._database.reading() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM users").all()
            began_s = time.monotonic()
            assert store.users.delete("Vilhelmina")
            store.events.add([Event("click", "u", "i")])
            assert time.monotonic() - began_s < 2.6  # of the 8 it would wait
            while time.monotonic() - began_s < 2:  # while it is tried again, too
                one_s = time.monotonic()
                store.events.add([Event("click", "u", "i")])
                assert time.monotonic() - one_s < 2.6
            assert holding() == ["s.sqlite-wal"]
        until_s = time.monotonic() + 10
        while holding():
            assert time.monotonic() < until_s
            time.sleep(0.05)


@pytest.mark.parametrize("group_commit", [True, False])
def test_what_was_deleted_beside_a_reader_is_gone_when_the_store_is_closed(
    tmp_path: Path, group_commit: bool
) -> None:
    path = tmp_path / "s.sqlite"
    with Store(path) as other:  # the last one to close would empty the log by itself
        with Store(path, StoreSettings(group_commit=group_commit)) as store:
            store.users.put([User("Vilhelmina")])
            with store._database.reading() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM users").all()
                assert store.users.delete("Vilhelmina")
        assert [one for one in tmp_path.iterdir() if b"Vilhelmina" in one.read_bytes()] == []
        assert other.users.get("Vilhelmina") is None


def test_a_deletion_is_told_though_the_log_cannot_be_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "s.sqlite") as store:
        store.users.put([User("ann")])
        monkeypatch.setattr(store._database, "path", tmp_path / "elsewhere.sqlite")
        monkeypatch.setattr(store._database, "_inode", None)
        assert store.users.delete("ann")
        assert not (tmp_path / "elsewhere.sqlite").exists()


def test_a_damaged_file_is_no_mistake_of_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        store.events.add([Event("click", "u", f"{k:03}" * 150, id=f"{k}") for k in range(300)])
    good = path.read_bytes()
    with Store(path) as store:
        path.write_bytes(good[:8192] + b"Z" * (len(good) - 8192))
        store._database.close()  # as those do that were not used for long
        for call in (
            lambda: store.events.of_user("u"),
            lambda: store.events.add([Event("click", "u", "i")]),
        ):
            with pytest.raises(StoreUnavailableError, match="damaged") as caught:
                call()
            assert caught.value.public == "the store is damaged"
            assert "backup" in caught.value.cure
            assert str(path) not in caught.value.public
        path.write_bytes(b"nothing of it is a database" * 1000)
        store._database.close()
        assert not store.can_read()
        path.write_bytes(good)
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        store._database.close()
        assert store.can_read()
        assert len(store.events.of_user("u", 1_000)) == 300
