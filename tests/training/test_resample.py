"""Resampled classes: which rows training sees, and that predictions stay what they mean."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import roc_auc_score

import motet.errors
from motet.data import Batcher, Dataset, TrainingRows, build_dataset
from motet.errors import DataError, MissingExtraError, SchemaError
from motet.kinds import BinaryTask, MulticlassTask
from motet.schema import LabelStatistics, ResampleSettings, Schema, read_yaml
from motet.testing import toy_dataset, toy_schema
from motet.training import ModelPredictor, load_bundle, refit_network, train, train_model

ROWS = 6_000
METHODS = ["random_over", "random_under", "smote", "adasyn"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A label of about 5 % and classes of 85, 10 and 5 %, by two numbers of the row, one of them with gaps."""
    place = tmp_path_factory.mktemp("rare")
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, ROWS))
    chance = 1 / (1 + np.exp(-(1.2 * x - 0.8 * z - 3.6)))
    classes = np.stack([np.full(ROWS, 2.8), 1.0 * x, 1.0 * z - 1.0], axis=1)
    pl.DataFrame(
        {
            "x": x,
            "z": np.where(rng.random(ROWS) < 0.1, np.nan, z),
            "colour": rng.choice(["red", "blue"], ROWS),
            "rare": (rng.random(ROWS) < chance).astype(np.int64),
            "kind": np.asarray(["usual", "some", "few"])[(classes + rng.gumbel(size=(ROWS, 3))).argmax(1)],
            "page": rng.choice(["home", "search"], ROWS),
        }
    ).with_columns(pl.col("z").fill_nan(None)).write_parquet(place / "rows.parquet")
    return place


def schema(
    features: str = "x: numeric, z: numeric", rare: str = "", kind: str = "", more: str = ""
) -> Schema:
    text = f"""
name: rare
tables: {{interactions: rows.parquet}}
features: {{interaction: {{{features}}}}}
tasks:
  rare: {{kind: binary, label: rare{rare}}}
  kind: {{kind: multiclass, label: kind{kind}}}
split: {{by: random, train: 0.5, validation: 0.1}}
model: {{architecture: shared_bottom, dropout: 0, members: []}}
training: {{epochs: 6, batch_size: 128, learning_rate: 0.01}}
{more}
"""
    return Schema.parse(read_yaml(text))


def world(
    place: Path, features: str = "x: numeric, z: numeric", rare: str = "", kind: str = "", more: str = ""
) -> Dataset:
    return build_dataset(schema(features, rare, kind, more), place)


@pytest.mark.parametrize("method", METHODS)
def test_both_labels_are_as_frequent_and_other_tasks_see_what_they_saw(method: str, place: Path) -> None:
    plain, data = world(place), world(place, rare=f", resample: {method}")
    rows = data.rows("train")
    training = TrainingRows(data, data.schema)
    batcher = Batcher(data, training=training)
    found = batcher.useful(rows)
    assert len(found) == training.count(rows) == batcher.count_useful(rows)
    labels = batcher.batch(found, rng=np.random.default_rng(0)).labels
    known = labels["rare"][~labels["rare"].isnan()]
    assert float(known.mean()) == pytest.approx(0.5, abs=0.002)
    before = plain.label("rare", rows)
    rare = int((before == 1).sum())
    assert len(known) == (2 * rare if method == "random_under" else 2 * int((before == 0).sum()))
    kinds = labels["kind"][~labels["kind"].isnan()].numpy()
    np.testing.assert_array_equal(kinds, plain.label("kind", rows))  # in order, none more and none less
    assert len(data) == len(plain) == ROWS
    measured = batcher.batch(rows).labels["rare"].numpy()  # a row that is measured keeps its label
    np.testing.assert_array_equal(measured, before)


