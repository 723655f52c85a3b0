"""Methods for scenarios against their papers: the formulas in NumPy, row by row; and the known mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.errors import ModelError
from motet.models import Inputs, Widths
from motet.models.architectures import ARCHITECTURES, Architecture, Shape

Array = NDArray[np.float64]

USERS, ITEMS, B, S = 5, 6, 80, 4
WIDTHS = Widths(user=5, item=4, context=3)
D = 12
OUTPUTS = (1, 3)
SCENARIO = (1, 3)  # columns of the context that embed the scenario
HISTORIES = ((0, 2), (3, 5))
METHODS = sorted(n for n, (k, _) in ARCHITECTURES.items() if k.about and k.about.family == "scenario")
SMALL: dict[str, dict[str, Any]] = {
    "scenario_towers": {"hidden": [7, 5], "tower": 3},
    "single_scenario": {"hidden": [7, 5], "tower": 3},
    "star": {"hidden": [7, 5], "auxiliary": 3, "embedding": 2},
    "pepnet": {"hidden": [7, 5], "gate": 3, "embedding": 2},
    "sar_net": {"shared_experts": 2, "scenario_experts": 2, "hidden": [7, 5], "tower": 3, "embedding": 2},
    "m2m": {"experts": 3, "hidden": [7, 5], "knowledge": 4, "levels": 2},
    "adasparse": {"hidden": [7, 5], "tower": 3, "embedding": 2, "alpha": 3.0},
    "hamur": {"hidden": [7, 5], "tower": 3, "adapter": 4, "rank": 2, "hyper": 3},
    "m3oe": {"representation": 8, "experts": 2, "hidden": [7, 5], "tower": 3},
    "adapt_dhm": {"clusters": 3, "hidden": [7, 5]},
}


def shape_of(scenarios: int = S, dropout: float = 0.0) -> Shape:
    return Shape(
        widths=WIDTHS,
        tasks=("a", "b"),
        outputs=OUTPUTS,
        entity_outputs={},
        dropout=dropout,
        scenario_codes=scenarios,
        scenario_columns=SCENARIO,
        histories=HISTORIES,
    )


def inputs_of(seed: int = 0, rows: int = B) -> Inputs:
    g = torch.Generator().manual_seed(seed)
    return Inputs(
        user=torch.randn(USERS, WIDTHS.user, generator=g, dtype=torch.float64),
        item=torch.randn(ITEMS, WIDTHS.item, generator=g, dtype=torch.float64),
        context=torch.randn(rows, WIDTHS.context, generator=g, dtype=torch.float64),
        user_of_row=torch.randint(0, USERS, (rows,), generator=g),
        item_of_row=torch.randint(0, ITEMS, (rows,), generator=g),
        scenario=torch.randint(0, S, (rows,), generator=g),
        visible={},
    )


def made(name: str, **options: Any) -> Any:
    """A method in double precision, all of whose weights and statistics are drawn."""
    torch.manual_seed(1)
    kind, settings = ARCHITECTURES[name]
    model = kind(shape=shape_of(), options=settings.model_validate(SMALL[name] | options)).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
        for key, buffer in model.named_buffers():
            if key.endswith("moments.mean"):
                buffer.normal_()
            elif key.endswith("moments.variance"):
                buffer.uniform_(0.5, 2.0)
            elif key.endswith("moments.rows"):
                buffer.fill_(100.0)
        for module in model.modules():
            if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx] = 0.0
    return model.eval()


def n(tensor: Any) -> Array:
    values: Array = tensor.detach().numpy()
    return values


def rows_of(inputs: Inputs) -> tuple[Array, NDArray[np.int64]]:
    """[u; i; c] of every row, the embedding of an unknown scenario 0, [B, D]; codes [B]."""
    codes: NDArray[np.int64] = inputs.scenario.numpy()
    context = n(inputs.context).copy()
    context[codes == 0, slice(*SCENARIO)] = 0.0
    return np.concatenate([n(inputs.user)[inputs.user_of_row], n(inputs.item)[inputs.item_of_row], context], 1), codes  # fmt: skip


def relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.01 * x)


def sigmoid(x: Array) -> Array:
    values: Array = 1.0 / (1.0 + np.exp(-x))
    return values


def softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    values: Array = e / e.sum(axis=axis, keepdims=True)
    return values


def linear(layer: Any, x: Array) -> Array:
    return n(layer.weight) @ x + n(layer.bias)


def own(weights: Any, code: int, neutral: float) -> Any:
    """Weights of a known scenario; what changes nothing for the unknown one."""
    return n(weights)[code - 1] if code else neutral


def parallel(layers: Any, e: int, x: Array) -> Array:
    for weight, bias in zip(layers.weights, layers.biases, strict=True):
        x = relu(x @ n(weight)[e] + n(bias)[e, 0])
    return x


def tower(towers: Any, t: int, h: Array) -> Array:
    h = parallel(towers.hidden, t, h)
    y: Array = h @ n(towers.weight)[t] + n(towers.bias)[t, 0]
    return y[: OUTPUTS[t]]


def routed_tower(towers: Any, code: int, t: int, h: Array) -> Array:
    if towers.hidden is not None:
        h = relu(h @ n(towers.hidden)[code, t] + n(towers.hidden_bias)[code, t, 0])
    y: Array = h @ n(towers.weight)[code, t] + n(towers.bias)[code, t, 0]
    return y[: OUTPUTS[t]]


def routed(layers: Any, code: int, k: int, x: Array) -> Array:
    for weight, bias in zip(layers.weights, layers.biases, strict=True):
        x = relu(x @ n(weight)[code, k] + n(bias)[code, k, 0])
    return x


def standardised(moments: Any, x: Array, code: int) -> Array:
    values: Array = (x - n(moments.mean)[code]) / np.sqrt(n(moments.variance)[code] + 1e-5)
    return values


def scenario_towers(model: Any, x: Array, code: int) -> Array:
    h = relu(linear(model.trunk.first, x))
    h = parallel(model.trunk.rest, 0, h)
    return np.concatenate([routed_tower(model.towers, code, t, h) for t in (0, 1)])


def single_scenario(model: Any, x: Array, code: int) -> Array:
    h = routed(model.trunks, code, 0, x)
    return np.concatenate([routed_tower(model.towers, code, t, h) for t in (0, 1)])


def star(model: Any, x: Array, code: int) -> Array:
    z = standardised(model.moments, x, code)
    h = (
        n(model.scale) * own(model.own_scale, code, 1.0) * z
        + n(model.shift)
        + own(model.own_shift, code, 0.0)
    )
    for i in range(3):
        w = n(model.weights[i]) * own(model.own_weights[i], code, 1.0)
        h = w.T @ h + n(model.biases[i]) + own(model.own_biases[i], code, 0.0)
        h = relu(h) if i < 2 else h
    e = n(model.embedding.weight)[code]
    a = relu(linear(model.auxiliary, x) + n(model.of_scenario.weight) @ e)
    y: Array = h + linear(model.auxiliary_out, a)
    return y


def gate_unit(gate: Any, z: Array, t: int) -> Array:
    hidden = relu(linear(gate.first, z)).reshape(gate.groups, -1)[t]
    return 2 * sigmoid(hidden @ n(gate.weight)[t] + n(gate.bias)[t, 0])


def pepnet(model: Any, x: Array, code: int) -> Array:
    o = gate_unit(model.input_gate, np.concatenate([n(model.scenario.weight)[code], x]), 0) * x
    found = []
    for t in (0, 1):
        delta = gate_unit(model.layer_gate, np.concatenate([x[:9], o]), t)
        h = relu(linear(model.first, o)).reshape(2, -1)[t] * delta[:7]
        h = relu(h @ n(model.weights[0])[t] + n(model.biases[0])[t, 0]) * delta[7:]
        found.append(tower(model.towers, t, h))
    return np.concatenate(found)


def sar_net(model: Any, x: Array, code: int) -> Array:
    attention = model.attention
    h = np.stack([x[slice(*place)] for place in HISTORIES])  # [N, d]
    q = linear(attention.item, x[5:9])
    of_item = softmax(h @ q / np.sqrt(2.0))
    q = linear(attention.query, n(attention.scenario.weight)[code])
    of_scenario = softmax(n(attention.keys) @ q / np.sqrt(2.0))
    x = np.concatenate([x, (of_item * of_scenario) @ h])
    x = own(model.scale, code, 1.0) * x + own(model.shift, code, 0.0)
    first = relu(linear(model.first, x)).reshape(2, -1)
    experts = [parallel(model.shared, e, first[e]) for e in (0, 1)]
    experts += [routed(model.own, code, e, x) for e in (0, 1)]
    g = softmax((x @ n(model.gate)).reshape(2, 4))
    return np.concatenate([tower(model.towers, t, g[t] @ np.stack(experts)) for t in (0, 1)])


def meta(unit: Any, k: Array, h: Array) -> Array:
    w = linear(unit.weight, k).reshape(unit.shape)
    return leaky(h @ w + linear(unit.bias, k))


def m2m(model: Any, x: Array, code: int) -> Array:
    k = relu(linear(model.knowledge, n(model.scenario.weight)[code]))
    first = relu(linear(model.experts.first, x)).reshape(3, -1)
    f = np.stack([parallel(model.experts.rest, e, first[e]) for e in range(3)])
    found = []
    for t in (0, 1):
        of_task = relu(linear(model.task_layer, n(model.task)[t]))
        votes = np.array([n(model.vote) @ meta(model.attention, k, np.concatenate([e, of_task])) for e in f])
        h = softmax(votes) @ f
        for unit in model.towers:
            h = leaky(meta(unit, k, h) + h)
        found.append(tower(model.out, t, h))
    return np.concatenate(found)


def adasparse(model: Any, x: Array, code: int) -> Array:
    e, h = n(model.scenario.weight)[code], x
    for pruner, layer in zip(model.pruners, model.layers, strict=True):
        factors = 2.0 * sigmoid(float(model.alpha) * linear(pruner, np.concatenate([e, h])))
        h = relu(linear(layer, h * np.where(factors > 0.25, factors, 0.0)))
    return np.concatenate([tower(model.towers, t, h) for t in (0, 1)])


def hamur(model: Any, x: Array, code: int) -> Array:
    matrix = linear(model.hyper, relu(linear(model.hyper_first, x))).reshape(2, 2)
    h = relu(linear(model.first, x))
    for place, cell in enumerate(model.adapters):
        h = relu(linear(model.layers[place - 1], h)) if place else h
        if code:
            down = n(cell.down)[code] @ matrix @ n(cell.down_out)[code]
            up = n(cell.up)[code] @ matrix @ n(cell.up_out)[code]
            z = up.T @ sigmoid(down.T @ h + n(cell.down_bias)[code, 0]) + n(cell.up_bias)[code, 0]
            h = h + n(cell.scale)[code] * standardised(cell.moments, z, code) + n(cell.shift)[code]
    return np.concatenate([tower(model.towers, t, h) for t in (0, 1)])


def m3oe(model: Any, x: Array, code: int) -> Array:
    w = n(model.weight) * own(model.own_weight, code, 1.0)
    h = relu(w.T @ x + n(model.bias) + own(model.own_bias, code, 0.0)) + relu(linear(model.skip, x))
    first = relu(linear(model.first, h)).reshape(2 + S + 2, -1)
    every = np.stack([parallel(model.rest, e, first[e]) for e in range(len(first))])
    common, of_scenario, of_task = every[:2], every[2 : 2 + S], every[2 + S :]
    g = softmax((h @ n(model.gate)[code]).reshape(2, 2))
    beta, alpha = sigmoid(n(model.balance))[code], sigmoid(n(model.share))[code]
    others = np.mean([of_scenario[s] for s in range(S) if s != code], axis=0)
    z = alpha * (beta * of_scenario[code] + (1 - beta) * others)
    found = []
    for t in (0, 1):
        beta, share = sigmoid(n(model.task_balance))[t], sigmoid(n(model.task_share))[t]
        task = share * (beta * of_task[t] + (1 - beta) * of_task[1 - t])
        found.append(routed_tower(model.towers, code, t, g[t] @ common + z + task))
    return np.concatenate(found)


def adapt_dhm(model: Any, x: Array, code: int) -> Array:
    z = x - n(model.mean)
    k = int(np.argmax(n(model.centres) @ z / np.linalg.norm(z)))
    h = x
    for i in range(3):
        w = n(model.weights[i]) * n(model.own_weights[i])[k]
        h = w.T @ h + n(model.biases[i]) + n(model.own_biases[i])[k]
        h = relu(h) if i < 2 else h
    return h


FORMULAS = {f.__name__: f for f in (scenario_towers, single_scenario, star, pepnet, sar_net, m2m, adasparse, hamur, m3oe, adapt_dhm)}  # fmt: skip


def test_every_method_for_scenarios_has_its_formula_here() -> None:
    assert set(FORMULAS) == set(METHODS) == set(SMALL)


@pytest.mark.parametrize("name", METHODS)
def test_each_method_is_its_published_formula(name: str) -> None:
    model, inputs = made(name), inputs_of()
    found = n(model(inputs, {}))
    x, codes = rows_of(inputs)
    wanted = np.stack([FORMULAS[name](model, x[row], int(codes[row])) for row in range(B)])
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_rows_of_a_scenario_do_not_see_other_rows(name: str) -> None:
    """M2M's rows attending to each other is a known mistake; no method may do it in evaluation."""
    model, inputs = made(name), inputs_of()
    whole = n(model(inputs, {}))
    for code in range(S):
        at = inputs.scenario == code
        part = Inputs(
            user=inputs.user,
            item=inputs.item,
            context=inputs.context[at],
            user_of_row=inputs.user_of_row[at],
            item_of_row=inputs.item_of_row[at],
            scenario=inputs.scenario[at],
            visible={},
        )
        np.testing.assert_allclose(n(model(part, {})), whole[at.numpy()], atol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_without_a_scenario_the_cure_is_named(name: str) -> None:
    kind, options = ARCHITECTURES[name]
    with pytest.raises(ModelError, match=r"the schema has none.*keys\.scenario"):
        kind(shape=shape_of(scenarios=0), options=options())


@pytest.mark.parametrize("name", METHODS)
def test_the_scenario_matters_and_an_unknown_one_is_answered(name: str) -> None:
    model, inputs = made(name), inputs_of()
    answers = []
    for code in range(S):
        every = torch.full_like(inputs.scenario, code)
        context = inputs.context.clone()
        context[:, slice(*SCENARIO)] = float(code)  # as an embedding would differ
        of = Inputs(inputs.user, inputs.item, context, inputs.user_of_row, inputs.item_of_row, every, {})
        answers.append(n(model(of, {})))
    assert np.isfinite(answers).all()
    for one in range(1, S):
        assert np.abs(answers[0] - answers[one]).max() > 1e-3


@pytest.mark.parametrize("name", METHODS)
def test_a_share_of_training_rows_is_of_no_known_scenario(name: str) -> None:
    """With all rows known, weights that only an unknown scenario has would never be trained."""
    codes = made(name, unknown=0.25).codes.train()
    inputs = inputs_of(rows=4000)
    known = inputs.scenario > 0
    _, found = codes(inputs)
    assert 0.2 < float((found[known] == 0).double().mean()) < 0.3
    assert bool((found[found > 0] == inputs.scenario[found > 0]).all())
    torch.testing.assert_close(codes.eval()(inputs)[1], inputs.scenario)


@pytest.mark.parametrize("name", METHODS)
def test_training_rows_of_no_known_scenario_do_not_hear_of_it(name: str) -> None:
    model, inputs = made(name), inputs_of()
    seen, _ = model.codes(inputs)
    at = inputs.scenario == 0
    assert not bool(seen.context[at, slice(*SCENARIO)].any())
    torch.testing.assert_close(seen.context[:, 0], inputs.context[:, 0])
    torch.testing.assert_close(seen.context[~at], inputs.context[~at])


# -- STAR: statistics by scenario, in evaluation too ---------------------------------------------


def train_star(inputs: Inputs, steps: int = 1) -> Any:
    model = made("star", unknown=0.0)
    model.moments.rows.zero_()
    model.train()
    for _ in range(steps):
        model(inputs, {})
    return model


def test_star_keeps_statistics_by_scenario_and_uses_them_in_evaluation() -> None:
    inputs = inputs_of(rows=400)
    x, codes = rows_of(inputs)
    model = train_star(inputs)
    for code in range(1, S):
        np.testing.assert_allclose(n(model.moments.mean)[code], x[codes == code].mean(0), atol=1e-9)
        np.testing.assert_allclose(n(model.moments.variance)[code], x[codes == code].var(0), atol=1e-9)
    np.testing.assert_allclose(n(model.moments.mean)[0], x.mean(0), atol=1e-9)  # the unknown: all rows
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.eval()
    shifted = Inputs(inputs.user + 5, inputs.item, inputs.context, inputs.user_of_row, inputs.item_of_row, inputs.scenario, {})  # fmt: skip
    y = n(model(shifted, {}))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    x, codes = rows_of(shifted)
    wanted = np.stack([star(model, x[row], int(codes[row])) for row in range(len(x))])
    np.testing.assert_allclose(y, wanted, atol=1e-6)


def test_star_normalises_a_training_batch_scenario_by_scenario() -> None:
    inputs = inputs_of(rows=400)
    x, codes = rows_of(inputs)
    moments = train_star(inputs).moments
    z = n(moments(torch.from_numpy(x), torch.from_numpy(codes)))
    for code in range(1, S):
        np.testing.assert_allclose(z[codes == code].mean(0), 0.0, atol=1e-9)
        np.testing.assert_allclose(z[codes == code].std(0), 1.0, atol=1e-3)


def test_running_statistics_of_many_small_batches_are_those_of_all_their_rows() -> None:
    """A rare scenario has a row or none in a batch: its statistics are right all the same."""
    inputs = inputs_of(rows=300)
    x, codes = rows_of(inputs)
    moments = made("star").moments.train()
    for buffer in (moments.mean, moments.rows):
        buffer.zero_()
    moments.variance.fill_(1.0)
    for start in range(0, 300, 5):
        z = moments(torch.from_numpy(x[start : start + 5]), torch.from_numpy(codes[start : start + 5]))
        assert bool(torch.isfinite(z).all())
    for code in range(1, S):
        np.testing.assert_allclose(n(moments.mean)[code], x[codes == code].mean(0), atol=1e-9)
        np.testing.assert_allclose(n(moments.variance)[code], x[codes == code].var(0), atol=1e-9)


# -- AdaSparse: the steepness --------------------------------------------------------------------


def test_adasparse_grows_in_training_stands_still_in_evaluation_and_is_saved() -> None:
    model = made("adasparse", alpha=0.1, last_alpha=5.0, alpha_steps=10)
    inputs = inputs_of()
    first = model(inputs, {})
    for _ in range(3):
        torch.testing.assert_close(model(inputs, {}), first)
    assert float(model.alpha) == pytest.approx(0.1)
    model.train()
    for _ in range(4):
        model(inputs, {})
    assert float(model.alpha) == pytest.approx(0.1 + 4 * 0.49)
    model.eval()
    after = model(inputs, {})
    assert float(model.alpha) == pytest.approx(0.1 + 4 * 0.49)
    other = made("adasparse", alpha=0.1, last_alpha=5.0, alpha_steps=10)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(inputs, {}), after)
    model.train()
    for _ in range(20):
        model(inputs, {})
    assert float(model.alpha) == pytest.approx(5.0)


