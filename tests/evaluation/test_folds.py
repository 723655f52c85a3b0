"""Cross-validation: folds are what they say, nothing of the future is trained on, and a stopped run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats

import motet
from motet.cli import main
from motet.data import SPLIT_CODES, Dataset, Fold, build_dataset
from motet.errors import DataError, TrainingError
from motet.evaluation import primary_values
from motet.schema import Schema
from motet.testing import hashed_words_for_tests, toy_schema, toy_tables
from motet.training import cross_validate, load_data, train

TRAIN, VALIDATION, TEST, UNUSED = (SPLIT_CODES[name] for name in ("train", "validation", "test", "unused"))


def tables(rows: int = 600) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    user, item = rng.integers(0, 20, rows), rng.integers(0, 15, rows)
    taste = rng.normal(size=(20, 15))
    return pl.DataFrame(
        {
            "user": user,
            "item": item,
            "at": np.sort(rng.integers(0, rows, rows)) * 60 + 1_700_000_000,  # with ties
            "click": (taste[user, item] + 0.5 * rng.normal(size=rows) > 0).astype(int),
        }
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    tables().write_csv(tmp_path / "data" / "clicks.csv")
    return tmp_path


@pytest.fixture
def schema(clicks: Callable[..., dict[str, Any]]) -> Schema:
    return Schema.parse(
        clicks(
            split={"by": "random"},
            model={"architecture": "shared_bottom", "width": 4, "members": ["like_ratio"]},
            training={"epochs": 2, "batch_size": 64, "learning_rate": 0.02},
        )
    )


def folds_of(schema: Schema, place: Path, k: int, seed: int = 0) -> list[Dataset]:
    return [load_data(schema, place / "data", fold=Fold(n, k, seed)).data for n in range(k)]


def without_times(folds: Any) -> dict[str, Any]:
    each = [{key: value for key, value in fold.items() if key != "elapsed_s"} for fold in folds["each"]]
    return {**folds, "each": each}


@pytest.mark.parametrize("k", [2, 3, 7])
def test_random_folds_test_each_row_once_and_deal_out_each_users_rows_evenly(
    k: int, schema: Schema, place: Path
) -> None:
    data = folds_of(schema, place, k)
    tested = np.stack([d.split == TEST for d in data])
    assert (tested.sum(axis=0) == 1).all()
    for split, share in ((TEST, 1 / k), (VALIDATION, (1 - 1 / k) / 9)):
        for d in data:
            rows = d.split == split
            assert abs(rows.mean() - share) < 0.01
            users = np.bincount(d.user_row, minlength=len(d.users))
            expected = users * share
            found = np.bincount(d.user_row[rows], minlength=len(d.users))
            assert np.abs(found - expected).max() < 2
    assert not any((d.split == UNUSED).any() for d in data)


def test_random_folds_depend_on_the_seed_alone(schema: Schema, place: Path) -> None:
    one, two, other = (folds_of(schema, place, 3, seed)[0].split for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def check_windows(time: list[NDArray[np.int64]], split: list[NDArray[np.uint8]]) -> None:
    for at, codes in zip(time, split, strict=True):
        train_end = at[codes == TRAIN].max()
        assert train_end <= at[codes == VALIDATION].min()
        assert at[codes == VALIDATION].max() <= at[codes == TEST].min()
        if (codes == UNUSED).any():
            assert at[codes == TEST].max() <= at[codes == UNUSED].min()
    tested = np.stack([codes == TEST for codes in split]).sum(axis=0)
    assert tested.max() == 1  # windows do not overlap
    assert (split[-1] != UNUSED).all()  # and end with the last row


@pytest.mark.parametrize("k", [2, 4, 5, 10])
def test_windows_never_train_on_later_rows(k: int, schema: Schema, place: Path) -> None:
    timed = schema.with_overrides("split.by=time")
    data = folds_of(timed, place, k)
    check_windows([d.time for d in data], [d.split for d in data])
    sizes = [int((d.split == TRAIN).sum()) for d in data]
    assert sizes == sorted(sizes)  # expanding
    assert sizes[0] >= 0.4 * len(data[0])
    own = load_data(timed, place / "data").data.split
    assert np.array_equal(data[-1].split, own) == (k <= 5)  # windows of a tenth fit into half of the rows


def test_windows_of_each_user(schema: Schema, place: Path) -> None:
    data = folds_of(schema.with_overrides("split.by=user_time"), place, 3)
    for user in range(len(data[0].users)):
        rows = [d.user_row == user for d in data]
        check_windows(
            [d.time[r] for d, r in zip(data, rows, strict=True)],
            [d.split[r] for d, r in zip(data, rows, strict=True)],
        )


def test_histories_and_encodings_see_training_rows_alone(build: Any, clicks: Any, tmp_path: Path) -> None:
    rows = tables()
    rare = rows.with_columns(
        pl.when(pl.col("at") == pl.col("at").max()).then(99).otherwise("item").alias("item")
    )
    features = {"user": {"past": {"kind": "sequence", "of": "item", "last": 600}}, "item": {"item": "id"}}
    content = clicks(split={"by": "time"}, features=features)
    build(content, {"clicks.csv": rare})
    for number in range(3):
        data = build_dataset(Schema.parse(content), tmp_path, fold=Fold(number, 3))
        assert "99" not in data.encoder.vocabularies["item"].words.words.to_list()
        known = data.histories["past"].items.values
        assert len(known) <= (data.split != UNUSED).sum()
        assert set(known) <= set(data.item_row[data.split != UNUSED])


def test_labels_of_users_and_items_are_tested_once(tmp_path: Path) -> None:
    schema = toy_schema(sequences=())
    for name, table in toy_tables().items():
        table.write_parquet(tmp_path / f"{name}.parquet")
    data = [
        build_dataset(schema, tmp_path, encode_text=hashed_words_for_tests, fold=Fold(n, 4)) for n in range(4)
    ]
    for task in ("churn", "stock"):
        tested = np.stack([d.entity_labels[task].split == TEST for d in data])
        assert (tested.sum(axis=0) == 1).all()


def test_metrics_over_folds(place: Path, schema: Schema) -> None:
    bundle = train(schema, place / "data", place / "b")
    found = cross_validate(place / "b", place / "data", 3)
    folds = found["folds"]
    assert (folds["number"], folds["kind"], folds["seed"]) == (3, "random", 0)
    assert sum(fold["rows"]["test"] for fold in folds["each"]) == 600
    auc = folds["tasks"]["click"]["auc"]
    values = np.array(auc["values"])
    assert len(set(values)) == 3
    assert values.mean() > 0.5
    assert auc["mean"] == pytest.approx(values.mean())
    assert auc["deviation"] == pytest.approx(values.std(ddof=1))
    expected = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
    assert auc["interval"] == pytest.approx(list(expected))
    assert folds["score"]["values"] == pytest.approx(auc["values"])
    assert folds["ranking"] is None
    assert "rows" not in folds["tasks"]["click"]
    assert found["tasks"] == bundle.metrics["tasks"]  # the bundle's own model stays as it is
    assert json.loads((place / "b" / "metrics.json").read_text())["folds"] == folds
    page = (place / "b" / "report.html").read_text(encoding="utf-8")
    assert "Cross-validation" in page
    assert f"{auc['mean']:.3f}" in page
    assert sorted(p.name for p in place.iterdir()) == ["b", "data"]


def test_the_last_window_is_what_the_bundle_measured(place: Path, schema: Schema) -> None:
    timed = schema.with_overrides("split.by=time")
    bundle = train(timed, place / "data", place / "b")
    folds = cross_validate(place / "b", place / "data", 2)["folds"]
    assert folds["kind"] == "rolling"
    for metric in ("auc", "log_loss"):
        assert folds["tasks"]["click"][metric]["values"][-1] == bundle.metrics["tasks"]["click"][metric]


def test_the_ranking_is_measured_too(place: Path, schema: Schema) -> None:
    content = schema.model_dump()
    content["tasks"]["next"] = {"kind": "retrieval", "positive": "click = 1"}
    train(Schema.parse(content), place / "data", place / "b")
    model = motet.load(place / "b")
    evaluation = model.evaluate(place / "data", folds=2)
    assert evaluation.metrics["folds"]["ranking"]["ndcg@10"]["mean"] > 0
    assert "test rows of 2 random folds" in str(evaluation)
    assert model.metrics["folds"] == evaluation.metrics["folds"]
    with pytest.raises(DataError, match="without baselines"):
        model.evaluate(place / "data", folds=2, baselines=True)


def test_a_stopped_run_goes_on_with_its_finished_folds(place: Path, schema: Schema) -> None:
    long = schema.with_overrides("training.epochs=3")
    train(long, place / "data", place / "whole")
    train(long, place / "data", place / "b")
    whole = cross_validate(place / "whole", place / "data", 3)["folds"]

    def stop(what: str, done: int, total: int) -> None:
        if "fold 2 of 3, train: epoch 2" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cross_validate(place / "b", place / "data", 3, progress=stop)
    assert len(list((place / "b.folds").rglob("fold-*.json"))) == 1
    (kept,) = (place / "b.folds").rglob("fold-*.json")
    whole_fold = kept.read_text(encoding="utf-8")
    kept.write_text("{", encoding="utf-8")
    with pytest.raises(
        TrainingError, match=r"fold-1\.json is damaged .* remove it and say the command again"
    ):
        cross_validate(place / "b", place / "data", 3)
    kept.write_text(whole_fold, encoding="utf-8")
    said: list[str] = []
    rest = cross_validate(
        place / "b", place / "data", 3, progress=lambda what, done, total: said.append(what)
    )["folds"]
    assert not any("fold 1 of 3, train" in what for what in said)
    assert any("fold 2 of 3, train" in what for what in said)
    assert without_times(rest) == without_times(whole)
    assert not (place / "b.folds").exists()


def test_the_same_folds_are_trained_once_and_other_ones_anew(place: Path, schema: Schema) -> None:
    train(schema, place / "data", place / "b")

    def trained(k: int, seed: int = 0) -> set[str]:
        said: list[str] = []
        cross_validate(
            place / "b", place / "data", k, seed=seed, progress=lambda what, done, total: said.append(what)
        )
        return {what.partition(",")[0].removeprefix("folds: ") for what in said if "train:" in what}

    assert trained(2) == {"fold 1 of 2", "fold 2 of 2"}
    assert trained(2) == set()
    assert trained(2, seed=1) == {"fold 1 of 2", "fold 2 of 2"}
    tables().with_columns(pl.col("click").reverse()).write_csv(place / "data" / "clicks.csv")
    assert trained(2, seed=1) == {"fold 1 of 2", "fold 2 of 2"}
    assert len(trained(3)) == 3


def test_finished_folds_of_other_data_are_not_taken(place: Path, schema: Schema) -> None:
    train(schema, place / "data", place / "b")

    def stop(what: str, done: int, total: int) -> None:
        if "fold 2 of 2, train" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cross_validate(place / "b", place / "data", 2, progress=stop)
    tables().with_columns(click=pl.lit(1) - pl.col("click")).write_csv(place / "data" / "clicks.csv")
    said: list[str] = []
    cross_validate(place / "b", place / "data", 2, progress=lambda what, done, total: said.append(what))
    assert any("fold 1 of 2, train" in what for what in said)


def test_frames_in_memory_are_told_apart(place: Path, schema: Schema) -> None:
    model = motet.fit(schema, tables())
    one = model.evaluate(folds=2).metrics["folds"]
    assert model.evaluate(folds=2).metrics["folds"] == one
    flipped = tables().with_columns(click=pl.lit(1) - pl.col("click"))
    assert model.evaluate(flipped, folds=2).metrics["folds"]["key"] != one["key"]


def test_mistakes_and_their_cures(place: Path, schema: Schema, capsys: pytest.CaptureFixture[str]) -> None:
    named = tables().with_columns(part=pl.Series(["train", "train", "validation", "test"] * 150))
    named.write_csv(place / "data" / "clicks.csv")
    by_column = schema.with_overrides("split.by=column", "split.column=part")
    (place / "s.yaml").write_text(by_column.to_yaml(), encoding="utf-8")
    command = ["train", str(place / "s.yaml"), "--data", str(place / "data"), "--out", str(place / "b")]
    assert main(command) == 0
    with pytest.raises(DataError, match=r"from 2 to 100") as few:
        cross_validate(place / "b", place / "data", 1)
    assert "--folds 5" in few.value.cure
    with pytest.raises(DataError, match="splits by the column 'part'") as caught:
        cross_validate(place / "b", place / "data", 2)
    options = caught.value.cure.removeprefix("train with ").replace(" (or time)", "").split(",")[0].split()
    assert options[0] == "--set"
    assert main([*command, *options, "--overwrite"]) == 0
    evaluate = ["evaluate", str(place / "b"), "--data", str(place / "data"), "--folds", "2"]
    capsys.readouterr()
    assert main([*evaluate, "--baselines", "like_ratio"]) == 2
    assert "a second time for these, without --folds" in capsys.readouterr().err
    assert main(evaluate) == 0
    said = capsys.readouterr()
    assert "test rows of 2 random folds" in said.out
    assert "95 % interval" in said.out
    assert "folds: fold 1 of 2" in said.err
    assert main([*evaluate, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["folds"]["number"] == 2


def test_a_fold_that_cannot_be_trained_is_named(place: Path, schema: Schema) -> None:
    rows = tables()
    late = rows.with_columns(click=pl.when(pl.arange(0, len(rows)) < 480).then(None).otherwise("click"))
    late.write_csv(place / "data" / "clicks.csv")
    bundle_schema = schema.with_overrides("split.by=time", "split.train=0.85", "split.validation=0.1")
    train(bundle_schema, place / "data", place / "b")
    with pytest.raises(TrainingError, match="fold 1 of 5: task 'click' has no label"):
        cross_validate(place / "b", place / "data", 5)


def test_a_bundle_is_as_good_on_its_folds_as_by_hand(place: Path, schema: Schema) -> None:
    """The table holds what anybody gets who trains on the rows of a fold."""
    from motet.training import ModelPredictor, train_model  # noqa: PLC0415

    alone = schema.with_overrides("model.members=[]")
    train(alone, place / "data", place / "b")
    values = cross_validate(place / "b", place / "data", 2, seed=5)["folds"]["tasks"]["click"]["auc"][
        "values"
    ]
    for data, value in zip(folds_of(alone, place, 2, seed=5), values, strict=True):
        predictor = ModelPredictor(train_model(data).model, data)
        assert primary_values(data, predictor, "test")["click"] == pytest.approx(value)
