from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from motet import datasets
from motet.assistant.understand import FastReader, Lexicon, Request
from motet.data import Catalogue, build_catalogue


@pytest.fixture(scope="session")
def film_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    folder = datasets.fetch("movielens-100k", tmp_path_factory.mktemp("films") / "data")
    frame = pl.read_parquet(folder / "items.parquet")
    return build_catalogue(datasets.DATASETS["movielens-100k"].schema, frame)


@pytest.fixture(scope="session")
def films(film_catalogue: Catalogue) -> FastReader:
    return FastReader(Lexicon(film_catalogue, scenarios=("day", "evening", "night")))


@pytest.fixture(scope="session")
def shop() -> FastReader:
    """A shop: brands and colours are categories, materials are tags; there are prices, no years."""
    frame = pl.DataFrame(
        {
            "id": [f"p{k}" for k in range(8)],
            "name": ["Rain Jacket", "Wool Scarf", "City Backpack", "Trail Shoe II", "Linen Shirt", "Boot", "Cap", "Belt"],
            "brand": ["North Peak", "Alma", "North Peak", "Stride", "Alma", "Stride", "Alma", "Stride"],
            "colour": ["red", "grey", "black", "red", "white", "brown", "black", "brown"],
            "material": [["nylon"], ["wool"], ["nylon", "leather"], ["rubber"], ["linen"], ["leather"], ["cotton"], ["leather"]],
            "price": [89.0, 25.0, 60.0, 120.0, 45.0, 150.0, 15.0, 30.0],
            "weight_g": [400.0, 150.0, 900.0, 700.0, 200.0, 1200.0, 80.0, 180.0],
        }
    )  # fmt: skip
    words = {
        "red": {"en": ("crimson",), "zh": ("红色",)},
        "leather": {"zh": ("皮革",)},
        "Alma": {"zh": ("阿尔玛",)},
    }
    columns = {"price": {"en": "price", "zh": "价格"}, "weight_g": {"en": "weight"}}
    catalogue = Catalogue(
        frame, "name", ("material",), ("brand", "colour"), ("price", "weight_g"), (), columns, words
    )
    return FastReader(Lexicon(catalogue, scenarios=("home", "checkout")))


Slots = dict[str, object]


@pytest.fixture(scope="session")
def slots() -> Callable[[Request], Slots]:
    """What a request says, plainly: tags by value, limits as (low, high); only what was said."""

    def plain(request: Request) -> Slots:
        found: Slots = {}
        for slot in ("must", "prefer", "must_not"):
            if tags := getattr(request, slot):
                found[slot] = [tag.value for tag in tags]
        if request.quotas:
            found["quotas"] = [
                " ".join([f"{quota.low or ''}..{quota.high or ''}", *(tag.value for tag in quota.tags)])
                for quota in request.quotas
            ]
        for slot in ("ranges", "total"):
            for limit in getattr(request, slot):
                found[limit.column if slot == "ranges" else f"total {limit.column}"] = (limit.low, limit.high)
        for slot in ("like", "without", "unmet", "flags", "facts", "facts_not"):
            if values := getattr(request, slot):
                found[slot] = list(values)
        for slot in ("count", "scenario", "wants"):
            if (value := getattr(request, slot)) not in (None, ""):
                found[slot] = value
        if request.tone != "plain":
            found["tone"] = request.tone
        return found

    return plain
