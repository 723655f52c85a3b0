"""Logs as they come: no label, no time, no header, other separators, several behaviours, JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import motet
from motet.cli import main
from motet.data import inspect_directory, read_table
from motet.errors import DataError, SchemaError
from motet.evaluation import ranking_metrics
from motet.schema import Schema, Tables
from motet.training import load_bundle

USERS, ITEMS, CIRCLES = 150, 60, 5


def log(seed: int = 0) -> list[tuple[int, int]]:
    """Who met what: users stay within their circle of items mostly."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(USERS):
        near = np.flatnonzero(np.arange(ITEMS) % CIRCLES == user % CIRCLES)
        far = rng.integers(0, ITEMS, 2)
        rows += [(user, int(item)) for item in {*rng.permutation(near)[:9].tolist(), *far.tolist()}]
    return [rows[at] for at in rng.permutation(len(rows))]


def implicit(place: Path) -> None:
    """Users and items alone."""
    text = "".join(f"u{user},a{item}\n" for user, item in log())
    (place / "listens.csv").write_text("user,artist\n" + text, encoding="utf-8")


def ratings(place: Path) -> None:
    """Ratings as MovieLens-1M writes them, with a table of films in Latin-1."""
    rng = np.random.default_rng(1)
    text = ""
    for at, (user, item) in enumerate(log()):
        stars = rng.integers(4, 6) if item % CIRCLES == user % CIRCLES else rng.integers(1, 4)
        text += f"{user}::{item}::{stars}::{1_000_000_000 + 60 * at}\n"
    (place / "ratings.dat").write_text(text, encoding="utf-8")
    films = "".join(f"{item}::Amélie {item}, The::Kind{item % CIRCLES}|Film\n" for item in range(ITEMS))
    (place / "movies.dat").write_bytes(films.encode("latin-1"))


def behaviours(place: Path) -> None:
    """Views, carts and purchases of a shop, separated by semicolons."""
    rng = np.random.default_rng(2)
    text = "visitor_id;sku;behaviour;ts\n"
    for at, (user, item) in enumerate(log()):
        time = 1_600_000_000 + 600 * at
        text += f"v{user};s{item};view;{time}\n"
        if rng.random() < (0.7 if item % CIRCLES == user % CIRCLES else 0.1):
            text += f"v{user};s{item};cart;{time + 20}\nv{user};s{item};buy;{time + 50}\n"
    (place / "events.csv").write_text(text, encoding="utf-8")


def gorse(place: Path) -> None:
    """Feedback, items and users as Gorse exports them, with JSON labels."""
    rng = np.random.default_rng(3)
    feedback = [
        {
            "FeedbackType": "star" if rng.random() < 0.5 else "read",
            "UserId": f"u{user}",
            "ItemId": f"i{item}",
            "Timestamp": f"2024-03-{1 + at * 27 // len(log()):02d}T{at % 24:02d}:{at % 60:02d}:00Z",
        }
        for at, (user, item) in enumerate(log())
    ]
    items = [
        {
            "ItemId": f"i{k}",
            "IsHidden": False,
            "Categories": [f"kind{k % CIRCLES}"],
            "Labels": {"topic": f"t{k % 3}"},
        }
        for k in range(ITEMS)
    ]
    users = [{"UserId": f"u{k}", "Labels": {"group": f"g{k % 4}"}} for k in range(USERS)]
    for name, rows in (("feedback", feedback), ("items", items), ("users", users)):
        (place / f"{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
        )