def test_adasparse_prunes() -> None:
    model, inputs = made("adasparse", alpha=5.0), inputs_of()
    x, codes = rows_of(inputs)
    z = np.concatenate([n(model.scenario.weight)[codes], x], 1)
    factors = 2 * sigmoid(5.0 * (z @ n(model.pruners[0].weight).T + n(model.pruners[0].bias)))
    pruned = factors[3] <= 0.25
    assert 0 < pruned.mean() < 1
    before = n(model(inputs, {}))[3].copy()
    with torch.no_grad():  # weights that read pruned units do not matter to the row
        model.layers[0].weight[:, np.flatnonzero(pruned)] += 7.0
    np.testing.assert_allclose(n(model(inputs, {}))[3], before, atol=1e-12)


# -- PEPNet: gates -------------------------------------------------------------------------------


def test_epnet_is_not_linear() -> None:
    """Twice the input is not twice the output of the gated inputs, whatever the scenario."""
    model = made("pepnet")
    x, codes = rows_of(inputs_of())

    def gated(x: Array) -> Array:
        e = n(model.scenario.weight)[codes]
        return n(model.input_gate(torch.from_numpy(np.concatenate([e, x], 1)))[0]) * x

    assert np.abs(gated(2 * x) - 2 * gated(x)).max() > 1e-2
    halves = [n(model.input_gate(torch.full((1, 14), v, dtype=torch.float64))[0]) for v in (-50.0, 50.0)]
    assert min(h.min() for h in halves) >= 0.0
    assert max(h.max() for h in halves) <= 2.0


