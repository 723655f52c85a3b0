"""Narrower vectors: what is fitted, on which rows, and that serving applies the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from motet.data import (
    Dataset,
    LinearReduction,
    SparseCodes,
    build_dataset,
    check_data,
    fit_reduction,
    read_reductions,
)
from motet.errors import DataError, SchemaError
from motet.models import build_model
from motet.recommend import Recommender
from motet.schema import ReduceSettings, Schema
from motet.testing import hashed_words_for_tests
from motet.training import ModelPredictor, load_bundle, save_bundle

METHODS: dict[str, dict[str, Any]] = {
    "pca": {"method": "pca", "width": 3},
    "svd": {"method": "svd", "width": 3},
    "lda": {"method": "lda", "task": "kind"},
    "sparse": {"method": "sparse", "width": 12, "active": 3},
}
WORDS = {"hat": "warm wool brim", "shoe": "lace sole heel", "bag": "zip strap purse"}
N = 240


def frame(seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    kinds = rng.choice(list(WORDS), N)
    texts = [" ".join(rng.choice(WORDS[kind].split(), 2)) + f" {rng.integers(9)}" for kind in kinds]
    pictures = (
        rng.normal(size=(N, 6)).astype(np.float32) + np.eye(3, 6)[[list(WORDS).index(k) for k in kinds]]
    )
    return pl.DataFrame(
        {
            "text": texts,
            "picture": pictures.tolist(),
            "kind": kinds,
            "good": rng.integers(0, 2, N),
            "part": np.where(np.arange(N) < 160, "train", np.where(np.arange(N) < 200, "validation", "test")),
        },
        schema_overrides={"picture": pl.List(pl.Float32)},
    )


def schema(reduce: dict[str, Any] | None, **more: Any) -> Schema:
    extra = {} if reduce is None else {"reduce": reduce}
    return Schema.parse(
        {
            "name": "things",
            "tables": {"interactions": "rows.parquet"},
            "features": {
                "interaction": {"text": {"kind": "text"} | extra, "picture": {"kind": "vector"} | extra}
            },
            "tasks": {
                "kind": {"kind": "multiclass", "label": "kind"},
                "good": {"kind": "binary", "label": "good"},
            },
            "split": {"by": "column", "column": "part"},
            "model": {"members": []},
            **more,
        }
    )


def world(place: Path, reduce: dict[str, Any] | None, table: pl.DataFrame | None = None) -> Dataset:
    (frame() if table is None else table).write_parquet(place / "rows.parquet")
    return build_dataset(schema(reduce), place, encode_text=hashed_words_for_tests)


@pytest.mark.parametrize("method", METHODS)
def test_training_rows_alone_decide_and_the_bundle_serves_the_same(method: str, tmp_path: Path) -> None:
    data = world(tmp_path, METHODS[method])
    late = pl.col("part") != "train"
    odd = frame().with_columns(
        text=pl.when(late).then(pl.lit("odd words of late rows")).otherwise("text"),
        kind=pl.when(late).then(pl.lit("bag")).otherwise("kind"),
    )
    other = world(tmp_path, METHODS[method], odd)
    for name, one in data.encoder.reductions.items():
        two = other.encoder.reductions[name].arrays()
        for part, array in one.arrays().items():
            np.testing.assert_array_equal(array, two[part])
        assert data.encoder.vector_widths[name] == {"lda": 2, "sparse": 12}.get(method, 3)

    model = build_model(data.schema, data.encoder, seed=5).eval()
    save_bundle(tmp_path / "bundle", model=model, data=data, metrics={})
    loaded = load_bundle(tmp_path / "bundle")
    for name, one in data.encoder.reductions.items():
        for part, array in one.arrays().items():
            np.testing.assert_array_equal(array, loaded.data.encoder.reductions[name].arrays()[part])
    rows = data.rows("test")
    served = Recommender(loaded, hashed_words_for_tests).predict(frame()[rows])
    wanted = ModelPredictor(model, data).predict(rows)
    np.testing.assert_allclose(served["good"].to_numpy(), wanted["good"], atol=1e-5)
    one_row = Recommender(loaded, hashed_words_for_tests).predict(frame()[rows[:1]])
    np.testing.assert_allclose(one_row["good"].to_numpy(), wanted["good"][:1], atol=1e-5)


def test_without_the_setting_nothing_is_fitted(tmp_path: Path) -> None:
    assert world(tmp_path, None).encoder.reductions == {}


def vectors(n: int = 400, width: int = 6) -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    return (rng.normal(size=(n, width)) @ rng.normal(size=(width, width)) + 2).astype(np.float32)


def test_principal_components_are_those_of_scikit_learn_and_missing_stays_zero() -> None:
    x = vectors()
    found = fit_reduction(ReduceSettings(method="pca", width=2), x)
    np.testing.assert_allclose(found.apply(x), PCA(2).fit_transform(x.astype(np.float64)), atol=1e-4)
    assert not found.apply(np.zeros((1, 6), np.float32)).any()


def test_svd_keeps_what_the_mean_says() -> None:
    x = vectors()
    kept = fit_reduction(ReduceSettings(method="svd", width=6), x)
    assert isinstance(kept, LinearReduction)
    assert not kept.mean.any()
    np.testing.assert_allclose(kept.apply(x) @ kept.matrix.T, x, atol=1e-3)  # all directions lose nothing


def test_the_discriminant_of_two_classes_by_hand() -> None:
    """Fisher's direction is S_w⁻¹·(m₁ − m₀), scaled to a variance of 1 within the classes."""
    rng = np.random.default_rng(2)
    spread = np.array([[2.0, 0.6], [0.6, 0.5]])
    y = np.repeat([0.0, 1.0], 20_000).astype(np.float32)
    x = (rng.multivariate_normal([0, 0], spread, 40_000) + np.outer(y, [1.0, 1.0])).astype(np.float32)
    found = fit_reduction(ReduceSettings(method="lda", task="t", width=5), x, y)
    assert isinstance(found, LinearReduction)
    assert found.matrix.shape == (2, 1)
    wanted = np.linalg.solve(spread, [1.0, 1.0])
    w = found.matrix[:, 0]
    assert abs(w @ wanted) / np.linalg.norm(w) / np.linalg.norm(wanted) == pytest.approx(1, abs=1e-3)
    assert found.apply(x)[y == 0].std() == pytest.approx(1, abs=0.02)


