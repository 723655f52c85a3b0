from __future__ import annotations

from collections.abc import Callable

from motet.recommend import read_filter
from motet.service.engine import Engine, RecommendRequest
from motet.service.store import Item, Store

Start = Callable[[Store], Engine]
NEW = Item("new", fields={"name": "A New Film", "kinds": ["Horror"], "year": 2021})
RECENT = read_filter({"field": "year", "op": "ge", "value": 2020})


def recent(engine: Engine) -> list[str]:
    return [one.id for one in engine.recommend(RecommendRequest(user="u1", k=5, filter=RECENT)).items][:1]


def test_a_new_item_comes_at_once_and_after_a_restart(start: Start, store: Store) -> None:
    engine = start(store)
    assert engine.items.put([NEW]) == [True]
    assert recent(engine) == ["new"]
    recorded = engine.items.get("new")
    assert recorded is not None
    assert (recorded.title, recorded.known, recorded.fields["year"]) == ("A New Film", False, 2021)
    engine.close()
    again = start(store)
    assert recent(again) == ["new"]
    assert again.items.get("new") == recorded


def test_an_item_of_the_bundle_changes_and_keeps_the_rest(start: Start, store: Store) -> None:
    engine = start(store)
    assert engine.items.patch("3", fields={"year": 2022})
    assert recent(engine) == ["3"]
    changed = engine.items.get("3")
    assert changed is not None
    assert changed.known
    assert changed.fields["kinds"] == ["Comedy", "Horror"]
    again = start(store)
    assert again.items.get("3") == changed
    again.items.put([Item("3", fields={"kinds": ["Drama"]})])  # says nothing of the year any more
    recorded = again.items.get("3")
    assert recorded is not None
    assert (recorded.fields["kinds"], recorded.fields["year"]) == (["Drama"], 1973.0)
    assert start(store).items.get("3") == recorded


def test_hidden_and_deleted_items_do_not_come(start: Start, store: Store) -> None:
    engine = start(store)
    engine.items.put([NEW])
    engine.items.patch("new", is_hidden=True)
    assert recent(engine) == []
    assert engine.items.get("new").is_hidden  # type: ignore[union-attr]
    engine.items.patch("new", is_hidden=False)
    assert recent(engine) == ["new"]
    assert engine.items.delete("new")
    assert engine.items.get("new") is None
    first = engine.recommend(RecommendRequest(user="u1", k=1)).items[0].id
    assert engine.items.delete(first)  # which only the bundle knew
    assert not engine.items.delete(first)
    for one in (engine, start(store)):
        everything = one.recommend(RecommendRequest(user="u1", k=100, include_seen=True)).items
        assert first not in [item.id for item in everything]
        assert one.items.get(first) is None
        assert first not in [item.id for item in one.items.page(100).items]


def test_a_deleted_item_comes_back_as_it_is_ingested(start: Start, store: Store) -> None:
    engine = start(store)
    engine.items.delete("3")
    engine.items.put([Item("3", fields={"year": 2023})])
    assert recent(engine) == ["3"]
    assert engine.items.get("3") == start(store).items.get("3")


def test_pages_and_words(engine: Engine) -> None:
    engine.items.put([NEW])
    found, cursor = [], ""
    while True:
        page = engine.items.page(7, cursor)
        found += [one.id for one in page.items]
        cursor = page.cursor
        if not cursor:
            break
    assert found == sorted({"new", *(str(k) for k in range(30))})
    assert [one.id for one in engine.items.page(50, text="new FILM").items] == ["new"]
    assert len(engine.items.page(50, text="blue").items) == 10


def test_what_other_clients_say_in_general_terms_fills_the_columns(engine: Engine) -> None:
    engine.items.put([Item("plain", categories=("Horror",), comment="Plain Sailing", labels={"year": 2024})])
    assert recent(engine) == ["plain"]
    recorded = engine.items.get("plain")
    assert recorded is not None
    assert (recorded.title, recorded.fields["kinds"]) == ("Plain Sailing", ["Horror"])


def test_a_value_of_the_wrong_kind_costs_its_own_item_alone(engine: Engine) -> None:
    engine.items.put([Item("odd", fields={"year": "long ago", "kinds": 7}), NEW])
    assert recent(engine) == ["new"]
