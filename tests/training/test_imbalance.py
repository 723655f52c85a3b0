"""Rare positives: weights and left-out negatives change what is learnt, and not what a prediction means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import roc_auc_score

from motet.data import Batcher, Dataset, TrainingRows, build_dataset
from motet.errors import SchemaError
from motet.kinds import BinaryTask, MulticlassTask
from motet.recommend import Recommender
from motet.schema import LabelStatistics, Schema
from motet.testing import toy_dataset, toy_schema
from motet.training import (
    ModelPredictor,
    TrainingStep,
    learning_rate_at,
    load_bundle,
    save_bundle,
    train,
    train_model,
)

ROWS, BATCH = 24_000, 64


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A label of about 3 % and classes of 90, 8 and 2 %, by two numbers of the row."""
    place = tmp_path_factory.mktemp("rare")
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, ROWS))
    chance = 1 / (1 + np.exp(-(1.2 * x - 0.8 * z - 4.4)))
    classes = np.stack([np.full(ROWS, 3.4), 1.0 * x, 1.0 * z - 1.6], axis=1)
    gumbel = rng.gumbel(size=(ROWS, 3))
    pl.DataFrame(
        {
            "x": x,
            "z": z,
            "rare": (rng.random(ROWS) < chance).astype(np.int64),
            "kind": np.asarray(["usual", "some", "few"])[(classes + gumbel).argmax(1)],
        }
    ).write_parquet(place / "rows.parquet")
    return place


def world(
    place: Path, *, rare: str = "", kind: str = "", tasks: tuple[str, ...] = ("rare", "kind")
) -> Dataset:
    every = {
        "rare": "{kind: binary, label: rare" + rare + "}",
        "kind": "{kind: multiclass, label: kind" + kind + "}",
    }
    chosen = ", ".join(f"{name}: {every[name]}" for name in tasks)
    text = f"""
name: rare
tables: {{interactions: rows.parquet}}
features: {{interaction: {{x: numeric, z: numeric}}}}
tasks: {{{chosen}}}
split: {{by: random, train: 0.5, validation: 0.1}}
model: {{architecture: shared_bottom, dropout: 0, members: []}}
training: {{epochs: 6, batch_size: 128, learning_rate: 0.01}}
"""
    path = place / "schema.yaml"
    path.write_text(text, encoding="utf-8")
    return build_dataset(Schema.load(path), place)


