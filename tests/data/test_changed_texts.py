"""Texts that training changes: what a version is, who sees it, and who does not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from motet.data import Batcher, changed_text
from motet.errors import SchemaError
from motet.schema import TextAugmentSettings
from motet.testing import hashed_words_for_tests, toy_dataset, toy_schema
from motet.training import TrainingStep, load_bundle, save_bundle

TEXT = " ".join(f"word{k}" for k in range(400)) + " [SEP] " + " ".join(f"more{k}" for k in range(400))
AUGMENT = "features.item.story.augment={drop: 0.3, copies: 3, share: 0.5}"


def test_words_are_left_out_as_often_as_said_and_keep_their_order() -> None:
    kept = changed_text(TEXT, TextAugmentSettings(drop=0.25), 0).split()
    assert len(kept) == pytest.approx(0.75 * 801, abs=60)
    places = [TEXT.split().index(word) for word in kept]
    assert places == sorted(places)
    assert kept.count("[SEP]") == 1
    assert changed_text("one", TextAugmentSettings(drop=0.99), 0) == "one"  # never nothing
    assert changed_text("", TextAugmentSettings(drop=0.5), 0) == ""


def test_swapped_words_are_the_same_words() -> None:
    swapped = changed_text(TEXT, TextAugmentSettings(swap=0.1), 0).split()
    assert Counter(swapped) == Counter(TEXT.split())
    assert swapped[400] == "[SEP]"
    moved = sum(a != b for a, b in zip(swapped, TEXT.split(), strict=True))
    assert 100 < moved <= 160  # 80 pairs, some words drawn twice
    assert changed_text("alone", TextAugmentSettings(swap=1), 0) == "alone"


def test_masked_words_leave_the_others_where_they_are() -> None:
    masked = changed_text(TEXT, TextAugmentSettings(mask=0.2), 0).split()
    assert masked.count("[MASK]") == pytest.approx(160, abs=50)
    assert all(new in ("[MASK]", old) for new, old in zip(masked, TEXT.split(), strict=True))


def test_a_version_depends_on_the_text_and_its_number_alone() -> None:
    settings = TextAugmentSettings(drop=0.3, swap=0.1, mask=0.1)
    assert changed_text(TEXT, settings, 1) == changed_text(TEXT, settings, 1)
    assert changed_text(TEXT, settings, 1) != changed_text(TEXT, settings, 2)


def test_training_batches_alone_see_versions_of_training_texts() -> None:
    plain, data = toy_dataset(), toy_dataset(overrides=[AUGMENT])
    assert plain.versions == {}
    versions = data.versions["story"]
    np.testing.assert_array_equal(data.vectors["story"], plain.vectors["story"])
    assert versions.shape == (3, *data.vectors["story"].shape)
    column = data.encoder.layout("item").vectors.index("story")
    rows = data.items.vector_rows[:, column]
    seen = np.unique(rows[np.unique(data.item_row[data.rows("train")])])
    settings = data.schema.features.item["story"].text_augment
    assert settings is not None
    for number in range(3):
        wanted = data.vectors["story"].copy()
        texts = [changed_text(data.texts["story"][row], settings, number) for row in seen[seen > 0]]
        wanted[seen[seen > 0]] = hashed_words_for_tests(texts)
        np.testing.assert_allclose(versions[number], wanted, atol=1e-6)

    step, train = TrainingStep(data, data.schema), data.rows("train")
    batch = step.batcher.batch(train, rng=np.random.default_rng(0))
    at = rows[batch.item_rows.numpy()]
    given, own = batch.item.vectors["story"].numpy(), data.vectors["story"][at]
    same = (given == own).all(1)
    assert 0 < same.sum() < len(same)
    for k in np.flatnonzero(~same):
        assert any((given[k] == versions[n, at[k]]).all() for n in range(3))
    again = step.batcher.batch(train, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(again.item.vectors["story"].numpy(), given)
    measured = step.batcher.batch(train)
    own = data.vectors["story"][rows[measured.item_rows.numpy()]]
    np.testing.assert_array_equal(measured.item.vectors["story"].numpy(), own)
    whole = Batcher(data).batch(train, rng=np.random.default_rng(0))  # plain members and diagnoses
    np.testing.assert_array_equal(whole.item.vectors["story"].numpy(), own)


def test_versions_are_reduced_like_texts_and_stay_out_of_the_bundle(tmp_path: Path) -> None:
    data = toy_dataset(overrides=[AUGMENT, "features.item.story.reduce={method: pca, width: 4}"])
    assert data.versions["story"].shape[2] == 4
    step = TrainingStep(data, data.schema)
    rows = data.rows("train")
    values = step(step.batcher.batch(rows, rng=np.random.default_rng(0)), 0.01)
    assert bool(values.isfinite().all())
    save_bundle(tmp_path / "b", model=step.model, data=data, metrics={})
    loaded = load_bundle(tmp_path / "b").data
    assert loaded.versions == {}
    np.testing.assert_array_equal(loaded.vectors["story"], data.vectors["story"])


def test_an_augmentation_that_does_nothing_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"no operation is set.*write drop, swap or mask"):
        toy_schema(overrides=["features.item.story.augment={copies: 3}"])
    with pytest.raises(SchemaError, match="augment"):
        toy_schema(overrides=["features.item.picture.augment={drop: 0.1}"])