@pytest.mark.parametrize("write", [implicit, ratings, behaviours, gorse])
def test_from_files_to_lists_by_the_commands_of_the_guide(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    place = tmp_path / "data"
    place.mkdir()
    write(place)
    schema, bundle = tmp_path / "schema.yaml", tmp_path / "bundle"
    assert main(["inspect", str(place), "--out", str(schema)]) == 0
    short = ["--set", "training.epochs=2"]
    assert main(["train", str(schema), "--data", str(place), "--out", str(bundle), *short]) == 0
    assert main(["evaluate", str(bundle), "--data", str(place), "--baselines", "popularity"]) == 0
    metrics = json.loads((bundle / "metrics.json").read_text(encoding="utf-8"))
    assert list(metrics["baselines"]) == ["popularity"]
    # the circle of a user is found: popularity cannot know it
    assert metrics["ranking"]["ndcg@10"] > 1.3 * metrics["baselines"]["popularity"]["ranking"]["ndcg@10"]
    user = {"implicit": "u7", "ratings": "7", "behaviours": "v7", "gorse": "u7"}[write.__name__]
    keys = load_bundle(bundle).schema.keys
    users, out = tmp_path / "users.csv", tmp_path / "lists.csv"
    users.write_text(f"{keys.user}\n{user}\n", encoding="utf-8")
    assert main(["recommend", str(bundle), "--users", str(users), "--out", str(out), "-k", "5"]) == 0
    items = pl.read_csv(out, infer_schema=False)[str(keys.item)].to_list()
    assert len(items) == 5
    assert (
        sum(int(item.lstrip("ais")) % CIRCLES == 7 % CIRCLES for item in items) >= 1
    )  # three are left that the user did not have


def test_what_is_guessed_is_said(tmp_path: Path) -> None:
    ratings(tmp_path)
    found = inspect_directory(tmp_path)
    notes = "\n".join(found.notes)
    assert "columns of ratings.dat are separated by '::' (tables.separator)" in notes
    assert "ratings.dat has no header; its columns are called user, item, rating, time" in notes
    columns = (
        "column_1",
        "column_2",
        "column_3",
    )  # of films, whose first column is tied to the items by its values
    assert found.schema.tables.columns == {
        "ratings.dat": ("user", "item", "rating", "time"),
        "movies.dat": columns,
    }
    assert found.schema.derive == {"items": {"item": "column_1"}}
    assert found.schema.tables.encoding in ("cp1252", "latin-1")
    assert found.schema.keys.time == "time"


def test_a_log_of_behaviours_is_about_what_is_wanted(tmp_path: Path) -> None:
    behaviours(tmp_path)
    found = inspect_directory(tmp_path)
    task = found.schema.tasks["next"]
    assert task.label == "behaviour IN ('cart', 'buy')"
    assert task.offers_again
    assert "behaviour" not in found.schema.features.interaction


def test_items_that_users_come_back_to_are_not_left_out_of_the_measure(tmp_path: Path) -> None:
    behaviours(tmp_path)
    schema = inspect_directory(tmp_path).schema
    model = motet.fit(schema, tmp_path)
    ranking = model.bundle.metrics["ranking"]
    assert ranking["users"] > 0
    once = schema.model_copy(
        update={"tasks": {"next": schema.tasks["next"].model_copy(update={"repeats": False})}}
    )
    from motet.training import load_data  # noqa: PLC0415

    class Nothing:
        def predict(self, rows: object) -> dict[str, object]:
            return {}

        def score_items(self, users: np.ndarray) -> np.ndarray:
            return np.zeros((len(users), len(data.items)), np.float32)

    data = load_data(once, tmp_path).data
    fewer = ranking_metrics(data, Nothing(), intervals=False)  # type: ignore[arg-type]
    assert fewer is not None
    assert fewer["users"] < ranking["users"]  # a purchase comes after its view


def test_json_cells_become_columns(tmp_path: Path) -> None:
    rows = ['i1,"[""a"", ""b""]","{""topic"": ""t1""}"', 'i2,,"{""topic"": ""t2""}"', 'i3,[],""']
    (tmp_path / "items.csv").write_text("item,tags,labels\n" + "\n".join(rows) + "\n", encoding="utf-8")
    tables = Tables(interactions="x.csv", json_columns=("tags", "labels"))
    found = read_table(tmp_path, "items.csv", tables=tables)
    assert found["tags"].to_list() == [["a", "b"], None, []]
    assert found["labels_topic"].to_list() == ["t1", "t2", None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"user": "u"}\n{"user": \n', "rows.jsonl, line 2: no JSON"),
        ('{"user": "u"}\n[1, 2]\n', "rows.jsonl, line 2: list where an object is needed"),
    ],
)
def test_a_wrong_line_of_json_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "rows.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_table(tmp_path, "rows.jsonl")


def test_a_wrong_cell_of_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item,tags\ni1,[1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"items.csv, column 'tags': '\[1' is no JSON"):
        read_table(tmp_path, "items.csv", tables=Tables(interactions="x", json_columns=("tags",)))


def test_the_printed_cure_for_another_separator_works(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user;item;like\nu1;i1;1\nu2;i2;0\n", encoding="utf-8")
    content = {
        "name": "log",
        "tables": {"interactions": "log.csv"},
        "keys": {"user": "user", "item": "item"},
        "split": {"by": "random"},
        "features": {"user": {"user": "id"}, "item": {"item": "id"}},
        "tasks": {"like": {"kind": "binary", "label": "like"}},
    }
    with pytest.raises(DataError) as caught:
        motet.fit(Schema.parse(content), tmp_path)
    assert 'tables: {separator: {log.csv: ";"}}' in caught.value.cure
    content["tables"] = {"interactions": "log.csv", "separator": {"log.csv": ";"}}
    assert read_table(tmp_path, "log.csv", tables=Schema.parse(content).tables)["item"].to_list() == [
        "i1",
        "i2",
    ]


@pytest.mark.parametrize(
    "tables",
    [
        {"separator": ""},
        {"separator": "12345"},
        {"columns": {"a.dat": ["x", "x"]}},
        {"columns": {"a.dat": []}},
    ],
)
def test_settings_that_cannot_be_are_refused(tables: dict[str, object]) -> None:
    with pytest.raises((SchemaError, ValueError)):
        Tables.model_validate({"interactions": "a.dat", **tables})


def test_numbers_in_a_file_without_a_header_lose_no_row(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1\t2\t5\n3\t4\t1\n", encoding="utf-8")
    tables = Tables(interactions="a.txt", columns={"a.txt": ("user", "item", "rating")})
    found = read_table(tmp_path, "a.txt", tables=tables)
    assert found.equals(pl.DataFrame({"user": [1, 3], "item": [2, 4], "rating": [5, 1]}))
