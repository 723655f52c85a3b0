"""Architectures against their papers: numbers by hand, or a loop that reads like the formula."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from motet.errors import ModelError
from motet.models import FactorisedLinear, Inputs, ParallelLayers, ScenarioGate, Towers, Widths
from motet.models.architectures import (
    ARCHITECTURES,
    Architecture,
    Coupled,
    CoupledOptions,
    DcnV2,
    DcnV2Options,
    FactorisationMachine,
    FmOptions,
    Mmoe,
    MmoeOptions,
    Ple,
    PleOptions,
    Shape,
    SharedBottom,
    SharedBottomOptions,
    SingleTask,
    SingleTaskOptions,
    check_architecture,
)
from motet.schema import Entity

WIDTHS = Widths(user=3, item=4, context=2)
USERS, ITEMS, B = 3, 4, 9


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def inputs_of(widths: Widths = WIDTHS, scenarios: int = 3) -> Inputs:
    return Inputs(
        user=torch.randn(USERS, widths.user),
        item=torch.randn(ITEMS, widths.item),
        context=torch.randn(B, widths.context),
        user_of_row=torch.randint(0, USERS, (B,)),
        item_of_row=torch.randint(0, ITEMS, (B,)),
        scenario=torch.randint(0, scenarios, (B,)),
        visible={},
    )


def in_float64(inputs: Inputs) -> Inputs:
    return replace(
        inputs, user=inputs.user.double(), item=inputs.item.double(), context=inputs.context.double()
    )


def repeated(inputs: Inputs) -> Tensor:
    """[u; i; c] of every row, [B, D]."""
    return torch.cat([inputs.user[inputs.user_of_row], inputs.item[inputs.item_of_row], inputs.context], 1)


def shape_of(outputs: tuple[int, ...], scenarios: int = 0) -> Shape:
    tasks = tuple(f"t{k}" for k in range(len(outputs)))
    return Shape(
        widths=WIDTHS,
        tasks=tasks,
        outputs=outputs,
        entity_outputs={},
        scenarios=scenarios,
        scenario_codes=scenarios,
    )


@pytest.mark.parametrize("absent", ["", "user", "item", "context", "user item", "user context"])
@pytest.mark.parametrize("users", [1, USERS])
def test_the_factorised_layer_is_a_plain_layer_on_repeated_rows(absent: str, users: int) -> None:
    sizes = {"user": 3, "item": 4, "context": 2} | dict.fromkeys(absent.split(), 0)
    widths = Widths(**sizes)
    inputs = inputs_of(widths)
    if users == 1:
        inputs = Inputs(
            user=inputs.user[:1],
            item=inputs.item,
            context=inputs.context,
            user_of_row=torch.zeros(B, dtype=torch.int64),
            item_of_row=inputs.item_of_row,
            scenario=inputs.scenario,
            visible={},
        )
    layer = FactorisedLinear(widths=widths, out=5)
    torch.nn.init.normal_(layer.bias)
    torch.testing.assert_close(layer(inputs), F.linear(repeated(inputs), layer.weight, layer.bias))
    ahead = Inputs(
        user=inputs.user,
        item=inputs.item,
        context=inputs.context,
        user_of_row=inputs.user_of_row,
        item_of_row=inputs.item_of_row,
        scenario=inputs.scenario,
        visible={},
        item_parts={layer: layer.item_part(inputs.item)},
    )
    torch.testing.assert_close(layer(ahead), layer(inputs))


def test_the_factorised_layer_has_the_gradients_of_a_plain_layer() -> None:
    inputs, layer = inputs_of(), FactorisedLinear(widths=WIDTHS, out=5)
    target = torch.randn(B, 5)
    ours = torch.autograd.grad(((layer(inputs) - target) ** 2).sum(), list(layer.parameters()))
    plain = F.linear(repeated(inputs), layer.weight, layer.bias)
    theirs = torch.autograd.grad(((plain - target) ** 2).sum(), list(layer.parameters()))
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_coupled_by_hand() -> None:
    """u = 2, c = (item 3, context 1); one p task, two r tasks, one fact learnt (topics = 1).

    p = σ(0.5·2 − 1·3 + 2·1 + 0.25) = σ(0.25)
    f = σ(1·3 − 2·1 − 1) = σ(0) = 0.5
    r₁ = σ(−1·2 + 4·0.5 + 0.5) = σ(0.5), r₂ = σ(1·2 + 0·0.5 − 3) = σ(−1)
    """
    widths = Widths(user=1, item=1, context=1)
    shape = Shape(widths=widths, tasks=("seen", "likes", "buys"), outputs=(1, 1, 1), entity_outputs={})
    model = Coupled(shape=shape, options=CoupledOptions(preference=("likes",), topics=1)).double()
    assert model.preference is not None
    assert model.content is not None
    assert model.recommendation is not None
    with torch.no_grad():
        model.preference.weight.copy_(torch.tensor([[0.5, -1.0, 2.0]]))
        model.preference.bias.fill_(0.25)
        model.content.weight.copy_(torch.tensor([[1.0, -2.0]]))
        model.content.bias.fill_(-1.0)
        model.recommendation.weight.copy_(torch.tensor([[-1.0, 4.0], [1.0, 0.0]]))
        model.recommendation.bias.copy_(torch.tensor([0.5, -3.0]))
    one = torch.ones(1, 1, dtype=torch.float64)
    row = torch.zeros(1, dtype=torch.int64)
    inputs = Inputs(
        user=2 * one, item=3 * one, context=one, user_of_row=row, item_of_row=row, scenario=row, visible={}
    )
    found = model(inputs, {}).sigmoid()[0].tolist()
    wanted = [sigmoid(0.5), sigmoid(0.25), sigmoid(-1.0)]  # in the order of the tasks
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_coupled_with_facts_from_tasks_on_items() -> None:
    """f = σ(item logits) of the row's item, r = σ(W₃·[u; f] + b₃)."""
    shape = Shape(widths=WIDTHS, tasks=("a", "b"), outputs=(1, 3), entity_outputs={"genre": 2, "kids": 1})
    model = Coupled(shape=shape, options=CoupledOptions())
    inputs = inputs_of()
    item_logits = {"genre": torch.randn(ITEMS, 2), "kids": torch.randn(ITEMS, 1)}
    assert model.recommendation is not None
    found = model(inputs, item_logits)
    for row in range(B):
        item = inputs.item_of_row[row]
        f = torch.cat([item_logits["genre"][item], item_logits["kids"][item]]).sigmoid()
        u = inputs.user[inputs.user_of_row[row]]
        wanted = model.recommendation.weight @ torch.cat([u, f]) + model.recommendation.bias
        torch.testing.assert_close(found[row], wanted)


