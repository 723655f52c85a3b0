"""The catalogue as people read it."""

from __future__ import annotations

import polars as pl
import pytest

from motet.data import build_catalogue
from motet.errors import SchemaError
from motet.schema import Schema
from motet.testing import toy_dataset


def schema(**more: object) -> Schema:
    return Schema.parse(
        {
            "name": "shop",
            "tables": {"interactions": "clicks.csv", "items": "items.csv"},
            "keys": {"user": "user", "item": "sku"},
            "features": {
                "item": {
                    "sku": "id",
                    "colours": {"kind": "tags", "separator": ";"},
                    "brand": "categorical",
                    "price": "numeric",
                    "about": {"kind": "text", "template": "{name} [SEP] {blurb}"},
                }
            },
            "tasks": {"click": {"kind": "binary", "label": "click"}},
            "split": {"by": "random"},
            **more,
        }
    )


ITEMS = pl.DataFrame(
    {
        "sku": ["1", "2", "3", "4", "5"],
        "name": ["Mug", None, "Cup", "Jar", "Pot"],
        "blurb": ["holds tea", "holds ink", "holds soup", "holds jam", "holds a plant"],
        "colours": ["red; blue", None, "red", "", "red;red"],
        "brand": ["ace", "ace", "bolt", None, "bolt"],
        "price": [3, 4, None, 5, 6],
        "stock": [1, 2, 3, 4, 5],
    }
)


def test_columns_have_the_kind_that_people_expect() -> None:
    catalogue = build_catalogue(schema(), ITEMS)
    assert catalogue.title == "name"
    assert (catalogue.tags, catalogue.categories) == (("colours",), ("brand",))
    assert (catalogue.numbers, catalogue.texts) == (("price",), ("blurb",))


def test_values_are_those_of_the_table_and_gaps_stay_gaps() -> None:
    catalogue = build_catalogue(schema(), ITEMS)
    assert catalogue.values(0, "colours") == ("red", "blue")
    assert catalogue.values(4, "colours") == ("red",)
    assert catalogue.values(1, "colours") == catalogue.values(3, "colours") == ()
    assert catalogue.values(3, "brand") == ()
    assert catalogue.number(0, "price") == 3.0
    assert catalogue.number(2, "price") is None


def test_an_item_without_a_title_goes_by_its_id() -> None:
    catalogue = build_catalogue(schema(), ITEMS)
    assert [catalogue.name(0), catalogue.name(1)] == ["Mug", "2"]


def test_the_schema_may_say_the_words() -> None:
    said = {
        "title": "blurb",
        "columns": {"price": {"en": "price in euro", "zh": "价格"}, "stock": {"en": "pieces left"}},
        "words": {"red": {"en": ["crimson"], "zh": ["红色"]}},
    }
    catalogue = build_catalogue(schema(catalogue=said), ITEMS)
    assert catalogue.name(0) == "holds tea"
    assert catalogue.numbers == ("price", "stock")  # no feature uses the stock
    assert catalogue.column_name("price", "zh") == "价格"
    assert catalogue.column_name("stock", "zh") == "stock"
    assert (catalogue.word("red", "zh"), catalogue.word("red"), catalogue.word("blue", "zh")) == (
        "红色",
        "red",
        "blue",
    )


@pytest.mark.parametrize("name", ["title", "genres"])
def test_a_data_set_has_a_row_for_every_item(name: str) -> None:
    data = toy_dataset(rows=120)
    assert data.catalogue is not None
    assert data.catalogue.frame["id"].to_list() == data.item_ids.to_list()
    assert name == data.catalogue.title or name in data.catalogue.tags


def test_a_picture_is_kept_and_is_nothing_that_is_said() -> None:
    items = ITEMS.with_columns(photo=pl.Series(["a.jpg", None, "c.jpg", "d.jpg", ""]))
    named = {"image": "photo", "price": "stock", "currency": "EUR"}
    catalogue = build_catalogue(schema(catalogue=named), items)
    assert catalogue.image == "photo"
    assert catalogue.frame["photo"].to_list()[:3] == ["a.jpg", None, "c.jpg"]
    assert "photo" not in (*catalogue.tags, *catalogue.categories, *catalogue.numbers, *catalogue.texts)
    assert catalogue.numbers == ("price", "stock")  # no feature reads the second one
    assert build_catalogue(schema(), items).image is None


@pytest.mark.parametrize("currency", ["eur", "EURO", "€", ""])
def test_a_currency_has_three_letters(currency: str) -> None:
    with pytest.raises(SchemaError, match="currency"):
        schema(catalogue={"price": "price", "currency": currency})
