"""What is exported gives the figures again, with nobody's code but scikit-learn's and a line of arithmetic."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from motet.cli import main
from motet.errors import DataError
from motet.schema import Schema
from motet.training import evaluate_bundle, train


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    n = 4000
    taste, kind = rng.integers(0, 4, 80), np.arange(50) % 4
    user, item = rng.integers(0, 80, n), rng.integers(0, 50, n)
    like = rng.random(n) < np.where(taste[user] == kind[item], 0.8, 0.2)
    pl.DataFrame(
        {
            "user": [f"u{k}" for k in user],
            "item": [f"i{k}" for k in item],
            "at": 1_700_000_000 + np.arange(n),
            "like": like.astype(int),
        }
    ).write_csv(place / "log.csv")
    (place / "schema.yaml").write_text(
        "name: likes\ntables: {interactions: log.csv}\nkeys: {user: user, item: item, time: at}\nsplit: {by: time}\n"
        "features: {user: {user: id}, item: {item: id}}\n"
        "tasks: {like: {kind: binary, label: like}, next: {kind: retrieval, positive: like = 1}}\n"
        "training: {epochs: 2, batch_size: 256}\n",
        encoding="utf-8",
    )
    train(Schema.load(place / "schema.yaml"), place, place / "bundle")
    return place


def test_the_figures_can_be_computed_from_what_is_exported(place: Path) -> None:
    out = place / "measured"
    assert main(["evaluate", str(place / "bundle"), "--data", str(place), "--export", str(out)]) == 0
    metrics = json.loads((place / "bundle" / "metrics.json").read_text(encoding="utf-8"))
    found = pl.read_parquet(out / "predictions.parquet")
    assert roc_auc_score(found["like_label"], found["like"]) == pytest.approx(
        metrics["tasks"]["like"]["auc"], abs=1e-6
    )
    rows = pl.read_parquet(out / "rows.parquet")
    assert rows["split"].value_counts().sort("split")["count"].to_list() == [
        len(found),
        3200,
        4000 - 3200 - len(found),
    ]
    lists = pl.read_parquet(out / "lists.parquet")
    hit = lists.group_by("user").agg(pl.col("found").any())["found"].mean()
    assert hit == pytest.approx(metrics["ranking"]["hit@10"], abs=1e-9)
    # what is said to be found is in the test rows, and in none before them
    liked = found.filter(pl.col("like_label") == 1).select("user", "item").unique()
    assert lists.filter("found").join(liked, on=["user", "item"], how="anti").is_empty()
    assert lists.filter("found").join(rows.filter(pl.col("split") != "test"), on=["user", "item"]).is_empty()


def test_a_place_that_cannot_be_written_is_named(place: Path) -> None:
    (place / "file").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be written"):
        evaluate_bundle(place / "bundle", place, export=place / "file")
