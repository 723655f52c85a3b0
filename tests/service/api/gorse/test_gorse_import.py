"""``motet import-gorse``: a running Gorse, the files of its dashboard, its dump and its database, each into a store."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import psycopg
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.timestamp_pb2 import DESCRIPTOR as TIMESTAMPS
from gorse import Gorse
from tests.service.api.conftest import Service

from motet.cli import main
from motet.service.gorse import GorseKind
from motet.service.store import Event, Store
from motet.testing import PostgresServer

ZERO = "0001-01-01T00:00:00Z"
USERS: list[dict[str, Any]] = [
    {"UserId": "ann", "Labels": {"job": "artist", "likes": ["tea", "中"]}, "Comment": "first"},
    {"UserId": "bob", "Labels": None, "Comment": ""},
]
ITEMS: list[dict[str, Any]] = [
    {"ItemId": "tea", "IsHidden": False, "Categories": ["hot", "wet"], "Timestamp": "2026-01-02T03:04:05.5Z",
     "Labels": {"genre": ["green"], "price": 4.5}, "Comment": 'Green, "strong"\r\ntea'},
    {"ItemId": "ice", "IsHidden": True, "Categories": None, "Timestamp": ZERO, "Labels": None, "Comment": ""},
]  # fmt: skip
FEEDBACK: list[dict[str, Any]] = [
    {"FeedbackType": "click", "UserId": "ann", "ItemId": "tea", "Value": 0, "Timestamp": "2026-02-01T00:00:00Z",
     "Updated": ZERO, "Labels": None, "Comment": ""},
    {"FeedbackType": "stars", "UserId": "ann", "ItemId": "tea", "Value": 4.5, "Timestamp": "2026-02-02T00:00:00Z",
     "Updated": "2026-02-03T00:00:00Z", "Labels": {"mood": "glad"}, "Comment": "good"},
    {"FeedbackType": "stars", "UserId": "cid", "ItemId": "new", "Value": 2, "Timestamp": "2026-02-04T00:00:00Z",
     "Updated": ZERO, "Labels": None, "Comment": ""},
]  # fmt: skip
ROWS: dict[GorseKind, list[dict[str, Any]]] = {"users": USERS, "items": ITEMS, "feedback": FEEDBACK}
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "store.sqlite")


@pytest.fixture
def run(place: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; its report, or its error."""

    def one(source: str | Path, *options: str) -> dict[str, Any]:
        code = main(["import-gorse", "--from", str(source), "--store", place, "--json", *options])
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert code == (2 if "error" in found else 0), found
        return found

    return one


def counted(report: dict[str, Any], what: str) -> list[int]:
    return [report[kind][what] for kind in get_args(GorseKind)]


def contents(place: str) -> list[list[dict[str, Any]]]:
    """Everything of a store but when users came, and the order of events."""
    found = []
    with Store(place) as store:
        for kind in ("users", "items", "events", "feedback"):
            rows = [json.loads(line) for line in store.export_lines(kind)]
            for row in rows:
                row.pop("seq", None)
                if kind == "users":
                    del row["time"]
            found.append(sorted(rows, key=lambda row: json.dumps(row, sort_keys=True)))
    return found


def holds_it(place: str, *, labels: bool = True) -> None:
    """The rows above are in a store, as Gorse means them."""
    with Store(place) as store:
        assert sorted(user.id for user in store.users.page().rows) == ["ann", "bob", "cid"]
        assert {item.id for item in store.items.page().rows} == {"tea", "ice", "new"}
        (ann, tea, ice) = (store.users.get("ann"), store.items.get("tea"), store.items.get("ice"))
        assert ann is not None
        assert tea is not None
        assert ice is not None
        assert (tea.categories, tea.comment) == (("hot", "wet"), ITEMS[0]["Comment"])
        assert (ice.is_hidden, ice.timestamp, ice.categories) == (True, None, ())
        if labels:
            assert (ann.labels, ann.comment, tea.labels) == (USERS[0]["Labels"], "first", ITEMS[0]["Labels"])
        events = {(one.type, one.user): one for one in store.events.after(0)}
        assert len(events) == 3
        assert events["click", "ann"].value == 1.0  # 0 says that there is no value
        assert events["click", "ann"].time == datetime(2026, 2, 1, tzinfo=UTC)
        clicked = store.feedback.get("click", "ann", "tea")
        assert clicked is not None
        assert clicked.time == datetime(2026, 2, 1, tzinfo=UTC)