@pytest.mark.parametrize("method", METHODS)
def test_predictions_keep_order_and_calibration(method: str, place: Path) -> None:
    settled = schema(rare=f", resample: {method}")
    if method == "random_under":  # a few hundred rows are few steps, and chances settle after the order does
        settled = settled.with_overrides(
            "training.batch_size=16", "training.epochs=12", "training.patience=12"
        )
    data = build_dataset(settled, place)
    p = ModelPredictor(train_model(data).model, data).predict(data.rows("test"))["rare"]
    y = data.label("rare", data.rows("test"))
    noise = float((y.mean() * (1 - y.mean()) / len(y)) ** 0.5)
    # rows that are made up are not quite where the rare ones are: the correction is not exact for them
    slack = 0.02 if method in ("smote", "adasyn") else 4 * noise
    assert p.mean() == pytest.approx(y.mean(), abs=slack)
    assert roc_auc_score(y, p) > 0.8
    uncorrected = p / (p + (1 - p) * y.mean() / (1 - y.mean()))
    assert uncorrected.mean() > 3 * y.mean()


def test_classes_are_predicted_as_often_as_they_are(place: Path, tmp_path: Path) -> None:
    wanted = schema(kind=", resample: {method: random_over, ratio: 0.5}")
    train(wanted.with_overrides("training.refit=false"), place, tmp_path / "b")
    bundle = load_bundle(tmp_path / "b")
    data = build_dataset(bundle.schema, place, encoder=bundle.data.encoder)
    rows = data.rows("test")
    p = ModelPredictor(bundle.model, data).predict(rows)["kind"]
    y = data.label("kind", rows).astype(np.int64)
    np.testing.assert_allclose(p.mean(0), np.bincount(y) / len(y), atol=0.03)


def test_made_up_rows_stand_between_rows_of_their_class(place: Path) -> None:
    features = "x: numeric, z: numeric, colour: categorical"
    data = world(place, features, rare=", resample: smote", more="keys: {scenario: page}")
    rows = data.rows("train")
    training = TrainingRows(data, data.schema)
    found = training.rows(rows)
    added = found[found >= len(data)]
    more, context = training.data, training.data.context
    rare = rows[data.label("rare", rows) == 1]
    assert (more.label("rare", added) == 1).all()
    layout = data.encoder.layout("interaction")
    x, gap = layout.numbers.index("x"), layout.numbers.index("z missing")
    assert context.numbers[added, x].min() >= data.context.numbers[rare, x].min()
    assert context.numbers[added, x].max() <= data.context.numbers[rare, x].max()
    assert set(np.unique(context.numbers[added, gap])) <= {0.0, 1.0}
    for column in range(context.codes.shape[1]):  # a category, and the scenario, is one that rows have
        assert set(context.codes[added, column]) <= set(data.context.codes[rare, column])
    offset = data.encoder.vocabularies["scenario"].offset
    np.testing.assert_array_equal(more.scenario[added], context.codes[added, -1] - offset)
    again = TrainingRows(data, data.schema)
    again.rows(rows)
    np.testing.assert_array_equal(again.data.context.numbers, context.numbers)
    other = TrainingRows(data, data.schema, seed=1)
    other.rows(rows)
    assert (other.data.context.numbers[added] != context.numbers[added]).any()


def test_categories_alone_are_made_up_too(place: Path) -> None:
    data = world(place, "colour: categorical, page: categorical", rare=", resample: smote")
    training = TrainingRows(data, data.schema)
    rows = data.rows("train")
    assert len(training.rows(rows)) == training.count(rows) > len(rows)


def test_rows_of_the_whole_toy_world_are_repeated_with_their_histories() -> None:
    data = toy_dataset(
        overrides=[
            "tasks.click.resample={method: random_over, ratio: 0.9}",
            "tasks.mood.resample=random_over",
        ]
    )
    model = train_model(data).model
    assert all(np.isfinite(v).all() for v in ModelPredictor(model, data).predict(data.rows("test")).values())
    training = TrainingRows(data, data.schema)
    rows = data.rows("train")
    found = training.rows(rows)
    batcher = Batcher(data, training=training)
    assert (batcher.useful(rows) == found).all()
    labels = batcher.batch(found[found >= len(data)], rng=np.random.default_rng(0)).labels
    for name, values in labels.items():
        known = ~values.isnan() if values.dim() == 1 else ~values.isnan().any(1)
        assert bool(known.any()) == (name in ("click", "mood")), name
    assert not bool((~labels["click"].isnan() & ~labels["mood"].isnan()).any())


def test_learning_from_validation_rows_resamples_them_alike(place: Path) -> None:
    data = world(place, rare=", resample: smote")
    model = train_model(data).model
    refit = refit_network(data, model)
    assert refit is not None
    y = data.label("rare", data.rows("test"))
    p = ModelPredictor(model, data).predict(data.rows("test"))["rare"]
    assert p.mean() == pytest.approx(y.mean(), abs=0.02)


