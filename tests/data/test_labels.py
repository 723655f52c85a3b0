from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from motet.data import CleaningReport, Dataset
from motet.errors import DataError

Clicks = Callable[..., dict[str, Any]]
Build = Callable[..., Dataset]
NAN = float("nan")


def rows(**columns: list[Any]) -> pl.DataFrame:
    n = len(next(iter(columns.values())))
    return pl.DataFrame({"user": ["a"] * n, "item": range(n), "at": range(n), **columns})


def test_a_label_is_defined_only_after_all_tasks_of_its_chain(build: Build, clicks: Clicks) -> None:
    tasks = {
        "again": {"kind": "regression", "label": "again", "after": "buy"},
        "buy": {"kind": "binary", "label": "buy", "after": "click"},
        "click": {"kind": "binary", "label": "click"},
    }
    table = rows(click=[1, 1, 1, 0, 0, None, 1], buy=[1, 1, 0, 1, 0, 1, None], again=[5, 0, 3, 3, 3, 3, 3])
    data = build(clicks(tasks=tasks), {"clicks.csv": table})
    np.testing.assert_array_equal(
        data.labels.T,
        [
            [5, 0, NAN, NAN, NAN, NAN, NAN],
            [1, 1, 0, NAN, NAN, NAN, NAN],
            [1, 1, 1, 0, 0, NAN, 1],
        ],
    )


def test_sets_and_classes_and_their_gaps(build: Build, clicks: Clicks) -> None:
    tasks = {
        "mood": {"kind": "multiclass", "label": "mood"},
        "marks": {"kind": "multilabel", "label": "marks", "separator": ";"},
    }
    mood = ["sad", "glad", None, "sad", "glad", "sad", "sad", "sad", "glad", "odd"]
    marks = ["b; a", "a", None, "b;b", "a", "a", "a", "a", "a", "c;a"]
    cleaning_report = CleaningReport()
    data = build(
        clicks(tasks=tasks), {"clicks.csv": rows(mood=mood, marks=marks)}, cleaning_report=cleaning_report
    )
    assert data.encoder.classes == {"mood": ("glad", "sad"), "marks": ("a", "b")}
    everything = np.arange(10)
    np.testing.assert_array_equal(data.label("mood", everything)[:4], [1, 0, NAN, 1])
    assert np.isnan(data.label("mood", everything)[9])
    np.testing.assert_array_equal(
        data.label("marks", everything)[[0, 1, 2, 3, 9]], [[1, 1], [1, 0], [NAN, NAN], [0, 1], [1, 0]]
    )
    findings = " | ".join(map(str, cleaning_report))
    assert "mood: a class that no training row has in 1 rows: label masked" in findings
    assert "marks: a label that no training row has in 1 rows: label left out" in findings


def test_labels_outside_the_range_are_masked_and_counted(build: Build, clicks: Clicks) -> None:
    tasks = {"stars": {"kind": "regression", "label": "stars", "range": [1, 5]}}
    cleaning_report = CleaningReport()
    table = rows(stars=[0.0, 1.0, 5.0, 5.5, None, 3.0])
    data = build(clicks(tasks=tasks), {"clicks.csv": table}, cleaning_report=cleaning_report)
    np.testing.assert_array_equal(data.labels[:, 0], [NAN, 1, 5, NAN, NAN, 3])
    assert "clicks.csv.tasks.stars: label outside 1 to 5 in 2 rows: label masked" in map(str, cleaning_report)


def test_truth_values_are_labels(build: Build, clicks: Clicks) -> None:
    text = "user,item,at,click\n" + "".join(f"a,{k},{k},{w}\n" for k, w in enumerate(["true", "false"] * 5))
    assert build(clicks(), {"clicks.csv": text}).labels[:, 0].tolist() == [1, 0] * 5


def test_a_label_that_is_no_truth_value(build: Build, clicks: Clicks) -> None:
    with pytest.raises(DataError, match=r"clicks.csv: tasks.click.label 'click' gives 3, .*\"click >= 3\""):
        build(clicks(), {"clicks.csv": rows(click=[0, 3, 1, 0, 1])})
    with pytest.raises(
        DataError, match=r"tasks.click.label 'click' gives 'yes', not a number.*\"click = 'yes'\""
    ):
        build(clicks(), {"clicks.csv": rows(click=["yes", "no", "no", "yes", "no"])})


def test_text_compared_with_a_number(build: Build, clicks: Clicks) -> None:
    tasks = {"click": {"kind": "binary", "label": "status >= 4"}}
    with pytest.raises(
        DataError, match=r"tasks.click.label: the expression 'status >= 4' fails.*status is String"
    ):
        build(clicks(tasks=tasks), {"clicks.csv": rows(status=["new", "old"] * 5)})


def test_a_number_read_as_text_is_compared_as_a_number(build: Build, clicks: Clicks) -> None:
    tasks = {"click": {"kind": "binary", "label": "stars >= 10"}}
    content = clicks(tasks=tasks, tables={"interactions": "clicks.parquet"})
    data = build(content, {"clicks.parquet": rows(stars=["9", "10", " 11 ", "2", "30"] * 2)})
    assert data.labels[:, 0].tolist() == [0, 1, 1, 0, 1] * 2


def test_a_label_with_a_missing_column(build: Build, clicks: Clicks) -> None:
    tasks = {"click": {"kind": "binary", "label": "clik = 1"}}
    with pytest.raises(DataError, match=r"clicks.csv has no column 'clik'.*did you mean 'click'\?"):
        build(clicks(tasks=tasks), {"clicks.csv": rows(click=[0, 1])})


def test_labels_of_items_are_split_among_items(toy: Dataset) -> None:
    for name, labels in toy.entity_labels.items():
        n = len(toy.table(toy.schema.tasks[name].on))
        assert np.bincount(labels.split, minlength=3).tolist() == [
            int(n * 0.6),
            int(n * 0.8) - int(n * 0.6),
            n - int(n * 0.8),
        ]
    assert (toy.entity_labels["dear"].split == toy.entity_labels["maker"].split).all()
    assert toy.entity_labels["topics"].values.shape == (len(toy.items), 4)
    assert np.isnan(toy.entity_labels["topics"].values[-2:]).all()  # items of the interactions only
