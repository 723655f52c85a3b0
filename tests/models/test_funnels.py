"""Funnels against their published formulas, networks and losses, computed in NumPy; and what their losses promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.errors import ModelError
from motet.models import FirstExperts, Inputs, ParallelLayers, Towers, Widths, build_model
from motet.models.architectures import ARCHITECTURES, Architecture, Shape, build_architecture
from motet.models.architectures.funnels import AitmOptions, Dbmtl, DbmtlOptions
from motet.testing import toy_dataset
from motet.training import ModelPredictor, train_model

Floats = NDArray[np.float64]

WIDTHS = Widths(user=6, item=7, context=2)
USERS, ITEMS, B = 30, 40, 200
TASKS, OUTPUTS = ("mood", "click", "buy", "again", "like"), (3, 1, 1, 1, 1)
T = len(TASKS)
SHAPE = Shape(
    widths=WIDTHS,
    tasks=TASKS,
    outputs=OUTPUTS,
    entity_outputs={},
    after={"buy": "click", "again": "buy", "like": "click", "mood": "click"},
    chances=frozenset({"click", "buy", "again", "like"}),
)
STEPS = ("click", "buy", "again")
WITH_LOSSES = ["esmm", "escm2", "dcmt", "aitm"]


def inputs_of() -> Inputs:
    draw = torch.Generator().manual_seed(1)
    return Inputs(
        user=torch.randn(USERS, WIDTHS.user, dtype=torch.float64, generator=draw),
        item=torch.randn(ITEMS, WIDTHS.item, dtype=torch.float64, generator=draw),
        context=torch.randn(B, WIDTHS.context, dtype=torch.float64, generator=draw),
        user_of_row=torch.randint(0, USERS, (B,), generator=draw),
        item_of_row=torch.randint(0, ITEMS, (B,), generator=draw),
        scenario=torch.zeros(B, dtype=torch.int64),
        visible={},
    )


def labels_of() -> dict[str, Tensor]:
    """Labels as a data set gives them: of a later step unknown where the one before did not happen."""
    rng = np.random.default_rng(2)
    click = (rng.random(B) < 0.5).astype(np.float64)
    buy = np.where(click == 1, rng.random(B) < 0.6, np.nan)
    again = np.where(buy == 1, rng.random(B) < 0.5, np.nan)
    like = np.where(click == 1, rng.random(B) < 0.3, np.nan)
    found = {"click": click, "buy": buy, "again": again, "like": like}
    return {"mood": torch.full((B,), torch.nan), **{k: torch.from_numpy(v) for k, v in found.items()}}


def drawn(name: str, options: Mapping[str, Any]) -> Any:
    torch.manual_seed(3)
    model = build_architecture(name, SHAPE, {"hidden": [5, 4], "tower": 3, **options}).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.4)
    return model


def outputs_of(model: Architecture) -> tuple[dict[str, Tensor], Tensor]:
    logits, extra = model.with_extra(inputs_of(), {})
    assert torch.equal(logits, model(inputs_of(), {}))
    parts = torch.split(logits, list(OUTPUTS), 1)
    return {name: part.squeeze(1) for name, part in zip(TASKS, parts, strict=True)}, extra


def n(x: Tensor) -> Floats:
    found: Floats = x.detach().numpy()
    return found


def sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def relu(x: Floats) -> Floats:
    return np.maximum(x, 0)


def layers(block: ParallelLayers, e: int, x: Floats) -> Floats:
    for weight, bias in zip(block.weights, block.biases, strict=True):
        x = relu(x @ n(weight)[e] + n(bias)[e])
    return x


def networks(block: FirstExperts) -> list[Floats]:
    inputs = inputs_of()
    user, item = inputs.user[inputs.user_of_row], inputs.item[inputs.item_of_row]
    x = torch.cat([user, item, inputs.context], 1).numpy()
    width = len(n(block.first.bias)) // block.count
    hidden = relu(x @ n(block.first.weight).T + n(block.first.bias))
    return [layers(block.rest, e, hidden[:, e * width : (e + 1) * width]) for e in range(block.count)]


def tower(block: Towers, k: int, h: Floats, outputs: int = 1) -> Floats:
    return np.asarray(
        (layers(block.hidden, k, h) @ n(block.weight)[k] + n(block.bias)[k])[:, :outputs].squeeze()
    )


def cross_entropy(y: Floats, p: Floats) -> Floats:
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log(1 - p)))


def reached_of(labels: Mapping[str, Tensor], steps: tuple[str, ...]) -> Floats:
    """Whether each step was reached, with all labels known."""
    return np.asarray(np.cumprod([np.nan_to_num(n(labels[name])) for name in steps], 0), np.float64)


@pytest.mark.parametrize("name", ["esmm", "escm2", "dcmt"])
def test_each_task_has_a_network_and_a_tower(name: str) -> None:
    model = drawn(name, {})
    logits, extra = outputs_of(model)
    h = networks(model.networks)
    for k, task in enumerate(TASKS):
        np.testing.assert_allclose(n(logits[task]), tower(model.towers, k, h[k], OUTPUTS[k]), atol=1e-9)
    for k in range(extra.shape[1]):
        np.testing.assert_allclose(n(extra)[:, k], tower(model.towers, T + k, h[T + k]), atol=1e-9)
    assert extra.shape[1] == (0 if name == "esmm" else 2)


@pytest.mark.parametrize("steps", [STEPS, STEPS[:2]])
def test_esmm_loss(steps: tuple[str, ...]) -> None:
    """L = Σ l(y, pCTR) + Σ l(y & z, pCTR × pCVR)."""
    model = drawn("esmm", {"steps": steps})
    logits, extra = outputs_of(model)
    labels = labels_of()
    found = model.losses(logits, labels, extra)
    chance = np.cumprod([sigmoid(n(logits[name])) for name in steps], 0)
    reached = reached_of(labels, steps)
    assert list(found) == list(steps)
    for k, name in enumerate(steps):
        wanted = cross_entropy(reached[k], chance[k]).mean()
        np.testing.assert_allclose(found[name].item(), wanted, atol=1e-6)


@pytest.mark.parametrize("risk", ["ips", "dr"])
def test_escm2_loss(risk: str) -> None:
    """L_CTR + λ_c·R + λ_g·L_CTCVR, with R_IPS = mean o·δ/ô or R_DR = mean [δ̂ + o(δ − δ̂)/ô] + mean o(δ − δ̂)²/ô."""
    options = {"risk": risk, "counterfactual_weight": 0.7, "global_weight": 0.4, "least_propensity": 0.5}
    model = drawn("escm2", options)
    logits, extra = outputs_of(model)
    labels = labels_of()
    found = model.losses(logits, labels, extra)
    reached = reached_of(labels, STEPS)
    chance = np.cumprod([sigmoid(n(logits[name])) for name in STEPS], 0)
    np.testing.assert_allclose(found["click"].item(), cross_entropy(reached[0], chance[0]).mean(), atol=1e-6)
    assert (chance[:-1] < 0.5).any()  # some propensities are clipped
    for k, name in enumerate(STEPS[1:], 1):
        o, inverse = reached[k - 1], 1 / np.maximum(chance[k - 1], 0.5)
        delta = cross_entropy(reached[k], sigmoid(n(logits[name])))
        if risk == "ips":
            wanted = (o * delta * inverse).mean()
        else:
            imputed = np.log1p(np.exp(n(extra)[:, k - 1]))
            wanted = (imputed + o * (delta - imputed) * inverse).mean()
            wanted += (o * (delta - imputed) ** 2 * inverse).mean()
        wanted = 0.7 * wanted + 0.4 * cross_entropy(reached[k], chance[k]).mean()
        np.testing.assert_allclose(found[name].item(), wanted, atol=1e-6)


@pytest.mark.parametrize("self_normalised", [True, False])
def test_dcmt_loss(self_normalised: bool) -> None:
    """Σ_{o=1} e(r, r̂)/ô + Σ_{o=0} e(1 − r, r̂*)/(1 − ô) + λ₁·mean |1 − (r̂ + r̂*)|."""
    options = {"prior_weight": 0.3, "conversion_weight": 0.6, "global_weight": 0.5, "least_propensity": 0.3}
    model = drawn("dcmt", {**options, "self_normalised": self_normalised})
    logits, extra = outputs_of(model)
    labels = labels_of()
    found = model.losses(logits, labels, extra)
    reached = reached_of(labels, STEPS)
    chance = np.cumprod([sigmoid(n(logits[name])) for name in STEPS], 0)
    for k, name in enumerate(STEPS[1:], 1):
        o, propensity = reached[k - 1], np.clip(chance[k - 1], 0.3, 0.7)
        r, r_star = sigmoid(n(logits[name])), sigmoid(n(extra)[:, k - 1])
        clicked, others = o / propensity, (1 - o) / (1 - propensity)
        factual, mirrored = (
            clicked @ cross_entropy(reached[k], r),
            others @ cross_entropy(1 - reached[k] * o, r_star),
        )
        if self_normalised:
            error = factual / clicked.sum() + mirrored / others.sum()
        else:
            error = (factual + mirrored) / B
        error += 0.3 * np.abs(1 - (r + r_star)).mean()
        wanted = 0.6 * error + 0.5 * cross_entropy(reached[k], chance[k]).mean()
        np.testing.assert_allclose(found[name].item(), wanted, atol=1e-6)


def test_aitm_equations_1_to_6() -> None:
    model = drawn("aitm", {"calibrator": 0.9})
    logits, extra = outputs_of(model)
    q = networks(model.networks)
    z = list(q)
    places = [TASKS.index(name) for name in STEPS]
    for k, (before, here) in enumerate(pairwise(places)):
        hand_on, look = model.hand_on[k], model.look[k]
        p = relu(z[before] @ n(hand_on.weight).T + n(hand_on.bias))
        h = {u: x @ n(look.weight).T + n(look.bias) for u, x in (("p", p), ("q", q[here]))}
        score = {u: (x[:, 4:8] * x[:, 8:]).sum(1) / np.sqrt(4) for u, x in h.items()}
        total = sum(np.exp(s) for s in score.values())
        z[here] = np.asarray(sum((np.exp(score[u]) / total)[:, None] * h[u][:, :4] for u in h))
    raw = [tower(model.towers, k, z[k], OUTPUTS[k]) for k in range(T)]
    reached = np.array([sigmoid(raw[place]) for place in places])  # [K, B]
    np.testing.assert_allclose(sigmoid(n(logits["click"])), reached[0], atol=1e-9)
    for task in ("mood", "like"):
        np.testing.assert_allclose(n(logits[task]), raw[TASKS.index(task)], atol=1e-9)
    for k, name in enumerate(STEPS[1:], 1):  # a prediction is the chance given the step before
        given = np.minimum(reached[k] / reached[k - 1], 0.9999)
        np.testing.assert_allclose(sigmoid(n(logits[name])), given, atol=1e-9)
    labels = labels_of()
    found, happened = model.losses(logits, labels, extra), reached_of(labels, STEPS)
    for k, name in enumerate(STEPS):
        wanted = cross_entropy(happened[k], reached[k]).mean()
        if k:
            wanted += 0.9 * np.maximum(reached[k] - reached[k - 1], 0).mean()
        np.testing.assert_allclose(found[name].item(), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("steps", "before"),
    [
        ((), {"buy": ["click"], "again": ["click", "buy"], "like": ["click"], "mood": ["click"]}),
        (("like", "mood", "again"), {"mood": ["like"], "again": ["like", "mood"]}),
    ],
)
def test_dbmtl_equations_2_to_4(steps: tuple[str, ...], before: dict[str, list[str]]) -> None:
    torch.manual_seed(3)
    options = DbmtlOptions(steps=steps, hidden=(5, 4), specific=3, tower=2)
    model = Dbmtl(shape=SHAPE, options=options).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.6)
    logits, extra = outputs_of(model)
    (x,) = networks(model.shared)
    r = {name: layers(model.specific, k, x) for k, name in enumerate(TASKS)}
    for layer, (task, firsts) in zip(model.bayes, model.relations, strict=True):
        name = TASKS[task]
        assert [TASKS[first] for first in firsts] == before.pop(name)
        s = np.concatenate([r[name], *(r[TASKS[first]] for first in firsts)], 1)
        r[name] = relu(s @ n(layer.weight).T + n(layer.bias))  # type: ignore[arg-type]
    assert before == {}
    for k, name in enumerate(TASKS):
        np.testing.assert_allclose(n(logits[name]), tower(model.towers, k, r[name], OUTPUTS[k]), atol=1e-6)
    assert model.losses(logits, labels_of(), extra) == {}  # the likelihood is what the task kinds have


@pytest.mark.parametrize("name", WITH_LOSSES)
def test_other_tasks_keep_their_losses(name: str) -> None:
    model = drawn(name, {})
    assert list(model.losses(outputs_of(model)[0], labels_of(), outputs_of(model)[1])) == list(STEPS)


@pytest.mark.parametrize("name", WITH_LOSSES)
def test_labels_that_are_missing_at_random_leave_the_loss_as_it_is(name: str) -> None:
    """Of many rows, with a third of the labels of 'buy' lost: the loss moves by its sampling error and no more."""
    model = drawn(name, {"steps": STEPS[:2]})
    logits, extra = outputs_of(model)
    times = 400
    many = {task: logits[task].repeat(times) for task in STEPS}
    labels = {task: y.repeat(times) for task, y in labels_of().items() if y.dim() == 1}
    whole = model.losses(many, labels, extra.repeat(times, 1))
    lost = torch.rand(B * times, generator=torch.Generator().manual_seed(0)) < 1 / 3
    fewer = {**labels, "buy": labels["buy"].masked_fill(lost, torch.nan)}
    found = model.losses(many, fewer, extra.repeat(times, 1))
    np.testing.assert_allclose(found["buy"].item(), whole["buy"].item(), rtol=0.01)


@pytest.mark.parametrize("name", WITH_LOSSES)
def test_losses_are_finite_for_extreme_logits(name: str) -> None:
    model = drawn(name, {})
    logits, extra = outputs_of(model)
    for scale in (1e2, -1e2, 1e4):
        some = {task: (y.float().sign() * scale).detach().requires_grad_() for task, y in logits.items()}
        more = (extra.float().sign() * scale).detach().requires_grad_()
        losses = model.losses(some, {task: y.float() for task, y in labels_of().items()}, more)
        total = torch.stack(list(losses.values())).sum()
        torch.autograd.backward(total)
        assert bool(torch.isfinite(total))
        assert all(bool(torch.isfinite(some[name].grad).all()) for name in STEPS[:1])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["esmm", "escm2", "dcmt", "aitm", "dbmtl"])
def test_steps_are_found_or_refused_with_a_cure(name: str) -> None:
    plain = replace(SHAPE, after={})
    with pytest.raises(ModelError, match=r"there is no funnel.*say 'after:'"):
        build_architecture(name, plain, {})
    with pytest.raises(ModelError, match="did you mean 'click'"):
        build_architecture(name, SHAPE, {"steps": ["clik", "buy"]})
    if name == "dbmtl":
        return
    with pytest.raises(ModelError, match="'mood' is not a yes-or-no task"):
        build_architecture(name, SHAPE, {"steps": ["click", "mood"]})
    with pytest.raises(
        ModelError, match=r"'again' does not come after 'click'.*say 'after: click' in tasks.again"
    ):
        build_architecture(name, SHAPE, {"steps": ["click", "again"]})
    with pytest.raises(ModelError, match="fewer than two"):
        build_architecture(name, SHAPE, {"steps": ["click"]})
    model: Any = build_architecture(name, SHAPE, {})
    assert model.steps == STEPS


def test_positives_with_a_weight_are_no_step() -> None:
    data = toy_dataset(
        rows=150,
        overrides=("tasks.buy.positive_weight=3", "model.architecture=esmm"),
    )
    with pytest.raises(ModelError, match="leave positive_weight at 1"):
        build_model(data.schema, data.encoder)


@pytest.mark.parametrize("name", ["esmm", "escm2", "dcmt", "aitm", "dbmtl"])
def test_a_funnel_trains_and_predicts_chances_given_the_step_before(name: str) -> None:
    data = toy_dataset(rows=300, sequences=(), overrides=(f"model.architecture={name}",))
    assert ARCHITECTURES[name][0].about.family == "funnel"
    trained = train_model(data)
    rows = data.rows("test")
    for task in STEPS:
        p = ModelPredictor(trained.model, data).predict(rows)[task]
        assert ((p >= 0) & (p <= 1)).all()


def test_aitm_options_are_those_of_every_funnel_and_one() -> None:
    assert set(AitmOptions.model_fields) == {"steps", "hidden", "tower", "calibrator"}
