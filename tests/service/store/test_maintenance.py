"""``motet store`` and ``motet keys``, as the guide says them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motet.cli import main
from motet.service.store import Event, Item, Store, User
from motet.testing import PostgresServer

Run = Callable[..., Any]
KINDS = ("users", "items", "identities", "events", "feedback", "answers")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; what it prints for machines."""

    def one(*arguments: str | Path) -> Any:
        code = main([*map(str, arguments), "--json"])
        found = json.loads(capsys.readouterr().out)
        assert code == (2 if "error" in found else 0), found
        return found

    return one


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    with Store(path) as store:
        fill(store)
    return path


def fill(store: Store) -> None:
    store.users.put([User(f"u{n}", {"n": n}) for n in range(5)])
    store.items.put([Item("tea", comment="Tea")])
    store.events.add([Event("click", f"u{n}", "tea", id=f"e{n}") for n in range(5)])
    store.identities.link("u1", "phone-1")


def everything(place: Path | str) -> dict[str, list[bytes]]:
    with Store(place) as store:
        return {kind: list(store.export_lines(kind)) for kind in KINDS}  # type: ignore[arg-type]


# -- copies ----------------------------------------------------------------------------------------


def test_a_backup_of_a_store_that_is_written_comes_back(tmp_path: Path, place: Path, run: Run) -> None:
    copy, stop = tmp_path / "copy.sqlite", threading.Event()
    with Store(place) as store:

        def write() -> None:
            while not stop.is_set():
                store.events.add([Event("view", "u0", "tea"), Event("view", "u1", "tea")])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            found = run("store", "backup", copy, "--store", place)
        finally:
            stop.set()
            writer.join()
    assert found == {"file": str(copy), "bytes": copy.stat().st_size, "version": "0008"}
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []
    assert "--overwrite" in run("store", "backup", copy, "--store", place)["cure"]
    run("store", "backup", copy, "--store", place, "--overwrite")

    before = copy.read_bytes()
    other = tmp_path / "other.sqlite"
    assert run("store", "restore", copy, "--store", other)["version"] == "0008"
    assert copy.read_bytes() == before
    assert everything(other) == everything(place)
    kinds = [json.loads(line)["type"] for line in everything(other)["events"]]
    assert kinds.count("view") % 2 == 0  # no half of a call


def test_a_restore_replaces_only_if_it_may_and_nobody_uses_it(tmp_path: Path, place: Path, run: Run) -> None:
    copy = tmp_path / "copy.sqlite"
    run("store", "backup", copy, "--store", place)
    with Store(place) as store:
        store.events.add([Event("later", "u0", "tea", id="later")])
        refused = run("store", "restore", copy, "--store", place)
        assert "already" in refused["error"]
        in_use = run("store", "restore", copy, "--store", place, "--overwrite")
        assert "is in use" in in_use["error"]
        assert store.events.get("later") is not None
    assert run("store", "restore", copy, "--store", place, "--overwrite")["deleted_again"] == 0
    with Store(place) as store:
        assert store.events.get("later") is None
        assert store.events.get("e0") is not None


def test_users_deleted_since_the_backup_are_deleted_again(tmp_path: Path, place: Path, run: Run) -> None:
    copy = tmp_path / "copy.sqlite"
    with Store(place) as store:
        store.users.delete("u4")
    run("store", "backup", copy, "--store", place)
    with Store(place) as store:
        store.users.delete("u1")  # with its identity
        store.users.delete("u2")
    found = run("store", "restore", copy, "--store", place, "--overwrite")
    assert found["deleted_again"] == 2
    with Store(place) as store:
        assert {user.id for user in store.users.page().rows} == {"u0", "u3"}
        assert store.events.of_user("u1") == store.events.of_user("u2") == []
    assert b"u2" not in b"".join(line for lines in everything(place).values() for line in lines)
    with Store(tmp_path / "another.sqlite") as store:  # of another origin: nothing is known of its users
        fill(store)
    found = run("store", "restore", copy, "--store", tmp_path / "another.sqlite", "--overwrite")
    assert found["deleted_again"] is None


def test_a_damaged_store_can_be_replaced_and_a_damaged_backup_is_refused(
    tmp_path: Path, place: Path, run: Run
) -> None:
    copy = tmp_path / "copy.sqlite"
    run("store", "backup", copy, "--store", place)
    before = everything(place)
    content = bytearray(copy.read_bytes())
    content[4096 * 3 : 4096 * 9] = os.urandom(4096 * 6)
    (tmp_path / "broken.sqlite").write_bytes(content)
    refused = run("store", "restore", tmp_path / "broken.sqlite", "--store", place, "--overwrite")
    assert f"the backup {tmp_path / 'broken.sqlite'} is damaged" in refused["error"]
    assert str(place) not in refused["error"]
    assert everything(place) == before
    place.write_bytes(content)
    assert "damaged" in run("store", "backup", tmp_path / "second.sqlite", "--store", place)["error"]
    assert not (tmp_path / "second.sqlite").exists()
    run("store", "restore", copy, "--store", place, "--overwrite")
    assert everything(place) == before


