from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from motet.data import Dataset, Whitening, build_dataset
from motet.errors import SchemaError, TrainingError
from motet.testing import toy_dataset, toy_tables
from motet.text.encode import TorchEncoder
from motet.training import ModelPredictor, TrainingStep
from motet.training.tuning import JointSettings, JointStep, TextModel, TunedWeights, item_texts, tune_jointly

SETTINGS = JointSettings(items_per_step=8, learning_rate=0.01, max_tokens=16, compare=False)


def own(data: Dataset) -> Dataset:
    return replace(data, vectors={name: np.array(v) for name, v in data.vectors.items()})


@pytest.fixture
def encoded(world: Dataset, tiny_encoder: Path) -> Dataset:
    """The toy world with the vectors of the tiny encoder itself."""
    encode = TorchEncoder(str(tiny_encoder), max_tokens=16).encode
    place = tiny_encoder.parent / "tables"
    place.mkdir(exist_ok=True)
    for name, table in toy_tables(rows=500).items():
        table.write_parquet(place / f"{name}.parquet")
    return build_dataset(world.schema, place, encode_text=encode)


def step_of(
    data: Dataset, encoder: Path, settings: JointSettings = SETTINGS
) -> tuple[JointStep, TunedWeights]:
    model = TextModel(str(encoder), max_tokens=16)
    weights = TunedWeights(model.transformer, settings)
    texts = item_texts(data)
    return JointStep(
        data, data.schema, texts=texts, text_model=model, weights=weights, settings=settings
    ), weights


def test_a_first_step_is_that_of_the_recommender_alone(encoded: Dataset, tiny_encoder: Path) -> None:
    """The updates are zero at first, so the fresh vectors are those of the table, and so is every loss."""
    joint, weights = step_of(own(encoded), tiny_encoder)
    alone = TrainingStep(encoded, encoded.schema)
    rows = encoded.rows("train")
    batch = next(iter(joint.batcher.epoch(rows, 64, (0, 0))))
    same = next(iter(alone.batcher.epoch(rows, 64, (0, 0))))
    torch.testing.assert_close(joint(batch, 0.01), alone(same, 0.01), atol=1e-4, rtol=1e-4)
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in weights.parameters.values())
    for (name, p), q in zip(alone.model.named_parameters(), joint.model.parameters(), strict=False):
        torch.testing.assert_close(p, q, atol=1e-3, rtol=1e-2, msg=name)


def test_the_loss_falls_through_the_encoder_alone(encoded: Dataset, tiny_encoder: Path) -> None:
    """With the recommender standing still, only the encoder can lower the loss."""
    data = own(encoded)
    overrides = ["training.embedding_rate=1e-12", "training.learning_rate=1e-12", "training.weight_decay=0"]
    schema = data.schema.with_overrides(*overrides)
    settings = SETTINGS.model_copy(update={"items_per_step": 30})
    model = TextModel(str(tiny_encoder), max_tokens=16)
    weights = TunedWeights(model.transformer, settings)
    joint = JointStep(
        data, schema, texts=item_texts(data), text_model=model, weights=weights, settings=settings
    )
    batch = joint.batcher.batch(data.rows("train")[:120], rng=np.random.default_rng(0))
    before = {name: p.clone() for name, p in joint.model.named_parameters() if "tuned" not in name}
    losses = [float(joint(batch, 1e-12).sum()) for _ in range(25)]
    assert losses[-1] < losses[0] - 0.05
    for name, p in joint.model.named_parameters():
        if "tuned" not in name:
            torch.testing.assert_close(p, before[name], atol=1e-9, rtol=0)


def test_no_more_texts_than_the_limit_pass_through(encoded: Dataset, tiny_encoder: Path) -> None:
    data = own(encoded)
    joint, _ = step_of(data, tiny_encoder)
    calls: list[int] = []
    model = joint._text_model
    original = model.vectors
    model.vectors = lambda texts: (calls.append(len(texts)), original(texts))[1]  # type: ignore[method-assign,func-returns-value]
    before = data.vectors["story"].copy()
    batch = next(iter(joint.batcher.epoch(data.rows("train"), 64, (0, 0))))
    joint(batch, 0.01)
    assert calls == [8]
    joint(next(iter(joint.batcher.epoch(data.rows("train"), 64, (0, 1)))), 0.01)
    changed = np.flatnonzero(np.abs(data.vectors["story"] - before).max(1) > 1e-5)
    assert 0 < len(changed) <= 8
    assert not data.vectors["story"][0].any()
    joint.refresh()
    assert len(np.flatnonzero(np.abs(data.vectors["story"] - before).max(1) > 1e-5)) > len(changed)


