from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.schema import SEQUENCE_ENCODERS

Array = NDArray[np.float64]
D, LAST, LENGTHS = 4, 5, (5, 2, 1)


def test_mean_by_hand() -> None:
    """Recency weights r = (ln 3, 0, …) by age: the newest of two events counts 3/4, the other 1/4."""
    encoder = SEQUENCE_ENCODERS["mean"](width=1, last=4)
    with torch.no_grad():
        encoder.recency.copy_(torch.tensor([math.log(3), 0.0, 0.0, 0.0]))  # type: ignore[operator]
    events = torch.tensor([[[1.0], [5.0], [9.0]], [[1.0], [5.0], [9.0]]])
    y = encoder(events, torch.tensor([2, 3]))
    # rows: 1·1/4 + 5·3/4 = 4; 1·1/5 + 5·1/5 + 9·3/5 = 6.6
    torch.testing.assert_close(y, torch.tensor([[4.0], [6.6]]))


def test_target_attention_by_hand() -> None:
    """score = (q·k)/√d with W = I: d = 4, target (2,0,0,0), keys (ln 9,0,0,0) and 0: weights 9/10, 1/10."""
    encoder = SEQUENCE_ENCODERS["target"](width=4, last=3)
    key = torch.tensor([math.log(9), 0.0, 0.0, 0.0])
    events = torch.stack([key, torch.zeros(4), torch.full((4,), 50.0)])[None]
    y = encoder(events, torch.tensor([2]), torch.tensor([[2.0, 0, 0, 0]]), torch.tensor([0]))
    torch.testing.assert_close(y, 0.9 * key[None])


def test_target_attention_answers_each_target_by_itself() -> None:
    torch.manual_seed(0)
    encoder = SEQUENCE_ENCODERS["target"](width=4, last=3)
    events, lengths = torch.randn(2, 3, 4), torch.tensor([3, 2])
    targets, row = torch.randn(5, 4), torch.tensor([0, 0, 1, 1, 0])
    y = encoder(events, lengths, targets, row)
    for i in range(5):
        n = int(row[i])
        keys = events[n, : lengths[n]]
        weight = (keys @ targets[i] / 2).softmax(0)
        torch.testing.assert_close(y[i], weight @ keys)


def test_self_attention_against_a_loop() -> None:
    """One head: x + softmax(q·k/√d)·v over events up to the last, then the feed-forward."""
    torch.manual_seed(0)
    encoder = SEQUENCE_ENCODERS["attention"](width=3, last=4).eval()
    events, length = torch.randn(1, 4, 3), 3
    y = encoder(events, torch.tensor([length]))
    x = events[0, :length] + encoder.position[torch.arange(length - 1, -1, -1)]  # type: ignore[index]
    q, k, v = encoder.qkv(encoder.norm_in(x)).split(3, 1)  # type: ignore[operator]
    weight = (q[-1] @ k.T / math.sqrt(3)).softmax(0)
    last = x[-1] + weight @ v
    wanted = last + encoder.feed(encoder.norm_mid(last))  # type: ignore[operator]
    torch.testing.assert_close(y[0], wanted)


def test_an_earlier_event_matters_and_its_place_too() -> None:
    torch.manual_seed(0)
    events, lengths = torch.randn(1, 4, 8), torch.tensor([4])
    turned = events[:, [1, 0, 2, 3]]
    for name in ("gru", "lstm", "cnn", "attention"):
        encoder = SEQUENCE_ENCODERS[name](width=8, last=4).eval()
        changed = events.clone()
        changed[0, 1] += torch.randn(8)
        assert not torch.allclose(encoder(events, lengths), encoder(changed, lengths)), name
        assert not torch.allclose(encoder(events, lengths), encoder(turned, lengths)), name


def test_gru_is_the_last_state_of_the_real_events() -> None:
    torch.manual_seed(0)
    encoder = SEQUENCE_ENCODERS["gru"](width=4, last=5)
    events = torch.randn(2, 5, 4)
    y = encoder(events, torch.tensor([5, 2]))
    for row, length in enumerate((5, 2)):
        _, state = encoder.cell(events[row : row + 1, :length])  # type: ignore[operator]
        torch.testing.assert_close(y[row], state[-1, 0])


# The formulas in NumPy, float64: x are the real events of one user, oldest first, [L, D].


def n(x: Tensor) -> Array:
    found: Array = x.detach().numpy()
    return found


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max())
    return np.asarray(e / e.sum())


def mean(encoder: Any, x: Array, target: Array) -> Array:
    w = np.exp(n(encoder.recency))[: len(x)][::-1]  # by age
    return np.asarray(w @ x / w.sum())


