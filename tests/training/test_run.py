from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import motet
from motet.errors import BundleError, DataError, MotetError, TrainingError
from motet.schema import Schema
from motet.training import evaluate_bundle, only_run, train


@pytest.fixture
def place(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    pl.DataFrame(
        {
            "user": rng.integers(0, 9, 200),
            "item": rng.integers(0, 9, 200),
            "at": np.arange(200) + 1_700_000_000,
            "click": rng.integers(0, 2, 200),
        }
    ).write_csv(tmp_path / "data" / "clicks.csv")
    return tmp_path


@pytest.fixture
def schema(clicks: Callable[..., dict[str, Any]]) -> Schema:
    return Schema.parse(clicks(training={"epochs": 1}))


def test_train_writes_a_bundle_with_a_report_and_nothing_else(place: Path, schema: Schema) -> None:
    said: list[str] = []
    bundle = train(
        schema,
        place / "data",
        place / "new" / "runs" / "b",
        progress=lambda what, done, total: said.append(what),
    )
    assert bundle.metrics["tasks"]["click"]["auc"] is not None
    assert (bundle.directory / "report.html").is_file()
    assert [p.name for p in bundle.directory.parent.iterdir()] == ["b"]
    assert "reading clicks.csv" in said


def test_what_a_killed_run_left_is_cleared_away(place: Path, schema: Schema) -> None:
    for left in (".b.columns.abc", "b.checkpoint", "b.checkpoint.new", "b.checkpoint.old", "b.new"):
        (place / left).mkdir()
        (place / left / "x").write_text("half")
    (place / ".bb.columns.abc").mkdir()  # another run's
    train(schema, place / "data", place / "b")
    assert sorted(p.name for p in place.iterdir()) == [".bb.columns.abc", "b", "data"]


def test_a_checkpoint_survives_a_mistake_in_the_command(place: Path, schema: Schema) -> None:
    (place / "b.checkpoint").mkdir()
    (place / "b.checkpoint" / "state.json").write_text("{}")
    with pytest.raises(DataError):
        train(schema, place / "elsewhere", place / "b")
    assert (place / "b.checkpoint" / "state.json").exists()
    with pytest.raises(TrainingError, match="is damaged"):
        train(schema, place / "data", place / "b", resume=True)


def test_a_bundle_is_replaced_only_when_asked(place: Path, schema: Schema) -> None:
    first = train(schema, place / "data", place / "b").manifest
    with pytest.raises(BundleError, match="--overwrite"):
        train(schema, place / "data", place / "b")
    other = schema.with_overrides("training.seed=1")
    second = train(other, place / "data", place / "b", overwrite=True).manifest
    weights = "weights.safetensors"
    assert first["files"][weights] != second["files"][weights]


def test_evaluating_replaces_the_metrics_and_keeps_the_history(place: Path, schema: Schema) -> None:
    trained = train(schema, place / "data", place / "b").metrics
    found = evaluate_bundle(place / "b", place / "data", split="validation")
    assert found["split"] == "validation"
    assert found["history"] == trained["history"]
    again = evaluate_bundle(place / "b", place / "data")
    assert again["tasks"] == trained["tasks"]
    with pytest.raises(MotetError, match="did you mean 'validation'"):
        evaluate_bundle(place / "b", place / "data", split="validaton")


def test_answers_come_from_the_bundle_alone(place: Path, schema: Schema) -> None:
    train(schema, place / "data", place / "b")
    (place / "data" / "clicks.csv").unlink()
    recommender = motet.load(place / "b").recommender
    assert len(recommender.predict(pl.DataFrame({"user": [1], "item": [2]}))) == 1


def test_a_bundle_carries_the_graph_it_was_trained_beside(place: Path, schema: Schema) -> None:
    facts = [("3", "made_by", "ann"), ("5", "made_by", "ann"), ("5", "made_in", "rome")]
    pl.DataFrame(facts, schema=["head", "relation", "tail"], orient="row").write_csv(
        place / "data" / "facts.csv"
    )
    with_graph = schema.with_overrides("knowledge.triples=facts.csv")
    bundle = train(with_graph, place / "data", place / "with")
    graph = motet.load(bundle.directory).graph
    assert graph is not None
    rows = [bundle.data.item_ids.to_list().index(item) for item in ("3", "5")]
    assert [s.fact.entity for s in graph.shared(*rows)] == ["ann"]
    train(schema, place / "data", place / "without")
    assert motet.load(place / "without").graph is None


def test_two_runs_with_one_result(place: Path, schema: Schema) -> None:
    with only_run(place / "b"), pytest.raises(TrainingError, match=r"another run .* is writing"):
        train(schema, place / "data", place / "b")
    train(schema, place / "data", place / "b")
    assert not list(place.glob(".b.*"))


def test_the_time_limit_covers_measuring(place: Path, schema: Schema) -> None:
    endless = schema.with_overrides("training.epochs=100000", "training.patience=100000")
    limit_s = 4.0
    bundle = train(endless.with_overrides(f"training.time_limit_s={limit_s}"), place / "data", place / "b")
    history = bundle.metrics["history"]
    assert history["stopped"] == "time limit"
    assert len(history["validations"]) >= 1
    assert bundle.metrics["cost"]["train_s"] < limit_s


def test_the_time_limit_covers_reading_and_its_cure_works(place: Path, schema: Schema) -> None:
    before = sorted(place.rglob("*"))
    with pytest.raises(TrainingError, match=r"the time limit of 1e-09 s was over before training") as caught:
        train(schema.with_overrides("training.time_limit_s=1e-9"), place / "data", place / "b")
    assert sorted(place.rglob("*")) == before
    assert "raise training.time_limit_s" in caught.value.cure
    train(schema.with_overrides("training.time_limit_s=600"), place / "data", place / "b")
