from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from motet.errors import ModelError
from motet.models.architectures import ARCHITECTURES, Architecture, register_architecture
from motet.models.baselines import BASELINES
from motet.schema import SEQUENCE_ENCODERS, Part, Registry
from motet.training import BALANCERS, Method, list_methods

KINDS: dict[str, Registry[Any]] = {
    "architecture": ARCHITECTURES,
    "sequence encoder": SEQUENCE_ENCODERS,
    "balancer": BALANCERS,
    "baseline": BASELINES,
}


@pytest.fixture(scope="module")
def methods() -> list[Method]:
    return list_methods()


def test_every_registered_method_has_a_line(methods: list[Method]) -> None:
    for kind, table in KINDS.items():
        assert [method.name for method in methods if method.kind == kind] == list(table)
    for method in methods:
        assert method.summary, method
        assert not method.summary.endswith("."), method
        assert "\n" not in method.summary
        assert all(option.meaning for option in method.options), method


def test_costs_are_those_of_what_is_built(methods: list[Method]) -> None:
    by_name = {(method.kind, method.name): method for method in methods}
    linear = by_name["architecture", "linear"]
    assert (linear.parameters, linear.multiply_adds) == (4 * 160 + 4, 4 * 160)
    cnn = by_name["sequence encoder", "cnn"]
    assert cnn.multiply_adds == 50 * 32 * 32 * (2 + 3 + 4) + 3 * 32 * 32
    gru = by_name["sequence encoder", "gru"]
    assert gru.multiply_adds == 50 * 6 * 32 * 32
    networks = [m for m in methods if m.kind == "architecture" and m.family != "plain"]
    assert all(m.parameters and m.multiply_adds for m in networks)
    assert {m.name for m in networks if "scenario" in m.marks} >= {
        "single_task",
        "shared_bottom",
        "mmoe",
        "ple",
        "star",
        "single_scenario",
    }
    assert "scenario" not in by_name["architecture", "linear"].marks


def test_a_look_at_the_gradients_costs_one_pass_a_task(methods: list[Method]) -> None:
    passes = {m.name: m.backward_passes for m in methods if m.kind == "balancer"}
    assert set(passes.values()) == {0, 4}
    assert passes["fixed"] == passes["dwa"] == passes["famo"] == 0
    assert passes["gradnorm"] == passes["cagrad"] == passes["upgrad"] == passes["graddrop"] == 4


def test_plain_architectures_speak_as_their_baselines(methods: list[Method]) -> None:
    of = {(m.kind, m.name): m for m in methods}
    for name in ("ease", "item_knn", "als", "lightgbm", "hybrid_mf"):
        served, baseline = of["architecture", name], of["baseline", name]
        assert (served.summary, served.paper, served.marks) == (
            baseline.summary,
            baseline.paper,
            baseline.marks,
        )
        assert served.paper


class OutsideOptions(Part):
    """Options.

    Attributes:
        width: How wide it is.
    """

    width: int = 3


@pytest.fixture
def outside() -> Iterator[None]:
    """An architecture that says nothing of itself, and one that cannot be built for any shape."""

    @register_architecture("from_outside", OutsideOptions)
    class FromOutside(Architecture):
        """Predicts one number each.

        Whatever the input is.
        """

        def __init__(self, *, shape: Any, options: OutsideOptions) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(options.width))

        def forward(self, inputs: Any, item_logits: Any) -> Any:
            raise RuntimeError("not now")

    @register_architecture("not_today", OutsideOptions)
    class NotToday(nn.Module):
        def __init__(self, **_: Any) -> None:
            raise ZeroDivisionError

    yield
    for name in ("from_outside", "not_today"):
        ARCHITECTURES.remove(name)


def test_what_others_add_is_listed_too(outside: None) -> None:
    (found,) = list_methods("from_outside")
    assert (found.family, found.summary, found.parameters, found.multiply_adds) == (
        "other",
        "Predicts one number each",
        3,
        None,
    )
    assert [(option.name, option.default, option.meaning) for option in found.options] == [
        ("width", 3, "How wide it is.")
    ]
    (found,) = list_methods("not_today")
    assert (found.parameters, found.multiply_adds) == (None, None)


def test_the_command_prints_what_python_gives(motet: Any, methods: list[Method]) -> None:
    said = json.loads(motet("models", "--json").out)
    assert [one["name"] for one in said] == [method.name for method in methods]
    answer = motet("models")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert max(map(len, lines[:-1])) <= 120
    for method in methods:
        shown = [line for line in lines if line.split()[:1] == [method.name]]
        assert len(shown) == [m.name for m in methods].count(method.name), method.name


def test_one_method_with_its_formula_and_options(motet: Any) -> None:
    answer = motet("models", "mmoe")
    assert "yₖ = hᵏ(Σᵢ gᵏ(x)ᵢ·fᵢ(x))" in answer.out
    assert "experts = 8: Number of experts n." in answer.out
    assert "hidden = [128, 64]" in answer.out
    assert "alpha = 1.5: How much slower tasks are favoured" in motet("models", "gradnorm").out
    both = json.loads(motet("models", "fm", "--json").out)
    assert [one["kind"] for one in both] == ["architecture", "baseline"]


def test_a_wrong_name_names_the_nearest(motet: Any) -> None:
    with pytest.raises(ModelError, match="did you mean 'mmoe'"):
        list_methods("mmoee")
    answer = motet("models", "uncertanty")
    assert answer.code == 2
    assert "the method 'uncertanty' is not known. Cure: did you mean 'uncertainty'?" in answer.err


AFFINITY = """\
name: two-tastes
tables: {interactions: rows.csv}
keys: {user: user, item: item}
features: {user: {user: id}, item: {item: id}}
tasks:
  a1: {kind: binary, label: a1}
  b1: {kind: binary, label: b1}
  a2: {kind: binary, label: a2}
split: {by: random}
model: {architecture: shared_bottom, width: 8}
training: {batch_size: 128, learning_rate: 0.01}
"""


def test_affinity_of_tasks(motet: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    u, i = rng.integers(0, 20, 1500), rng.integers(0, 20, 1500)
    a, b = ((rng.choice([-1, 1], 20)[u] * rng.choice([-1, 1], 20)[i] + 1) // 2 for _ in range(2))
    pl.DataFrame({"user": u, "item": i, "a1": a, "a2": a, "b1": b}).write_csv(tmp_path / "rows.csv")
    (tmp_path / "schema.yaml").write_text(AFFINITY)
    given = ("affinity", tmp_path / "schema.yaml", "--data", tmp_path, "--steps", 30)
    said = json.loads(motet(*given, "--json", "--groups", 2).out)
    assert said["tasks"] == ["a1", "b1", "a2"]
    assert said["measured"] == 6
    assert said["groupings"]["2"]["groups"] == [["a1", "a2"], ["b1"]]
    answer = motet(*given)
    assert answer.code == 0
    assert "2 groups, gain +" in answer.out
    wrong = motet(*given, "--groups", 4)
    assert (wrong.code, "3 tasks cannot make 4 groups" in wrong.err) == (2, True)
