"""The suites pass on every component of motet, and fail on one that breaks a promise."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motet.data import Dataset
from motet.models import FactorisedLinear, Inputs
from motet.models.architectures import ARCHITECTURES, PLAIN, Architecture, Shape
from motet.schema import SEQUENCE_ENCODERS, Part
from motet.testing import (
    HashedWordsForTests,
    check_architecture,
    check_balancer,
    check_model,
    check_predictor,
    check_sequence_encoder,
    check_text_encoder,
    toy_dataset,
)
from motet.training import BALANCERS, Balancer, ModelPredictor, train_model

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "linear": [{}],
    "fm": [{}, {"rank": 3}],
    "mlp": [{}, {"hidden": [8]}],
    "dcn_v2": [{}, {"rank": 3, "tower": 0}, {"cross": 3, "rank": 2, "experts": 2, "hidden": [8]}],
    "single_task": [{}, {"tower": 0}],
    "shared_bottom": [{}, {"tower": 0}],
    "mmoe": [{}, {"experts": 2, "hidden": [8], "tower": 0}],
    "ple": [{}, {"levels": 3, "hidden": [8]}, {"shared_experts": 1, "task_experts": 1, "hidden": [8, 4]}],
    "cgc": [{}, {"shared_experts": 1, "task_experts": 1, "hidden": [8], "tower": 0}],
    "cross_stitch": [{}, {"hidden": [8, 8, 4], "own": 0.5, "per_unit": False, "tower": 0}],
    "adatt": [{}, {"levels": 3, "task_experts": 2, "shared_experts": 2, "hidden": [8]}],
    "stem": [{}, {"task_experts": 2, "shared_experts": 1, "hidden": [8], "tower": 0}],
    "home": [
        {},
        {"groups": [["click", "buy", "again"], ["stars", "mood"], ["marks"]], "experts": 2, "tower": 0},
    ],
    "task_attention": [{}, {"hidden": [8], "bottleneck": 4, "tower": 0}],
    "task_graph": [{}, {"edges": "after", "layers": 1, "hidden": [8]}],
    "coupled": [{"preference": ["click", "mood"]}],
    "esmm": [{}, {"steps": ["click", "buy"], "hidden": [8], "tower": 0}],
    "escm2": [{}, {"steps": ["click", "buy"], "risk": "ips", "hidden": [8], "tower": 0}],
    "aitm": [{}, {"steps": ["click", "buy"], "calibrator": 2.0, "hidden": [8], "tower": 0}],
    "dbmtl": [{}, {"steps": ["click", "stars", "mood"], "hidden": [8], "specific": 4, "tower": 0}],
    "dcmt": [{}, {"steps": ["buy", "again"], "self_normalised": False, "hidden": [8], "tower": 0}],
    "scenario_towers": [{}, {"hidden": [8], "tower": 0}],
    "single_scenario": [{}, {"hidden": [8], "tower": 0}],
    "star": [{}, {"hidden": [8], "auxiliary": 4}],
    "pepnet": [{}, {"hidden": [8], "gate": 4}],
    "sar_net": [{}, {"shared_experts": 1, "scenario_experts": 1, "hidden": [8], "tower": 0}],
    "m2m": [{}, {"experts": 2, "hidden": [8], "levels": 2}],
    "adasparse": [{}, {"hidden": [8], "alpha": 2.0, "alpha_steps": 5}],
    "hamur": [{}, {"hidden": [8], "adapter": 4, "rank": 2, "tower": 0}],
    "m3oe": [{}, {"representation": 8, "experts": 2, "hidden": [8, 4], "tower": 0}],
    "adapt_dhm": [{}, {"clusters": 2, "hidden": [8], "rounds": 1}],
}


@pytest.mark.parametrize(("name", "options"), [(n, o) for n, many in OPTIONS.items() for o in many])
def test_every_architecture_conforms(name: str, options: dict[str, Any], toy: Dataset) -> None:
    kind, settings = ARCHITECTURES[name]
    check_architecture(kind, settings.model_validate(options), data=toy)


def test_no_architecture_is_left_out() -> None:
    assert set(OPTIONS) == set(ARCHITECTURES) - set(PLAIN)


@pytest.mark.parametrize(
    "parts",
    list(product([True, False], repeat=4)),
    ids=lambda p: "".join("uits"[i] if x else "-" for i, x in enumerate(p)),
)
def test_every_part_of_the_schema_may_be_absent(parts: tuple[bool, bool, bool, bool]) -> None:
    users, items, time, scenario = parts
    data = toy_dataset(users=users, items=items, time=time, scenario=scenario, rows=150)
    check_model(data)


@pytest.mark.parametrize("only", ["next", "topics", "worth"])
def test_a_schema_without_any_tower(only: str) -> None:
    data = toy_dataset(rows=150)
    keep = {name: task for name, task in data.schema.tasks.items() if name == only}
    trained = train_model(data, schema=data.schema.model_copy(update={"tasks": keep}))
    assert trained.history.validations


@pytest.mark.parametrize("name", SEQUENCE_ENCODERS)
@pytest.mark.parametrize("width", [8, 5])
def test_every_sequence_encoder_conforms(name: str, width: int) -> None:
    check_sequence_encoder(SEQUENCE_ENCODERS[name], width=width, target=name == "target")


@pytest.mark.parametrize("name", BALANCERS)
def test_every_balancer_conforms(name: str) -> None:
    check_balancer(BALANCERS[name])


def test_the_trained_model_is_a_predictor(toy: Dataset) -> None:
    check_predictor(ModelPredictor(train_model(toy).model, toy), toy)


# -- each suite notices a broken promise ---------------------------------------------------------


class NoOptions(Part):
    """No options."""


class Honest(Architecture):
    """Keeps every promise."""

    def __init__(self, *, shape: Shape, options: NoOptions) -> None:
        super().__init__()
        self.layer = FactorisedLinear(widths=shape.widths, out=sum(shape.outputs))

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        y: Tensor = self.layer(inputs)
        return y


class Leaky(Honest):
    """Looks at the other rows of the batch."""

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        y = super().forward(inputs, item_logits)
        return y - y.mean(0)


class Idle(Honest):
    """Has a weight that nothing uses."""

    def __init__(self, *, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape=shape, options=options)
        self.spare = nn.Parameter(torch.zeros(3))


class Restless(Honest):
    """Draws in evaluation mode."""

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        y = super().forward(inputs, item_logits)
        return y + torch.randn_like(y)


def test_an_own_architecture_is_checked(toy: Dataset) -> None:
    check_architecture(Honest, NoOptions(), data=toy)
    for broken, text in (
        (Leaky, "depend on the other rows|permuting rows"),
        (Idle, "no gradient reaches 'architecture.spare'"),
        (Restless, "two predictions of 'click' differ"),
    ):
        with pytest.raises(AssertionError, match=text):
            check_architecture(broken, NoOptions(), data=toy)


def test_a_sequence_encoder_that_reads_padding() -> None:
    class Sloppy(nn.Module):
        def __init__(self, *, width: int, last: int) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(width))

        def forward(self, events: Tensor, lengths: Tensor) -> Tensor:
            return events.mean(1) * self.scale * (lengths > 0)[:, None]

    with pytest.raises(AssertionError, match="padding changes the output"):
        check_sequence_encoder(Sloppy)


def test_a_balancer_that_pushes_a_task_uphill() -> None:
    class Wrong(Balancer):
        def __init__(self, *, weights: Mapping[str, float]) -> None:
            super().__init__()

        def forward(self, losses: Mapping[str, Tensor], shared: Any) -> Tensor:
            first, *rest = losses.values()
            return torch.stack(rest).sum() - 0.1 * first

    with pytest.raises(AssertionError, match="pushed uphill"):
        check_balancer(Wrong)


def test_a_text_encoder_that_hears_its_neighbours() -> None:
    class Nosy(HashedWordsForTests):
        def encode(self, texts: Any, progress: object = None) -> NDArray[np.float32]:
            vectors = super().encode(texts)
            return vectors + vectors.mean(0) * np.any(vectors, 1, keepdims=True) if len(texts) else vectors

    check_text_encoder(HashedWordsForTests())
    with pytest.raises(AssertionError, match="neighbours change the vector of 'red wine'"):
        check_text_encoder(Nosy())


def test_a_predictor_that_predicts_beyond_its_scale(toy: Dataset) -> None:
    class Loud:
        def predict(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
            return {"click": np.full(len(rows), 1.5, np.float32)}

        def score_items(self, users: NDArray[np.int64]) -> None:
            return None

    with pytest.raises(AssertionError, match="'click' are no probabilities"):
        check_predictor(Loud(), toy)
