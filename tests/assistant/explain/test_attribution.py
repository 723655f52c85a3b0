from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motet.assistant.explain import Attributor, Explainer
from motet.data import Dataset
from motet.models import build_model
from motet.testing import hashed_words_for_tests
from motet.training import Bundle, load_bundle, save_bundle

TOLERANCE = 1e-3


def test_the_parts_add_up_to_the_score(explainer: Explainer) -> None:
    attributor = Attributor(explainer.evidence.probe, permutations=5)
    for user, item in ((0, 0), (1, 7), (59, 59), (-1, 3)):
        found = attributor.attribute(user, item)
        assert found.gap < TOLERANCE
        assert found.task == "next"
        assert {group for group, _ in found.parts} == set(attributor.groups)


def test_the_score_is_the_recommenders(explainer: Explainer) -> None:
    best = explainer.recommender.recommend(["u0"], k=3, include_seen=True)
    for item, score in zip(best["item"], best["score"], strict=True):
        found = explainer.explain("u0", item, attribute=True).attribution
        assert found is not None
        assert found.score == pytest.approx(score, abs=1e-4)


def test_the_parts_are_shapley_values(explainer: Explainer) -> None:
    attributor = Attributor(explainer.evidence.probe, permutations=3000)
    found = dict(attributor.attribute(0, 4).parts)
    values = attributor.set_values(0, 4)
    rng = np.random.default_rng(0)
    g = len(attributor.groups)
    exact = np.zeros(g)
    orders = [rng.permutation(g) for _ in range(3000)]
    for order in orders:
        code = 0
        for group in order:
            exact[group] += float(values[code | 1 << int(group)] - values[code])
            code |= 1 << int(group)
    scale = max(abs(v) for v in found.values())
    for place, group in enumerate(attributor.groups):
        assert found[group] == pytest.approx(exact[place] / len(orders), abs=0.05 * scale)


def test_a_user_without_a_past_owes_nothing_to_it(explainer: Explainer) -> None:
    for item in range(0, 60, 7):
        found = Attributor(explainer.evidence.probe).attribute(-1, item)
        parts = dict(found.parts)
        # by construction, whatever the kernels: what is as in the baseline is not asked for
        assert parts["history"] == parts["user_id"] == parts["profile"] == 0
        assert found.gap < TOLERANCE


def test_what_the_model_does_not_look_at_moves_nothing(planted: Bundle) -> None:
    bundle = load_bundle(planted.directory)
    explainer = Explainer(bundle)
    columns = {
        group: place
        for blocks in [Attributor(explainer.evidence.probe).columns["item"]]
        for group, place in blocks
        if group == "text"
    }
    towers = bundle.model.retrieval
    assert towers is not None
    with torch.no_grad():
        for name, weight in towers.named_parameters():
            if name in ("item_direct.weight", "item_hidden.0.weight"):
                weight[:, columns["text"]] = 0
    parts = dict(Attributor(explainer.evidence.probe).attribute(0, 0).parts)
    assert parts["text"] == pytest.approx(0, abs=1e-5)
    assert max(abs(v) for v in parts.values()) > 1e-4


@pytest.mark.parametrize("task", ["retrieval", "towers"])
def test_every_kind_of_feature_is_attributed(toy: Dataset, tmp_path: Path, task: str) -> None:
    """All sequence encoders, targets, vectors and hidden features; with and without a retrieval task."""
    schema, data = toy.schema, toy
    save_bundle(tmp_path / "b", model=build_model(schema, data.encoder).eval(), data=data, metrics={})
    explainer = Explainer(load_bundle(tmp_path / "b"), hashed_words_for_tests)
    if task == "towers":
        explainer.evidence.probe.task = "stars"
    attributor = Attributor(explainer.evidence.probe, permutations=4)
    assert set(attributor.groups) >= {
        "history",
        "user_id",
        "profile",
        "item_id",
        "tags",
        "text",
        "vectors",
        "context",
    }
    found = attributor.attribute(3, 5)
    assert found.gap < TOLERANCE
    assert sorted(group for group, _ in found.parts) == sorted(attributor.groups)


def test_taking_a_liked_item_away_is_what_the_claim_says(explainer: Explainer) -> None:
    probe = explainer.evidence.probe
    claims = [
        claim
        for item in ("i0", "i3", "i9", "i33")
        for claim in explainer.explain("u0", item, attribute=False).evidence
        if claim.kind == "moved"
    ]
    assert claims
    for claim in claims:
        past = probe.history(0)
        whole = probe.with_histories(0, [claim.item], [past])[0, 0]
        for mention, weight in zip(claim.mentions, claim.support.weights, strict=True):
            less = {name: rows[rows != mention.row] for name, rows in past.items()}
            assert whole - probe.with_histories(0, [claim.item], [less])[0, 0] == pytest.approx(
                weight, abs=1e-3
            )
            assert weight > 0


def test_an_item_without_its_tags_is_scored_as_one_that_never_had_them(explainer: Explainer) -> None:
    probe = explainer.evidence.probe
    assert dict(explainer.evidence.tags.keys)["genres"]
    whole = probe.with_histories(0, [0], [probe.history(0)])[0, 0]
    same, odd, bare, brand = probe.without_tags(
        0, 0, [[], [("genres", "Love")], [("genres", "Space"), ("genres", "War")], [("brand", "Acme")]]
    )
    assert [same, odd] == pytest.approx([whole, whole], abs=1e-5)  # it has no such tag
    assert abs(bare - whole) > 1e-6
    assert abs(brand - whole) > 1e-6
