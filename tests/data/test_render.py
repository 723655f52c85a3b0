from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.data import Dataset, render
from motet.errors import DataError, SchemaError
from motet.schema import Schema

Clicks = Callable[..., dict[str, Any]]
Build = Callable[..., Dataset]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{title}", ["Heat", "Big {1}", "", "  a b "]),
        ("{title} ({year})", ["Heat (1995)", "Big {1}", "(7)", "a b (8)"]),
        ("{title} [SEP] {about}", ["Heat [SEP] crime", "Big {1}", "", "a b [SEP] x"]),
        ("by {about}: {title}", ["by crime: Heat", "by : Big {1}", "", "by x: a b"]),
        ("{title} {title}", ["Heat Heat", "Big {1} Big {1}", "", "a b a b"]),
        ("film [SEP] {about}", ["film [SEP] crime", "film", "film", "film [SEP] x"]),
    ],
)
def test_templates_by_hand(template: str, expected: list[str]) -> None:
    frame = pl.DataFrame(
        {
            "title": ["Heat", "Big {1}", None, "  a\n b "],
            "year": [1995.0, None, 7.0, 8.0],
            "about": ["crime", "", None, "x"],
        }
    )
    assert render(frame, template).to_list() == [text.strip() for text in expected]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.none() | st.text(max_size=8), st.none() | st.text(max_size=8)), min_size=1))
def test_a_text_is_clean_and_rows_do_not_mix(rows: list[tuple[str | None, str | None]]) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String}, orient="row")
    texts = render(frame, "{a} [SEP] {b}").to_list()
    for (a, b), text in zip(rows, texts, strict=True):
        alone = render(pl.DataFrame({"a": [a], "b": [b]}, schema=frame.schema), "{a} [SEP] {b}").to_list()
        assert alone == [text]
        assert "\n" not in text
        assert "  " not in text
        if not (a or "").strip() and not (b or "").strip():
            assert text in ("", *alone)


def test_a_text_joins_the_user_and_the_item(build: Build, clicks: Clicks) -> None:
    content = clicks(
        tables={"interactions": "clicks.csv", "users": "users.csv", "items": "items.csv"},
        features={
            "interaction": {"t": {"kind": "text", "template": "{user.likes} [SEP] {item.title} [SEP] {word}"}}
        },
    )
    tables = {
        "clicks.csv": pl.DataFrame(
            {"user": ["a", "b", "c"] * 4, "item": [1, 2, 3] * 4, "at": range(12), "click": [0, 1] * 6, "word": ["w"] * 12}
        ),
        "users.csv": pl.DataFrame({"user": ["a", "b"], "likes": ["tea", None]}),
        "items.csv": pl.DataFrame({"item": [1, 2], "title": ["Heat", "Big"]}),
    }  # fmt: skip
    data = build(content, tables)
    texts = [data.texts["t"][row] for row in data.context.vector_rows[:3, 0]]
    assert texts == ["tea [SEP] Heat [SEP] w", "Big [SEP] w", "w"]
    content["features"] = {"interaction": {"t": {"kind": "text", "template": "{item.titel}"}}}
    with pytest.raises(DataError, match=r"items.csv has no column 'titel'.*did you mean 'title'"):
        build(content, tables)


@pytest.mark.parametrize("template", ["{title", "{}", "{title!r}", "{year:04d}", "title", "{a.b.c"])
def test_templates_that_cannot_be_filled(clicks: Clicks, template: str) -> None:
    features = {"interaction": {"t": {"kind": "text", "template": template}}}
    with pytest.raises(
        SchemaError, match=r"features.interaction.t.template.*Cure: write column names in braces"
    ):
        Schema.parse(clicks(features=features))
