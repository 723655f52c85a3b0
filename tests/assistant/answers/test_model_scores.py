"""What the model makes of items: what it ranks by, and what is liked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motet.assistant import model_scores
from motet.models import build_model
from motet.recommend import Recommender
from motet.testing import hashed_words_for_tests, toy_dataset
from motet.training import load_bundle, save_bundle


def test_what_the_schema_ranks_by_decides(tmp_path: Path) -> None:
    data = toy_dataset(rows=300)
    save_bundle(tmp_path / "bundle", model=build_model(data.schema, data.encoder), data=data, metrics={})
    recommender = Recommender(load_bundle(tmp_path / "bundle"), hashed_words_for_tests)
    task = data.schema.liking_task
    assert task is not None
    assert data.schema.tasks[task].kind == "binary"
    found = model_scores(recommender, "u1", None)
    next_up, logits = recommender.scores("u1"), recommender.scores("u1", by=task)
    assert found.liked is not None
    assert found.liked == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-6)
    assert found.scores == pytest.approx(next_up)
