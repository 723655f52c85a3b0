"""Columns of every type that Parquet and CSV can hold: read, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import polars as pl
import pytest

from motet.data import Dataset
from motet.errors import DataError, SchemaError
from motet.schema import Schema
from motet.training import train_model

Clicks = Callable[..., dict[str, Any]]
Build = Callable[..., Dataset]
N = 60


def rows(**columns: Any) -> pl.DataFrame:
    base = {
        "user": ["a", "b", "c"] * 20,
        "item": [k % 7 for k in range(N)],
        "at": range(N),
        "click": [0, 1] * 30,
    }
    return pl.DataFrame({**base, **columns})


def schema_of(clicks: Clicks, feature: Any, name: str = "x", file: str = "c.parquet") -> dict[str, Any]:
    return clicks(
        tables={"interactions": file},
        features={"interaction": {name: feature}},
        split={"by": "time"},
        training={"epochs": 1},
    )


KINDS = ["numeric", "categorical", "tags", "text", "time", "vector", {"kind": "text", "whiten": 3}]


@pytest.mark.parametrize("feature", KINDS, ids=str)
def test_a_column_of_gaps_trains(build: Build, clicks: Clicks, feature: Any) -> None:
    train_model(build(schema_of(clicks, feature), {"c.parquet": rows(x=[None] * N)}))
    if feature != "vector":
        train_model(build(schema_of(clicks, feature, file="c.csv"), {"c.csv": rows(x=[None] * N)}))


READ: dict[str, tuple[Any, pl.Series]] = {
    "truth as number": ("numeric", pl.Series([True, False] * 30)),
    "decimal": ("numeric", pl.Series([1.5, 2.5] * 30).cast(pl.Decimal(10, 2))),
    "dictionary": ("categorical", pl.Series(["p", "q"] * 30, dtype=pl.Categorical)),
    "array": ("vector", pl.Series([[1.0, 2.0]] * N, dtype=pl.Array(pl.Float32, 2))),
    "list of numbers as tags": ("tags", pl.Series([[1, 2], [3]] * 30)),
    "list of words as text": ("text", pl.Series([["a b", None, "c"], ["d"]] * 30)),
    "list of numbers as text": ("text", pl.Series([[1, 2], [3]] * 30)),
    "day": ("time", pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 2, 29), eager=True)),
    "beyond float32": ("numeric", pl.Series([1e300, 1.0] * 30)),
    "one value": ({"kind": "numeric", "scale": "quantile"}, pl.Series([3.0] * N)),
}


@pytest.mark.parametrize("name", READ)
def test_types_that_are_read(build: Build, clicks: Clicks, name: str) -> None:
    feature, column = READ[name]
    train_model(build(schema_of(clicks, feature), {"c.parquet": rows(x=column)}))


REFUSED: dict[str, tuple[Any, pl.Series, str]] = {
    "list as category": (
        "categorical",
        pl.Series([["a"]] * N),
        r"column 'x': List\(String\) cannot be read as text.*tags",
    ),
    "bytes as category": (
        "categorical",
        pl.Series([b"\xff\x00"] * N),
        "column 'x': Binary cannot be read as text",
    ),
    "list as number": ("numeric", pl.Series([[1.0]] * N), "column 'x': the values are not numbers"),
    "duration as number": (
        "numeric",
        pl.Series([timedelta(1)] * N),
        "column 'x': the values are not numbers",
    ),
    "time of day": ("time", pl.Series([time(1)] * N), "column 'x': Time is not a time"),
    "number as vector": ("vector", pl.Series([1.0] * N), "column 'x': Float64 is not a vector"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_types_that_are_refused(build: Build, clicks: Clicks, name: str) -> None:
    feature, column, match = REFUSED[name]
    with pytest.raises(DataError, match=match):
        build(schema_of(clicks, feature), {"c.parquet": rows(x=column)})


@pytest.mark.parametrize("name", ["type", "keys", "items", "training", "forward", "ünï", "a b", "@x"])
def test_features_and_tasks_of_any_name(build: Build, clicks: Clicks, name: str) -> None:
    content = clicks(
        tables={"interactions": "c.csv", "items": "i.csv"},
        features={
            "item": {name: "text", "item": "id"},
            "user": {
                f"{name}2": {"kind": "sequence", "of": "item"},
                "update": {"kind": "sequence", "of": "item"},
            },
        },
        tasks={
            name: {"kind": "binary", "label": "kids", "on": "item"},
            "click": {"kind": "binary", "label": "click"},
        },
        split={"by": "time"},
        training={"epochs": 1},
    )
    items = pl.DataFrame({"item": range(7), name: list("abcdefg"), "kids": [0, 1, 0, 1, 0, 1, 0]})
    train_model(build(content, {"c.csv": rows(), "i.csv": items}))


def test_a_dot_in_a_name_is_refused(clicks: Clicks) -> None:
    with pytest.raises(SchemaError, match=r"features.interaction.x.y: the name 'x.y'.*'column:'"):
        Schema.parse(schema_of(clicks, "text", name="x.y"))


def test_files_as_other_programs_write_them(build: Build, clicks: Clicks) -> None:
    lines = ["user,item,at,click", *(f"u{k % 3},{k % 7},{k},{k % 2}" for k in range(N))]
    content = clicks(split={"by": "time"})
    plain = build(content, {"clicks.csv": "\n".join(lines) + "\n"})
    for text in ("\ufeff" + "\n".join(lines), "\r\n".join(lines) + "\r\n"):
        again = build(content, {"clicks.csv": text})
        assert again.labels.tolist() == plain.labels.tolist()
        assert again.user_ids.to_list() == plain.user_ids.to_list()
    tabs = build(
        clicks(tables={"interactions": "c.tsv"}, split={"by": "time"}),
        {"c.tsv": "\n".join(lines).replace(",", "\t")},
    )
    assert tabs.item_ids.to_list() == plain.item_ids.to_list()
    with pytest.raises(DataError, match=r"clicks.csv has one column only, 'user;item;at;click'.*separator"):
        build(content, {"clicks.csv": "\n".join(lines).replace(",", ";")})
    with pytest.raises(DataError, match=r"clicks.csv, line 2: 5 fields where the header has 4"):
        build(content, {"clicks.csv": lines[0] + "\n" + "\n".join(line + ",9" for line in lines[1:])})


def test_a_filter_that_is_no_truth_value(build: Build, clicks: Clicks) -> None:
    past = {"kind": "sequence", "of": "item", "where": "word"}
    content = clicks(features={"item": {"item": "id"}, "user": {"past": past}})
    with pytest.raises(DataError, match=r"features.user.past.where 'word' gives String, not true or false"):
        build(content, {"clicks.csv": rows(word=["x"] * N)})
