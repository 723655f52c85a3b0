"""The hard parts of a request as masks."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from motet.assistant import ListLimits, allowed, limits_of, match, standardised
from motet.assistant.understand import FactWanted, Range, Request, Tag
from motet.data import Catalogue
from motet.errors import RequestError


@pytest.fixture
def catalogue() -> Catalogue:
    frame = pl.DataFrame(
        {
            "id": ["a", "b", "c", "d"],
            "name": ["A", "B", "C", "D"],
            "genres": [["fun", "space"], ["fun"], ["fear"], None],
            "brand": ["ace", "bolt", None, "ace"],
            "year": [1985.0, 1995.0, None, 2005.0],
        }
    )
    words = {"fun": {"zh": ("搞笑",)}}
    return Catalogue(frame, "name", ("genres",), ("brand",), ("year",), (), {}, words)


def kept(catalogue: Catalogue, **parts: object) -> str:
    mask = allowed(Request.model_validate(parts), catalogue)
    return "".join(catalogue.frame["id"].filter(pl.Series(mask)).to_list())


def test_every_part_is_kept(catalogue: Catalogue) -> None:
    fun, ace = Tag(column="genres", value="fun"), Tag(column="brand", value="ace")
    assert kept(catalogue) == "abcd"
    assert kept(catalogue, must=(fun,)) == "ab"
    assert kept(catalogue, must=(fun, ace)) == "a"
    assert kept(catalogue, must_not=(fun,)) == "cd"  # nothing is known against d
    assert kept(catalogue, must_not=(ace,)) == "bc"
    assert kept(catalogue, without=("b",), like=("c",)) == "ad"


def test_an_item_without_the_number_is_out(catalogue: Catalogue) -> None:
    assert kept(catalogue, ranges=(Range(column="year", low=1990),)) == "bd"
    assert kept(catalogue, ranges=(Range(column="year", high=1995),)) == "ab"
    assert kept(catalogue, ranges=(Range(column="year", low=1985, high=1985),)) == "a"


def test_without_a_graph_no_item_has_a_fact(catalogue: Catalogue) -> None:
    wanted = FactWanted(entity="m.1", words="by Ann")
    assert kept(catalogue, facts=(wanted,)) == ""
    assert kept(catalogue, facts_not=(wanted,)) == "abcd"


def test_prefer_is_a_share(catalogue: Catalogue) -> None:
    tags = [Tag(column="genres", value="fun"), Tag(column="genres", value="space")]
    everything = np.ones(4, bool)
    found = match(Request(prefer=tuple(tags)), catalogue, everything, meaning=None, like=None)
    assert found == pytest.approx(standardised(np.array([1.0, 0.5, 0.0, 0.0], np.float32), everything))


def test_limits_speak_the_language_of_the_request(catalogue: Catalogue) -> None:
    request = Request(language="zh", must_not=(Tag(column="genres", value="fun"),))
    limits, unmet = limits_of(request, ListLimits(), catalogue, ())
    (exclusion,) = [limit for limit in limits if limit.kind == "exclusion"]
    assert (exclusion.words, exclusion.given_up, unmet) == ("不要搞笑", False, [])


def test_a_column_that_is_not_there_is_named(catalogue: Catalogue) -> None:
    with pytest.raises(RequestError, match=r"column of numbers 'yaer' is not known.*did you mean 'year'"):
        allowed(Request(ranges=(Range(column="yaer", low=1),)), catalogue)
    with pytest.raises(RequestError, match="column of tags 'genre' is not known"):
        allowed(Request(must=(Tag(column="genre", value="fun"),)), catalogue)