def test_what_is_no_store_is_neither_copied_nor_restored(tmp_path: Path, place: Path, run: Run) -> None:
    other, text = tmp_path / "other.db", tmp_path / "notes.txt"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE notes (a)")
    connection.close()
    text.write_text("hello")
    for arguments, said in (
        (("backup", tmp_path / "x", "--store", other), "holds no store"),
        (("backup", tmp_path / "x", "--store", tmp_path / "missing"), "is not there"),
        (("backup", place, "--store", place, "--overwrite"), "would replace the store itself"),
        (("backup", tmp_path / "no" / "x", "--store", place), "is not there"),
        (("restore", other, "--store", tmp_path / "x"), "holds no store"),
        (("restore", text, "--store", tmp_path / "x"), "damaged"),
        (("restore", tmp_path / "missing", "--store", tmp_path / "x"), "is not there"),
        (("restore", place, "--store", place, "--overwrite"), "is the store itself"),
        (("migrate", "--store", tmp_path / "missing"), "is not there"),
    ):
        found = run("store", *arguments)
        assert said in found["error"]
        assert found["cure"]
    assert not (tmp_path / "x").exists()


def test_a_backup_that_cannot_be_restored_is_named(tmp_path: Path, place: Path, run: Run) -> None:
    newer, text = tmp_path / "newer.sqlite", tmp_path / "notes.txt"
    text.write_text("hello")
    shutil.copy(place, newer)
    with sqlite3.connect(newer) as connection:
        connection.execute("UPDATE motet_version SET version_num = '9999'")
    connection.close()
    for file, said in ((newer, "has version 9999"), (text, "is damaged")):
        found = run("store", "restore", file, "--store", tmp_path / "x")
        assert f"{file} {said}" in found["error"]
        assert str(tmp_path / "x") not in found["error"]
        assert ".part" not in found["error"]
        assert "motet store backup" in found["cure"]
    found = run("store", "backup", tmp_path / "copy.sqlite", "--store", text)
    assert "notes.txt is damaged" in found["error"]
    assert not (tmp_path / "x").exists()


def test_postgresql_is_copied_by_its_own_tools_as_the_cures_say(
    postgres: PostgresServer, tmp_path: Path, run: Run
) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is not installed (Debian: apt-get install postgresql-client)")
    url, empty = postgres.new_database("kept"), postgres.new_database("again")
    with Store(url) as store:
        fill(store)
    before = everything(url)
    cures = []
    for arguments in (
        ("backup", tmp_path / "x", "--store", url),
        ("restore", tmp_path / "x", "--store", empty),
    ):
        cures.append(run("store", *arguments)["cure"])
    assert not (tmp_path / "x").exists()
    for cure, start in zip(cures, ("run pg_dump", "make an empty database, and run pg_restore"), strict=True):
        assert cure.startswith(start)
        words = cure[cure.index("pg_") :].split()
        subprocess.run(words, cwd=tmp_path, check=True)
    assert everything(empty) == before


# -- versions --------------------------------------------------------------------------------------


def test_a_migration_says_what_it_does(tmp_path: Path, place: Path, run: Run) -> None:
    newest = {"store": f"sqlite:///{place}", "from": "0008", "to": "0008", "newest": "0008", "steps": []}
    assert run("store", "migrate", "--store", place) == newest
    old = tmp_path / "old.sqlite"
    shutil.copy(place, old)
    with sqlite3.connect(old) as connection:  # as version 7 left it
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('surveys', 'questions')"
        ).fetchall():
            connection.execute(f"DROP TABLE {name}")
        connection.execute("UPDATE motet_version SET version_num = '0007'")
    connection.close()
    checked = run("store", "migrate", "--store", old, "--check")
    assert (checked["from"], checked["to"], checked["steps"]) == ("0007", "0007", ["0008"])
    run("store", "backup", tmp_path / "before.sqlite", "--store", old)  # a backup leaves the version alone
    assert run("store", "migrate", "--store", tmp_path / "before.sqlite", "--check")["from"] == "0007"
    done = run("store", "migrate", "--store", old)
    assert (done["from"], done["to"]) == ("0007", "0008")
    assert everything(old) == everything(place)
    with sqlite3.connect(old) as connection:
        connection.execute("UPDATE motet_version SET version_num = '9999'")
    connection.close()
    assert "version 9999" in run("store", "migrate", "--store", old)["error"]