def predicted(data: Dataset) -> dict[str, np.ndarray]:
    """Predictions of the test rows after all epochs: the best AUC may come before the chances are right."""
    step, settings = TrainingStep(data, data.schema), data.schema.training
    rows = step.batcher.useful(data.rows("train"))
    steps = -(-len(rows) // BATCH)
    for epoch in range(settings.epochs):
        for batch in step.batcher.epoch(rows, BATCH, (0, epoch)):
            step(batch, learning_rate_at(step.steps, steps * settings.epochs, settings))
    return ModelPredictor(step.model, data).predict(data.rows("test"))


def test_left_out_negatives_keep_calibration_and_order_at_a_part_of_the_rows(place: Path) -> None:
    whole, part = (world(place, rare=more, tasks=("rare",)) for more in ("", ", negative_share: 0.1"))
    rows = whole.rows("test")
    y = whole.label("rare", rows)
    noise = float((y.mean() * (1 - y.mean()) / len(y)) ** 0.5)
    all_rows, few_rows = predicted(whole), predicted(part)
    assert few_rows["rare"].mean() == pytest.approx(y.mean(), abs=4 * noise)
    assert roc_auc_score(y, few_rows["rare"]) > roc_auc_score(y, all_rows["rare"]) - 0.02
    training = TrainingRows(part, part.schema)
    train = part.rows("train")
    assert len(training.rows(train)) < 0.15 * len(train)
    assert set(train[part.label("rare", train) == 1]) <= set(training.rows(train))


@pytest.mark.parametrize("more", [", negative_share: 0.1", ", loss: focal"])
def test_chances_of_a_bundle_are_right_although_the_network_stopped_early(
    place: Path, tmp_path: Path, more: str
) -> None:
    world(place, rare=more, tasks=("rare",))
    early = ["training.epochs=1", "training.refit=false", "split.validation=0.3"]
    bundle = train(Schema.load(place / "schema.yaml", early), place, tmp_path / "bundle")
    data = build_dataset(bundle.schema, place, encoder=bundle.data.encoder)
    rows = data.rows("test")
    alone = ModelPredictor(bundle.model, data).predict(rows)["rare"]
    found = bundle.metrics["tasks"]["rare"]
    assert alone.mean() > 1.3 * found["label_rate"]
    assert found["predicted_rate"] == pytest.approx(found["label_rate"], rel=0.25)
    assert found["ece"] < 0.015
    # a line of the log-odds, fitted on validation rows: the order stays, also in a bundle that is loaded again
    assert bundle.task_blend is not None
    assert list(bundle.task_blend.weights["rare"]) == ["network", "bias"]
    assert roc_auc_score(data.label("rare", rows), alone) == pytest.approx(found["auc"], abs=1e-5)
    asked = pl.read_parquet(place / "rows.parquet").gather(rows)
    served = Recommender(load_bundle(tmp_path / "bundle"), None).predict(asked)["rare"].to_numpy()
    assert served.mean() == pytest.approx(found["predicted_rate"], rel=1e-4)


def test_without_the_correction_it_would_not_be_calibrated(place: Path) -> None:
    data = world(place, rare=", negative_share: 0.1", tasks=("rare",))
    found = predicted(data)
    p = found["rare"].astype(np.float64)
    learnt = p / (p + 0.1 * (1 - p))  # what the network says of the rows that it saw
    np.testing.assert_allclose(learnt / (learnt + (1 - learnt) / 0.1), p, rtol=1e-5)
    assert learnt.mean() > 3 * data.label("rare", data.rows("test")).mean()


def test_weighed_classes_are_predicted_as_often_as_they_are(place: Path, tmp_path: Path) -> None:
    data = world(place, kind=", class_weight: balanced", tasks=("kind",))
    model = train_model(data).model
    rows = data.rows("test")
    p = ModelPredictor(model, data).predict(rows)["kind"]
    y = data.label("kind", rows).astype(np.int64)
    shares = np.bincount(y, minlength=3) / len(y)
    np.testing.assert_allclose(p.mean(0), shares, atol=0.02)
    statistics = data.encoder.statistics("kind")
    train = data.label("kind", data.rows("train")).astype(np.int64)
    np.testing.assert_allclose(statistics.shares, np.bincount(train) / len(train))
    save_bundle(tmp_path / "b", model=model, data=data, metrics={})
    assert load_bundle(tmp_path / "b").data.encoder.statistics("kind") == statistics


def test_weights_of_classes_by_hand() -> None:
    task = MulticlassTask(label="x", class_weight="balanced")
    statistics = LabelStatistics(classes=("a", "b"), shares=(0.8, 0.2))
    # weights 1/(2·0.8) = 0.625 and 1/(2·0.2) = 2.5; softmax (1/4, 3/4)
    logits = torch.tensor([[0.0, np.log(3.0)], [0.0, np.log(3.0)]], dtype=torch.float32)
    loss = task.masked_loss(logits, torch.tensor([0.0, 1.0]), statistics)
    assert float(loss) == pytest.approx((-0.625 * np.log(0.25) - 2.5 * np.log(0.75)) / 2)
    p = task.link(logits, statistics)  # odds 3 divided by 2.5/0.625 = 4
    np.testing.assert_allclose(p[0].numpy(), [4 / 7, 3 / 7], rtol=1e-6)
    back = task.unlink(p.numpy().astype(np.float64), statistics)
    np.testing.assert_allclose(task.link(torch.from_numpy(back), statistics).numpy(), p.numpy(), rtol=1e-6)


@pytest.mark.parametrize("weight", ["balanced", "3.0"])
def test_links_and_their_inverses(weight: str) -> None:
    task = BinaryTask.model_validate(
        {"label": "x", "negative_share": 0.25, "positive_weight": weight if weight == "balanced" else 3.0}
    )
    statistics = LabelStatistics(mean=0.1)
    q = np.array([0.01, 0.1, 0.7])
    logits = task.unlink(q, statistics)
    np.testing.assert_allclose(task.link(torch.from_numpy(logits), statistics).numpy(), q)
    if weight == "balanced":  # of what is trained on: 0.9·0.25 negatives for 0.1 positives
        assert torch.sigmoid(torch.from_numpy(logits))[1] == pytest.approx(0.5)


def test_other_tasks_lose_no_label_and_the_draw_depends_on_the_seed_alone() -> None:
    data = toy_dataset(overrides=["tasks.click.negative_share=0.3"])
    rows = data.rows("train")
    plain = Batcher(data).batch(rows, rng=np.random.default_rng(0)).labels
    step = TrainingStep(data, data.schema)
    found = step.batcher.batch(rows, rng=np.random.default_rng(0)).labels
    for name, labels in plain.items():
        same = torch.equal(labels.nan_to_num(-1), found[name].nan_to_num(-1))
        assert same == (name != "click")
    kept = ~found["click"].isnan()
    assert torch.equal(found["click"][kept], plain["click"][kept])
    assert bool((plain["click"][~kept & ~plain["click"].isnan()] == 0).all())
    again, other = (TrainingRows(data, data.schema, seed).left_out["click"] for seed in (0, 1))
    assert (again == TrainingRows(data, data.schema).left_out["click"]).all()
    assert (again != other).any()
    assert len(step.batcher.useful(rows)) == len(rows)  # retrieval and tasks on items learn from every row
    asked = step.batcher.batch(rows).labels["click"]
    assert torch.equal(asked.nan_to_num(-1), plain["click"].nan_to_num(-1))  # measured rows keep theirs


def test_labels_of_items_are_not_left_out() -> None:
    with pytest.raises(SchemaError, match=r"on the item.*positive_weight: balanced"):
        toy_schema(overrides=["tasks.dear.negative_share=0.5"])
