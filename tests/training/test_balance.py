from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from motet.errors import SchemaError
from motet.training import build_balancer, gramian

WEIGHTS = {"a": 1.0, "b": 3.0}


def losses(**values: float) -> dict[str, Tensor]:
    return {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}


def test_fixed_and_equal_by_hand() -> None:
    assert float(build_balancer("fixed", WEIGHTS)(losses(a=4.0, b=8.0), []).detach()) == 7.0  # (4 + 24) / 4
    assert float(build_balancer("equal", WEIGHTS)(losses(a=4.0, b=8.0), []).detach()) == 6.0


def test_uncertainty_by_hand() -> None:
    """Σ w(e^−s·L + s/2)/Σw with s = (ln 2, 0): (2 + 0.3466 + 3·8) / 4, and its gradient in s."""
    balancer = build_balancer("uncertainty", WEIGHTS)
    (s,) = balancer.parameters()
    with torch.no_grad():
        s.copy_(torch.tensor([math.log(2), 0.0]))
    given_losses = losses(a=4.0, b=8.0)
    total = balancer(given_losses, [])
    assert float(total.detach()) == pytest.approx((2 + math.log(2) / 2 + 24) / 4)
    gradients = torch.autograd.grad(total, [s, *given_losses.values()])
    torch.testing.assert_close(gradients[0], torch.tensor([(-2 + 0.5) / 4, 3 * (-8 + 0.5) / 4]))
    torch.testing.assert_close(torch.stack(gradients[1:]), torch.tensor([0.125, 0.75]))


def test_uncertainty_settles_where_the_weight_is_one_over_twice_the_loss() -> None:
    balancer = build_balancer("uncertainty", {"a": 1.0})
    optimiser = torch.optim.Adam(balancer.parameters(), lr=0.05)
    for _ in range(600):
        optimiser.zero_grad()
        balancer({"a": torch.tensor(3.0)}, []).backward()
        optimiser.step()
    (s,) = balancer.parameters()
    assert math.exp(float(s.detach())) == pytest.approx(6.0, rel=1e-3)  # e^−s·L = 1/2


def test_gramian_by_hand() -> None:
    x, y = torch.zeros(2, requires_grad=True), torch.zeros(1, requires_grad=True)
    jacobian = torch.tensor([[1.0, 2.0, 0.0], [-3.0, 1.0, 5.0], [0.0, 0.0, 0.0]])
    parts = [(row[:2] * x).sum() + row[2] * y.sum() for row in jacobian]
    parts[0] = (jacobian[0, :2] * x).sum()  # does not reach y at all
    torch.testing.assert_close(gramian(parts, [x, y]), jacobian @ jacobian.T)


def step(jacobian: Tensor, balancer: str = "upgrad") -> Tensor:
    """Gradient on the shared tensor that one backward pass of the balanced loss gives."""
    x = torch.zeros(jacobian.shape[1], requires_grad=True)
    names = [f"t{k}" for k in range(len(jacobian))]
    parts = {name: (row * x).sum() for name, row in zip(names, jacobian, strict=True)}
    build_balancer(balancer, dict.fromkeys(names, 1.0))(parts, [x]).backward()
    assert x.grad is not None
    return x.grad


def test_upgrad_on_two_gradients_in_conflict() -> None:
    """g₁ = (1, 0), g₂ = (−2, 1), each ⅓ by weight… the mean raises task 1; UPGrad raises neither.

    UPGrad projects each gradient on the cone where no product is negative: g₁ → (1/5, 2/5), which is
    g₁ + (2/5)·g₂, and g₂ → (0, 1); their mean is (0.1, 0.7) (Quinton & Rey 2024), here times the ½ of
    the tasks' own weights.
    """
    jacobian = torch.tensor([[1.0, 0.0], [-2.0, 1.0]])
    mean = step(jacobian, "equal")
    assert float(mean @ jacobian[0]) < 0
    torch.testing.assert_close(step(jacobian), torch.tensor([0.05, 0.35]), atol=2e-3, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(2, 5))
def test_upgrad_raises_no_loss_to_first_order(seed: int, tasks: int, width: int) -> None:
    jacobian = torch.randn(tasks, width, generator=torch.Generator().manual_seed(seed))
    gradient = step(jacobian)
    products = jacobian @ gradient
    assert bool((products >= -1e-3 * float(jacobian.norm()) ** 2).all())


def test_upgrad_without_conflict_is_the_mean() -> None:
    jacobian = torch.tensor([[1.0, 0.5], [0.5, 1.0]])
    torch.testing.assert_close(step(jacobian), step(jacobian, "equal") / 2, atol=1e-3, rtol=0)


def test_names() -> None:
    with pytest.raises(SchemaError, match=r"objective.balancer 'uncertanty'.*did you mean 'uncertainty'\?"):
        build_balancer("uncertanty", WEIGHTS)
