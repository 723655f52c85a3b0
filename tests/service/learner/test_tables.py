"""Training tables and the schema that is inferred from them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from tests.service.learner.conftest import BEGAN, fill, stream

from motet.data import EventMeanings
from motet.errors import DataError, SchemaError
from motet.service.learner import infer_schema, keep_schema, write_tables
from motet.service.store import Event, Item, Store, User


def rows(directory: Path, name: str = "interactions") -> pl.DataFrame:
    return pl.read_parquet(directory / f"{name}.parquet")


@pytest.mark.usefixtures("url")
def test_the_same_place_gives_the_same_tables(store: Store, tmp_path: Path) -> None:
    fill(store, stream(0, 200))
    first = write_tables(store, 150, tmp_path / "a")
    store.events.add(stream(200))
    assert write_tables(store, 150, tmp_path / "b") == first
    assert first.events == 150
    assert rows(tmp_path / "a").equals(rows(tmp_path / "b"))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "interactions.parquet",
        "items.parquet",
        "users.parquet",
    ]


@pytest.mark.usefixtures("url")
def test_deleted_users_are_not_in_them(store: Store, tmp_path: Path) -> None:
    fill(store)
    assert "u3" in rows_of(store, tmp_path)
    store.users.delete("u3")
    table = rows_of(store, tmp_path)
    assert "u3" not in table
    assert "u3" not in rows(tmp_path, "users")["user_id"].to_list()


def rows_of(store: Store, directory: Path) -> set[str]:
    write_tables(store, store.events.last(), directory)
    return set(rows(directory)["user_id"].to_list())


def test_types_are_columns_and_a_later_refusal_makes_them_no(store: Store, tmp_path: Path) -> None:
    def event(k: int, type: str, user: str, item: str, value: float = 1.0, **context: float) -> Event:
        return Event(type, user, item, value, BEGAN + timedelta(hours=k), str(k), context=context)

    store.events.add(
        [
            event(0, "click", "ann", "a", price=3.0),
            event(1, "like", "ann", "a"),
            event(2, "rating", "ann", "a", 2.5),
            event(3, "rating", "ann", "a", 4.5),
            event(4, "like", "bob", "a"),
            event(5, "dislike", "bob", "a"),
            event(6, "dislike", "bob", "b"),
            event(7, "like", "bob", "b"),
            event(8, "like", "eve", "b", 0.0, price=5.0),
            event(9, "rating", "eve", "c", 1.0),
        ]
    )
    found = write_tables(store, 100, tmp_path)
    assert set(found.types) == {"click", "like", "rating"}
    assert found.valued == ("rating",)
    table = {(one["user_id"], one["item_id"]): one for one in rows(tmp_path).iter_rows(named=True)}
    ann = table["ann", "a"]
    assert (ann["click"], ann["like"], ann["rating"], ann["price"]) == (1, 1, 4.5, 3.0)
    assert ann["timestamp"] == BEGAN + timedelta(hours=3)
    assert [table[pair]["like"] for pair in (("bob", "a"), ("bob", "b"), ("eve", "b"))] == [0, 1, 0]
    assert table["bob", "a"]["rating"] is None


def test_a_type_whose_senders_give_no_value_happened(store: Store, tmp_path: Path) -> None:
    store.events.add(
        [Event("read", "ann", "a", 0.0), Event("star", "ann", "b", 1.0), Event("star", "bob", "b", 1.0)]
    )
    write_tables(store, 100, tmp_path)
    assert sorted(rows(tmp_path)["read"].to_list()) == [0, 0, 1]


def test_users_who_come_back_have_a_row_a_day(store: Store, tmp_path: Path) -> None:
    store.events.add(
        [
            Event("play", f"u{u}", "song", time=BEGAN + timedelta(hours=12 * k))
            for u in range(4)
            for k in range(6)
        ]
    )
    assert write_tables(store, 100, tmp_path).rows == 4 * 3


def test_the_schema_of_a_world_of_views_and_likes(store: Store, tmp_path: Path) -> None:
    fill(store)
    schema, notes = infer_schema(write_tables(store, store.events.last(), tmp_path), tmp_path)
    assert schema.tasks["like"].label == "like"
    assert set(schema.tasks) == {"like", "next"}  # every row has a view
    assert schema.retrieval_task == "next"
    assert "age" in schema.features.user
    assert schema.features.item["categories"].kind == "tags"
    assert not any(feature.is_text for _, _, feature in schema.features.all())
    assert any("'title' is not learned from" in note for note in notes)
    assert schema.catalogue.title == "title"
    meanings = EventMeanings(schema)
    assert meanings.of("like", 1).liked is True
    assert meanings.of("dislike", 1).liked is False


def test_pictures_and_prices_are_found_by_their_names(store: Store, tmp_path: Path) -> None:
    fill(store)
    for at, item in enumerate(store.items.page(1_000).rows):
        more = {"image_url": f"https://cdn.example/{at}.jpg", "price": 1.5 * at, "currency": "EUR"}
        store.items.patch(item.id, fields={**item.fields, **more})
    schema, _ = infer_schema(write_tables(store, store.events.last(), tmp_path), tmp_path)
    named = schema.catalogue
    assert (named.image, named.price, named.currency) == ("image_url", "price", "EUR")
    assert "image_url" not in named.columns
    used = [column for name in schema.features.item for column in schema.feature_columns("item", name)]
    assert "image_url" not in used
    assert "price" in used


def test_values_are_a_rating_and_never_a_feature(store: Store, tmp_path: Path) -> None:
    store.events.add(
        [Event("stay", f"u{u}", str(i), 1.5 * u + i + 0.25) for u in range(12) for i in range(6)]
        + [Event("tap", f"u{u}", str(i)) for u in range(12) for i in range(0, 6, 2)]
    )
    tables = write_tables(store, store.events.last(), tmp_path)
    schema, _ = infer_schema(tables, tmp_path)
    assert schema.tasks["stay"].kind == "regression"
    assert schema.tasks["tap"].kind == "binary"
    assert not schema.features.interaction


def test_a_like_is_an_event_of_a_type_that_there_is(store: Store, tmp_path: Path) -> None:
    store.events.add(
        [Event("rating", f"u{u}", str(i), 1.0 + (u * 7 + i * 3) % 5) for u in range(12) for i in range(6)]
    )
    schema, _ = infer_schema(write_tables(store, store.events.last(), tmp_path), tmp_path)
    assert "rating_high" in schema.tasks
    type, value = EventMeanings(schema).like()
    assert type == "rating"
    assert 1.0 < value <= 5.0
    assert schema.tasks["rating_high"].label == f"rating >= {value:g}"


def test_mixed_cells_become_words(store: Store, tmp_path: Path) -> None:
    store.items.put(
        [
            Item("a", labels={"size": 3, "tags": ["x", 1]}, fields={"nested": {"deep": 1}}),
            Item("b", labels={"size": "XL", "tags": []}),
        ]
    )
    store.users.put([User("ann", labels=["no", "object"]), User("bob", labels={"vip": True})])
    store.events.add([Event("click", "ann", "a")])
    write_tables(store, 10, tmp_path)
    items = rows(tmp_path, "items")
    assert items["size"].to_list() == ["3", "XL"]
    assert items["tags"].to_list() == [["x", "1"], []]
    assert "nested" not in items.columns
    assert rows(tmp_path, "users")["vip"].to_list() == [None, True]


def test_nothing_to_train_with_is_said(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no event to train with"):
        write_tables(store, 10, tmp_path)


def test_an_edited_schema_stays(store: Store, tmp_path: Path) -> None:
    fill(store)
    inferred, notes = infer_schema(write_tables(store, store.events.last(), tmp_path), tmp_path)
    place = tmp_path / "models" / "schema.yaml"
    assert keep_schema(inferred, notes, place) == (inferred, False)
    assert keep_schema(inferred, (), place) == (inferred, False)  # written anew
    text = place.read_text(encoding="utf-8")
    place.write_text(text.replace("name: learned", "name: mine"), encoding="utf-8")
    kept, is_edited = keep_schema(inferred, notes, place)
    assert (kept.name, is_edited) == ("mine", True)
    place.write_text("name: [", encoding="utf-8")
    with pytest.raises(SchemaError):
        keep_schema(inferred, notes, place)
