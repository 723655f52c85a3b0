"""Wishes and numbers, without a browser."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from motet.errors import RequestError
from motet.service.web import (
    Pictures,
    Visit,
    area,
    bars,
    chart_of,
    compared,
    facts,
    nice_scale,
    price,
    time_marks,
    wishes_of,
)

SCHEMA: dict[str, Any] = {
    "name": "films",
    "tasks": [
        {
            "name": "like",
            "kind": "binary",
            "display": "chance",
            "on": "interaction",
            "range": None,
            "in_objective": True,
        },
        {
            "name": "stars",
            "kind": "regression",
            "display": "number",
            "on": "interaction",
            "range": [1, 5],
            "in_objective": True,
        },
        {
            "name": "next",
            "kind": "retrieval",
            "display": "order",
            "on": "interaction",
            "range": None,
            "in_objective": True,
        },
        {
            "name": "marks",
            "kind": "multilabel",
            "display": "names",
            "on": "item",
            "range": None,
            "in_objective": False,
        },
    ],
    "fields": [
        {"name": "kinds", "kind": "tags", "values": ["Comedy", "War"], "words": {"War": {"zh": "战争"}}},
        {"name": "year", "kind": "number", "low": 1920, "high": 2000},
    ],
    "objective": {"next": 1.0},
}


def test_wishes_become_a_query() -> None:
    said = (
        ("user", "7"),
        ("scenario", "home"),
        ("w.like", "0.5"),
        ("w.next", "0"),
        ("f.kinds", "Comedy"),
        ("f.kinds", "War"),
        ("f.year.low", "1990"),
        ("f.year.high", "nan"),
    )
    wishes = wishes_of(Visit("/", said), SCHEMA, ["1"])
    assert wishes.query(SCHEMA, 5) == {
        "k": 5,
        "user": "7",
        "scenario": "home",
        "objective": {"weights": {"like": 0.5}},
        "filter": {
            "all": [
                {"any": [{"field": "kinds", "op": "has", "value": one} for one in ("Comedy", "War")]},
                {"field": "year", "op": "ge", "value": 1990.0},
            ]
        },
    }


def test_nothing_said_is_the_first_user_and_the_usual_objective() -> None:
    wishes = wishes_of(Visit("/"), SCHEMA, ["1", "2"])
    assert wishes.query(SCHEMA, 3) == {"k": 3, "user": "1"}
    assert wishes_of(Visit("/", (("user", ""),)), SCHEMA, ["1"]).query(SCHEMA, 3) == {"k": 3}


@pytest.mark.parametrize("weight", ["7", "-1", "nan", "inf", "x"])
def test_weights_stay_between_0_and_1(weight: str) -> None:
    assert 0 <= wishes_of(Visit("/", (("w.like", weight),)), SCHEMA, []).weights["like"] <= 1


def test_bars_are_as_long_as_their_numbers() -> None:
    items = [
        {"predictions": {"like": 0.25, "stars": 3.0, "next": n, "marks": ["a"]}} for n in (9.0, 8.0, 7.0)
    ]
    first, _, last = bars(items, SCHEMA, "en")
    assert [(bar.label, bar.share, bar.text) for bar in first] == [
        ("Like", 0.25, "25 %"),
        ("Stars", 0.5, "3"),
        ("Best match", 1.0, ""),
    ]
    assert 0 < last[2].share < 0.2
    (alone,) = bars(items[:1], SCHEMA, "en")
    assert [bar.task for bar in alone] == ["like", "stars"]


def test_facts_are_in_the_readers_language() -> None:
    item = {"title": "A", "fields": {"name": "A", "kinds": ["War", "Comedy"], "year": 1999.0, "note": None}}
    recorded = [(fact.name, fact.values) for fact in facts(item, "zh", SCHEMA)]
    assert recorded == [("年份", ("1999",)), ("Kinds", ("战争", "Comedy"))]


def test_charts_reach_from_foot_to_top() -> None:
    points = [point.split(",") for point in area([0, 5, 10]).line.split()]
    assert [float(y) for _, y in points] == [46.0, 24.0, 2.0]
    assert area([3]).line == ""


def test_a_line_is_broken_where_nothing_is_known() -> None:
    chart = chart_of(
        [("calls", [None, 4, 2, None, 0]), ("errors", [None, 0, 0, None, 0])], 0, 60, "en", whole=True
    )
    calls, errors = chart.curves
    assert calls.lines == ("300.0,0.0 500.0,50.0",)
    assert calls.dots == ("900.0,100.0 900.0,100.0",)
    assert errors.lines == ("300.0,100.0 500.0,100.0",)
    assert (chart.heights, chart.unknown) == (("4", "3", "2", "1", "0"), 200.0)
    assert [row[0] for row in chart.rows] == [
        f"1970-01-01 00:0{minute}" for minute in (4, 2, 1)
    ]  # the latest first
    assert chart.rows[1] == ("1970-01-01 00:02", ("2", "0"))
    assert "calls 0–4" in chart.summary
    nothing = chart_of([("calls", [None] * 3)], 0, 60, "en")
    assert (nothing.is_empty, nothing.unknown, nothing.rows) == (True, 1000.0, ())


def test_a_band_lies_between_the_ends_of_an_interval() -> None:
    chart = chart_of([("low", [-1, 0]), ("middle", [0, 1]), ("high", [1, 2])], 0, 60, "en", band=True)
    assert chart.zero is not None
    assert chart.curves[1].lines[0].startswith(f"250.0,{chart.zero}")
    assert len(chart.band.split()) == 4


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 1e-9), (0, 7), (0, 1e12), (-3, 5), (-0.002, -0.001)])
def test_a_scale_is_round_even_and_holds_its_values(low: float, high: float) -> None:
    scale = nice_scale(min(low, 0), max(high, 0))
    steps = {round((b - a) / (scale[1] - scale[0]), 6) for a, b in pairwise(scale)}
    assert steps == {1.0}
    assert scale[0] <= low
    assert scale[-1] >= high
    assert 2 <= len(scale) <= 7


@pytest.mark.parametrize("days", [0.01, 1 / 24, 1, 7, 30, 90, 400])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_marks_of_a_time_axis_are_few_and_round(days: float, language: str) -> None:
    marks = time_marks(1_700_000_123, 1_700_000_123 + days * 86_400, language)
    assert 2 <= len(marks) <= 7
    assert all(0 <= place <= 100 and len(text) <= 6 for place, _, text in marks)


@pytest.mark.parametrize(
    "length_s", [0.5, 3, 11, 40, 100, 290, 301, 1_001, 4_100, 20_001, 41_000, 100_001, 300_001]
)
def test_a_short_time_has_marks_too(length_s: float) -> None:
    start_s = 1_700_000_123.4
    marks = time_marks(start_s, start_s + length_s, "en")
    assert (1 if length_s < 4 else 2) <= len(marks) <= 7
    assert len({text for _, _, text in marks}) == len(marks)


def test_pictures_come_from_where_they_may(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, ("https://cdn.example", "http://127.0.0.1:81"))
    assert pictures.source("a/b c.png") == "/pages/pictures/a/b%20c.png"
    assert pictures.source(" https://cdn.example/x?w=1 ") == "https://cdn.example/x?w=1"
    assert pictures.source("http://127.0.0.1:81/x") == "http://127.0.0.1:81/x"
    hostile = [
        "https://cdn.example.evil/x", "https://cdn.example@evil/x", "http://cdn.example/x", "//cdn.example/x", "/v1/keys",
        "javascript:alert(1)", "data:image/png;base64,AA", "../x.png", "a/../x.png", "a//x.png", "a\\x.png", "a\nx.png",
        "https://cdn.example/ x", "https://cdn.example/\\x", "", None, 7, ["x.png"], "x" * 3_000, "HTTPS://CDN.EXAMPLE/x",
    ]  # fmt: skip
    assert [one for one in hostile if pictures.source(one) is not None] == []
    assert Pictures().source("a.png") is None
    for wrong in (
        "cdn.example",
        "https://cdn.example/",
        "https://*",
        "https://a b",
        "https://a; script-src *",
        "ftp://a",
    ):
        with pytest.raises(RequestError, match="is no site"):
            Pictures(None, (wrong,))
    with pytest.raises(RequestError, match="is not there"):
        Pictures(tmp_path / "none")


def test_prices_are_written_as_readers_do() -> None:
    item = {"fields": {"cost": 1234.5, "word": "x", "nothing": None, "much": float("inf")}}
    assert price(item, {"price": "cost", "currency": "EUR"}, "en") == "€1,234.50"
    assert price(item, {"price": "cost", "currency": "CNY"}, "zh") == "¥1,234.50"
    assert price(item, {"price": "cost", "currency": "CNY"}, "en") == "CN¥1,234.50"
    assert price(item, {"price": "cost"}, "en") == "1,234.5"
    for column in ("word", "nothing", "much", "gone", None):
        assert price(item, {"price": column, "currency": "EUR"}, "en") == ""


@pytest.mark.parametrize(("text", "n"), [("", 10), ("20", 20), ("21", 30), ("1000", 10), ("999", 100), ("-5", 10), ("x", 10)])  # fmt: skip
def test_a_list_has_whole_tens_up_to_a_hundred(text: str, n: int) -> None:
    assert wishes_of(Visit("/", (("n", text),)), SCHEMA, []).n == n


def test_two_models_are_compared_by_their_intervals() -> None:
    left = {
        "tasks": {
            "like": {
                "auc": 0.8,
                "auc_interval": [0.78, 0.82],
                "log_loss": 0.5,
                "log_loss_interval": [0.4, 0.6],
            }
        }
    }
    right = {
        "tasks": {
            "like": {
                "auc": 0.7,
                "auc_interval": [0.68, 0.72],
                "log_loss": 0.45,
                "log_loss_interval": [0.4, 0.5],
            }
        }
    }
    auc, loss = compared(left, right)
    assert (auc.better, auc.is_apart) == ("left", True)
    assert (loss.better, loss.is_apart) == ("right", False)
    assert compared(None, right) == []