def test_the_gates_of_pepnet_leave_the_gradient_of_what_they_read_alone() -> None:
    """EPNet: dO/dx = δ alone, where the gate reads x without a gradient."""
    model, inputs = made("pepnet"), inputs_of()
    context = inputs.context.clone().requires_grad_()
    probe: list[Tensor] = []
    model.first.register_forward_pre_hook(lambda _, args: probe.append(args[0]))
    of = Inputs(
        inputs.user, inputs.item, context, inputs.user_of_row, inputs.item_of_row, inputs.scenario, {}
    )
    model(of, {})
    (gradient,) = torch.autograd.grad(probe[0].sum(), context)
    x, codes = rows_of(inputs)
    for row in range(B):
        gate = gate_unit(model.input_gate, np.concatenate([n(model.scenario.weight)[codes[row]], x[row]]), 0)
        wanted = gate[9:].copy()
        if codes[row] == 0:
            wanted[slice(*SCENARIO)] = 0.0
        np.testing.assert_allclose(n(gradient)[row], wanted, atol=1e-9)


def test_ppnet_reads_the_gated_inputs_without_a_gradient() -> None:
    """The context reaches the gates of layers through stopped inputs only: without layers it has no gradient."""
    model, inputs = made("pepnet"), inputs_of()
    context = inputs.context.clone().requires_grad_()
    seen: list[Tensor] = []
    model.layer_gate.register_forward_hook(lambda _, __, out: seen.append(out))
    of = Inputs(
        inputs.user, inputs.item, context, inputs.user_of_row, inputs.item_of_row, inputs.scenario, {}
    )
    model(of, {})
    (gradient,) = torch.autograd.grad(seen[0].sum(), context, allow_unused=True)
    assert gradient is None or not bool(gradient.any())


# -- AdaptDHM: centres ---------------------------------------------------------------------------


def test_centres_move_in_training_only_and_rows_end_in_several_clusters() -> None:
    model, inputs = made("adapt_dhm"), inputs_of(rows=400)
    before = model.centres.clone()
    model(inputs, {})
    torch.testing.assert_close(model.centres, before)
    model.train()
    for _ in range(30):
        model(inputs, {})
    assert not torch.allclose(model.centres, before)
    torch.testing.assert_close(model.centres.norm(dim=1), torch.ones(3, dtype=torch.float64))
    x, _ = rows_of(inputs)
    z = x - n(model.mean)
    clusters = np.argmax(z @ n(model.centres).T, 1)
    assert np.bincount(clusters, minlength=3).min() > 20


def test_weights_of_a_scenario_get_gradients_from_its_rows_alone() -> None:
    model: Architecture = made("single_scenario", unknown=0.0)
    inputs = inputs_of()
    only = inputs.scenario == 2
    model.train()
    loss = (model(inputs, {}) * only[:, None]).sum()
    loss.backward()
    for weight in model.parameters():
        assert weight.grad is not None
        assert not bool(weight.grad[[0, 1, 3]].any())