@pytest.mark.parametrize(
    ("method", "ratio", "shares", "factors"),
    [
        ("smote", 1.0, [0.9, 0.1], (1.0, 9.0)),
        ("random_over", 0.5, [0.6, 0.3, 0.1], (1.0, 1.0, 3.0)),
        ("random_under", 0.5, [0.6, 0.3, 0.1], (1 / 3, 2 / 3, 1.0)),
        ("adasyn", 1.0, [1.0, 0.0], (1.0, 1.0)),
    ],
)
def test_how_many_rows_there_are_by_hand(
    method: str, ratio: float, shares: list[float], factors: tuple[float, ...]
) -> None:
    settings = ResampleSettings.model_validate({"method": method, "ratio": ratio})
    assert settings.factors(shares) == pytest.approx(factors)


def test_links_take_back_what_resampling_does_to_the_odds() -> None:
    binary = BinaryTask.model_validate({"label": "x", "resample": "smote"})
    statistics = LabelStatistics(mean=0.1)
    assert float(binary.link(torch.tensor([0.0]), statistics)) == pytest.approx(
        0.1
    )  # odds 1 : 1 of equally many
    q = np.array([0.01, 0.1, 0.7])
    back = binary.unlink(q, statistics)
    np.testing.assert_allclose(binary.link(torch.from_numpy(back), statistics).numpy(), q)
    classes = MulticlassTask.model_validate({"label": "x", "resample": "random_under"})
    statistics = LabelStatistics(classes=("a", "b"), shares=(0.8, 0.2))
    p = classes.link(torch.zeros(1, 2), statistics)
    np.testing.assert_allclose(p[0].numpy(), [0.8, 0.2], rtol=1e-6)
    loss = classes.masked_loss(torch.zeros(1, 2), torch.tensor([1.0]), statistics)
    assert float(loss) == pytest.approx(np.log(2))  # no weight in the loss


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["tasks.click.resample=smote"], r"smote makes up rows.*write 'resample: random_over'"),
        (["tasks.click.resample=smot"], "'random_over', 'random_under', 'smote' or 'adasyn'"),
        (["tasks.dear.resample=random_over"], "on the item.*remove 'resample' from dear"),
        (["tasks.click.resample=random_over", "tasks.click.positive_weight=2"], "leave both at 1"),
        (["tasks.mood.resample=random_over", "tasks.mood.class_weight=balanced"], "leave class_weight out"),
        (["tasks.next.resample=smote"], "'tasks.next.*resample' is not an option"),
    ],
)
def test_where_it_makes_no_sense_the_schema_says_so(changes: list[str], message: str) -> None:
    with pytest.raises(SchemaError, match=f"(?s){message}"):
        toy_schema(overrides=changes)


def test_adasyn_makes_up_numbers_alone() -> None:
    with pytest.raises(SchemaError, match=r"'colour' is of kind categorical.*write 'resample: smote'"):
        schema("x: numeric, colour: categorical", rare=", resample: adasyn")
    with pytest.raises(SchemaError, match=r"keys\.scenario is a category.*write 'resample: smote'"):
        schema(rare=", resample: adasyn", more="keys: {scenario: page}")


def test_too_few_rows_of_a_class_are_an_error_before_training(place: Path) -> None:
    few = pl.read_parquet(place / "rows.parquet").with_columns(
        rare=(pl.int_range(pl.len()) % 700 == 3).cast(pl.Int64)
    )
    few.write_parquet(place / "few.parquet")
    found = schema(rare=", resample: {method: smote, neighbours: 50}").with_overrides(
        "tables.interactions=few.parquet"
    )
    data = build_dataset(found, place)
    with pytest.raises(
        DataError, match=r"tasks\.rare\.resample: smote.*class 1 has \d training rows.*random_over"
    ):
        train_model(data)


def test_without_the_extra_the_message_names_it(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        motet.errors, "find_spec", lambda name: None if name == "imblearn" else find_spec(name)
    )
    with pytest.raises(MissingExtraError, match="resample"):
        train(schema(rare=", resample: smote"), place, tmp_path / "out")