def is_there(place: str) -> bool:
    """Whether anything of a store in a file is there."""
    return bool(list(Path(place).parent.glob(f"{Path(place).name}*")))


def jsonl(directory: Path, **changed: list[Any]) -> Path:
    directory.mkdir(exist_ok=True)
    for kind, rows in (ROWS | changed).items():
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (directory / f"{kind}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


# -- files -----------------------------------------------------------------------------------------


def test_the_files_of_the_dashboard_once_and_again(tmp_path: Path, place: str, run: Run) -> None:
    files = jsonl(tmp_path / "export", feedback=FEEDBACK[::-1])
    checked = run(files, "--check")
    assert counted(checked, "rows") == [2, 2, 3]
    assert not is_there(place)
    first = run(files)
    assert counted(first, "new") == [2, 2, 3]
    holds_it(place)
    with Store(place) as store:
        times = [one.time for one in store.events.after(0)]
        assert times == sorted(times)  # whatever the order there: the learner judges by the last events
        (stars,) = store.feedback.of_user("ann", "stars")
        assert (stars.value, stars.labels, stars.comment) == (4.5, {"mood": "glad"}, "good")
        assert stars.updated == datetime(2026, 2, 3, tzinfo=UTC)
        changes = store.changes.last()
    before = contents(place)
    again = run(files)
    assert (counted(again, "new"), counted(again, "changed"), counted(again, "same")) == (
        [0] * 3,
        [0] * 3,
        [2, 2, 3],
    )
    assert contents(place) == before
    with Store(place) as store:
        assert store.changes.last() == changes  # services have nothing to read again


def test_what_changed_there_is_taken_over_and_what_is_newer_here_stays(
    tmp_path: Path, place: str, run: Run
) -> None:
    run(jsonl(tmp_path / "export"))
    with Store(place) as store:
        store.items.patch("tea", comment="Changed here", fields={"price": 5})
        store.events.add([Event("click", "ann", "tea", 2.0)])  # after the switch
    later = [dict(one) for one in FEEDBACK]
    later[1] |= {"Value": 5, "Updated": "2026-02-05T00:00:00Z"}
    later[0] |= {"Value": 7, "Updated": "2026-02-05T00:00:00Z"}
    files = jsonl(tmp_path / "export", feedback=later)
    kept = run(files, "--keep")
    assert (counted(kept, "kept"), counted(kept, "new")) == ([0, 1, 0], [0, 0, 2])
    with Store(place) as store:
        tea, clicked, stars = store.items.get("tea"), store.feedback.get("click", "ann", "tea"), None
        assert tea is not None
        assert clicked is not None
        assert (tea.comment, clicked.value) == ("Changed here", 3.0)
        stars = store.feedback.get("stars", "ann", "tea")
        assert stars is not None
        assert stars.value == 5.0
    replaced = run(files)
    assert (counted(replaced, "changed"), counted(replaced, "new")) == ([0, 1, 0], [0, 0, 0])
    with Store(place) as store:
        tea = store.items.get("tea")
        assert tea is not None
        assert (tea.comment, tea.fields) == (ITEMS[0]["Comment"], {"price": 5})


def test_deleted_users_stay_deleted(tmp_path: Path, place: str, run: Run) -> None:
    files = jsonl(
        tmp_path / "export", feedback=[*FEEDBACK, {**FEEDBACK[0], "Timestamp": "", "ItemId": "ice"}]
    )
    run(files)
    with Store(place) as store:
        store.users.delete("ann")
    again = run(files)
    assert counted(again, "deleted") == [1, 0, 3]
    with Store(place) as store:
        assert store.users.get("ann") is None
        assert not store.events.of_user("ann")
        assert not store.feedback.of_user("ann")


def old_csv(directory: Path) -> Path:
    """As Gorse 0.4 writes them: labels between bars, times of Go, no values."""
    directory.mkdir()

    def write(name: str, header: str, rows: list[list[str]]) -> None:
        with (directory / name).open("w", encoding="utf-8", newline="") as file:
            file.write(header + "\r\n")
            csv.writer(file).writerows(rows)

    write("users.csv", "user_id,labels", [["ann", "artist|tea"], ["bob", ""]])
    write(
        "items.csv",
        "item_id,is_hidden,categories,time_stamp,labels,description",
        [
            [
                "tea",
                "false",
                "hot|wet",
                "2026-01-02 03:04:05.5 +0000 UTC",
                "green|price 4.5",
                ITEMS[0]["Comment"],
            ],
            ["ice", "true", "", "0001-01-01 00:00:00 +0000 UTC", "", ""],
        ],
    )
    feedback = [[one["FeedbackType"], one["UserId"], one["ItemId"], one["Timestamp"][:10] + " 00:00:00 +0000 UTC"]
                for one in FEEDBACK]  # fmt: skip
    write("feedback.csv", "feedback_type,user_id,item_id,time_stamp", feedback)
    return directory


def test_the_csv_of_older_dashboards(tmp_path: Path, place: str, run: Run) -> None:
    files = old_csv(tmp_path / "old")
    assert counted(run(files), "new") == [2, 2, 3]
    holds_it(place, labels=False)
    with Store(place) as store:
        ann, tea = store.users.get("ann"), store.items.get("tea")
        assert ann is not None
        assert tea is not None
        assert (ann.labels, tea.labels) == (["artist", "tea"], ["green", "price 4.5"])
        assert tea.timestamp == datetime(2026, 1, 2, 3, 4, 5, 500_000, UTC)
    assert counted(run(files), "new") == [0, 0, 0]


def test_the_columns_that_the_guide_names(tmp_path: Path, place: str, run: Run) -> None:
    """As the last versions of Gorse 0.4 write them: labels are JSON."""
    guide = (Path(__file__).parents[4] / "docs" / "guide" / "from-gorse.md").read_text(encoding="utf-8")
    columns = dict(re.findall(r"^\| `(\w+\.csv)` \| `([\w,]+)` \|$", guide, re.MULTILINE))
    cells = {
        "user_id": "ann",
        "item_id": "tea",
        "feedback_type": "click",
        "is_hidden": "true",
        "categories": "hot|wet",
        "time_stamp": "2026-01-02 03:04:05.5 +0000 UTC",
        "labels": '{"job":"artist"}',
        "description": 'Green, "strong"\r\ntea',
    }
    assert set(columns) == {"users.csv", "items.csv", "feedback.csv"}
    files = tmp_path / "old"
    files.mkdir()
    for name, header in columns.items():
        with (files / name).open("w", encoding="utf-8", newline="") as file:
            file.write(header + "\r\n")
            csv.writer(file).writerow([cells[column] for column in header.split(",")])
    assert counted(run(files), "new") == [1, 1, 1]
    with Store(place) as store:
        ann, tea = store.users.get("ann"), store.items.get("tea")
        assert ann is not None
        assert tea is not None
        assert ann.labels == tea.labels == {"job": "artist"}
        assert (tea.is_hidden, tea.categories, tea.comment) == (True, ("hot", "wet"), cells["description"])
        (clicked,) = store.feedback.of_user("ann", "click")
        assert clicked.time == tea.timestamp == datetime(2026, 1, 2, 3, 4, 5, 500_000, UTC)


def test_progress_says_what_it_counts(tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = jsonl(tmp_path / "export")
    assert main(["import-gorse", "--from", str(files), "--store", place]) == 0
    said = capsys.readouterr().err.splitlines()
    size = (files / "users.jsonl").stat().st_size
    assert f"checking users (bytes): {size:,} of {size:,}" in said
    assert "importing feedback (rows): 3 of 3" in said


def test_wrong_rows_are_named_before_anything_is_written(tmp_path: Path, place: str, run: Run) -> None:
    bad_items = [*ITEMS, {"ItemId": "a/b"}, {"ItemId": "c", "Timestamp": "soon"}]
    bad_feedback = [*FEEDBACK, {"FeedbackType": "click", "UserId": "ann"}, {**FEEDBACK[0], "Value": 1e300}]
    files = jsonl(tmp_path / "export", items=bad_items, feedback=bad_feedback)
    with (files / "users.jsonl").open("a", encoding="utf-8") as file:
        file.write("{\n")
    error = run(files)["error"]
    for said in (
        "5 rows are wrong, and nothing was written",
        "users.jsonl, line 3: is not JSON",
        'items.jsonl, line 3, column ItemId: "a/b" holds a slash',
        'items.jsonl, line 4, column Timestamp: "soon" is no time',
        "feedback.jsonl, line 4, column ItemId: there is none",
        "feedback.jsonl, line 5: event.value is 1e+300",
    ):
        assert said in error
    assert not is_there(place)
    skipped = run(files, "--skip-bad")
    assert (counted(skipped, "bad"), counted(skipped, "new")) == ([1, 2, 2], [2, 2, 3])
    assert len(skipped["problems"]) == 5
    holds_it(place)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("users.csv", "user_id,label\nann,x\n", "users.csv has the column 'label', which Gorse does not have"),
        ("users.csv", "labels\nx\n", "users.csv has no column UserId"),
        ("users.csv", "", "users.csv has no column UserId"),
        ("users.csv", 'user_id,labels\nann,x\n"bob,y\n', "users.csv, line 3 is no CSV"),
        ("users.csv", b"user_id\n\xff\n", "users.csv, line 2 is no UTF-8"),
        ("users.csv", "user_id,labels\nann\n", "users.csv, line 2: has 1 cells and not 2"),
        ("items.csv", 'item_id,is_hidden,comment\n"a","0","x\ny"\nb,maybe,\n', 'items.csv, line 4, column is_hidden: "maybe"'),
        ("feedback.csv", "feedback_type,user_id,item_id,value\nstars,ann,tea,many\n", 'column value: "many"'),
        ("users.jsonl", "[]\n", "users.jsonl, line 1: []"),
        ("other.jsonl", "", "has no users, items or feedback as .jsonl or .csv"),
    ],
)  # fmt: skip
def test_files_that_are_wrong(tmp_path: Path, run: Run, name: str, content: str | bytes, said: str) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = run(tmp_path / "export")
    assert said in found["error"]
    assert found["cure"]


