"""The catalogue and the behaviour in a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from motet.data import behaviour_of
from motet.models import build_model
from motet.testing import toy_dataset
from motet.training import load_bundle, save_bundle


def test_catalogue_and_behaviour_come_back_as_they_were(tmp_path: Path) -> None:
    data = toy_dataset(rows=150)
    save_bundle(tmp_path / "b", model=build_model(data.schema, data.encoder), data=data, metrics={})
    bundle = load_bundle(tmp_path / "b")
    assert data.catalogue is not None
    assert bundle.data.catalogue is not None
    assert bundle.data.catalogue.frame.equals(data.catalogue.frame)
    assert bundle.data.catalogue.tags == data.catalogue.tags
    assert bundle.data.catalogue.title == data.catalogue.title
    expected = behaviour_of(data)
    assert np.array_equal(bundle.behaviour.items.values, expected.items.values)
    assert np.array_equal(bundle.behaviour.labels, expected.labels, equal_nan=True)
    assert bundle.behaviour.tasks == expected.tasks