# -- records ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_records_go_out_and_in_again(tmp_path: Path, place: Path, run: Run, form: str) -> None:
    out = tmp_path / "records"
    counts = run("store", "export", out, "--store", place, "--format", form)
    assert counts == {"directory": str(out), "users": 5, "items": 1, "identities": 1, "events": 5, "feedback": 5,
                      "answers": 0}  # fmt: skip
    assert "already" in run("store", "export", out, "--store", place, "--format", form)["error"]
    other = tmp_path / "other.sqlite"
    assert run("store", "import", out, "--store", other)["events"] == {"rows": 5, "new": 5}
    assert everything(other) == everything(place)
    assert run("store", "import", out, "--store", other)["events"] == {"rows": 5, "new": 0}
    assert everything(other) == everything(place)


def test_a_wrong_record_is_named_before_anything_is_written(tmp_path: Path, place: Path, run: Run) -> None:
    out, other = tmp_path / "records", tmp_path / "other.sqlite"
    run("store", "export", out, "--store", place)
    with (out / "events.jsonl").open("a") as file:
        file.write('{"id": "x", "type": "click", "user": "u0"}\n')
    assert (
        "events.jsonl, line 6: a row of events has no 'item'"
        in run("store", "import", out, "--store", other)["error"]
    )
    assert not list(tmp_path.glob("other.sqlite*"))
    assert run("store", "import", out, "--store", other, "--kind", "users") == {
        "users": {"rows": 5, "new": 5}
    }
    assert "did you mean 'users'" in run("store", "import", out, "--store", other, "--kind", "user")["cure"]
    assert "has none of" in run("store", "import", tmp_path / "nothing", "--store", other)["error"]


# -- keys ------------------------------------------------------------------------------------------


def test_keys_are_made_listed_rotated_and_revoked(tmp_path: Path, place: Path, run: Run) -> None:
    at = ("--store", place)
    assert "scope admin" in run("keys", "create", *at)["error"]
    admin = run("keys", "create", "--scope", "admin", "--name", "me", *at)
    file = tmp_path / "shop.key"
    made = run("keys", "create", "--name", "the shop", "--file", file, *at)
    assert "key" not in made
    assert made["scopes"] == ["read", "write"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shop = file.read_text().strip()
    assert "cannot be written" in run("keys", "create", "--file", file, *at)["error"]
    assert "not known" in run("keys", "create", "--scope", "reed", *at)["error"]
    listed = run("keys", "list", *at)
    assert [(one["name"], one["revoked"]) for one in listed] == [("me", None), ("the shop", None)]
    assert shop not in json.dumps(listed)

    both = run("keys", "rotate", made["id"], "--keep", *at)
    new = run("keys", "rotate", made["id"], *at)
    with Store(place) as store:
        assert store.keys.verify(shop) is None
        for one in (both, new):
            key = store.keys.verify(one["key"])
            assert key is not None
            assert (key.scopes, key.name) == (frozenset({"read", "write"}), "the shop")
    assert "no key" in run("keys", "rotate", made["id"], *at)["error"]
    assert run("keys", "revoke", new["id"], *at) == {"revoked": new["id"]}
    assert "no key" in run("keys", "revoke", new["id"], *at)["error"]
    last = run("keys", "revoke", admin["id"], *at)
    assert "last key with the scope admin" in last["error"]
    assert f"motet keys rotate {admin['id']}" in last["cure"]
    rotated = run("keys", "rotate", admin["id"], *at)
    assert rotated["scopes"] == ["admin"]
    with Store(place) as store:
        assert store.keys.verify(admin["key"]) is None


def test_what_people_read(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy.sqlite"
    for arguments, said in (
        (("store", "backup", copy), "bytes, checked, a store of version 0008"),
        (("store", "migrate"), "has version 0008, the newest: nothing to do"),
        (("store", "export", tmp_path / "out"), "5 users, 1 items, 1 identities, 5 events"),
        (("store", "import", tmp_path / "out"), "events: 5 read, 0 new"),
        (("keys", "create", "--scope", "admin"), "motet_"),
        (("keys", "list"), "admin"),
    ):
        assert main([*map(str, arguments), "--store", str(place)]) == 0
        assert said in capsys.readouterr().out
    assert main(["store", "restore", str(copy), "--store", str(place), "--overwrite"]) == 0
    assert "users deleted again: 0" in capsys.readouterr().out