def test_what_cannot_be_read_says_what_can(tmp_path: Path, place: str, run: Run) -> None:
    (tmp_path / "gorse.sql").write_text("-- MySQL dump 10.13\n")
    (tmp_path / "notes.txt").write_text("hello")
    for source, said in (
        (tmp_path / "gorse.sql", "is a dump in SQL"),
        (tmp_path / "notes.txt", "is no file of a Gorse"),
        (tmp_path / "missing", "is not there"),
        ("mysql://gorse@localhost/gorse", "a data store mysql:// cannot be read"),
        ("mongodb://localhost/gorse", "a data store mongodb:// cannot be read"),
    ):
        found = run(source)
        assert said in found["error"]
        assert "http://" in found["cure"] or "GET /api/dump" in found["cure"]
    with Store(place):  # a store of motet is no data store of Gorse
        pass
    assert "motet store import" in run(place)["cure"]


# -- the dump --------------------------------------------------------------------------------------


def messages() -> dict[str, Any]:
    """The messages of Gorse's dump, made by the library of protocol buffers."""
    text, real, flag, data, whole = 9, 1, 8, 12, 11
    stamp = ".google.protobuf.Timestamp"
    shapes = {
        "User": [("user_id", 1, text), ("labels", 2, data), ("comment", 3, text)],
        "Item": [("item_id", 2, text), ("is_hidden", 3, flag), ("categories", 4, text), ("timestamp", 5, whole),
                 ("labels", 6, data), ("comment", 7, text)],
        "Feedback": [("feedback_type", 2, text), ("user_id", 3, text), ("item_id", 4, text), ("value", 5, real),
                     ("timestamp", 6, whole), ("comment", 7, text), ("updated", 8, whole), ("labels", 9, data)],
    }  # fmt: skip
    file = descriptor_pb2.FileDescriptorProto(name="dump.proto", package="dump", syntax="proto3")
    file.dependency.append(TIMESTAMPS.name)
    for name, parts in shapes.items():
        message = file.message_type.add(name=name)
        for part, number, kind in parts:
            one = message.field.add(
                name=part, number=number, type=kind, label=3 if part == "categories" else 1
            )
            if kind == whole:
                one.type_name = stamp
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(TIMESTAMPS.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"dump.{name}")) for name in shapes
    }


