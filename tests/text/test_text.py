from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from motet.text.safety import clean_text, fuse

ANY_TEXT = st.text(st.characters(codec=None))


@given(ANY_TEXT, st.integers(1, 50))
def test_clean_text_can_be_encoded_and_cleaning_again_changes_nothing(text: str, most: int) -> None:
    cleaned = clean_text(text, most)
    cleaned.encode("utf-8")
    assert len(cleaned) <= most
    assert not any(unicodedata.category(character) == "Cc" for character in cleaned)
    assert clean_text(cleaned, most) == cleaned


def test_letters_of_every_script_and_emoji_stay() -> None:
    text = "Ünïcode 电影 фильм 👩‍👩‍👧 naïve"
    assert clean_text(text) == text


def test_marks_that_turn_the_direction_of_text_are_removed() -> None:
    assert clean_text("abc\u202edef\ud800") == "abcdef"


@given(st.lists(st.one_of(st.none(), ANY_TEXT), max_size=5))
def test_fused_text_has_one_separator_between_two_fields_that_are_not_empty(fields: list[str | None]) -> None:
    filled = [field for field in fields if field and clean_text(field.replace("[SEP]", " "))]
    assert fuse(fields).count(" [SEP] ") == max(0, len(filled) - 1)


def test_fuse_takes_another_separator() -> None:
    assert fuse(["a", " ", "b"], separator=" | ") == "a | b"