def gru(encoder: Any, x: Array, target: Array) -> Array:
    w, u = n(encoder.cell.weight_ih_l0).reshape(3, D, D), n(encoder.cell.weight_hh_l0).reshape(3, D, D)
    b, c = n(encoder.cell.bias_ih_l0).reshape(3, D), n(encoder.cell.bias_hh_l0).reshape(3, D)
    h = np.zeros(D)
    for event in x:
        r, z = (sigmoid(w[i] @ event + b[i] + u[i] @ h + c[i]) for i in (0, 1))
        new = np.tanh(w[2] @ event + b[2] + r * (u[2] @ h + c[2]))
        h = (1 - z) * new + z * h
    return h


def lstm(encoder: Any, x: Array, target: Array) -> Array:
    w, u = n(encoder.cell.weight_ih_l0).reshape(4, D, D), n(encoder.cell.weight_hh_l0).reshape(4, D, D)
    b = (n(encoder.cell.bias_ih_l0) + n(encoder.cell.bias_hh_l0)).reshape(4, D)
    h, memory = np.zeros(D), np.zeros(D)
    for event in x:
        i, f, g, o = (w[k] @ event + b[k] + u[k] @ h for k in range(4))
        memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(memory)
    return h


def cnn(encoder: Any, x: Array, target: Array) -> Array:
    found = []
    for k in (2, 3, 4):
        w, b = n(encoder.filters[str(k)].weight), n(encoder.filters[str(k)].bias)  # [D out, D in, k]
        padded = np.concatenate([np.zeros((k - 1, D)), x])
        windows = [np.einsum("oik,ki->o", w, padded[at : at + k]) + b for at in range(len(x))]
        found.append(np.maximum(windows, 0).max(0))
    return np.asarray(n(encoder.out.weight) @ np.concatenate(found) + n(encoder.out.bias))


def attention(encoder: Any, x: Array, target: Array) -> Array:
    def norm(layer: Any, one: Array) -> Array:
        spread = np.sqrt(one.var(-1, keepdims=True) + 1e-5)
        return np.asarray((one - one.mean(-1, keepdims=True)) / spread * n(layer.weight) + n(layer.bias))

    x = x + n(encoder.position)[: len(x)][::-1]
    qkv = norm(encoder.norm_in, x) @ n(encoder.qkv.weight).T + n(encoder.qkv.bias)
    q, k, v = np.split(qkv, 3, 1)
    last = x[-1].copy()
    for head in (slice(0, 2), slice(2, 4)):
        last[head] += softmax(k[:, head] @ q[-1, head] / math.sqrt(2)) @ v[:, head]
    first, _, second = encoder.feed
    hidden = n(first.weight) @ norm(encoder.norm_mid, last) + n(first.bias)
    gelu = hidden * 0.5 * (1 + np.array([math.erf(one / math.sqrt(2)) for one in hidden]))
    return np.asarray(last + n(second.weight) @ gelu + n(second.bias))


def target(encoder: Any, x: Array, target: Array) -> Array:
    query = n(encoder.query.weight) @ target
    return np.asarray(softmax(x @ query / math.sqrt(D) + n(encoder.recency)[: len(x)][::-1]) @ x)


FORMULAS: dict[str, Callable[[Any, Array, Array], Array]] = {f.__name__: f for f in (mean, gru, lstm, cnn, attention, target)}  # fmt: skip


def test_every_sequence_encoder_has_its_formula_here() -> None:
    assert set(FORMULAS) == set(SEQUENCE_ENCODERS)


@pytest.mark.parametrize("name", FORMULAS)
def test_each_sequence_encoder_is_its_formula(name: str) -> None:
    torch.manual_seed(0)
    encoder = SEQUENCE_ENCODERS[name](width=D, last=LAST).double().eval()
    for weight in encoder.parameters():
        torch.nn.init.normal_(weight, std=0.7)
    events = torch.randn(len(LENGTHS), LAST, D, dtype=torch.float64)
    targets, rows = torch.randn(len(LENGTHS), D, dtype=torch.float64), torch.arange(len(LENGTHS))
    sees_item = bool(getattr(encoder, "sees_item", False))
    given = (events, torch.tensor(LENGTHS), *((targets, rows) if sees_item else ()))
    found = n(encoder(*given))
    for row, length in enumerate(LENGTHS):
        wanted = FORMULAS[name](encoder, n(events[row, :length]), n(targets[row]))
        np.testing.assert_allclose(found[row], wanted, atol=1e-6)