def expert(layers: ParallelLayers, e: int, x: Tensor) -> Tensor:
    """Layers of one of the experts, on one row."""
    for weight, bias in zip(layers.weights, layers.biases, strict=True):
        x = (x @ weight[e] + bias[e, 0]).relu()
    return x


def first_expert(model: Mmoe | Ple, first: object, e: int, x: Tensor) -> Tensor:
    from motet.models import FirstExperts  # noqa: PLC0415

    assert isinstance(first, FirstExperts)
    width = first.first.weight.shape[0] // first.count
    rows = slice(e * width, (e + 1) * width)
    return expert(first.rest, e, (first.first.weight[rows] @ x + first.first.bias[rows]).relu())


def tower(towers: Towers, t: int, outputs: tuple[int, ...], h: Tensor) -> Tensor:
    h = expert(towers.hidden, t, h)
    return (h @ towers.weight[t] + towers.bias[t, 0])[: outputs[t]]


@pytest.mark.parametrize("outputs", [(1, 1), (1, 3, 2)])
def test_mmoe_equations_6_to_8(outputs: tuple[int, ...]) -> None:
    """fᵏ(x) = Σᵢ gᵏ(x)ᵢ fᵢ(x), gᵏ(x) = softmax(W_gk x), yₖ = hᵏ(fᵏ(x))."""
    n = 3
    options = MmoeOptions(experts=n, hidden=(6, 5), tower=4)
    model = Mmoe(shape=shape_of(outputs), options=options).double().eval()
    torch.nn.init.normal_(model.experts.first.bias)
    inputs = in_float64(inputs_of())
    found = model(inputs, {})
    gate = model.experts.gate
    assert gate is not None
    for row, x in enumerate(repeated(inputs)):
        f = [first_expert(model, model.experts, i, x) for i in range(n)]
        wanted = []
        for k in range(len(outputs)):
            at = slice(k * n, (k + 1) * n)
            g = (gate.weight[at] @ x + gate.bias[at]).softmax(0)
            wanted.append(tower(model.towers, k, outputs, sum(g[i] * f[i] for i in range(n))))
        torch.testing.assert_close(found[row], torch.cat(wanted), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_cgc_and_ple_equations_1_to_6(levels: int) -> None:
    """gᵏ = softmax(W_k x)·[E_k; E_s] for each task; the shared path mixes all experts of a level."""
    own, shared, outputs = 2, 3, (1, 3)
    tasks = len(outputs)
    options = PleOptions(levels=levels, shared_experts=shared, task_experts=own, hidden=(6, 5), tower=4)
    model = Ple(shape=shape_of(outputs), options=options).double().eval()
    inputs = in_float64(inputs_of())
    found = model(inputs, {})
    count = tasks * own + shared
    gate = model.first.gate
    assert gate is not None

    def mine(experts: list[Tensor], k: int) -> list[Tensor]:
        return experts[k * own : (k + 1) * own] + experts[tasks * own :]

    def mixed(logits: Tensor, experts: list[Tensor]) -> Tensor:
        w = logits.softmax(0)
        return torch.stack([w[i] * experts[i] for i in range(len(experts))]).sum(0)

    for row, x in enumerate(repeated(inputs)):
        experts = [first_expert(model, model.first, e, x) for e in range(count)]
        logits = gate.weight @ x + gate.bias
        h = [
            mixed(logits[k * (own + shared) : (k + 1) * (own + shared)], mine(experts, k))
            for k in range(tasks)
        ]
        s = mixed(logits[tasks * (own + shared) :], experts) if levels > 1 else torch.empty(0)
        for level in model.levels:
            sources = [h[e // own] if e < tasks * own else s for e in range(count)]
            experts = [expert(level.experts, e, sources[e]) for e in range(count)]  # type: ignore[arg-type]
            if level.shared_gate is not None:
                s_next = mixed(level.shared_gate.weight @ s, experts)  # type: ignore[operator,union-attr]
            h = [mixed(h[k] @ level.gate[k], mine(experts, k)) for k in range(tasks)]  # type: ignore[index]
            s = s_next if level.shared_gate is not None else s
        wanted = torch.cat([tower(model.towers, k, outputs, h[k]) for k in range(tasks)])
        torch.testing.assert_close(found[row], wanted, atol=1e-6, rtol=1e-6)


def test_shared_bottom_and_single_task_against_a_loop() -> None:
    outputs, inputs = (1, 2), in_float64(inputs_of())
    one = (
        SharedBottom(shape=shape_of(outputs), options=SharedBottomOptions(hidden=(6, 5), tower=4))
        .double()
        .eval()
    )
    many = (
        SingleTask(shape=shape_of(outputs), options=SingleTaskOptions(hidden=(6, 5), tower=4)).double().eval()
    )
    shared, separate = one(inputs, {}), many(inputs, {})
    for row, x in enumerate(repeated(inputs)):
        h = first_expert(one, one.trunk, 0, x)  # type: ignore[arg-type]
        wanted = torch.cat([tower(one.towers, t, outputs, h) for t in (0, 1)])
        torch.testing.assert_close(shared[row], wanted, atol=1e-6, rtol=1e-6)
        hs = [first_expert(many, many.trunks, t, x) for t in (0, 1)]  # type: ignore[arg-type]
        wanted = torch.cat([tower(many.towers, t, outputs, hs[t]) for t in (0, 1)])
        torch.testing.assert_close(separate[row], wanted, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_linear_and_mlp_in_numpy(name: str) -> None:
    """y = W·x + b; y = W·relu(W₂·relu(W₁·x + b₁) + b₂) + b."""
    kind, options = ARCHITECTURES[name]
    settings = options.model_validate({"hidden": (6, 5)} if name == "mlp" else {})
    model = kind(shape=shape_of((1, 3)), options=settings).double().eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight)
    inputs = in_float64(inputs_of())
    w = [one.detach().numpy() for one in model.parameters()]
    x = repeated(inputs).numpy()
    if name == "mlp":
        x = np.maximum(x @ w[0].T + w[1], 0)
        x = np.maximum(x @ w[2][0] + w[3][0], 0)
        w = w[4:]
    np.testing.assert_allclose(model(inputs, {}).detach().numpy(), x @ w[0].T + w[1], atol=1e-6)


def test_scenario_gate_formula_and_stopped_gradient() -> None:
    """δ = 2σ(W₂ relu(W₁ [e_s; h] + b₁) + b₂), output δ ⊙ h; h inside the gate gives no gradient."""
    gate = ScenarioGate(scenarios=3, tasks=2, width=4, embedding=2, hidden=5)
    torch.nn.init.normal_(gate.weight)
    h, scenario = torch.randn(2, B, 4, requires_grad=True), torch.randint(0, 3, (B,))
    y = gate(h, scenario)
    for t in range(2):
        for row in range(B):
            x = torch.cat([gate.scenario.weight[scenario[row]], h[t, row]])
            hidden = (x @ gate.first.weights[0][t] + gate.first.biases[0][t, 0]).relu()
            delta = 2 * (hidden @ gate.weight[t] + gate.bias[t, 0]).sigmoid()
            torch.testing.assert_close(y[t, row], delta * h[t, row])
    (gradient,) = torch.autograd.grad(y.sum(), h)
    torch.testing.assert_close(gradient, (y / h).detach())
    fresh = ScenarioGate(scenarios=3, tasks=2, width=4)
    torch.testing.assert_close(fresh(h, scenario), h, atol=0.3, rtol=0.1)  # starts near the identity


def test_the_factorisation_machine_is_the_sum_over_all_pairs_of_fields() -> None:
    """y = w0 + Σ w_i x_i + Σ_{i<j} <v_i, v_j> x_i x_j (Rendle 2010, eq. 1), pair by pair in NumPy."""
    fields: dict[Entity, tuple[int, ...]] = {"user": (2, 1), "item": (1, 1, 1, 1), "interaction": (2,)}
    shape = Shape(widths=WIDTHS, tasks=("a", "b"), outputs=(1, 2), entity_outputs={}, fields=fields)
    model = FactorisationMachine(shape=shape, options=FmOptions(rank=3)).double()
    torch.nn.init.normal_(model.linear.bias)
    inputs = in_float64(inputs_of())
    found = model(inputs, {}).detach().numpy()
    x, w, w0 = (
        repeated(inputs).numpy(),
        model.linear.weight.detach().numpy(),
        model.linear.bias.detach().numpy(),
    )
    # vectors of single inputs, and the field of each: inputs of one field have no product
    v = np.concatenate([p.detach().numpy().reshape(-1, 3) for p in model.fields.project])
    of = np.array([0, 0, 1, 2, 3, 4, 5, 6, 6])
    for row in range(B):
        pairs = sum(v[i] @ v[j] * x[row, i] * x[row, j] for i in range(9) for j in range(i) if of[i] != of[j])
        np.testing.assert_allclose(found[row], w0 + w @ x[row] + pairs, atol=1e-6)
    ahead = Inputs(
        user=inputs.user[:1],
        item=inputs.item,
        context=inputs.context,
        user_of_row=torch.zeros(B, dtype=torch.int64),
        item_of_row=inputs.item_of_row,
        scenario=inputs.scenario,
        visible={},
    )
    plain = model(ahead, {})
    ahead.item_parts[model.fields] = model.fields.item_part(inputs.item)
    torch.testing.assert_close(model(ahead, {}), plain)


@pytest.mark.parametrize(("rank", "experts"), [(0, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize("outputs", [(1,), (1, 2)])
def test_dcn_v2_equations_1_3_and_4(rank: int, experts: int, outputs: tuple[int, ...]) -> None:
    """Element by element in NumPy, float64; with ``tower: 0`` and one task w·[x_L; f(x_0)] + b, as published."""
    options = DcnV2Options(cross=2, rank=rank, experts=experts, hidden=(6, 5), tower=0)
    model = DcnV2(shape=shape_of(outputs), options=options).double().eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.7)
    inputs = in_float64(inputs_of())
    found = model(inputs, {}).detach().numpy()
    first, second = model.trunk.first, model.trunk.rest
    read = model.read.weight.detach().numpy()
    of = [{name: w.detach().numpy() for name, w in layer.named_parameters()} for layer in model.cross]
    width = len(of[0]["bias"])
    for row, x0 in enumerate(repeated(inputs).numpy()):
        x = x0
        for layer in of:
            crossed = np.zeros(width)
            if not rank:
                for d in range(width):
                    crossed[d] = x0[d] * (
                        sum(layer["weight"][d, j] * x[j] for j in range(width)) + layer["bias"][d]
                    )
            else:
                gates = np.exp(layer["gate.weight"] @ x) if experts > 1 else np.ones(1)
                for i in range(experts):
                    at = slice(i * rank, (i + 1) * rank)
                    v, c, u = layer["down"][at].T, layer["inner"][i].T, layer["up"][:, at]
                    e = x0 * (u @ np.tanh(c @ np.tanh(v.T @ x)) + layer["bias"])  # E_i
                    crossed += gates[i] / gates.sum() * e
            x = crossed + x
        h = np.maximum(first.weight.detach().numpy() @ x0 + first.bias.detach().numpy(), 0)
        h = np.maximum(h @ second.weights[0][0].detach().numpy() + second.biases[0][0, 0].detach().numpy(), 0)
        wanted, before = [], 0
        for k, n in enumerate(outputs):
            w, b = model.towers.weight[k].detach().numpy(), model.towers.bias[k, 0].detach().numpy()
            wanted += [
                np.concatenate([read[before + c], w[:, c]]) @ np.concatenate([x, h]) + b[c] for c in range(n)
            ]
            before += n
        np.testing.assert_allclose(found[row], wanted, rtol=1e-9)


def test_a_cross_layer_with_experts_needs_a_rank() -> None:
    with pytest.raises(ModelError, match=r"rank: 32"):
        check_architecture("dcn_v2", {"experts": 4})
    assert check_architecture("dcn_v2", {"experts": 4, "rank": 8})


FUNNELS = {
    name
    for name, (kind, _) in ARCHITECTURES.items()
    if kind.about is not None and kind.about.family == "funnel"
}


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"coupled"} - FUNNELS))
def test_architectures_do_not_care_about_the_order_of_tasks_in_shape(name: str) -> None:
    kind, options = ARCHITECTURES[name]
    for outputs in ((1, 3, 2), (2, 1, 3)):
        model: Architecture = kind(shape=shape_of(outputs, scenarios=3), options=options()).eval()
        y = model(inputs_of(), {})
        assert y.shape == (B, sum(outputs))
        assert bool(torch.isfinite(y).all())
