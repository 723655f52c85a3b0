"""What holds of any text whatever."""

from __future__ import annotations

from importlib.resources import files

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motet.assistant.understand import FastReader, Request

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = [
    yaml.safe_load(
        (files("motet.assistant.understand") / f"words_{language}.yaml").read_text(encoding="utf-8")
    )
    for language in ("en", "zh")
]
CUES = sorted(
    {phrase.strip() for words in WORDS for said in words["cues"].values() for phrase in said.split(",")}
    | {word for words in WORDS for word in words["stop"].split()}
)
VALUES = [
    "horror",
    "comedies",
    "Heat",
    "Toy Story",
    "1990",
    "three",
    "80s",
    "20 euro",
    "不要",
    "恐怖片",
    ",",
    ".",
    "and",
    "or",
]
SPOKEN = st.lists(st.sampled_from([*CUES, *VALUES, *VALUES]), max_size=14).map(" ".join)
GENRES = ["horror", "comedy", "drama", "war", "western", "crime", "romance", "thriller", "mystery"]


def holds(request: Request, reader: FastReader) -> None:
    assert not {*request.must, *request.prefer} & set(request.must_not)
    assert not set(request.must) & set(request.prefer)
    ids = set(reader.lexicon.ids)
    assert {*request.like, *request.without} <= ids
    for tag in (*request.must, *request.prefer, *request.must_not):
        assert reader.lexicon.tag(tag.value) == tag
    assert Request.model_validate(request.model_dump()) == request


@QUICK
@given(st.text(max_size=200))
def test_any_text_can_be_read(films: FastReader, text: str) -> None:
    holds(films.read(text), films)


@QUICK
@given(SPOKEN, SPOKEN, st.lists(st.sampled_from(["1", "50", "568", "nobody"]), max_size=3))
def test_any_row_of_known_words_can_be_read_and_followed_up(
    films: FastReader, shop: FastReader, first: str, second: str, shown: list[str]
) -> None:
    for reader in (films, shop):
        before = reader.read(first)
        holds(before, reader)
        holds(reader.read(second, before, shown), reader)


@QUICK
@given(st.lists(st.sampled_from(GENRES), min_size=1, max_size=4, unique=True))
def test_every_way_to_refuse_excludes_every_member_of_a_list(films: FastReader, genres: list[str]) -> None:
    listed = ", ".join(genres[:-1]) + (" or " if len(genres) > 1 else "") + genres[-1]
    expected = {films.lexicon.tag(genre) for genre in genres}
    for refusal in (
        "no {}",
        "without {}",
        "I don't want {}",
        "anything but {}",
        "nothing with {}",
        "not {}, please",
    ):
        request = films.read(refusal.format(listed))
        assert set(request.must_not) == expected, request.text
        assert request.must == request.prefer == ()


@QUICK
@given(
    st.sampled_from(GENRES), st.sampled_from(["no {}", "films without {}", "a {} film", "maybe {}", "除了{}"])
)
def test_capitals_do_not_matter(films: FastReader, genre: str, said: str) -> None:
    lower, upper = (films.read(form) for form in (said.format(genre), said.format(genre).upper()))
    assert (lower.must, lower.prefer, lower.must_not) == (upper.must, upper.prefer, upper.must_not)


@QUICK
@given(st.integers(1, 100), st.sampled_from(["films", "comedies", "good old westerns", "部喜剧"]))
def test_counts(films: FastReader, count: int, what: str) -> None:
    assert films.read(f"{count} {what}").count == count


@QUICK
@given(st.integers(1900, 1998), st.integers(0, 40))
def test_years(films: FastReader, low: int, more: int) -> None:
    for said in ("between {} and {}", "from {} to {}", "{}-{}", "{}到{}年之间"):
        (limit,) = films.read(said.format(low, low + more)).ranges
        assert (limit.low, limit.high) == (low, low + more)


@pytest.mark.parametrize(
    ("text", "low", "high", "unit"),
    [
        ("twenty-five", 25, 25, "none"),
        ("a hundred", 100, 100, "none"),
        ("1,200", 1200, 1200, "none"),
        ("$19.99", 19.99, 19.99, "money"),
        ("20 euros", 20, 20, "money"),
        ("三百元", 300, 300, "money"),
        ("90 minutes", 90, 90, "minutes"),
        ("an hour and a half", 90, 90, "minutes"),
        ("1h30", 90, 90, "minutes"),
        ("两个半小时", 150, 150, "minutes"),
        ("'50s", 1950, 1959, "year"),
        ("nineteen eighties", 1980, 1989, "year"),
        ("一九九四年", 1994, 1994, "year"),
    ],
)
def test_quantities(films: FastReader, text: str, low: float, high: float, unit: str) -> None:
    (item,) = films.parse(text).scan.items
    assert "number" in item.kinds
    assert (item.value.low, item.value.high, item.value.unit) == (low, high, unit)
