"""The same rows in another format, order of chunks or type give the same data set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.data import CleaningReport, Dataset, as_strings, build_dataset, iterate
from motet.errors import DataError
from motet.testing import hashed_words_for_tests, toy_dataset, toy_schema, toy_tables

Clicks = Callable[..., dict[str, Any]]
Build = Callable[..., Dataset]


def assert_equal(one: Dataset, two: Dataset) -> None:
    for entity in ("user", "item", "interaction"):
        a, b = one.table(entity), two.table(entity)
        np.testing.assert_array_equal(a.codes, b.codes)
        np.testing.assert_array_equal(a.numbers, b.numbers)
        assert set(a.tags) == set(b.tags)
        for name, lists in a.tags.items():
            np.testing.assert_array_equal(lists.values, b.tags[name].values)
            np.testing.assert_array_equal(lists.offsets, b.tags[name].offsets)
        for column, name in enumerate(one.encoder.layout(entity).vectors):
            first, second = (d.vectors[name][d.table(entity).vector_rows[:, column]] for d in (one, two))
            np.testing.assert_array_equal(first, second)
    for name in ("user_row", "item_row", "scenario", "time", "labels", "split"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
    for name, history in one.histories.items():
        np.testing.assert_array_equal(history.items.values, two.histories[name].items.values)
        np.testing.assert_array_equal(history.before, two.histories[name].before)
    for name, sets in one.label_sets.items():
        np.testing.assert_array_equal(sets.values, two.label_sets[name].values)
    for name, labels in one.entity_labels.items():
        np.testing.assert_array_equal(labels.values, two.entity_labels[name].values)
    assert one.user_ids.to_list() == two.user_ids.to_list()
    assert one.item_ids.to_list() == two.item_ids.to_list()
    assert one.encoder.classes == two.encoder.classes
    assert one.encoder.scales == two.encoder.scales


def test_csv_and_parquet_give_the_same(tmp_path: Path) -> None:
    tables = toy_tables()
    schema = toy_schema(suffix="csv")
    for name, table in tables.items():
        table.drop("picture", strict=False).write_csv(tmp_path / f"{name}.csv")
        table.write_parquet(tmp_path / f"{name}.parquet")
    parquet = schema.with_overrides(*[f"tables.{name}={name}.parquet" for name in tables])
    assert_equal(
        build_dataset(schema, tmp_path, encode_text=hashed_words_for_tests),
        build_dataset(parquet, tmp_path, encode_text=hashed_words_for_tests),
    )


def test_chunks_and_files_on_disk_give_the_same(
    toy: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constant: Callable[[str, Any], None]
) -> None:
    monkeypatch.setattr(iterate, "__defaults__", (37,))
    assert_equal(toy, toy_dataset())
    constant("SPILL_ROWS", 100)
    tables = toy_tables()
    for name, table in tables.items():
        table.write_parquet(tmp_path / f"{name}.parquet")
    on_disk = build_dataset(
        toy_schema(), tmp_path, encode_text=hashed_words_for_tests, spill_directory=tmp_path / "spill"
    )
    assert isinstance(on_disk.user_row, np.memmap)
    assert isinstance(on_disk.context.codes, np.memmap)
    assert_equal(toy, on_disk)


def test_a_folder_of_parts_is_read_in_the_order_of_names(build: Build, clicks: Clicks) -> None:
    rows = pl.DataFrame({"user": ["a", "b"] * 10, "item": range(20), "at": range(20), "click": [0, 1] * 10})
    whole = build(clicks(tables={"interactions": "one.parquet"}), {"one.parquet": rows})
    parts = {f"parts/{k}.parquet": rows[k * 5 : k * 5 + 5] for k in range(4)}
    assert_equal(whole, build(clicks(tables={"interactions": "parts"}), parts))
    assert_equal(whole, build(clicks(tables={"interactions": "parts/*.parquet"}), {}))
    csv = {f"texts/{k}.csv": rows[k * 5 : k * 5 + 5] for k in range(4)}
    assert_equal(whole, build(clicks(tables={"interactions": "texts"}), csv))


def context_rows(build: Build, clicks: Clicks, column: pl.Series, name: str = "clicks.parquet") -> list[int]:
    n = len(column)
    rows = pl.DataFrame({"user": ["a"] * n, "item": range(n), "at": column, "click": [0, 1] * (n // 2)})
    data = build(clicks(tables={"interactions": name}, split={"by": "random"}), {name: rows})
    return [int(t) for t in data.time]


T0 = datetime(2024, 5, 1, 10, 30, 0, tzinfo=UTC)
TIMES = [T0 + timedelta(seconds=61 * k, milliseconds=250) for k in range(10)]
MICROSECONDS = [int(t.timestamp() * 1_000_000) for t in TIMES]


@pytest.mark.parametrize("name", ["clicks.csv", "clicks.parquet"])
def test_times_of_every_kind_are_the_same_moment(build: Build, clicks: Clicks, name: str) -> None:
    whole = [m // 1_000_000 * 1_000_000 for m in MICROSECONDS]
    assert context_rows(build, clicks, pl.Series([m // 1_000_000 for m in MICROSECONDS]), name) == whole
    assert context_rows(build, clicks, pl.Series([m // 1_000 for m in MICROSECONDS]), name) == MICROSECONDS
    assert context_rows(build, clicks, pl.Series(MICROSECONDS), name) == MICROSECONDS
    assert context_rows(build, clicks, pl.Series([m * 1_000 for m in MICROSECONDS]), name) == MICROSECONDS
    assert context_rows(build, clicks, pl.Series([m / 1e6 for m in MICROSECONDS]), name) == MICROSECONDS
    iso = pl.Series([t.strftime("%Y-%m-%dT%H:%M:%S.250Z") for t in TIMES])
    assert context_rows(build, clicks, iso, name) == MICROSECONDS
    assert context_rows(build, clicks, iso.str.replace("T", " ").str.replace("Z", ""), name) == MICROSECONDS


@pytest.mark.parametrize(("hours", "minutes"), [(5, 30), (-3, -30), (-8, 0), (0, 45), (0, -30), (14, 0)])
def test_time_zones_are_taken_off(build: Build, clicks: Clicks, hours: int, minutes: int) -> None:
    zone = timezone(timedelta(hours=hours, minutes=minutes))
    iso = pl.Series([t.astimezone(zone).isoformat() for t in TIMES])
    assert context_rows(build, clicks, iso) == MICROSECONDS
    compact = pl.Series([t.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S.%f%z") for t in TIMES])
    assert context_rows(build, clicks, compact) == MICROSECONDS


def test_zoned_and_nanosecond_columns_of_parquet(build: Build, clicks: Clicks) -> None:
    plain = pl.Series([t.replace(tzinfo=None) for t in TIMES])
    zoned = plain.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Kolkata")
    assert context_rows(build, clicks, zoned) == MICROSECONDS
    assert context_rows(build, clicks, plain.cast(pl.Datetime("ns"))) == MICROSECONDS
    days = context_rows(build, clicks, plain.dt.date())
    assert {m % 86_400_000_000 for m in days} == {0}


ODD_IDS = ["a b", "a/b", "🎻", "ünï", str(2**63), "0007", "7", "-1", "a,b", 'quo"te', "nullable", "x" * 300]


@pytest.mark.parametrize("name", ["clicks.csv", "clicks.parquet"])
def test_odd_ids_stay_what_they_are(build: Build, clicks: Clicks, name: str) -> None:
    n = len(ODD_IDS)
    rows = pl.DataFrame({"user": ODD_IDS, "item": ODD_IDS[::-1], "at": range(n), "click": [0, 1] * (n // 2)})
    split = {"by": "time", "train": 0.9, "validation": 0.05}
    data = build(clicks(tables={"interactions": name}, split=split), {name: rows})
    assert data.user_ids.to_list() == ODD_IDS
    assert len(set(data.users.codes[:, 0].tolist())) >= n - 1  # the last is not in training


@pytest.mark.parametrize("name", ["clicks.csv", "clicks.parquet"])
@pytest.mark.parametrize("base", [2**24, 2**53, 2**63 - 40])
def test_large_ids_do_not_collide(build: Build, clicks: Clicks, name: str, base: int) -> None:
    ids = [base + k for k in range(20)]
    rows = pl.DataFrame({"user": ids, "item": ids, "at": range(20), "click": [0, 1] * 10})
    data = build(clicks(tables={"interactions": name}, split={"by": "random"}), {name: rows})
    assert len(data.user_ids) == len(data.item_ids) == 20
    train = data.split == 0
    assert len(set(data.users.codes[data.user_row[train], 0].tolist())) == int(train.sum())


@pytest.mark.parametrize("name", ["clicks.csv", "clicks.parquet"])
def test_3_and_3_point_0_and_quoted_3_are_one_id(build: Build, clicks: Clicks, name: str) -> None:
    rows = pl.DataFrame(
        {"user": [3.0, 4.0, 3.0, 4.0], "item": [1, 2, 3, 4], "at": range(4), "click": [0, 1, 0, 1]}
    )
    users = pl.DataFrame({"user": ["3", "4"], "age": [30, 40]})
    suffix = name.removeprefix("clicks")
    content = clicks(
        tables={"interactions": name, "users": f"users{suffix}"},
        features={"user": {"user": "id", "age": {"kind": "numeric", "scale": "none"}}},
        split={"by": "time"},
    )
    data = build(content, {name: rows, f"users{suffix}": users})
    assert data.user_ids.to_list() == ["3", "4"]
    assert data.users.numbers[:, 0].tolist() == [30.0, 40.0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**53) + 1, 2**53 - 1), min_size=1))
def test_whole_floats_are_written_as_integers(numbers: list[int]) -> None:
    as_floats = as_strings(pl.Series(numbers, dtype=pl.Float64)).to_list()
    assert as_floats == as_strings(pl.Series(numbers, dtype=pl.Int64)).to_list() == [str(n) for n in numbers]


def test_categories_keep_their_leading_zeros_in_csv(build: Build, clicks: Clicks) -> None:
    text = "user,item,at,click,zip\n" + "".join(
        f"u,{k},{k},{k % 2},{z}\n" for k, z in enumerate(["007", "7", "0123", "123"] * 5)
    )
    content = clicks(features={"interaction": {"zip": "categorical"}})
    data = build(content, {"clicks.csv": text})
    assert sorted(data.encoder.vocabularies["zip"].words.words.to_list()) == ["007", "0123", "123", "7"]


def test_a_number_that_goes_wrong_late_in_a_csv(build: Build, clicks: Clicks) -> None:
    lines = [f"u{k % 9},{k},{k},{k % 2},{k}" for k in range(10_500)]
    lines[10_400] = "u1,1,10400,1,abc"
    text = "user,item,at,click,price\n" + "\n".join(lines) + "\n"
    content = clicks(features={"interaction": {"price": "numeric"}})
    with pytest.raises(DataError, match=r"clicks.csv, line 10402, column 'price'.*'abc'.*unparseable: null"):
        build(content, {"clicks.csv": text})
    cleaning_report = CleaningReport()
    data = build(
        {**content, "clean": {"unparseable": "null"}}, {"clicks.csv": text}, cleaning_report=cleaning_report
    )
    assert len(data) == 10_500
    assert ["not a number" in str(finding) and finding.rows == 1 for finding in cleaning_report] == [True]