def dumped() -> bytes:
    """What ``GET /api/dump`` of Gorse 0.5 sends for the rows above; it leaves ``Updated`` out."""
    classes, out = messages(), b""
    for flag, name, rows in ((-1, "User", USERS), (-2, "Item", ITEMS), (-3, "Feedback", FEEDBACK)):
        out += struct.pack("<q", flag)
        for row in rows:
            message = classes[name]()
            for part, value in row.items():
                field = {"UserId": "user_id", "ItemId": "item_id", "IsHidden": "is_hidden",
                         "FeedbackType": "feedback_type"}.get(part, part.lower())  # fmt: skip
                if part == "Labels":
                    message.labels = json.dumps(value).encode()
                elif part == "Timestamp":
                    message.timestamp.FromDatetime(datetime.fromisoformat(value))
                elif part == "Categories":
                    message.categories.extend(value or [])
                elif part != "Updated":
                    setattr(message, field, value)
            sent = message.SerializeToString()
            out += struct.pack("<q", len(sent)) + sent
    return out + struct.pack("<q", 0) + b'{"Users":2,"Items":2,"Feedback":3}'


@pytest.mark.parametrize("packed", [False, True])
def test_the_dump(tmp_path: Path, place: str, run: Run, packed: bool) -> None:
    path = tmp_path / "gorse.bin"
    path.write_bytes(gzip.compress(dumped()) if packed else dumped())
    assert counted(run(path), "new") == [2, 2, 3]
    holds_it(place)
    assert counted(run(path), "new") == [0, 0, 0]
    assert counted(run(jsonl(tmp_path / "export")), "new") == [0, 0, 0]  # the same data by another way


