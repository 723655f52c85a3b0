"""Histories are of items: what is known of an item beside its id reaches the user who had it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from motet.data import Dataset, Ragged
from motet.models import build_model, content_of_items
from motet.testing import toy_dataset
from motet.training import ModelPredictor, train_model


@pytest.fixture(scope="module")
def data() -> Dataset:
    return toy_dataset(rows=600, sequences=("mean",))


def content_of(data: Dataset) -> torch.Tensor:
    model = build_model(data.schema, data.encoder)
    model.features.take_content(data)
    assert model.features.content is not None
    return model.features.content.values.float()


def test_items_have_their_texts_and_tags_by_the_code_of_their_id(data: Dataset) -> None:
    values = content_of(data)
    column = data.encoder.layout("item").codes.index("item")
    offset = data.encoder.vocabularies["item"].offset
    codes = data.items.codes[:, column] - offset
    known = np.flatnonzero(codes > 0)
    assert not values[0].any()  # unknown ids have none
    wanted = content_of_items(data)
    np.testing.assert_allclose(values[codes[known]], wanted[known], atol=2e-3)
    lengths = np.linalg.norm(wanted[:, :64], axis=1)
    assert lengths[lengths > 0].mean() == pytest.approx(1, abs=1e-3)


def test_what_few_items_have_is_no_larger_than_what_all_have(data: Dataset) -> None:
    few = Ragged.from_lengths(
        data.items.tags["genres"].values[:1], np.array([1] + [0] * (len(data.items) - 1), np.int64)
    )
    sparse = replace(data, items=replace(data.items, tags={**data.items.tags, "genres": few}))
    assert float(content_of(sparse).abs().max()) < 5


def test_an_item_of_a_history_moves_the_user_by_its_content(data: Dataset) -> None:
    model = train_model(data).model
    users = np.flatnonzero(np.diff(data.histories["past_mean"].items.offsets) > 0)[:8]
    before = ModelPredictor(model, data).score_items(users)
    assert model.features.content is not None
    with torch.no_grad():
        model.features.content.values.zero_()
    after = ModelPredictor(model, data).score_items(users)
    assert before is not None
    assert after is not None
    assert np.abs(before - after).max() > 1e-4


def test_what_is_kept_to_serve_is_dropped_by_training(data: Dataset) -> None:
    model = build_model(data.schema, data.encoder).eval()
    model.features.take_content(data)
    content = model.features.content
    assert content is not None
    ids = torch.arange(content.first - 1, content.first + len(content.values) + 1)
    with torch.no_grad():
        before = content(ids)
        content.keep()
        np.testing.assert_allclose(content(ids), before, atol=1e-6)
    # the step of a fused optimiser leaves no sign of itself on the weights
    optimiser = torch.optim.Adam(content.parameters(), lr=0.1, fused=True)
    model.train()
    content(ids).sum().backward()
    optimiser.step()
    model.eval()
    with torch.no_grad():
        assert float((content(ids) - before).abs().max()) > 1e-3


def test_the_score_holds_the_product_of_history_and_item(data: Dataset) -> None:
    model = build_model(data.schema, data.encoder)
    assert model.retrieval is not None
    assert model.retrieval.together is not None
    width, columns = data.schema.model.width, model.features.history_columns
    assert columns.stop - columns.start == width
    x = torch.randn(3, model.features.widths.user)
    towers = model.retrieval.user(x)
    np.testing.assert_allclose(
        towers[:, -width:].detach(), (x[:, columns] * model.retrieval.together).detach(), rtol=1e-6
    )
