"""What is said next changes what was understood before."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from motet.assistant.understand import FastReader, Request

Plain = Callable[[Request], dict[str, object]]
SHOWN = ("144", "568", "385")  # Die Hard 1988, Speed 1994, True Lies 1994

AFTER_ACTION: dict[str, dict[str, object]] = {
    "without comedy": {"must": ["Action"], "must_not": ["Comedy"]},
    "also romance": {"must": ["Action", "Romance"]},
    "older": {"must": ["Action"], "year": (None, 1993.0)},
    "newer ones please": {"must": ["Action"], "year": (1995.0, None)},
    "too old": {"must": ["Action"], "year": (1995.0, None)},
    "再老一点的": {"must": ["Action"], "year": (None, 1993.0)},
    "not too old": {"must": ["Action"], "year": (1982.0, None)},
    "cheaper": {"must": ["Action"], "unmet": ["cheaper"]},
    "not that one": {"must": ["Action"], "without": ["144"]},
    "not the first": {"must": ["Action"], "without": ["144"]},
    "不要最后一部": {"must": ["Action"], "without": ["385"]},
    "drop the first two": {"must": ["Action"], "without": ["144", "568"]},
    "not the ninth": {"must": ["Action"]},
    "more like the second": {"must": ["Action"], "like": ["568"]},
    "number 3 looks good": {"must": ["Action"], "like": ["385"]},
    "I've seen the first and the third": {"must": ["Action"], "without": ["144", "385"]},
    "none of those": {"must": ["Action"], "without": list(SHOWN)},
    "something else": {"must": ["Action"], "without": list(SHOWN)},
    "ten of them": {"must": ["Action"], "count": 10},
    "a mystery instead": {"must": ["Mystery"]},
    "换成恐怖片": {"must": ["Horror"]},
    "start over: a western": {"must": ["Western"]},
    "make it brief": {"must": ["Action"], "tone": "brief"},
}


@pytest.mark.parametrize("text", AFTER_ACTION)
def test_after_action_films(films: FastReader, slots: Plain, text: str) -> None:
    first = films.read("action movies")
    assert slots(films.read(text, first, SHOWN)) == AFTER_ACTION[text]


def test_an_exclusion_that_is_lifted_is_no_demand(films: FastReader, slots: Plain) -> None:
    first = films.read("comedy, no romance")
    assert slots(films.read("romance is fine after all", first)) == {"must": ["Comedy"]}


def test_exclusions_stay_through_everything_but_a_new_start(films: FastReader) -> None:
    request = films.read("thrillers, no horror and not Psycho", None, ())
    for said in (
        "older",
        "five of them",
        "a western instead",
        "more like the first",
        "something else",
        "funny",
    ):
        request = films.read(said, request, SHOWN)
        assert [tag.value for tag in request.must_not] == ["Horror"]
        assert "185" in request.without
    assert films.read("forget it, show me cartoons", request).must_not == ()


def test_a_new_limit_replaces_what_it_contradicts(films: FastReader, slots: Plain) -> None:
    first = films.read("thrillers from the nineties")
    assert slots(films.read("make that the eighties", first))["year"] == (1980.0, 1989.0)
    assert slots(films.read("nothing before 1995", first))["year"] == (1995.0, 1999.0)
    assert slots(films.read("any year", first)) == {"must": ["Thriller"]}


def test_shown_items_that_do_not_exist_do_not_matter(films: FastReader) -> None:
    assert films.read("not the first", films.read("action"), ("no such item",)).without == ()