def test_the_exported_encoder_gives_the_vectors_the_recommender_ends_with(
    encoded: Dataset, tmp_path: Path
) -> None:
    before = {name: v.copy() for name, v in encoded.vectors.items()}
    result = tune_jointly(encoded, tmp_path / "out", SETTINGS)
    assert all(np.array_equal(encoded.vectors[name], v) for name, v in before.items())
    texts = item_texts(encoded).texts
    exact = TorchEncoder(str(result.tuned.model), max_tokens=16).encode(texts)
    np.testing.assert_allclose(result.data.vectors["story"], exact, atol=1e-5)
    assert np.abs(exact - before["story"]).max() > 1e-3
    assert not any(name.startswith("tuned") for name in result.trained.model.state_dict())
    found = ModelPredictor(result.trained.model, result.data).predict(result.data.rows("test"))
    assert all(np.isfinite(values).all() for values in found.values())
    assert result.frozen is None
    assert "not compared" in result.tuned.report["summary"]


def test_whitened_vectors_are_whitened_the_same_way(tiny_encoder: Path) -> None:
    data = toy_dataset(
        rows=300, sequences=(),
        overrides=[f"language.encoder={tiny_encoder}", "language.backend=torch", "features.item.story.whiten=6"],
    )  # fmt: skip
    # the whitening must be fitted on vectors of this encoder's width
    texts = item_texts(data).texts
    raw = TextModel(str(tiny_encoder), max_tokens=16).encode(texts)
    whitening = Whitening.fit(raw[1:], 6)
    data.encoder.reductions["story"] = whitening
    joint, _ = step_of(own(data), tiny_encoder)
    np.testing.assert_allclose(joint._table.numpy(), whitening.apply(raw), atol=1e-4)


class InterruptionError(Exception):
    pass


def test_a_resumed_run_ends_as_an_uninterrupted_one(encoded: Dataset, tmp_path: Path) -> None:
    data = replace(encoded, schema=encoded.schema.with_overrides("training.checkpoint_s=1e-9"))
    whole = tune_jointly(data, tmp_path / "whole", SETTINGS)

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("train") and done == 7:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        tune_jointly(data, tmp_path / "out", SETTINGS, progress=stop)
    with pytest.raises(TrainingError, match="another run"):
        tune_jointly(data, tmp_path / "out", SETTINGS.model_copy(update={"rank": 3}), resume=True)
    resumed = tune_jointly(data, tmp_path / "out", SETTINGS, resume=True)
    for file in ("model.safetensors",):
        one, two = load_file(whole.tuned.model / file), load_file(resumed.tuned.model / file)
        assert all(torch.equal(one[name], two[name]) for name in one)
    for name, tensor in whole.trained.model.state_dict().items():
        assert torch.equal(tensor, resumed.trained.model.state_dict()[name]), name
    again = tune_jointly(data, tmp_path / "again", SETTINGS)
    one, two = (load_file(r.tuned.model / "model.safetensors") for r in (whole, again))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_it_says_whether_it_helped(encoded: Dataset, tmp_path: Path) -> None:
    result = tune_jointly(encoded, tmp_path / "out", SETTINGS.model_copy(update={"compare": True}))
    report = result.tuned.report
    assert result.frozen is not None
    assert report["helped"] == (report["tuned"] > report["frozen"])
    assert report["summary"].startswith("tuning did not help") == (not report["helped"])


def test_items_without_text_are_refused(tmp_path: Path) -> None:
    data = toy_dataset(rows=120, items=False, sequences=())
    with pytest.raises(SchemaError, match="no text feature of items"):
        tune_jointly(data, tmp_path / "out")
