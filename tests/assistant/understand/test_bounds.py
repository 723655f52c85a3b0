"""Any text within the limit is read in bounded time, and no text breaks a reader."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motet.assistant.understand import LONGEST_REQUEST, FastReader

SECONDS = 0.4  # of the processor; a fifth of that is usual, seconds were taken before
PIECES = [
    "a,", "a ", "no ", "no, ", "horror, ", "horror or ", "comedy and ", "1", "1 ", "9 9,", "1990 ", "80s ", "two ",
    "two westerns ", "a western, ", '" ', '"a ', '"a" ', "like ", "like heat, ", "Toy Story ", "the ", "the first ",
    "恐", "不", "不要恐怖片，", "像", "一", "十", "的", "除了", "年代", "20世纪", "(", "<", "-", " -a", "unless ", "before 1980 ",
    "after 1980 and ", "under 5 euro ", "between 1 and ", "seen ", "born in 1980 ", "by Tom ", "hate it, ",
    "horror is fine ", "horror was awful ", "older ", "total ", "in total 5 ", "maybe ", "or ", "and ", "that ", "half ",
    "E.T.", "horor ", "ohne ein ", "мир ", "👍", "\u0301", "\n", "$5 ", "1,", "除了喜剧", "第一部", "三部",
]  # fmt: skip


def seconds(reader: FastReader, text: str) -> float:
    """Processor time of the quicker of two readings, so that a pause of the machine is no failure."""
    taken = []
    for _ in range(2):
        began = time.process_time()
        reader.read(text)
        taken.append(time.process_time() - began)
    return min(taken)


@pytest.mark.parametrize("piece", PIECES)
def test_repeated_words_take_no_longer_than_others(films: FastReader, shop: FastReader, piece: str) -> None:
    text = (piece * LONGEST_REQUEST)[:LONGEST_REQUEST]
    assert seconds(films, text) < SECONDS
    assert seconds(shop, text) < SECONDS


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join))
def test_any_repeated_phrase_is_read_in_bounded_time(films: FastReader, phrase: str) -> None:
    assert seconds(films, (phrase * LONGEST_REQUEST)[:LONGEST_REQUEST]) < SECONDS


@pytest.mark.parametrize(
    "text",
    [
        "{} comedies", "under {}", "{} dozen", "${}", "{}h", "{} hours", "number {}", "第{}部", "前{}部", "the last {} years",
        "between {} and 5", "{} years old", "{}部喜剧", "{}minutes",
    ],
)  # fmt: skip
@pytest.mark.parametrize("digits", [12, 310, 1500])
def test_a_number_of_any_length_is_read(films: FastReader, shop: FastReader, text: str, digits: int) -> None:
    for reader in (films, shop):
        request = reader.read(text.format("9" * digits))
        assert request.count is None or request.count <= 100
        for limit in (*request.ranges, *request.total):
            assert max(abs(limit.low or 0), abs(limit.high or 0)) < float("inf")


def test_too_many_items_are_refused_in_words(films: FastReader) -> None:
    (unmet,) = films.read("9" * 310 + " comedies").unmet
    assert unmet.endswith("comedies: at most 100 can be asked for")


def test_a_request_of_too_many_words_is_cut_off_and_flagged(films: FastReader) -> None:
    request = films.read("no horror. " + "a," * 900)
    assert [tag.value for tag in request.must_not] == ["Horror"]
    assert "long" in request.flags


@pytest.mark.parametrize("text", ["PG-13 at most", "nothing above PG-13", "a comedy rated PG-13"])
def test_a_number_joined_to_a_word_is_no_count(films: FastReader, text: str) -> None:
    request = films.read(text)
    assert request.count is None
    assert "13" in request.wants or any("13" in part for part in request.unmet)
