"""The conformance suite of balancers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from motet.objectives import Balancer

__all__ = ["check_balancer"]

_NAMES = ("click", "buy", "rate")


def check_balancer(build: Callable[..., Balancer]) -> None:
    """Check that a balancer keeps its promises.

    The combined loss is a finite scalar that can be differentiated; no task is pushed uphill (the
    derivative by each loss is not negative, and positive for one at least); tasks given in another
    order give the same; a task without known labels, whose loss is a constant 0, does no harm;
    gradients reach every weight of its own; its state can be saved and loaded.

    Args:
        build: Its class, called with ``weights``, a positive number by task.

    Raises:
        AssertionError: If a promise is broken; the text says which.

    Example:
        >>> from motet.objectives import BALANCERS
        >>> check_balancer(BALANCERS["uncertainty"])
    """
    weights = {"click": 1.0, "buy": 2.0, "rate": 0.5}
    shared, losses = _losses()
    balancer = build(weights=weights)
    total = balancer(losses, [shared])
    assert total.shape == (), f"the combined loss has shape {tuple(total.shape)}, not a scalar"
    assert bool(torch.isfinite(total)), "the combined loss is not finite"
    slopes = torch.stack(torch.autograd.grad(total, list(losses.values()), retain_graph=True))
    assert bool((slopes >= -1e-6).all()), f"a task is pushed uphill: slopes {slopes.tolist()}"
    assert bool((slopes > 0).any()), "no task moves the combined loss"

    turned = {name: weights[name] for name in reversed(_NAMES)}
    _, other = _losses()
    backwards = build(weights=turned)({name: other[name] for name in turned}, [_])
    assert abs(float((backwards - total).detach())) < 1e-5, (
        "tasks in another order give another combined loss"
    )

    shared, losses = _losses()
    losses["buy"] = shared.sum() * 0.0
    balancer = build(weights=weights)
    torch.autograd.backward(balancer(losses, [shared]))
    assert shared.grad is not None, "no gradient reaches the shared representation"
    assert bool(torch.isfinite(shared.grad).all()), "a task without labels makes the gradient non-finite"
    assert bool(shared.grad.any()), "a task without labels stops the others"
    for name, weight in balancer.named_parameters():
        assert weight.grad is not None, f"no gradient reaches {name!r}"
    copy = build(weights=weights)
    copy.load_state_dict(balancer.state_dict())
    _, losses = _losses()
    assert torch.equal(copy(losses, [_]), balancer(losses, [_])), "a loaded state gives another loss"


def _losses() -> tuple[Tensor, dict[str, Tensor]]:
    """Three losses on a shared representation [4, 3], two of them in conflict."""
    shared = torch.linspace(-1, 1, 12).view(4, 3).requires_grad_()
    at = {"click": 1.0, "buy": -1.0, "rate": 0.25}
    return shared, {name: (shared - goal).square().mean() for name, goal in at.items()}
