"""Bad input: one clear error that names file, column, value and cure, or a stated, counted fallback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from motet.data import CleaningReport, Dataset
from motet.errors import DataError
from motet.testing import hashed_words_for_tests

Clicks = Callable[..., dict[str, Any]]
Build = Callable[..., Dataset]


def rows(n: int = 10, **columns: Any) -> pl.DataFrame:
    base = {"user": ["a"] * n, "item": range(n), "at": range(n), "click": [0, 1] * (n // 2)}
    return pl.DataFrame({**base, **columns})


def fails(build: Build, content: dict[str, Any], tables: dict[str, Any], *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        build(content, tables)
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not in: {caught.value}"
    assert caught.value.cure


def test_missing_file(build: Build, clicks: Clicks) -> None:
    fails(
        build,
        clicks(tables={"interactions": "clikcs.csv"}),
        {"clicks.csv": rows()},
        "clikcs.csv does not exist",
        "did you mean 'clicks.csv'?",
    )
    fails(
        build,
        clicks(tables={"interactions": "clicks.csv", "users": "x.csv"}),
        {"clicks.csv": rows()},
        "x.csv does not exist",
    )


def test_missing_column(build: Build, clicks: Clicks) -> None:
    table = rows().rename({"item": "itemid"})
    fails(build, clicks(), {"clicks.csv": table}, "clicks.csv has no column 'item'", "did you mean 'itemid'?")
    content = clicks(features={"interaction": {"prise": "numeric"}})
    fails(build, content, {"clicks.csv": rows(price=range(10))}, "no column 'prise'", "did you mean 'price'?")
    content = clicks(derive={"interactions": {"night": "EXTRACT(hour FROM tme) < 6"}})
    fails(build, content, {"clicks.csv": rows(time=range(10))}, "no column 'tme'", "did you mean 'time'?")


def test_nothing_in_the_file(build: Build, clicks: Clicks) -> None:
    fails(build, clicks(), {"clicks.csv": ""}, "clicks.csv is empty", "a header and rows")
    fails(build, clicks(), {"clicks.csv": "user,item,at,click\n"}, "clicks.csv has a header but no rows")
    parquet = clicks(tables={"interactions": "clicks.parquet"})
    fails(build, parquet, {"clicks.parquet": ""}, "clicks.parquet cannot be read", "whole and of the kind")
    fails(build, parquet, {"clicks.parquet": rows()[:0]}, "clicks.parquet has a header but no rows")
    users = clicks(tables={"interactions": "clicks.csv", "users": "users.csv"})
    fails(build, users, {"clicks.csv": rows(), "users.csv": "user\n"}, "users.csv has no rows")
    fails(build, clicks(), {"clicks.csv": rows(user=[None] * 10)}, "clicks.csv has no usable row")


def test_a_truncated_file(build: Build, clicks: Clicks, tmp_path: Any) -> None:
    content = clicks(tables={"interactions": "clicks.parquet"})
    build(content, {"clicks.parquet": rows()})
    whole = (tmp_path / "clicks.parquet").read_bytes()
    (tmp_path / "clicks.parquet").write_bytes(whole[: len(whole) // 2])
    fails(build, content, {}, "clicks.parquet cannot be read")
    fails(
        build, clicks(tables={"interactions": "clicks.xls"}), {"clicks.xls": "a"}, "give CSV, TSV, other text"
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_numbers_that_are_none(build: Build, clicks: Clicks, suffix: str) -> None:
    content = clicks(
        tables={"interactions": f"clicks.{suffix}"}, features={"interaction": {"price": "numeric"}}
    )
    price = ["1.5", "2", "abc", "3", "4", "5", "6", "7", "8", "nine"]
    tables = {f"clicks.{suffix}": rows(price=price)}
    fails(
        build,
        content,
        tables,
        f"clicks.{suffix}",
        "column 'price'",
        "row 3",
        "'abc'",
        "2 such cells",
        "unparseable: null",
    )
    cleaning_report = CleaningReport()
    data = build({**content, "clean": {"unparseable": "null"}}, tables, cleaning_report=cleaning_report)
    layout = data.encoder.layout("interaction")
    assert np.flatnonzero(data.context.numbers[:, layout.numbers.index("price missing")]).tolist() == [2, 9]
    assert f"clicks.{suffix}.price: not a number in 2 rows: taken as missing" in map(str, cleaning_report)


@pytest.mark.parametrize("good", ["1700000000", "2024-05-01 10:00:00"])
def test_times_that_are_none(build: Build, clicks: Clicks, good: str) -> None:
    times = [good] * 9 + ["someday"]
    fails(
        build,
        clicks(),
        {"clicks.csv": rows(at=times)},
        "clicks.csv, column 'at', data row 10",
        "'someday' is not a time (1 such cells)",
    )
    cleaning_report = CleaningReport()
    data = build(
        clicks(clean={"unparseable": "null"}), {"clicks.csv": rows(at=times)}, cleaning_report=cleaning_report
    )
    assert len(data) == 9
    assert "clicks.csv.at: no key in 1 rows: row left out" in map(str, cleaning_report)
    fails(
        build,
        clicks(tables={"interactions": "c.parquet"}),
        {"c.parquet": rows(at=[True, False] * 5)},
        "column 'at'",
        "not a time",
    )


def test_times_that_are_not_numbers_count_as_missing(build: Build, clicks: Clicks) -> None:
    at = [float(k) for k in range(9)] + [float("nan")]
    data = build(clicks(tables={"interactions": "c.parquet"}), {"c.parquet": rows(at=at)})
    assert len(data) == 9


def test_numbers_out_of_range_or_not_finite(build: Build, clicks: Clicks) -> None:
    content = clicks(
        tables={"interactions": "c.parquet"},
        features={"interaction": {"age": {"kind": "numeric", "range": [0, 120], "scale": "none"}}},
    )
    age = [-1.0, 0.0, 120.0, 121.0, float("inf"), float("nan"), 50.0, 1.0, 2.0, 3.0]
    cleaning_report = CleaningReport()
    data = build(content, {"c.parquet": rows(age=age)}, cleaning_report=cleaning_report)
    assert np.flatnonzero(data.context.numbers[:, 1]).tolist() == [0, 3, 4, 5]
    findings = list(map(str, cleaning_report))
    assert "c.parquet.age: outside 0 to 120 in 2 rows: taken as missing" in findings
    assert "c.parquet.age: not finite in 2 rows: taken as missing" in findings


def test_a_numeric_feature_of_words(build: Build, clicks: Clicks) -> None:
    content = clicks(features={"interaction": {"color": "numeric"}})
    fails(
        build,
        content,
        {"clicks.csv": rows(color=["red"] * 10)},
        "clicks.csv, column 'color'",
        "red",
        "make features.interaction.color categorical",
    )


def test_two_rows_with_one_key(build: Build, clicks: Clicks) -> None:
    content = clicks(
        tables={"interactions": "clicks.csv", "users": "users.csv"},
        features={"user": {"age": {"kind": "numeric", "scale": "none"}}},
    )
    tables = {"clicks.csv": rows(), "users.csv": pl.DataFrame({"user": ["a", "b", "a"], "age": [1, 2, 3]})}
    fails(
        build,
        content,
        tables,
        "users.csv, column 'user'",
        "'a' stands in more than one row (1 such keys)",
        "duplicate_keys: first",
    )
    for policy, age in (("first", 1.0), ("last", 3.0)):
        cleaning_report = CleaningReport()
        data = build(
            {**content, "clean": {"duplicate_keys": policy}}, tables, cleaning_report=cleaning_report
        )
        assert data.users.numbers[data.user_ids.to_list().index("a"), 0] == age
        assert f"users.csv.user: a key seen before in 1 rows: the {policy} row kept" in map(
            str, cleaning_report
        )


def test_the_same_interaction_twice(build: Build, clicks: Clicks) -> None:
    table = pl.concat([rows(), rows(click=[1] * 10)[:3]])
    for policy, n, first_click in (("last", 10, 1), ("first", 10, 0), ("keep", 13, 0)):
        cleaning_report = CleaningReport()
        data = build(
            clicks(clean={"duplicates": policy}), {"clicks.csv": table}, cleaning_report=cleaning_report
        )
        assert len(data) == n
        of_item_0 = data.label("click", np.flatnonzero(data.item_row == 0))
        assert of_item_0[0] == first_click
        wanted = (
            []
            if policy == "keep"
            else [f"clicks.csv: same user, item, scenario and time in 3 rows: only the {policy} kept"]
        )
        assert list(map(str, cleaning_report)) == wanted


def test_the_same_moment_in_two_scenarios_is_two_interactions(build: Build, clicks: Clicks) -> None:
    table = pl.concat([rows(place=["home"] * 10), rows(place=["search"] * 10)])
    keys = {"user": "user", "item": "item", "time": "at", "scenario": "place"}
    assert len(build(clicks(keys=keys), {"clicks.csv": table})) == 20


def test_rows_without_a_key_are_left_out_and_counted(build: Build, clicks: Clicks) -> None:
    cleaning_report = CleaningReport()
    data = build(clicks(), {"clicks.csv": rows(item=[None, *range(9)])}, cleaning_report=cleaning_report)
    assert len(data) == 9
    assert list(map(str, cleaning_report)) == ["clicks.csv.item: no key in 1 rows: row left out"]


def test_vectors_of_different_widths(build: Build, clicks: Clicks) -> None:
    content = clicks(tables={"interactions": "c.parquet"}, features={"interaction": {"v": "vector"}})
    fails(build, content, {"c.parquet": rows(v=[[1.0, 2.0], [1.0]] * 5)}, "column 'v'", "widths [1, 2]")
    fails(build, content, {"c.parquet": rows(v=["x"] * 10)}, "column 'v'", "is not a vector")
    data = build(content, {"c.parquet": rows(v=[[1.0, 2.0], None] * 5)})
    assert data.vectors["v"][data.context.vector_rows[:2, 0]].tolist() == [[1, 2], [0, 0]]


def test_a_text_feature_without_an_encoder(clicks: Clicks, tmp_path: Any) -> None:
    from motet.data import build_dataset  # noqa: PLC0415 (the fixture passes an encoder)
    from motet.schema import Schema  # noqa: PLC0415

    rows(t=["x"] * 10).write_csv(tmp_path / "clicks.csv")
    schema = Schema.parse(clicks(features={"interaction": {"t": "text"}}))
    with pytest.raises(DataError, match="the text feature 't' needs an encoder"):
        build_dataset(schema, tmp_path)
    with pytest.raises(DataError, match=r"gave vectors of shape \(3, 4\) for 1 texts"):
        build_dataset(schema, tmp_path, encode_text=lambda texts: np.zeros((3, 4), np.float32))
    with pytest.raises(DataError, match="gave a vector that is not finite"):
        build_dataset(schema, tmp_path, encode_text=lambda texts: np.full((1, 4), np.nan, np.float32))


def test_derived_columns_in_order_refined_and_unused(build: Build, clicks: Clicks) -> None:
    content = clicks(
        derive={"interactions": {"stars": "stars * 2", "many": "stars > 6", "spare": "stars + 1"}},
        features={"interaction": {"many": "categorical"}},
        tasks={"click": {"kind": "binary", "label": "click"}},
    )
    data = build(content, {"clicks.csv": rows(stars=[1, 2, 3, 4, 5] * 2)})
    words = data.encoder.vocabularies["many"].words.words.to_list()
    start = data.encoder.vocabularies["many"].offset + 1
    assert [words[code - start] for code in data.context.codes[:5, 0]] == [
        "false",
        "false",
        "false",
        "true",
        "true",
    ]


def test_more_scenarios_than_fit(build: Build, clicks: Clicks) -> None:
    n = 60_000
    keys = {"user": "user", "item": "item", "time": "at", "scenario": "place"}
    table = rows(n, place=[f"p{k}" for k in range(n)])
    fails(
        build,
        clicks(keys=keys, split={"by": "time"}),
        {"clicks.csv": table},
        "keys.scenario 'place'",
        "48,000 different values",
    )


def test_texts_are_encoded_once_and_only_where_a_row_needs_them(clicks: Clicks, tmp_path: Any) -> None:
    from motet.data import build_dataset  # noqa: PLC0415 (the fixture passes an encoder)
    from motet.schema import Schema  # noqa: PLC0415

    splits = ["train"] * 5 + ["validation", "test", "unused", "unused", "train"]
    review = [f"review {k}" for k in range(7)] + ["of an unused row", "review 0", "replaced"]
    table = rows(review=review, part=splits)
    table = pl.concat([table, table[-1:].with_columns(review=pl.lit("review 9"))])  # the last of two is kept
    table.write_csv(tmp_path / "clicks.csv")
    items = {"item": [*range(10), 77], "title": [f"item {k}" for k in range(10)] + ["never clicked"]}
    pl.DataFrame(items | {"blurb": ["review 0"] * 11}).write_csv(tmp_path / "items.csv")
    schema = Schema.parse(
        clicks(
            tables={"interactions": "clicks.csv", "items": "items.csv"},
            features={"interaction": {"review": "text"}, "item": {"title": "text", "blurb": "text"}},
            split={"by": "column", "column": "part"},
        )
    )
    encoded: list[str] = []

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        encoded.extend(texts)
        return hashed_words_for_tests(texts)

    data = build_dataset(schema, tmp_path, encode_text=encode)
    reviews = [*(f"review {k}" for k in range(7)), "review 9"]
    # an item that nobody clicked may be recommended all the same
    assert sorted(encoded) == sorted([*reviews, *items["title"]])
    assert data.texts["review"][1:] == reviews
    kept = data.vectors["review"][data.context.vector_rows[:, 0]]
    wanted = hashed_words_for_tests([*review[:7], "", "", "review 9"])
    assert np.allclose(kept, wanted)
    blurbs = data.vectors["blurb"][data.items.vector_rows[:, 1]]
    assert np.allclose(blurbs, hashed_words_for_tests(["review 0"] * 11))
