from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motet.data import Batcher
from motet.models import build_model
from motet.models.architectures import ARCHITECTURES
from motet.recommend import Recommender
from motet.testing import hashed_words_for_tests, toy_dataset
from motet.training import load_bundle, save_bundle


@pytest.mark.parametrize("sequences", [("mean",), ("target", "gru")], ids=["mean", "target attention"])
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_items_ahead_equals_the_plain_path(
    architecture: str, sequences: tuple[str, ...], tmp_path: Path
) -> None:
    data = toy_dataset(
        rows=150,
        sequences=sequences,
        overrides=(f"model.architecture={architecture}", "features.interaction.request.template='{query}'"),
    )
    model = build_model(data.schema, data.encoder, seed=2).eval()
    save_bundle(tmp_path / "b", model=model, data=data, metrics={})
    recommender = Recommender(load_bundle(tmp_path / "b"), hashed_words_for_tests)
    known = recommender.bundle.data
    ahead = recommender.precomputed_items("search")
    items = np.arange(len(data.items), dtype=np.int32)
    context = (ahead.context_rows.table, ahead.context_rows.scenario)
    batcher = Batcher(ahead.context_rows.data)
    some = np.array([5, 0, 7], np.int64)
    for user in (0, 3, len(data.users) - 1):
        users = np.full(len(items), user, np.int32)
        before = {name: h.known[users] for name, h in known.histories.items()}
        plain = model(batcher.assemble(users, items, before, np.zeros(len(items), np.int64), context=context))
        for task, values in ahead.score(known, user).items():
            np.testing.assert_allclose(values.numpy(), plain.logits[task].detach().numpy(), atol=1e-5)
        for task, values in ahead.score(known, user, some).items():
            np.testing.assert_allclose(values.numpy(), plain.logits[task].detach().numpy()[some], atol=1e-5)
        score = (plain.item_vectors @ plain.user_vectors[0] + plain.item_bias).detach().numpy()
        np.testing.assert_allclose(ahead.retrieve(known, user).numpy(), score, atol=1e-5)
