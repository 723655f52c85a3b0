"""Wishes and numbers, without a browser."""

from __future__ import annotations

from typing import Any

import pytest

from motet.service.web import (
    Visit,
    area,
    bars,
    compared,
    facts,
    requests_by_minute,
    traffic_by_route,
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


def test_requests_are_counted_as_errors_are_over_pages_and_the_api() -> None:
    said = [{"minute": 60, "routes": {"/v1/ask": 2, "page": 9}}, {"minute": 120, "routes": {"page": 1}}]
    assert requests_by_minute(said, 3, 125.0) == [0, 11, 1]
    assert traffic_by_route(said, 3, 125.0) == {"/v1/ask": [0, 2, 0]}


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
