"""Nothing of the reading is about films: a shop with brands, colours, materials, prices and weights."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from motet.assistant.understand import FastReader, Lexicon, Request
from motet.data import Catalogue, Dataset

Plain = Callable[[Request], dict[str, object]]

CASES: dict[str, dict[str, object]] = {
    "a red jacket under 100 euro": {"must": ["red"], "price": (None, 100.0), "wants": "jacket"},
    "something crimson, not leather": {"must": ["red"], "must_not": ["leather"]},
    "north peak or alma": {"prefer": ["North Peak", "Alma"]},
    "between $20 and $50": {"price": (20.0, 50.0)},
    "less than 50": {"price": (None, 50.0)},
    "three things for at most 120 euros in all": {"count": 3, "total price": (None, 120.0)},
    "nothing over 60 dollars": {"price": (None, 60.0)},
    "weight under 500": {"weight_g": (None, 500.0)},
    "at most five": {"count": 5},
    "from the nineties": {"unmet": ["nineties"]},
    "like Rain Jacket": {"like": ["p0"]},
    "not the Trail Shoe 2": {"without": ["p3"]},
    "boot": {"wants": "boot"},
    "for the checkout": {"scenario": "checkout"},
    "不要皮革，红色的，一百元以内": {"must_not": ["leather"], "must": ["red"], "price": (None, 100.0)},
    "阿尔玛，不超过50块": {"must": ["Alma"], "price": (None, 50.0)},
    "nort peak backpack": {"must": ["North Peak"], "wants": "backpack"},
}


@pytest.mark.parametrize("text", CASES)
def test_a_shop(shop: FastReader, slots: Plain, text: str) -> None:
    assert slots(shop.read(text)) == CASES[text]


def test_cheaper_than_what_was_shown(shop: FastReader, slots: Plain) -> None:
    first = shop.read("leather")
    shown = ("p2", "p5", "p7")  # 60, 150 and 30
    assert slots(shop.read("cheaper", first, shown)) == {"must": ["leather"], "price": (None, 60.0)}
    assert slots(shop.read("再便宜一点", first, shown)) == {"must": ["leather"], "price": (None, 60.0)}


def test_cheap_is_relative_to_the_catalogue(shop: FastReader) -> None:
    (limit,) = shop.read("a cheap belt").ranges
    assert limit.high is not None
    assert 25 <= limit.high <= 45


def test_the_toy_world(toy: Dataset, slots: Plain) -> None:
    assert toy.catalogue is not None
    reader = FastReader(Lexicon(toy.catalogue, scenarios=("home", "search", "checkout")))
    found = slots(reader.read("two crime dramas by ace, no nature, under 30 euro, for the checkout"))
    found.pop("wants", None)
    assert found == {
        "must": ["crime", "drama", "ace"],
        "must_not": ["nature"],
        "price": (None, 30.0),
        "count": 2,
        "scenario": "checkout",
    }


def test_a_catalogue_with_nothing_but_ids() -> None:
    bare = Catalogue(pl.DataFrame({"id": ["1", "2"]}), None, (), (), (), (), {}, {})
    request = FastReader(Lexicon(bare)).read("three things under 20 euro like Heat, no leather")
    assert (request.count, request.must, request.ranges) == (3, (), ())
    assert request.unmet == ("under 20 euro", "like Heat", "no leather")
