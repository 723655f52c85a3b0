from __future__ import annotations

import math

import torch

from motet.schema import SEQUENCE_ENCODERS


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
