from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.data import CleaningReport, Dataset, Preparer, RawReader, Scale, Whitening, build_dataset
from motet.schema import Entity
from motet.testing import hashed_words_for_tests, toy_schema, toy_tables

Clicks = Callable[..., dict[str, Any]]
Build = Callable[..., Dataset]


def test_what_is_fitted_does_not_look_at_test_rows(tmp_path: Path) -> None:
    """Turn every cell of the validation and test rows into nonsense: nothing fitted may change."""
    schema = toy_schema(items=False, overrides=["split.by=column", "split.column=part"])
    tables = toy_tables()
    parts = np.where(np.arange(400) < 240, "train", np.where(np.arange(400) < 320, "validation", "test"))
    rows = tables["interactions"].with_columns(part=pl.Series(parts))
    late = pl.col("part") != "train"
    changed = rows.with_columns(
        pl.when(late).then(pl.lit("never seen")).otherwise("device").alias("device"),
        pl.when(late).then(pl.lit(1e6)).otherwise("wait").alias("wait"),
        pl.when(late).then(pl.lit("odd|other")).otherwise("notes").alias("notes"),
        pl.when(late).then(pl.lit("moon")).otherwise("place").alias("place"),
        pl.when(late).then(pl.lit("furious")).otherwise("mood").alias("mood"),
        pl.when(late).then(pl.lit("new mark")).otherwise("marks").alias("marks"),
        pl.when(late).then(1.0).otherwise("stars").alias("stars"),
        pl.when(late).then(1).otherwise("click").alias("click"),
    )
    encoders = []
    for table in (rows, changed):
        cleaning_report = CleaningReport()
        tables["users"].write_parquet(tmp_path / "users.parquet")
        table.write_parquet(tmp_path / "interactions.parquet")
        data = build_dataset(
            schema, tmp_path, encode_text=hashed_words_for_tests, cleaning_report=cleaning_report
        )
        encoders.append(data.encoder)
    one, two = encoders
    assert one.scales == two.scales
    assert one.missing == two.missing
    assert one.label_mean == two.label_mean
    assert one.label_std == two.label_std
    assert one.classes == two.classes
    assert one.table_rows == two.table_rows
    assert {n: v.words.words.to_list() for n, v in one.vocabularies.items()} == {
        n: v.words.words.to_list() for n, v in two.vocabularies.items()
    }
    # a scenario, a category and a class never seen
    test = data.rows("test")
    assert set(data.scenario[test].tolist()) == {0}
    assert sorted(data.encoder.scenarios) == ["checkout", "home", "search", "unknown"]
    assert np.isnan(data.label("mood", test)).all()
    assert any("a class that no training row has" in str(finding) for finding in cleaning_report)


def test_raw_rows_are_encoded_as_the_data_set_was(toy: Dataset) -> None:
    """The one way from a raw row to a number: serving reads the raw frames again, columns shuffled."""
    tables = toy_tables()
    rng = np.random.default_rng(0)
    entities: tuple[tuple[Entity, str], ...] = (("user", "users"), ("item", "items"))
    for entity, name in entities:
        frame = tables[name]
        order = rng.permutation(len(frame))
        frame = frame[order].select(rng.permutation(frame.columns).tolist())
        prepared = Preparer(toy.schema, CleaningReport()).prepare(frame, entity, "request")
        reader = RawReader(toy.schema, entity, "request", optional=True)
        reader.add(prepared)
        raw = reader.finish()
        encoded, stored = toy.encoder.encode(raw, entity), toy.table(entity)
        np.testing.assert_array_equal(encoded.codes, stored.codes[order])
        np.testing.assert_array_equal(encoded.numbers, stored.numbers[order])
        for tag, lists in encoded.tags.items():
            np.testing.assert_array_equal(lists.values, stored.tags[tag].take(order).values)
        for column, text in enumerate(toy.encoder.layout(entity).vectors):
            if text in raw.texts:
                index, positions = raw.texts[text]
                at_serving = hashed_words_for_tests(index.words.to_list())[positions]
                kept = toy.vectors[text][stored.vector_rows[order, column]]
                np.testing.assert_allclose(at_serving, kept, atol=1e-6)


def test_missing_columns_at_serving_are_missing_values(toy: Dataset) -> None:
    frame = pl.DataFrame({"item": ["new"]})
    reader = RawReader(toy.schema, "item", "request", optional=True)
    reader.add(frame)
    encoded = toy.encoder.encode(reader.finish(), "item")
    layout = toy.encoder.layout("item")
    unknown = [toy.encoder.vocabularies[name].offset for name in layout.codes]
    assert encoded.codes[0].tolist() == unknown
    assert encoded.numbers[0, layout.numbers.index("price missing")] == 1


def test_min_count_counts_training_rows(build: Build, clicks: Clicks) -> None:
    rows = pl.DataFrame(
        {
            "user": ["a"] * 10,
            "item": ["x", "x", "x", "y", "y", "z", "z", "w", "z", "z"],
            "at": range(10),
            "click": [0, 1] * 5,
        }
    )
    content = clicks(features={"item": {"item": {"kind": "id", "min_count": 2}}})
    data = build(content, {"clicks.csv": rows})
    assert data.encoder.vocabularies["item"].words.words.to_list() == ["x", "y", "z"]
    rarer = build(clicks(features={"item": {"item": {"kind": "id", "min_count": 3}}}), {"clicks.csv": rows})
    assert rarer.encoder.vocabularies["item"].words.words.to_list() == ["x"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=40),
    st.sampled_from(["standard", "log", "quantile", "none"]),
)
def test_scales_keep_order_give_no_gaps_and_survive_json(values: list[float], kind: str) -> None:
    numbers = np.array(values)
    scale = Scale.fit(kind, numbers)
    scaled = scale.apply(numbers)
    assert np.isfinite(scaled).all()
    order = np.argsort(numbers[np.isfinite(numbers)], kind="stable")
    assert (np.diff(scaled[np.isfinite(numbers)][order]) >= -1e-6).all()
    assert (scaled[np.isnan(numbers)] == 0).all()
    np.testing.assert_array_equal(Scale.from_json(scale.to_json()).apply(numbers), scaled)


def test_standard_scale_by_hand() -> None:
    # mean 4, deviation √((9+1+0+16)/4) = 2.5495…
    scale = Scale.fit("standard", np.array([1.0, 3.0, 4.0, 8.0]))
    assert (scale.centre, round(scale.spread, 4)) == (4.0, 2.5495)
    assert Scale.fit("log", np.array([-(np.e - 1), np.e - 1])).apply(np.array([np.e - 1])).tolist() == [1.0]
    assert Scale.fit("standard", np.array([7.0, 7.0])).apply(np.array([9.0])).tolist() == [2.0]


def test_whitened_vectors_have_unit_covariance_and_missing_ones_stay_zero() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)) + 3).astype(np.float32)
    white = Whitening.fit(vectors, 4).apply(vectors)
    np.testing.assert_allclose(np.cov(white.T, ddof=0), np.eye(4), atol=1e-2)
    assert not Whitening.fit(vectors, 4).apply(np.zeros((1, 6), np.float32)).any()
    nothing = Whitening.fit(np.zeros((0, 6), np.float32), 4).apply(vectors)
    assert nothing.shape == (500, 4)
    assert np.isfinite(nothing).all()