def test_sparse_codes_are_few_and_follow_their_formula() -> None:
    rng = np.random.default_rng(3)
    atoms = np.linalg.qr(rng.normal(size=(16, 16)))[0][:8]
    weights = rng.normal(size=(600, 8)) * (rng.random((600, 8)) < 0.25)
    x = (weights @ atoms + 0.01 * rng.normal(size=(600, 16))).astype(np.float32)
    found = fit_reduction(ReduceSettings(method="sparse", width=8, active=2), x)
    assert isinstance(found, SparseCodes)
    codes = found.apply(x)
    lengths = np.linalg.norm(found.dictionary, axis=1)
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-5)
    assert (codes[codes != 0] ** 2).mean() == pytest.approx(1, abs=0.01)
    assert (codes != 0).sum(1).mean() == pytest.approx(2, abs=0.05)
    products, alpha = (x[0] - found.mean) @ found.dictionary.T, float(found.threshold[0])
    by_hand = [np.sign(v) * max(abs(v) - alpha, 0) for v in products]
    np.testing.assert_allclose(codes[0], by_hand, atol=1e-6)
    likeness = (
        np.abs(found.dictionary @ atoms.T).max(0) / lengths[0]
    )  # each atom that made the data is among those found
    assert likeness.mean() > 0.9
    again = read_reductions({f"f.{name}": array for name, array in found.arrays().items()})["f"]
    np.testing.assert_array_equal(again.apply(x), codes)


@pytest.mark.parametrize(
    ("reduce", "message"),
    [
        ({"method": "pca", "task": "kind"}, "'task' is for lda.*remove it"),
        ({"method": "lda"}, "name one, such as 'task: click'"),
        ({"method": "lda", "task": "knd"}, "did you mean 'kind'"),
        ({"method": "sparse", "width": 8}, "give an 'active' below 'width'"),
        ({"method": "pca", "active": 3}, "'active' is for sparse.*remove it"),
        ({"method": "tsne"}, "'pca', 'svd', 'lda' or 'sparse'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(reduce: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=f"(?s){message}"):
        schema(reduce)


def test_whitened_and_reduced_at_once_is_refused() -> None:
    good = schema(METHODS["pca"])
    with pytest.raises(SchemaError, match="keep one of them"):
        good.with_overrides("features.interaction.text.whiten=3")
    with pytest.raises(SchemaError, match="write 'method: pca'"):
        good.with_overrides(
            "tasks.size={kind: regression, label: good + 1}",
            "features.interaction.text.reduce={method: lda, task: size}",
        )


def test_too_little_to_fit_is_an_error_that_names_the_feature(tmp_path: Path) -> None:
    one_class = frame().with_columns(
        kind=pl.when(pl.col("picture").is_not_null()).then(pl.lit("hat")).otherwise("kind")
    )
    with pytest.raises(DataError, match=r"'text'.*two classes.*method: pca"):
        world(tmp_path, METHODS["lda"], one_class)
    with pytest.raises(DataError, match=r"'text'.*two different vectors.*remove 'reduce'"):
        world(tmp_path, METHODS["pca"], frame().with_columns(text=pl.lit("the same")))


@pytest.mark.parametrize("method", METHODS)
def test_data_are_checked_without_encoding_a_text(method: str, tmp_path: Path) -> None:
    frame().write_parquet(tmp_path / "rows.parquet")
    report = check_data(schema(METHODS[method]), tmp_path, tmp_path / "columns")
    assert report.rows["train"] == 160


def test_vectors_with_nothing_to_choose() -> None:
    one = np.array([[1.0], [3.0]], np.float32)
    for method, wanted in (("pca", [-1.0, 1.0]), ("svd", [1.0, 3.0])):
        found = fit_reduction(ReduceSettings.model_validate({"method": method}), one).apply(one)
        np.testing.assert_allclose(found[:, 0], wanted)
    same = np.repeat(np.eye(2, dtype=np.float32), 3, 0)
    with pytest.raises(DataError, match=r"'f'.*vary within a class.*write 'method: pca'"):
        fit_reduction(
            ReduceSettings(method="lda", task="t"),
            same,
            np.repeat([0.0, 1.0], 3).astype(np.float32),
            name="f",
        )
