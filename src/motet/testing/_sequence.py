"""The conformance suite of sequence encoders."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["check_sequence_encoder"]

_N, _LENGTH = 7, 6


def check_sequence_encoder(build: Callable[..., nn.Module], *, width: int = 8, target: bool = False) -> None:
    """Check that a sequence encoder keeps its promises.

    Shape [n, width]; an empty sequence gives zeros and a finite gradient; neither the amount of
    padding nor what stands in it changes an output; rows stand alone; gradients reach every weight
    and every real event, and no padding.

    Args:
        build: Its class, called with ``width`` and ``last``.
        width: Width of an event.
        target: Whether it also takes a target item for each row, and each row's sequence.

    Raises:
        AssertionError: If a promise is broken; the text says which.

    Example:
        >>> from motet.models import SEQUENCE_ENCODERS
        >>> check_sequence_encoder(SEQUENCE_ENCODERS["gru"])
    """
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = build(width=width, last=_LENGTH).eval()
    events = torch.randn(_N, _LENGTH, width, generator=generator)
    targets = torch.randn(_N, width, generator=generator)
    lengths = torch.tensor([_LENGTH, 1, 0, 3, 2, 5, 4])

    def run(events: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        extra = (targets, torch.arange(len(events))) if target else ()
        y: Tensor = encoder(events, lengths, *extra)
        assert y.shape == (len(events), width), f"the output has shape {tuple(y.shape)}, not [n, width]"
        return y

    with torch.no_grad():
        y = run(events, lengths, targets)
        assert bool(torch.isfinite(y).all()), "the output is not finite"
        assert not bool(y[lengths == 0].any()), "an empty sequence does not give zeros"
        assert bool(torch.equal(y, run(events, lengths, targets))), "two runs in evaluation mode differ"

        padding = torch.arange(_LENGTH) >= lengths[:, None]
        _same(run(events.masked_fill(padding[..., None], 7.5), lengths, targets), y, "what stands in padding")
        for i in range(_N):
            cut = max(1, int(lengths[i]))
            alone = run(events[i : i + 1, :cut], lengths[i : i + 1], targets[i : i + 1])
            _same(alone, y[i : i + 1], f"padding of a sequence of {int(lengths[i])}")
        order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
        _same(run(events[order], lengths[order], targets[order]), y[order], "the order of rows")
        if target:
            twice = encoder(events, lengths, targets.repeat(2, 1), torch.arange(_N).repeat(2))
            _same(twice, y.repeat(2, 1), "a second row with the same sequence")

    leaf = events.clone().requires_grad_()
    mixed = torch.randn(_N, width, generator=generator)
    torch.autograd.backward((run(leaf, lengths, targets) * mixed).sum())
    for name, weight in encoder.named_parameters():
        assert weight.grad is not None, f"no gradient reaches {name!r}"
        assert bool(torch.isfinite(weight.grad).all()), f"the gradient of {name!r} is not finite"
        assert bool(weight.grad.any()), f"the gradient of {name!r} is zero everywhere"
    assert leaf.grad is not None, "no gradient reaches the events"
    assert bool(torch.isfinite(leaf.grad).all()), "the gradient of the events is not finite"
    assert not bool(leaf.grad[padding].any()), "padding gets a gradient"
    assert bool(leaf.grad[lengths > 0].flatten(1).any(1).all()), "the events of a row get no gradient"


def _same(one: Tensor, two: Tensor, what: str) -> None:
    difference = float((one - two).abs().max())
    assert difference < 1e-5, f"{what} changes the output by up to {difference:g}"
