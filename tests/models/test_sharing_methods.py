"""Methods that share among tasks against their published formulas, computed in NumPy from the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motet.errors import ModelError
from motet.models import FirstExperts, Inputs, ParallelLayers, Towers, Widths
from motet.models.architectures import (
    Adatt,
    AdattOptions,
    Architecture,
    Cgc,
    CgcOptions,
    CrossStitch,
    CrossStitchOptions,
    Home,
    HomeOptions,
    Ple,
    PleOptions,
    Shape,
    Stem,
    StemOptions,
    TaskAttention,
    TaskAttentionOptions,
    TaskGraph,
    TaskGraphOptions,
)

Floats = NDArray[np.float64]

WIDTHS = Widths(user=6, item=7, context=2)
USERS, ITEMS, B = 3, 4, 9
OUTPUTS = (1, 3, 1)
SHAPE = Shape(
    widths=WIDTHS,
    tasks=("click", "mood", "buy"),
    outputs=OUTPUTS,
    entity_outputs={},
    fields={"user": (5, 1), "item": (4, 3), "interaction": (2,)},
    after={"buy": "click"},
    chances=frozenset({"click", "buy"}),
)
T = len(OUTPUTS)


def inputs_of(seed: int = 0) -> Inputs:
    draw = torch.Generator().manual_seed(seed)
    return Inputs(
        user=torch.randn(USERS, WIDTHS.user, dtype=torch.float64, generator=draw),
        item=torch.randn(ITEMS, WIDTHS.item, dtype=torch.float64, generator=draw),
        context=torch.randn(B, WIDTHS.context, dtype=torch.float64, generator=draw),
        user_of_row=torch.randint(0, USERS, (B,), generator=draw),
        item_of_row=torch.randint(0, ITEMS, (B,), generator=draw),
        scenario=torch.zeros(B, dtype=torch.int64),
        visible={},
    )


def rows_of(inputs: Inputs) -> Floats:
    """[u; i; c] of every row."""
    user, item = inputs.user[inputs.user_of_row], inputs.item[inputs.item_of_row]
    found: Floats = torch.cat([user, item, inputs.context], 1).numpy()
    return found


def drawn(model: Architecture) -> Any:
    """The model in float64 with every weight drawn anew, those that start at 0 or 1 too."""
    torch.manual_seed(3)
    model = model.double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.4)
    return model


def n(x: Tensor | nn.Module) -> Floats:
    assert isinstance(x, Tensor)
    found: Floats = x.detach().numpy()
    return found


def relu(x: Floats) -> Floats:
    return np.maximum(x, 0)


def sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def softmax(x: Floats) -> Floats:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def layers(block: ParallelLayers, e: int, x: Floats) -> Floats:
    """Perceptron e of some that stand side by side."""
    for weight, bias in zip(block.weights, block.biases, strict=True):
        x = relu(x @ n(weight)[e] + n(bias)[e])
    return x


def first(block: FirstExperts, e: int, x: Floats, mask: Floats | None = None) -> Floats:
    """Expert e over the inputs, of which it sees some."""
    width = len(n(block.first.bias)) // block.count
    at = slice(e * width, (e + 1) * width)
    weight = n(block.first.weight)[at]
    seen = weight if mask is None else weight * mask
    return layers(block.rest, e, relu(x @ seen.T + n(block.first.bias)[at]))


def gates(block: FirstExperts, x: Floats) -> Floats:
    assert block.gate is not None
    return np.asarray(x @ n(block.gate.weight).T + n(block.gate.bias))


def towers(block: Towers, h: list[Floats]) -> Floats:
    """Logits of all tasks from the representation of each."""
    return np.concatenate(
        [
            (layers(block.hidden, k, h[k]) @ n(block.weight)[k] + n(block.bias)[k])[:, : OUTPUTS[k]]
            for k in range(T)
        ],
        1,
    )


def assert_equal(model: Architecture, wanted: Floats) -> None:
    np.testing.assert_allclose(n(model(inputs_of(), {})), wanted, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("per_unit", [True, False])
def test_cross_stitch_equation_1(per_unit: bool) -> None:
    options = CrossStitchOptions(hidden=(5, 4), own=0.7, per_unit=per_unit, tower=3)
    start = CrossStitch(shape=SHAPE, options=options)
    for alpha in start.stitches:
        np.testing.assert_allclose(n(alpha)[0], 0.55 * np.eye(T) + 0.15, atol=1e-6)
    model = drawn(start)
    x = rows_of(inputs_of())

    def stitched(alpha: Tensor, h: list[Floats]) -> list[Floats]:
        a = n(alpha)  # [H or 1, T, T]
        return [np.asarray(sum(a[:, k, j] * h[j] for j in range(T))) for k in range(T)]

    h = stitched(model.stitches[0], [first(model.first, k, x) for k in range(T)])
    h = stitched(model.stitches[1], [layers(model.rest[0], k, h[k]) for k in range(T)])
    assert_equal(model, towers(model.towers, h))


@pytest.mark.parametrize(("own", "shared"), [(1, 1), (1, 0), (2, 1), (2, 3), (2, 0)])
def test_adatt_equations_1_to_5(own: int, shared: int) -> None:
    levels = 3
    options = AdattOptions(levels=levels, task_experts=own, shared_experts=shared, hidden=(5,), tower=3)
    model = drawn(Adatt(shape=SHAPE, options=options))
    x = rows_of(inputs_of())
    count = T * own + shared
    paths = [list(range(e * own, (e + 1) * own)) for e in range(T)] + [list(range(T * own, count))]
    experts = [first(model.first, e, x) for e in range(count)]
    logits = gates(model.first, x)
    h: list[Floats] = []
    for level in range(levels):
        going_on = T + (shared > 0 and level < levels - 1)
        if level:
            inputs = [h[next(p for p, members in enumerate(paths) if e in members)] for e in range(count)]
            experts = [layers(model.experts[level - 1], e, inputs[e]) for e in range(count)]
        new = []
        for p in range(going_on):
            at = slice(p * count, (p + 1) * count)
            gate = softmax(logits[:, at] if not level else h[p] @ n(model.gates[level - 1])[p])
            fused = sum(gate[:, [e]] * experts[e] for e in range(count))
            if own == 1 and shared <= 1:
                v = np.ones(1)
            else:
                v = n(model.own_weights[level])[p] if p < T else n(model.shared_weights[level])[0]
            native = sum(v[i] * experts[e] for i, e in enumerate(paths[p]))
            new.append(np.asarray(fused + native))
        h = new
    assert_equal(model, towers(model.towers, h))


def views() -> Floats:
    """Fields of widths 5, 1, 4, 3, 2 cut among three tasks and the shared view; narrow ones are seen by all."""
    seen = np.zeros((4, 15))
    seen[[0, 0, 1, 2, 3], range(5)] = 1  # floor(column·4/5)
    seen[:, 5] = 1
    seen[range(4), range(6, 10)] = 1
    seen[:, 10:] = 1  # three and two columns are fewer than four views
    return seen


def test_stem_equations_1_to_3() -> None:
    own, shared = 2, 1
    options = StemOptions(task_experts=own, shared_experts=shared, hidden=(5, 4), tower=3)
    model = drawn(Stem(shape=SHAPE, options=options))
    x, seen = rows_of(inputs_of()), views()
    count = T * own + shared
    experts = [first(model.experts, e, x, seen[e // own if e < T * own else T]) for e in range(count)]
    gate = model.experts.gate
    h = []
    for k in range(T):
        at = slice(k * count, (k + 1) * count)
        both = np.maximum(seen[k], seen[T])  # a gate reads its own slices and the shared ones
        g = softmax(x @ (n(gate.weight)[at] * both).T + n(gate.bias)[at])
        h.append(np.asarray(sum(g[:, [e]] * experts[e] for e in range(count))))
    assert_equal(model, towers(model.towers, h))


def test_stem_trains_no_expert_of_another_task() -> None:
    model = drawn(Stem(shape=SHAPE, options=StemOptions(task_experts=1, shared_experts=1, hidden=(8, 4))))
    inputs = inputs_of()
    for side in (inputs.user, inputs.item, inputs.context):
        side.requires_grad_()
    y = model(inputs, {})
    y[:, 4].sum().backward()  # of 'buy', the last task
    by_expert = model.experts.first.weight.grad.unflatten(0, (4, 8)).abs().sum((1, 2))
    assert (by_expert > 0).tolist() == [False, False, True, True]
    reached = []
    for side in (inputs.user, inputs.item, inputs.context):
        assert isinstance(side.grad, Tensor)
        reached.append(n(side.grad).any(0))
    np.testing.assert_array_equal(np.concatenate(reached), np.maximum(views()[2], views()[3]) > 0)


def home_by_hand(model: Any, groups: list[int], experts: int, training: bool) -> Floats:
    v = rows_of(inputs_of())
    paths, count = max(groups) + 2, experts
    gates_a_path, rank = len(model.up) // paths, model.up.shape[1]
    look = v @ n(model.look.weight).T + n(model.look.bias)
    down, mix, of_groups, of_shared, of_self = np.split(look, np.cumsum(model.parts)[:-1], 1)

    def expert(block: Any, e: int, x: Floats) -> Floats:
        y = x @ n(block.weight)[e]
        mean = y.mean(0) if training else n(block.mean)[e, 0]
        variance = y.var(0) if training else n(block.variance)[e, 0]
        y = (y - mean) / np.sqrt(variance + 1e-5) * n(block.scale)[e, 0] + n(block.shift)[e, 0]
        return np.asarray(y * sigmoid(y))

    def own_weights(logits: Floats) -> Floats:
        return sigmoid(logits) if count == 1 else softmax(logits)

    meta: list[list[Floats]] = []
    for p in range(paths):
        share = softmax(mix[:, p * gates_a_path : (p + 1) * gates_a_path])
        gate = np.zeros_like(v)
        for g in range(gates_a_path):
            at = p * gates_a_path + g
            low = down[:, at * rank : (at + 1) * rank]
            gate += share[:, [g]] * 2 * sigmoid(low @ n(model.up)[at])  # eq. 2
        meta.append([expert(model.meta, p * count + i, v * gate) for i in range(count)])

    def mixed(weights: Floats, some: list[Floats]) -> Floats:
        return np.asarray(sum(weights[:, [i]] * one for i, one in enumerate(some)))

    z = []
    for p in range(paths):
        if p < paths - 1:
            weights = softmax(of_groups[:, p * 2 * count : (p + 1) * 2 * count])
            total = mixed(weights, meta[p] + meta[-1])  # eq. 3
        else:
            total = mixed(softmax(of_shared), [one for some in meta for one in some])  # eq. 4
        z.append(total + mixed(own_weights(of_self[:, p * count : (p + 1) * count]), meta[p]))
    h = []
    for k, g in enumerate(groups):
        own = [expert(model.experts, (paths + k) * count + i, z[g]) for i in range(count)]
        of_group = [expert(model.experts, g * count + i, z[g]) for i in range(count)]
        shared = [expert(model.experts, (paths - 1) * count + i, z[-1]) for i in range(count)]
        gate = softmax(np.concatenate([z[g], z[-1]], 1) @ n(model.gate)[k])
        total = mixed(gate, own + of_group + shared)  # eq. 5
        h.append(total + mixed(own_weights(z[g] @ n(model.self_gate)[k]), own))
    return towers(model.towers, h)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("named", "groups", "experts"),
    [
        ((), [0, 1, 0], 1),
        ((("buy", "mood"), ("click",)), [1, 0, 0], 2),
        ((("click", "mood", "buy"),), [0, 0, 0], 1),
    ],
)
def test_home_equations_1_to_5(
    named: tuple[tuple[str, ...], ...], groups: list[int], experts: int, training: bool
) -> None:
    options = HomeOptions(groups=named, experts=experts, meta_hidden=5, hidden=4, gates=2, rank=3, tower=3)
    model = drawn(Home(shape=SHAPE, options=options)).train(training)
    for block in (model.meta, model.experts):
        block.mean.normal_()
        block.variance.uniform_(0.5, 2.0)
    assert_equal(model, home_by_hand(model, groups, experts, training))


def test_home_predicts_with_means_of_its_batches() -> None:
    model = drawn(Home(shape=SHAPE, options=HomeOptions(meta_hidden=5, hidden=4))).train()
    for seed in range(3):
        model(inputs_of(seed), {})
    few = model.meta.mean.clone()
    model(inputs_of(3), {})  # the mean of the first ten batches counts each alike
    one = drawn(Home(shape=SHAPE, options=HomeOptions(meta_hidden=5, hidden=4))).train()
    one(inputs_of(3), {})
    torch.testing.assert_close(model.meta.mean, (3 * few + one.meta.mean) / 4)


@pytest.mark.parametrize(
    ("groups", "text"),
    [((("click",), ("mood",)), "'buy' is in 0"), ((("click", "buy"), ("mood", "buy")), "'buy' is in 2")],
)
def test_home_wants_each_task_in_one_group(groups: tuple[tuple[str, ...], ...], text: str) -> None:
    with pytest.raises(ModelError, match=text):
        Home(shape=SHAPE, options=HomeOptions(groups=groups))


@pytest.mark.parametrize("hidden", [(5,), (5, 4, 3)])
def test_task_attention_equations_1_and_2(hidden: tuple[int, ...]) -> None:
    options = TaskAttentionOptions(hidden=hidden, bottleneck=3, tower=3)
    model = drawn(TaskAttention(shape=SHAPE, options=options))
    u = first(model.first, 0, rows_of(inputs_of()))
    seen, p = list[Floats](), u
    for j in range(len(hidden)):
        if j:
            u = layers(model.enter[j - 1], 0, p)
        p = layers(model.leave[j], 0, u)
        new = []
        for k in range(T):
            x = u
            if j:
                passed = relu(seen[k] @ n(model.pass_on[j - 1].weight).T + n(model.pass_on[j - 1].bias))
                x = np.concatenate([u, passed], 1)
            mask = sigmoid(layers(model.look[j], k, x) @ n(model.weight[j])[k] + n(model.bias[j])[k])
            new.append(mask * p)  # eq. 1
        seen = new
    assert_equal(model, towers(model.towers, seen))


@pytest.mark.parametrize("edges", ["learnt", "after"])
def test_task_graph_messages(edges: Any) -> None:
    options = TaskGraphOptions(edges=edges, layers=2, hidden=(5, 4), rank=2, tower=3)
    model = drawn(TaskGraph(shape=SHAPE, options=options))
    if edges == "learnt":
        graph = softmax(relu(n(model.sources) @ n(model.targets).T))
    else:  # click and buy are joined; mood has only itself
        graph = np.array([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]])
    x = rows_of(inputs_of())
    h = [first(model.networks, k, x) for k in range(T)]
    for own, heard in zip(model.own, model.heard, strict=True):
        messages = [np.asarray(sum(graph[k, j] * h[j] for j in range(T))) for k in range(T)]
        h = [relu(h[k] @ n(own.weight).T + n(own.bias) + messages[k] @ n(heard.weight).T) for k in range(T)]
    assert_equal(model, towers(model.towers, h))


def test_a_graph_of_nothing_is_refused() -> None:
    shape = Shape(widths=WIDTHS, tasks=("a", "b"), outputs=(1, 1), entity_outputs={})
    with pytest.raises(ModelError, match="no task comes after another"):
        TaskGraph(shape=shape, options=TaskGraphOptions(edges="after"))


def test_cgc_is_ple_with_one_level() -> None:
    torch.manual_seed(0)
    one = Cgc(shape=SHAPE, options=CgcOptions(hidden=(5,), tower=3)).double()
    torch.manual_seed(0)
    other = Ple(shape=SHAPE, options=PleOptions(levels=1, hidden=(5,), tower=3)).double()
    assert torch.equal(one(inputs_of(), {}), other(inputs_of(), {}))