def test_a_dump_that_breaks_off_changes_nothing(tmp_path: Path, place: str, run: Run) -> None:
    whole = dumped()
    for end in (20, len(whole) // 2, whole.index(b'{"Users"') - 4):
        (tmp_path / "gorse.bin").write_bytes(whole[:end])
        assert "breaks off" in run(tmp_path / "gorse.bin")["error"]
    (tmp_path / "gorse.bin").write_bytes(gzip.compress(whole)[:200])
    assert "breaks off" in run(tmp_path / "gorse.bin")["error"]
    (tmp_path / "gorse.bin").write_bytes(struct.pack("<qq", -1, 3) + b"\xff\xff\xff" + struct.pack("<q", 0))
    assert "gorse.bin, users, record 1: cannot be read" in run(tmp_path / "gorse.bin")["error"]
    with Store(place) as store:
        assert store.users.count() == 0


# -- the database ----------------------------------------------------------------------------------

TABLES = """
CREATE TABLE {p}users (user_id varchar(256) NOT NULL PRIMARY KEY, labels json NOT NULL DEFAULT 'null', comment text);
CREATE TABLE {p}items (item_id varchar(256) NOT NULL PRIMARY KEY, is_hidden bool NOT NULL, categories json NOT NULL,
  time_stamp {time} NOT NULL, labels json NOT NULL, comment text NOT NULL);
CREATE TABLE {p}feedback (feedback_type varchar(256) NOT NULL, user_id varchar(256) NOT NULL,
  item_id varchar(256) NOT NULL, value {real} NOT NULL DEFAULT 0, time_stamp {time} NOT NULL, updated {time} NOT NULL,
  labels json, comment text NOT NULL, PRIMARY KEY (feedback_type, user_id, item_id));
"""


def cells(row: dict[str, Any], time: Callable[[str], str]) -> list[Any]:
    return [
        json.dumps(value) if part in ("Labels", "Categories") else time(value) if value and part in ("Timestamp", "Updated")
        else value
        for part, value in row.items()
    ]  # fmt: skip


def of_go(text: str) -> str:
    """A time as Go prints it, which its SQLite files hold."""
    return text.replace("T", " ").replace("Z", " +0000 UTC")


def test_the_data_store_in_a_file(tmp_path: Path, place: str, run: Run) -> None:
    path = tmp_path / "data.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(TABLES.format(p="", time="datetime", real="real"))
        for kind, rows in ROWS.items():
            for row in rows:
                marks = ",".join("?" * len(row))
                connection.execute(f"INSERT INTO {kind} VALUES ({marks})", cells(row, of_go))  # noqa: S608
        connection.execute("UPDATE feedback SET updated = updated || ' m=+0.005' WHERE user_id = 'cid'")
    connection.close()
    before = path.read_bytes()
    assert counted(run(path), "new") == [2, 2, 3]
    holds_it(place)
    assert counted(run(f"sqlite://{path}"), "same") == [2, 2, 3]
    assert counted(run(jsonl(tmp_path / "export")), "new") == [0, 0, 0]
    assert path.read_bytes() == before
    error = run(path, "--table-prefix", "gorse_")
    assert "no table 'gorse_users'" in error["error"]
    assert "there are feedback, items, users" in error["cure"]
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE items SET time_stamp = 'soon' WHERE item_id = 'tea'")
    connection.close()
    assert 'data.db, table items, row 1, column time_stamp: "soon" is no time' in run(path)["error"]


def test_the_data_store_in_postgresql(postgres: PostgresServer, tmp_path: Path, place: str, run: Run) -> None:
    url = postgres.new_database("gorsedata")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES.format(p="g_", time="timestamptz", real="float8").encode())
        for kind, rows in ROWS.items():
            for row in rows:
                marks = ",".join(["%s"] * len(row))
                sent = f"INSERT INTO g_{kind} VALUES ({marks})"  # noqa: S608
                connection.execute(sent.encode(), cells(row, str))
    assert counted(run(url, "--table-prefix", "g_"), "new") == [2, 2, 3]
    holds_it(place)
    assert counted(run(jsonl(tmp_path / "export")), "new") == [0, 0, 0]
    gone = run(url.replace("/gorsedata", "/nothing"))
    assert "cannot be read" in gone["error"]


