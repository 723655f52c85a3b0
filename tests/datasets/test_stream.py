"""A data set as a stream of records."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from motet.datasets import DatasetStream
from motet.errors import DataError
from motet.schema import Schema

SCHEMA = {
    "name": "films",
    "tables": {"interactions": "views.csv", "items": "films.parquet", "users": "people.csv"},
    "keys": {"user": "who", "item": "film", "time": "when"},
    "features": {"user": {"who": "id"}, "item": {"film": "id"}},
    "tasks": {
        "like": {"kind": "binary", "label": "stars >= 4"},
        "next": {"kind": "retrieval", "positive": "stars >= 4"},
    },
    "catalogue": {"title": "name"},
}


@pytest.fixture
def stream(tmp_path: Path) -> DatasetStream:
    views = {"who": [1, 2, 1], "film": [7, 7, 8], "when": [30, 10, 20], "stars": [5.0, 2.0, None]}
    pl.DataFrame(views).write_csv(tmp_path / "views.csv")
    films = {"film": [7, 8], "name": ["Up", None], "kinds": [["a", "b"], []], "year": [2009, None]}
    pl.DataFrame(films).write_parquet(tmp_path / "films.parquet")
    pl.DataFrame({"who": [1, 2], "age": [30, 40]}).write_csv(tmp_path / "people.csv")
    return DatasetStream(Schema.parse(SCHEMA, source="the test"), tmp_path)


def test_events_come_in_the_order_of_their_times_with_ids_of_their_rows(stream: DatasetStream) -> None:
    first, second = stream.events()
    assert first == {
        "id": "films-stars-1",
        "type": "stars",
        "user": "2",
        "item": "7",
        "value": 2.0,
        "time": "1970-01-01T00:00:10+00:00",
    }
    assert second["id"] == "films-stars-0"
    assert list(stream.events(1)) == [second]
    assert len(stream) == 2


def test_items_and_users_have_what_their_tables_say(stream: DatasetStream) -> None:
    assert list(stream.items()) == [
        {"id": "7", "comment": "Up", "fields": {"kinds": ["a", "b"], "year": 2009}},
        {"id": "8", "comment": "", "fields": {"kinds": []}},
    ]
    assert list(stream.users()) == [{"id": "1", "labels": {"age": 30}}, {"id": "2", "labels": {"age": 40}}]


def test_its_sizes_are_those_of_what_it_yields(stream: DatasetStream) -> None:
    assert stream.sizes() == {"items": len(list(stream.items())), "users": len(list(stream.users()))}
    bare = SCHEMA | {"tables": {"interactions": "views.csv"}}
    bare.pop("catalogue", None)
    alone = DatasetStream(Schema.parse(bare, source="the test"), stream.directory)
    assert alone.sizes() == {"items": 0, "users": 0}


def test_without_times_there_is_nothing_to_replay(tmp_path: Path) -> None:
    content = {**SCHEMA, "keys": {"user": "who", "item": "film"}, "split": {"by": "random"}}
    with pytest.raises(DataError, match="no users, items and times"):
        DatasetStream(Schema.parse(content, source="the test"), tmp_path)
