from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from motet.errors import StoreError
from motet.service.store import Event, Feedback, Item, Store

T0 = datetime(1931, 3, 1, tzinfo=UTC)
FILM = Item("m1", True, ("crime", "黑色"), T0, {"a": [1]}, "old", {"title": "M", "year": 1931})


def test_put_get_patch(store: Store) -> None:
    assert store.items.put([FILM, Item("m2")]) == [True, True]
    assert store.items.get("m1") == FILM
    assert store.items.patch("m1", is_hidden=False, fields={"year": 1932, "seen": True})
    found = store.items.get("m1")
    assert found == Item(
        "m1", False, FILM.categories, T0, FILM.labels, "old", {"title": "M", "year": 1932, "seen": True}
    )
    assert store.items.patch("m2", categories=["x"], timestamp=T0, labels={"b": 2}, comment="c")
    assert store.items.get("m2") == Item("m2", False, ("x",), T0, {"b": 2}, "c")
    assert not store.items.patch("m3", comment="x")
    assert store.items.put([Item("m1")]) == [False]
    assert store.items.get("m1") == Item("m1")
    assert store.items.count() == 2


def test_categories(store: Store) -> None:
    store.items.put([Item("m1", categories=("a",))])
    assert store.items.add_category("m1", "b")
    assert store.items.add_category("m1", "b")
    assert store.items.remove_category("m1", "a")
    found = store.items.get("m1")
    assert found is not None
    assert found.categories == ("b",)
    assert not store.items.add_category("none", "b")


def test_search_finds_fields_too(store: Store) -> None:
    store.items.put([FILM, Item("m2", fields={"title": "The Third Man", "cast": ["Orson Welles"]})])
    assert [item.id for item in store.items.search("third  MAN").rows] == ["m2"]
    assert [item.id for item in store.items.search("orson", prefix=True).rows] == ["m2"]
    assert [item.id for item in store.items.search("m").rows] == ["m1", "m2"]
    store.items.patch("m2", fields={"title": "Odd Man Out"})
    assert store.items.search("third").rows == ()


def test_deleting_takes_the_feedback_along(store: Store) -> None:
    store.items.put([FILM, Item("m2")])
    store.feedback.add([Feedback("like", "u", "m1"), Feedback("like", "u", "m2")])
    assert store.items.delete("m1")
    assert not store.items.delete("m1")
    assert [row.item for row in store.feedback.of_user("u")] == ["m2"]
    assert len(store.events.after(0)) == 2


def test_a_live_catalogue_follows_the_changes(store: Store) -> None:
    live: dict[str, Item] = {}
    place = 0

    def follow() -> None:
        nonlocal place
        while changes := store.changes.after(place, 2):
            place = changes[-1].seq
            items = [change for change in changes if change.what == "item"]
            known = store.items.get_many([change.key for change in items])
            for change in items:
                if change.deleted:
                    live.pop(change.key, None)
                elif change.key in known:
                    live[change.key] = known[change.key]

    def there() -> dict[str, Item]:
        return {item.id: item for item in store.items.page(100).rows}

    store.items.put([Item(f"m{k}") for k in range(7)])
    follow()
    assert live == there()
    store.items.patch("m1", comment="new")
    store.items.delete("m2")
    store.items.put([Item("m3", comment="x"), Item("m9")])
    store.items.add_category("m4", "c")
    store.events.add([Event("click", "u", "m10")], insert_missing=True)
    store.items.delete("m9")
    store.items.put([Item("m2", comment="back")])
    before = place
    follow()
    assert live == there()
    assert len(live) == 8
    assert len(store.changes.after(before)) == 7  # each thing once, however often it changed; and one user
    assert store.changes.last() == place


@pytest.mark.parametrize(
    "parts",
    [
        {"id": ""},
        {"is_hidden": 1},
        {"categories": "x"},
        {"categories": 5},
        {"categories": [1]},
        {"timestamp": 5},
        {"fields": []},
        {"comment": None},
    ],
)
def test_what_is_no_item_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match=r"item\."):
        Item(**{"id": "x", **parts})


def test_what_cannot_be_stored_is_refused_before_anything_is(store: Store) -> None:
    with pytest.raises(StoreError, match=r"item\.labels"):
        store.items.put([Item("a"), Item("b", labels={1, 2})])
    assert store.items.count() == 0
    store.items.put([Item("a")])
    with pytest.raises(StoreError, match=r"item\.labels"):
        store.items.patch("a", labels="\ud800")
