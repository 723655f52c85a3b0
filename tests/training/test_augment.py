"""Histories that are cropped, masked and reordered: in training batches, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motet.data import Batch, Batcher, Dataset
from motet.errors import SchemaError
from motet.schema import AugmentSettings
from motet.testing import toy_dataset, toy_schema
from motet.training import ModelPredictor, TrainingStep, train_model

EVERY = "features.user.past_gru.augment={crop: 0.6, mask: 0.3, reorder: 0.5, share: 1}"
PAST = "past_gru"


def world(*overrides: str) -> Dataset:
    return toy_dataset(sequences=("gru",), overrides=("features.user.past_gru.last=40", *overrides))


def histories(batch: Batch) -> list[NDArray[np.int64]]:
    """Embedding rows of each user's events."""
    found = batch.user.events[PAST]
    rows = batch.ids[found.positions].numpy()
    return [row[:length] for row, length in zip(rows, found.lengths.tolist(), strict=True)]


def both(setting: str, seed: int = 0) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Histories as they are and changed, of some length."""
    data = world(f"features.user.past_gru.augment={setting}")
    rows = data.rows("train")
    plain = Batcher(data).batch(rows, rng=np.random.default_rng(seed))
    changed = Batcher(data, augment=True).batch(rows, rng=np.random.default_rng(seed))
    pairs = list(zip(histories(plain), histories(changed), strict=True))
    assert max(len(one) for one, _ in pairs) >= 5
    return [pair for pair in pairs if len(pair[0])]


def test_a_crop_is_one_piece() -> None:
    starts = set()
    for before, after in both("{crop: 0.6, share: 1}"):
        assert len(after) == max(1, int(0.6 * len(before)))
        at = [
            start
            for start in range(len(before) - len(after) + 1)
            if (before[start : start + len(after)] == after).all()
        ]
        assert at
        starts.add(at[0])
    assert len(starts) > 2


def test_a_mask_hides_so_many_events_and_leaves_the_others() -> None:
    hidden = set()
    unknown = world().encoder.vocabularies["item"].offset
    for before, after in both("{mask: 0.4, share: 1}"):
        assert len(after) == len(before)
        changed = np.flatnonzero(before != after)
        assert len(changed) == int(0.4 * len(before))
        assert (after[changed] == unknown).all()
        hidden |= set(changed.tolist())
    assert len(hidden) > 3


def test_a_reordered_piece_has_the_same_events() -> None:
    moved = 0
    for before, after in both("{reorder: 0.5, share: 1}"):
        assert sorted(before) == sorted(after)
        changed = np.flatnonzero(before != after)
        if len(changed):
            moved += 1
            assert changed[-1] - changed[0] < int(0.5 * len(before))
    assert moved > 5


def test_the_share_of_histories_that_is_changed() -> None:
    pairs = both("{mask: 0.5, share: 0.25}")
    long = [(before, after) for before, after in pairs if len(before) >= 2]
    changed = sum(bool((before != after).any()) for before, after in long) / len(long)
    assert abs(changed - 0.25) < 4 * (0.25 * 0.75 / len(long)) ** 0.5


def test_only_training_sees_it() -> None:
    """Batches without a source of draws, and those of every predictor, are as without the setting."""
    data, plain = world(EVERY), world()
    rows = data.rows("test")
    for one, two in zip(
        histories(Batcher(data, augment=True).batch(rows)), histories(Batcher(plain).batch(rows)), strict=True
    ):
        assert (one == two).all()
    model = train_model(plain).model
    found, wanted = (ModelPredictor(model, each) for each in (data, plain))
    for task, values in wanted.predict(rows).items():
        np.testing.assert_array_equal(found.predict(rows)[task], values)
    users = np.arange(len(plain.users))
    scores = found.score_items(users)
    assert scores is not None
    np.testing.assert_array_equal(scores, wanted.score_items(users))


def test_nothing_else_of_a_batch_changes() -> None:
    data = world(EVERY)
    rows = data.rows("train")[:64]
    plain, changed = (
        Batcher(data, augment=augment).batch(rows, rng=np.random.default_rng(1)) for augment in (False, True)
    )
    assert torch.equal(plain.user.events[PAST].total, changed.user.events[PAST].total)
    assert torch.equal(plain.user_of_row, changed.user_of_row)
    drawing = [Batcher(data, negatives=20, augment=augment) for augment in (False, True)]
    had = [one.batch(rows, rng=np.random.default_rng(1)).had for one in drawing]
    assert had[0].shape[1]
    assert torch.equal(*had)  # what was cropped is no negative


def test_a_step_trains_on_changed_histories_and_only_where_it_is_asked_for() -> None:
    weights = []
    for overrides in ((), (EVERY,)):
        data = world(*overrides)
        step = TrainingStep(data, data.schema)
        rows = data.rows("train")
        for batch in step.batcher.epoch(rows, 64, (0, 0)):
            step(batch, 0.01)
        weights.append(step.model.state_dict())
    name = next(name for name in weights[0] if name.startswith("sequences") or "sequences" in name)
    assert not torch.equal(weights[0][name], weights[1][name])


def test_a_run_that_was_interrupted_ends_with_the_same_weights(tmp_path: Path) -> None:
    data = world(EVERY, "training.checkpoint_s=1e-9", "training.epochs=2")
    wanted = train_model(data).model.state_dict()
    seen: list[int] = []

    def stop(what: str, done: int, total: int) -> None:
        seen.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(data, checkpoint=tmp_path / "c", progress=stop)
    found = train_model(data, checkpoint=tmp_path / "c", resume=True).model.state_dict()
    for name, weight in wanted.items():
        assert torch.equal(found[name], weight), name


def test_settings_that_do_nothing_or_too_much_are_refused() -> None:
    assert AugmentSettings(mask=0.2).operations == {"mask": 0.2}
    for wrong in ("{share: 0.5}", "{crop: 0}", "{mask: 1}", "{reorder: 2}", "{drop: 0.5}"):
        with pytest.raises(SchemaError):
            toy_schema(sequences=("gru",), overrides=(f"features.user.past_gru.augment={wrong}",))
