from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from motet.data import SPLIT_CODES, Dataset
from motet.errors import DataError

Clicks = Callable[..., dict[str, Any]]
Build = Callable[..., Dataset]
NAMES = {code: name for name, code in SPLIT_CODES.items()}


def splits(data: Dataset) -> list[str]:
    return [NAMES[int(code)] for code in data.split]


def test_ten_rows_of_a_user_fall_eight_one_one(build: Build, clicks: Clicks) -> None:
    rows = pl.DataFrame({"user": ["a"] * 10, "item": range(10), "at": range(10), "click": [0, 1] * 5})
    assert splits(build(clicks(), {"clicks.csv": rows})) == ["train"] * 8 + ["validation"] + ["test"]


def test_the_rule_is_rank_plus_one_over_n(build: Build, clicks: Clicks) -> None:
    # n = 7: (r+1)/7 ≤ 0.8 for r ≤ 4, ≤ 0.9 for r ≤ 5; n = 3: 2/3 ≤ 0.8, 3/3 > 0.9
    rows = pl.DataFrame(
        {"user": ["a"] * 7 + ["b"] * 3, "item": range(10), "at": range(10), "click": [0, 1] * 5}
    )
    found = splits(build(clicks(), {"clicks.csv": rows}))
    assert found == ["train"] * 5 + ["validation", "test"] + ["train"] * 2 + ["test"]


def test_ties_in_time_are_ordered_by_number_of_item_and_not_by_file_or_letters(
    build: Build, clicks: Clicks
) -> None:
    items = [10, 9, 100, 1, 8]  # by letters 1, 10, 100, 8, 9
    rows = pl.DataFrame({"user": ["a"] * 5, "item": items, "at": [7] * 5, "click": [0, 1, 0, 1, 0]})
    data = build(clicks(split={"by": "user_time", "train": 0.6, "validation": 0.2}), {"clicks.csv": rows})
    of_item = dict(zip(items, splits(data), strict=True))
    assert of_item == {1: "train", 8: "train", 9: "train", 10: "validation", 100: "test"}


def test_by_time_cuts_all_users_at_one_moment(build: Build, clicks: Clicks) -> None:
    rng = np.random.default_rng(0)
    at = rng.permutation(50)
    rows = pl.DataFrame({"user": rng.integers(0, 5, 50), "item": range(50), "at": at, "click": [0, 1] * 25})
    data = build(clicks(split={"by": "time"}), {"clicks.csv": rows})
    assert splits(data) == ["train" if t < 40 else "validation" if t < 45 else "test" for t in at]


def test_random_is_seeded_by_the_split_and_not_by_training(build: Build, clicks: Clicks) -> None:
    rows = pl.DataFrame({"user": ["a"] * 40, "item": range(40), "at": range(40), "click": [0, 1] * 20})
    content, files = clicks(split={"by": "random", "seed": 3}), {"clicks.csv": rows}
    one = build(content, files)
    assert (one.split == build(content, files, overrides=["training.seed=9"]).split).all()
    assert (one.split != build(content, files, overrides=["split.seed=4"]).split).any()
    assert np.bincount(one.split).tolist() == [32, 4, 4]


def test_a_column_may_say_it(build: Build, clicks: Clicks) -> None:
    words = ["train", "train", "valid", "test", "unused", "Train"]
    rows = pl.DataFrame(
        {"user": ["a"] * 6, "item": range(6), "at": range(6), "click": [0, 1] * 3, "part": words}
    )
    content = clicks(split={"by": "column", "column": "part"})
    assert splits(build(content, {"clicks.csv": rows})) == [
        "train", "train", "validation", "test", "unused", "train",
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"split.column 'part' holds 'holdout'.*train, validation, test"):
        build(content, {"clicks.csv": rows.with_columns(part=pl.lit("holdout"))})


def test_held_out_items_are_in_no_training_or_validation_row(build: Build, clicks: Clicks) -> None:
    rng = np.random.default_rng(1)
    rows = pl.DataFrame(
        {"user": rng.integers(0, 9, 300), "item": rng.integers(0, 20, 300), "at": range(300)}
    ).with_columns(click=pl.Series(rng.integers(0, 2, 300)))
    content = clicks(split={"by": "user_time", "hold_out_items": 0.25})
    data = build(content, {"clicks.csv": rows})
    seen = set(data.item_row[data.split <= 1])
    cold = set(data.item_row) - seen
    assert len(cold) == 5
    assert "unused" in splits(data)
    assert cold & set(data.item_row[data.split == SPLIT_CODES["test"]])
    item_codes = data.items.codes[:, 0]
    unknown = data.encoder.vocabularies["item"].offset
    assert {int(row) for row in np.flatnonzero(item_codes == unknown)} == cold


def test_no_training_row_is_an_error(build: Build, clicks: Clicks) -> None:
    rows = pl.DataFrame({"user": ["a", "b"], "item": [1, 2], "at": [1, 2], "click": [0, 1]})
    with pytest.raises(DataError, match=r"no interaction falls in the training split.*Cure: give more rows"):
        build(clicks(), {"clicks.csv": rows})
