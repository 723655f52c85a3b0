from __future__ import annotations

import builtins
import re
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from motet import datasets
from motet.errors import MissingExtraError
from motet.text.safety import Redaction, redact, redactions

LINES = yaml.safe_load((Path(__file__).parent / "personal.yaml").read_text(encoding="utf-8"))


def unmarked(line: str) -> tuple[str, set[Redaction]]:
    """A line without its marks, and what they say."""
    text, marked, end = "", set(), 0
    for found in re.finditer(r"⟦(\w+)\|([^⟧]*)⟧", line):
        text += line[end : found.start()]
        marked.add(Redaction(found[1], len(text), len(text) + len(found[2])))  # type: ignore[arg-type]
        text, end = text + found[2], found.end()
    return text + line[end:], marked


def test_most_of_the_written_lines_are_right_and_the_rest_is_known() -> None:
    wrong = {}
    for line in LINES:
        text, marked = unmarked(line)
        if set(redactions(text)) != marked:
            wrong[text] = redact(text)
    assert len(LINES) == 60
    assert wrong == {
        "Dial five five five, zero one nine nine": "Dial five five five, zero one nine nine",
        "Order number 2125550142 shipped in box 17": "Order number [phone] shipped in box 17",
    }


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # fails Luhn's check
        "DE89370400440532013001",  # fails the remainder of 97
        "110105194912310021",  # wrong check digit
        "110105194913310020",  # there is no thirteenth month
        "256.0.0.1 and 1.2.3",
        "the :: operator, a::b, 12:30:45",
        "0306406152",
        "ISBN 2125550142",
        "1e21 3.14159265358979 0.1234567890123456",
        "bearer of bad news, token of love, passwordless",
    ],
)
def test_what_only_looks_like_personal_data_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("card 4111\u200b1111\u200b1111\u200b1111.", "card [card]."),
        ("AKIAIOSFODNN7EXAMPLE", "[secret]"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJleGFtcGxlIn0.", "[secret]"),
        ("-----BEGIN PRIVATE KEY-----\nexample\n-----END PRIVATE KEY-----\nend", "[secret]\nend"),
        ("api_key='Example12345'", "api_key='[secret]'"),
        ("密码：Example12345", "密码：[secret]"),
        ("mail ann@example.com, bob@example.com", "mail [mail], [mail]"),
        ("(ann@example.com)", "([mail])"),
        ("call +1 (415) 555-0199.", "call [phone]."),
    ],
)
def test_more_that_is_replaced(text: str, wanted: str) -> None:
    assert redact(text) == wanted


def test_no_film_title_and_no_review_is_changed(tmp_path: Path) -> None:
    films = pl.read_parquet(datasets.fetch("movielens-100k", tmp_path / "films") / "items.parquet")
    titles = films.select(pl.format("{} ({})", "title", "year"))["title"].fill_null("").to_list()
    assert len(titles) == 1682
    table = pl.read_parquet(datasets.fetch("clothing-reviews", tmp_path / "clothes") / "reviews.parquet")
    reviews = table["review_text"].fill_null("").to_list()[:2000]
    assert [text for text in titles + reviews if redact(text) != text] == []


@given(st.text(st.sampled_from("0123456789 -.+@:[]()abcdefkgIBANx/１٣é电话\u200b\n"), max_size=80))
def test_places_are_in_order_and_what_was_redacted_stays(text: str) -> None:
    end = 0
    for found in redactions(text):
        assert end <= found.start < found.end <= len(text)
        end = found.end
    assert "@" not in redact("ann@example.com " + text).split(" ")[0]


@pytest.mark.parametrize(
    "piece",
    ["1", "1 ", "1-", "a@", "a.", ":", "sk-", "eyJ", "key = ", "+1 ", "1(2) ", "a(at)", " at ", "DE89 a "],
)
def test_time_grows_with_the_text_and_not_with_its_square(piece: str) -> None:
    start_s = time.process_time()
    redact(piece * (30_000 // len(piece)))
    assert time.process_time() - start_s < 3.0


def test_without_its_libraries_nothing_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "stdnum":
            raise ImportError(name, name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match="'stdnum' is not installed"):
        redact("plain")