# -- a running Gorse -------------------------------------------------------------------------------


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Service]:
    """A service with Gorse's API on a store of its own, in a process of its own."""
    url = str(tmp_path / "other.sqlite")
    with Store(url) as store:
        (tmp_path / "other.key").write_text(store.keys.create(["read", "write", "admin"])[0] + "\n")
    service = Service("--store", url, "--port", "0", "--no-pages", "--no-learn")
    yield service
    if service.process.poll() is None:
        service.end(signal.SIGTERM)


def sent(service: Service, key: str) -> None:
    client = Gorse(service.address, key)
    client.insert_users(
        [*USERS, *({"UserId": f"u{n:04}", "Labels": {"n": n}, "Comment": ""} for n in range(2_100))]
    )
    for item in ITEMS:
        client.insert_item(item)
    client.insert_feedbacks(FEEDBACK)
    for start in range(0, 3_000, 1_000):
        client.insert_feedbacks([{**FEEDBACK[1], "UserId": f"u{n % 2_100:04}", "ItemId": f"i{n % 11}"}
                                 for n in range(start, start + 1_000)])  # fmt: skip


def test_a_running_gorse_killed_in_the_middle(tmp_path: Path, other: Service, place: str, run: Run) -> None:
    key = tmp_path / "other.key"
    sent(other, key.read_text().strip())
    refused = run(other.address)
    assert "401" in refused["error"]
    assert "--key-file" in refused["cure"]
    assert key.read_text().strip() not in json.dumps(refused)
    command = [sys.executable, "-m", "motet", "import-gorse", "--from", other.address, "--store", place,
               "--key-file", str(key)]  # fmt: skip
    for _ in range(20):  # killed wherever it is, as soon as it has written something
        started = subprocess.Popen(
            command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until_s = time.monotonic() + 60
        while time.monotonic() < until_s and started.poll() is None and not _users(place):
            time.sleep(0.005)
        was_over = started.poll() is not None
        started.kill()
        started.wait()
        if not was_over:
            break
        for path in tmp_path.glob("store.sqlite*"):  # it was over before it could be killed
            path.unlink()
    with Store(place) as store:
        assert store.users.count() > 0
    rest = run(other.address, "--key-file", str(key))
    with Store(place) as store:
        assert store.users.count() == 2_103
        assert len([*store.export_lines("events")]) == 3_003
    again = run(other.address, "--key-file", str(key))
    assert (counted(again, "new"), counted(again, "changed")) == ([0] * 3, [0] * 3)
    assert counted(again, "rows") == [2_103, 14, 3_003]
    assert not again["resumed"]
    assert sum(counted(rest, "rows")) <= sum(counted(again, "rows"))


def _users(place: str) -> int:
    if not Path(place).exists():
        return 0
    try:
        connection = sqlite3.connect(f"file:{place}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(*) FROM users").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return 0


def test_an_address_that_is_no_gorse(other: Service, place: str, run: Run) -> None:
    port = other.port
    other.end(signal.SIGTERM)
    found = run(f"http://127.0.0.1:{port}")
    assert "does not answer" in found["error"]
    assert not is_there(place)
