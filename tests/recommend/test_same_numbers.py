"""There is one way from a raw row to a number: training's and serving's are held equal here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from motet.data import Dataset, build_dataset, read_table
from motet.models import build_model
from motet.recommend import Recommender
from motet.testing import hashed_words_for_tests, toy_schema, toy_tables
from motet.training import ModelPredictor, load_bundle, save_bundle

CLOSE = 1e-5


def world(place: Path, suffix: str, *, overrides: tuple[str, ...] = (), **parts: Any) -> Dataset:
    """The toy world, the last rows of each user for the test, no two rows at one time."""
    tables = toy_tables(rows=240, seed=1)
    order = pl.col("at").rank("ordinal")
    tables["interactions"] = tables["interactions"].with_columns(at=1_700_000_000 + 3600 * order)
    late = pl.col("at").rank("ordinal", descending=True).over("user")
    part = pl.when(late <= 2).then(pl.lit("test")).when(late == 3).then(pl.lit("validation"))
    tables["interactions"] = tables["interactions"].with_columns(
        part.otherwise(pl.lit("train")).alias("part")
    )
    for name, table in tables.items():
        if suffix == "csv":
            table.drop("picture", strict=False).write_csv(place / f"{name}.csv")
        else:
            table.write_parquet(place / f"{name}.parquet")
    schema = toy_schema(suffix=suffix, overrides=("split={by: column, column: part}", *overrides), **parts)
    return build_dataset(schema, place, encode_text=hashed_words_for_tests)


def served(data: Dataset, place: Path) -> tuple[Recommender, ModelPredictor]:
    model = build_model(data.schema, data.encoder, seed=5).eval()
    save_bundle(place / "bundle", model=model, data=data, metrics={})
    return Recommender(load_bundle(place / "bundle"), hashed_words_for_tests), ModelPredictor(model, data)


def expected(data: Dataset, predictor: ModelPredictor, rows: Any) -> dict[str, Any]:
    values: dict[str, Any] = dict(predictor.predict(rows))
    for entity, of_row in (("user", data.user_row[rows]), ("item", data.item_row[rows])):
        found = predictor.predict_entities(entity)  # type: ignore[arg-type]
        values |= {task: y[of_row] for task, y in found.items()}
    return values


def assert_same(data: Dataset, wanted: dict[str, Any], result: pl.DataFrame) -> None:
    kinds = set()
    for name, task in data.schema.tasks.items():
        if task.kind == "retrieval":
            continue
        kinds.add((task.kind, task.on))
        y = wanted[name]
        if task.kind == "multiclass":
            best = np.asarray(data.encoder.classes[name])[y.argmax(1)]
            sure = np.sort(y, 1)[:, -1] - np.sort(y, 1)[:, -2] > CLOSE
            assert result[name].to_numpy()[sure].tolist() == best[sure].tolist(), name
            np.testing.assert_allclose(result[f"{name}_probability"].to_numpy(), y.max(1), atol=CLOSE)
        elif task.kind == "multilabel":
            classes = np.asarray(data.encoder.classes[name])
            for row, labels in zip(y, result[name].to_list(), strict=True):
                certain = set(classes[row > 0.5 + CLOSE])
                assert certain <= set(labels) <= set(classes[row > 0.5 - CLOSE]), name
        else:
            np.testing.assert_allclose(result[name].to_numpy(), y, atol=CLOSE * max(1, np.abs(y).max()))
    assert len(kinds) == 4 * 3  # every kind of task, on interactions, users and items


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_known_users_with_their_histories(suffix: str, tmp_path: Path) -> None:
    data = world(tmp_path, suffix)
    recommender, predictor = served(data, tmp_path)
    rows = data.rows("test")
    assert max(h.before[rows].max() for h in data.histories.values()) > 3
    raw = read_table(tmp_path, f"interactions.{suffix}", ["user", "item"], recommender.word_columns)
    result = recommender.predict(raw[rows])
    assert result["user"].to_list() == raw["user"][rows].to_list()
    assert_same(data, expected(data, predictor, rows), result)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_users_and_items_never_seen_by_their_columns(suffix: str, tmp_path: Path) -> None:
    # ids that are all too rare to be learnt: a new one is then like an old one
    rare = ("features.user.user.min_count=10000", "features.item.item.min_count=10000")
    data = world(tmp_path, suffix, overrides=rare, sequences=())
    recommender, predictor = served(data, tmp_path)
    rows = data.rows("test")
    words = recommender.word_columns
    raw = read_table(tmp_path, f"interactions.{suffix}", ["user", "item"], words)[rows]
    users = read_table(tmp_path, f"users.{suffix}", ["user"], words)
    items = read_table(tmp_path, f"items.{suffix}", ["item"], words)
    users = users.rename({c: f"user.{c}" for c in users.columns if c != "user"})
    items = items.rename({c: f"item.{c}" for c in items.columns if c != "item"})
    new = (
        raw.with_columns(pl.col("item").cast(pl.String))
        .join(users, on="user", how="left", maintain_order="left")
        .join(
            items.with_columns(pl.col("item").cast(pl.String)), on="item", how="left", maintain_order="left"
        )
        .with_columns(pl.format("new {}", pl.col(key)).alias(key) for key in ("user", "item"))
    )
    assert_same(data, expected(data, predictor, rows), recommender.predict(new))


def test_the_words_that_a_request_takes_from_users_and_items_are_known(tmp_path: Path) -> None:
    data = world(tmp_path, "parquet", sequences=())
    recommender, predictor = served(data, tmp_path)
    rows = data.rows("test")
    raw = pl.read_parquet(tmp_path / "interactions.parquet")[rows]
    plain = recommender.predict(raw)
    blind = Recommender(recommender.bundle, None).predict(raw)
    assert not np.allclose(plain["click"].to_numpy(), blind["click"].to_numpy(), atol=1e-6)
    np.testing.assert_allclose(plain["click"], predictor.predict(rows)["click"], atol=CLOSE)


def test_a_raw_row_without_a_column_is_a_row_with_a_missing_value(tmp_path: Path) -> None:
    data = world(tmp_path, "parquet")
    recommender, _ = served(data, tmp_path)
    raw = pl.read_parquet(tmp_path / "interactions.parquet").head(20)
    with_nulls = raw.with_columns(
        pl.lit(None, dtype=raw[c].dtype).alias(c) for c in ("device", "wait", "query")
    )
    without = raw.drop("device", "wait", "query")
    assert recommender.predict(with_nulls).equals(recommender.predict(without))


@pytest.mark.parametrize("retrieval_only", [False, True])
def test_rankings_equal_predictions(retrieval_only: bool, tmp_path: Path) -> None:
    data = world(tmp_path, "parquet")
    recommender, predictor = served(data, tmp_path)
    by = "next" if retrieval_only else "click"
    k = len(data.items)
    result = recommender.recommend(data.user_ids[:5].to_list(), k, by=by, scenario="home", include_seen=True)
    assert len(result) == 5 * k
    pairs = result.select("user", "item").with_columns(place=pl.lit("home"))
    again = recommender.predict(pairs)
    for task in ("click", "stars", "next", "dear", "worth"):
        np.testing.assert_allclose(result[task], again[task], atol=1e-4)
    if retrieval_only:
        np.testing.assert_allclose(result["score"], again["next"], atol=1e-4)
        scores = predictor.score_items(np.arange(5))
        assert scores is not None
        found = {(u, i): s for u, i, s in result.select("user", "item", "score").iter_rows()}
        for user in range(5):
            for item in range(k):
                key = (data.user_ids[user], data.item_ids[item])
                assert abs(found[key] - scores[user, item]) < 1e-4
    else:
        np.testing.assert_allclose(1 / (1 + np.exp(-result["score"].to_numpy())), again["click"], atol=CLOSE)
    for _, group in result.group_by("user"):
        assert group["rank"].to_list() == list(range(1, k + 1))
        assert group["score"].is_sorted(descending=True)


def test_no_gradient_is_kept(tmp_path: Path) -> None:
    data = world(tmp_path, "parquet", sequences=())
    recommender, _ = served(data, tmp_path)
    raw = pl.read_parquet(tmp_path / "interactions.parquet").head(3)
    recommender.predict(raw)
    assert all(p.grad is None for p in recommender.bundle.model.parameters())
    assert torch.is_grad_enabled()
