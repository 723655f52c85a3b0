"""Every balancer beside its formula in NumPy, in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motet.errors import SchemaError
from motet.training import BALANCERS, Balancer, build_balancer
from motet.training.balancing import GradientDirection, GramianWeights

Array = NDArray[np.float64]
NAMES = ("a", "b", "c", "d")
VALUES = np.array([0.7, 1.9, 0.4, 3.0])
OWN = np.array([1.0, 2.0, 0.5, 1.5])
PLAIN = (
    "fixed",
    "equal",
    "random",
    "uncertainty",
    "imtl_l",
    "dwa",
    "geometric_mean",
    "smooth_maximum",
    "famo",
)


def rows_of(seed: int = 0, tasks: int = 4, width: int = 7) -> Array:
    """Gradients of tasks of very different lengths, some in conflict, [T, n]."""
    rng = np.random.default_rng(seed)
    scale = np.array([1.0, 3.0, 0.2, 0.7])[:tasks, None]
    rows: Array = rng.standard_normal((tasks, width)) * scale
    return rows


def build(name: str, tasks: int = 4, own: Array = OWN, seed: int = 0, **options: Any) -> Balancer:
    if name not in (*PLAIN, "gradnorm", "cagrad"):
        pytest.importorskip("torchjd")
    weights = dict(zip(NAMES, own[:tasks].tolist(), strict=False))
    return build_balancer(name, weights, options, seed=seed, steps_per_epoch=2).double()


def direction(balancer: Balancer, rows: Array, values: Array = VALUES) -> Array:
    """What the shared representation gets where the losses are values + rows·x at x = 0."""
    x = torch.zeros(rows.shape[1], dtype=torch.float64, requires_grad=True)
    lines = torch.from_numpy(rows)
    losses = {
        name: torch.tensor(value) + line @ x if line.any() else x.sum() * 0.0
        for name, line, value in zip(NAMES, lines, values.tolist(), strict=False)
    }
    balancer(losses, [x]).backward()
    assert x.grad is not None
    found: Array = x.grad.numpy()
    return found


def weighted(rows: Array, own: Array = OWN) -> Array:
    """The rows, times the tasks' own weights scaled to sum to 1."""
    own = own[: len(rows)]
    scaled: Array = rows * (own / own.sum())[:, None]
    return scaled


def close(found: Array, expected: Array, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def softmax(x: Array) -> Array:
    e: Array = np.exp(x - x.max())
    shares: Array = e / e.sum()
    return shares


def test_fixed_and_equal() -> None:
    close(direction(build("fixed"), rows_of()), weighted(rows_of()).sum(0))
    close(direction(build("equal"), rows_of()), rows_of().mean(0))


def test_random_weights_are_a_softmax_of_normal_draws_of_seed_and_step() -> None:
    balancer = build("random", seed=5)
    for step in range(3):
        z = torch.randn(4, generator=torch.Generator().manual_seed(5 * 1_000_003 + step)).double().numpy()
        close(direction(balancer, rows_of()), 4 * softmax(z) @ weighted(rows_of()))


def test_uncertainty_and_impartial_losses_give_what_they_have_learnt() -> None:
    for name, power in (("uncertainty", -1), ("imtl_l", 1)):
        balancer = build(name)
        s = np.array([0.3, -1.2, 2.0, 0.0])
        (learnt,) = balancer.parameters()
        with torch.no_grad():
            learnt.copy_(torch.from_numpy(s))
        close(direction(balancer, rows_of()), np.exp(power * s) @ weighted(rows_of()))
        own = OWN / OWN.sum()
        slope = power * np.exp(power * s) * VALUES * own + {-1: own / 2, 1: -own}[power]
        assert learnt.grad is not None
        close(learnt.grad.numpy(), slope)


def test_dwa_by_two_epochs_of_losses() -> None:
    balancer = build("dwa", temperature=0.5)
    rng = np.random.default_rng(1)
    seen = rng.uniform(0.5, 2.0, (8, 4))  # four epochs of two steps
    rows = rows_of()
    for step, values in enumerate(seen):
        found = direction(balancer, rows, values)
        epoch = step // 2
        rates = np.ones(4)
        if epoch >= 2:
            means = seen.reshape(4, 2, 4).mean(1)
            rates = means[epoch - 1] / means[epoch - 2]
        close(found, 4 * softmax(rates / 0.5) @ weighted(rows))


def test_dwa_leaves_batches_without_a_label_out_of_the_means() -> None:
    balancer = build("dwa")
    rows = rows_of()
    gone = rows.copy()
    gone[1] = 0
    for k in range(4):
        direction(balancer, gone if k % 2 else rows, VALUES)
    close(direction(balancer, rows), weighted(rows).sum(0))  # every mean is that of one value: rates of 1


def test_geometric_mean() -> None:
    own = OWN / OWN.sum()
    whole = np.exp(own @ np.log(VALUES))
    close(direction(build("geometric_mean"), rows_of()), whole * (own / VALUES) @ rows_of())


def test_smooth_maximum() -> None:
    own = OWN / OWN.sum()
    close(
        direction(build("smooth_maximum", mu=0.3), rows_of()),
        softmax(own * VALUES / 0.3) @ weighted(rows_of()),
    )


def test_famo_takes_the_losses_again_after_the_step() -> None:
    balancer = build("famo", step_size=0.5, decay=0.1)
    rows, xi = rows_of(), np.zeros(4)
    for values, after in ((VALUES, VALUES * [0.9, 0.5, 1.1, 1.0]), (VALUES * 0.8, VALUES * 0.3)):
        z = softmax(np.log(OWN / OWN.sum()) + xi)
        c = 1 / (z / values).sum()
        close(direction(balancer, rows, values), c * (z / values) @ rows)
        again = {name: torch.tensor(v) for name, v in zip(NAMES, after.tolist(), strict=True)}
        balancer.after_step(again.copy)
        delta = np.log(values) - np.log(after)
        xi = xi - 0.5 * ((np.diag(z) - np.outer(z, z)) @ delta + 0.1 * xi)


def test_gradnorm_assigns_the_gradient_of_its_own_loss() -> None:
    balancer = build("gradnorm", alpha=0.7)
    (v,) = balancer.parameters()
    rows, first = rows_of(), VALUES
    direction(balancer, rows, first)
    v.grad = None
    weights = np.array([0.5, 1.4, 1.2, 1.7])
    with torch.no_grad():
        v.copy_(torch.from_numpy(weights))
    weights = 4 * weights / weights.sum()
    now = VALUES * [0.5, 0.9, 0.8, 0.2]
    close(direction(balancer, rows, now), weights @ weighted(rows))
    lengths = np.linalg.norm(rows, axis=1)
    ratio = now / first
    goal = (weights * lengths).mean() * (ratio / ratio.mean()) ** 0.7  # eq. 1
    assert v.grad is not None
    close(v.grad.numpy(), np.sign(weights * lengths - goal) * lengths)  # of eq. 2
    close(v.detach().numpy(), weights)


def test_gradnorm_makes_gradients_equally_long_where_alpha_is_zero() -> None:
    balancer = build("gradnorm", alpha=0.0)
    optimiser = torch.optim.Adam(balancer.parameters(), lr=0.03)
    rows = rows_of()
    for _ in range(300):
        optimiser.zero_grad()
        direction(balancer, rows)
        optimiser.step()
    (v,) = balancer.parameters()
    lengths = v.detach().numpy() * np.linalg.norm(rows, axis=1)
    assert lengths.max() / lengths.min() < 1.1


def project(u: Array, gram: Array) -> Array:
    """The v ≥ u that minimises vᵀGv, by trying every set of active bounds."""
    best, least = u, float("inf")
    for active in itertools.product([True, False], repeat=len(u)):
        held = np.array(active)
        v = u.copy()
        if not held.all():
            free = ~held
            v[free] = np.linalg.solve(gram[np.ix_(free, free)], -gram[np.ix_(free, held)] @ u[held])
        if (v >= u - 1e-12).all() and v @ gram @ v < least:
            best, least = v, float(v @ gram @ v)
    return best


def regular(rows: Array) -> Array:
    gram = rows @ rows.T
    scaled: Array = gram / np.trace(gram) + 1e-4 * np.eye(len(gram))
    return scaled


def test_upgrad_and_dualproj_are_projections() -> None:
    for seed in range(5):
        rows = weighted(rows_of(seed))
        gram, even = regular(rows), np.full(4, 0.25)
        parts = [project(np.eye(4)[k] / 4, gram) for k in range(4)]
        close(direction(build("upgrad"), rows_of(seed)), sum(parts) @ rows)
        close(direction(build("dualproj"), rows_of(seed)), project(even, gram) @ rows)


def test_the_size_of_the_gradients_does_not_matter() -> None:
    """TorchJD alone takes a Gramian with a trace below 1e-4 for zero."""
    rows = rows_of(2)
    for name in sorted(BALANCERS):
        kind = BALANCERS[name]
        if isinstance(kind, type) and issubclass(kind, GramianWeights | GradientDirection):
            large, small = direction(build(name), rows), direction(build(name), rows * 1e-5)
            assert large @ small / np.linalg.norm(large) / np.linalg.norm(small) > 1 - 1e-6, name


def test_mgda_is_the_shortest_combination() -> None:
    for seed in range(5):
        pair = weighted(rows_of(seed, tasks=2))
        gram = pair @ pair.T
        share = np.clip((gram[1, 1] - gram[0, 1]) / (gram[0, 0] + gram[1, 1] - 2 * gram[0, 1]), 0, 1)
        close(direction(build("mgda", 2), rows_of(seed, tasks=2)), np.array([share, 1 - share]) @ pair)
        rows = weighted(rows_of(seed))
        found = direction(build("mgda", iterations=5000, tolerance=1e-9), rows_of(seed))
        assert (rows @ found >= found @ found - 1e-3 * np.trace(rows @ rows.T)).all()  # of the shortest


def surgery(rows: Array, orders: tuple[tuple[int, ...], ...]) -> Array:
    total = np.zeros(rows.shape[1])
    for i, order in enumerate(orders):
        g = rows[i].copy()
        for j in order:
            if g @ rows[j] < 0:
                g -= (g @ rows[j]) / (rows[j] @ rows[j]) * rows[j]
        total += g
    return total


def test_pcgrad_for_some_orders() -> None:
    pair = rows_of(3, tasks=2)
    close(direction(build("pcgrad", 2), pair), surgery(weighted(pair), ((1,), (0,))))
    rows = rows_of(4, tasks=3)
    orders = [list(itertools.permutations([j for j in range(3) if j != i])) for i in range(3)]
    may_be = [surgery(weighted(rows), chosen) for chosen in itertools.product(*orders)]
    balancer = build("pcgrad", 3)
    for _ in range(4):
        found = direction(balancer, rows)
        assert min(np.abs(found - one).max() for one in may_be) < 1e-9


def test_gradvac_remembers_cosines() -> None:
    balancer = build("gradvac", 2, beta=0.3)
    phi = np.zeros((2, 2))
    for seed in range(4):
        rows = weighted(rows_of(seed, tasks=2))
        total = np.zeros(rows.shape[1])
        for i, j in ((0, 1), (1, 0)):
            g, other = rows[i].copy(), rows[j]
            length, of_other = np.linalg.norm(g), np.linalg.norm(other)
            cosine, goal = g @ other / (length * of_other), phi[i, j]
            if cosine < goal:
                g += (
                    length
                    * (goal * np.sqrt(1 - cosine**2) - cosine * np.sqrt(1 - goal**2))
                    / (of_other * np.sqrt(1 - goal**2))
                    * other
                )
            phi[i, j] = 0.7 * goal + 0.3 * cosine
            total += g
        close(direction(balancer, rows_of(seed, tasks=2)), total)


def test_cagrad_by_search_on_a_line() -> None:
    for seed in range(5):
        pair = weighted(rows_of(seed, tasks=2))
        mean = pair.mean(0)
        radius = 0.5 * float(np.linalg.norm(mean))

        def value(v: float, pair: Array = pair, mean: Array = mean, radius: float = radius) -> float:
            g = v * pair[0] + (1 - v) * pair[1]
            return float(g @ mean + radius * np.linalg.norm(g))

        low, high = 0.0, 1.0
        for _ in range(200):
            a, b = low + (high - low) / 3, high - (high - low) / 3
            low, high = (low, b) if value(a) < value(b) else (a, high)
        g = low * pair[0] + (1 - low) * pair[1]
        found = direction(build("cagrad", 2), rows_of(seed, tasks=2))
        close(
            found, mean + radius / np.linalg.norm(g) * g, 1e-5
        )  # both solvers stop short of the last digits
    close(direction(build("cagrad", c=0.0), rows_of()), weighted(rows_of()).mean(0))


def test_cagrad_helps_the_worst_task_at_least_as_much_as_the_mean() -> None:
    for seed in range(20):
        rows = weighted(rows_of(seed))
        found = direction(build("cagrad"), rows_of(seed))
        assert (rows @ found).min() >= (rows @ rows.mean(0)).min() - 1e-9


def test_imtl_g_has_equal_projections() -> None:
    rows = weighted(rows_of(6))
    lengths = np.linalg.norm(rows, axis=1)
    found = direction(build("imtl_g"), rows_of(6))
    v = np.linalg.solve(rows @ rows.T, lengths)
    close(found, v / v.sum() @ rows)
    close(rows @ found / lengths, np.full(4, (rows @ found / lengths).mean()))


@pytest.mark.parametrize(("name", "alpha"), [("nash_mtl", 1.0), ("fairgrad", 2.0)])
def test_fair_weights_solve_their_equation(name: str, alpha: float) -> None:
    """G·λ = λ^(−1/α), by Newton's method on log λ, with steps halved until the residual falls."""
    for seed in range(3):
        rows = weighted(rows_of(seed))
        gram = rows @ rows.T
        gram /= np.diagonal(gram).mean()

        def residual(log: Array, gram: Array = gram) -> Array:
            return np.asarray(gram @ np.exp(log) - np.exp(-log / alpha))

        log = np.zeros(4)
        for _ in range(200):
            slope = gram * np.exp(log) + np.diag(np.exp(-log / alpha) / alpha)
            step = np.linalg.solve(slope, residual(log))
            size = 1.0
            while size > 1e-9 and np.linalg.norm(residual(log - size * step)) > np.linalg.norm(residual(log)):
                size /= 2
            log = log - size * step
        assert np.abs(residual(log)).max() < 1e-10
        close(direction(build(name), rows_of(seed)), np.exp(log) @ rows, 1e-4)  # TorchJD's solver stops there


def test_aligned_components() -> None:
    rows = weighted(rows_of(1))
    values, vectors = np.linalg.eigh(rows @ rows.T)
    for scale, length in (("min", values.min()), ("rmse", values.mean())):
        balance = np.sqrt(length) * vectors @ np.diag(values**-0.5) @ vectors.T
        close(direction(build("aligned_mtl", scale=scale), rows_of(1)), balance @ np.full(4, 0.25) @ rows)


def test_pcd_puts_one_task_first() -> None:
    for seed in range(5):
        pair = weighted(rows_of(seed, tasks=2))
        lengths = np.linalg.norm(pair, axis=1)
        for primary, first in (("a", 0), ("b", 1)):
            unit, other = pair[first] / lengths[first], pair[1 - first] / lengths[1 - first]
            d = unit + max(0.0, 0.1 - other @ unit) * other
            found = direction(build("pcd", 2, primary=primary, tau=0.1), rows_of(seed, tasks=2))
            close(found, d / np.linalg.norm(d) * lengths[first])
    with pytest.raises(SchemaError, match=r"there is no task 'x'. Cure: known: a, b"):
        build("pcd", 2, primary="x")


def test_krum_keeps_the_most_central() -> None:
    rows = weighted(rows_of(2))
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    score = np.sort(apart, axis=1)[:, 1:3].sum(1)  # of the T − 2 nearest
    close(direction(build("krum"), rows_of(2)), rows[np.argsort(score)[:2]].mean(0))
    close(direction(build("krum", kept=1), rows_of(2)), rows[np.argmin(score)])


def test_trimmed_mean() -> None:
    ordered = np.sort(weighted(rows_of()), axis=0)
    close(direction(build("trimmed_mean"), rows_of()), ordered[1:3].mean(0))
    close(direction(build("trimmed_mean", trimmed=2), rows_of()), ordered.mean(0))  # too few tasks for that


def test_config_has_the_same_cosine_to_every_gradient() -> None:
    rows = weighted(rows_of())
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    d = units.T @ np.linalg.solve(units @ units.T, np.ones(4))
    d /= np.linalg.norm(d)
    close(direction(build("config"), rows_of()), (rows @ d).sum() * d)


def test_graddrop_keeps_one_sign_of_each_number_as_often_as_it_is_pure() -> None:
    rows = weighted(rows_of(width=3))
    up, down = np.maximum(rows, 0).sum(0), np.minimum(rows, 0).sum(0)
    purity = 0.5 * (1 + rows.sum(0) / np.abs(rows).sum(0))
    balancer = build("graddrop")
    found = np.stack([direction(balancer, rows_of(width=3)) for _ in range(400)])
    assert (np.isclose(found, up) | np.isclose(found, down)).all()
    np.testing.assert_allclose(np.isclose(found, up).mean(0), purity, atol=0.1)


def test_smoothing_is_a_running_mean_of_the_weights() -> None:
    plain, smooth = build("imtl_g"), build("imtl_g", smoothing=0.9)
    first = direction(plain, rows_of(0))
    close(direction(smooth, rows_of(0)), first)
    before = np.linalg.solve(
        weighted(rows_of(0)) @ weighted(rows_of(0)).T, np.linalg.norm(weighted(rows_of(0)), axis=1)
    )
    now = np.linalg.solve(
        weighted(rows_of(1)) @ weighted(rows_of(1)).T, np.linalg.norm(weighted(rows_of(1)), axis=1)
    )
    mixed = 0.9 * before / before.sum() + 0.1 * now / now.sum()
    close(direction(smooth, rows_of(1)), mixed @ weighted(rows_of(1)))


@pytest.mark.parametrize("name", sorted(set(BALANCERS) - {"random"}))
def test_a_task_without_labels_is_as_if_it_were_not_there(name: str) -> None:
    rows = rows_of(3, tasks=3)
    own = np.array([1.0, 2.0, 0.5])
    without = direction(build(name, 2, own), rows[:2])
    rows[2] = 0
    found = direction(build(name, 3, own), rows)
    close(found / np.linalg.norm(found), without / np.linalg.norm(without))


@pytest.mark.parametrize("name", sorted(BALANCERS))
def test_tasks_without_labels_leave_no_trace_in_what_comes_after(name: str) -> None:
    rows = rows_of(3)
    for gone in ([0], [1, 2], [0, 1, 2], [0, 1, 2, 3]):
        balancer = build(name)
        part = rows.copy()
        part[gone] = 0
        for given in (rows, part, part, rows):
            assert np.isfinite(direction(balancer, given)).all(), (name, gone)
        for each in balancer.state_dict().values():
            assert not torch.isinf(each).any()
    balancer = build(name)
    nothing = np.zeros_like(rows)
    assert not direction(balancer, nothing).any()


@pytest.mark.parametrize("name", sorted(BALANCERS))
def test_a_task_that_does_not_touch_what_is_shared_is_trained(name: str) -> None:
    """As of a task on items that sees other inputs."""
    balancer = build(name, 3)
    x = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    apart = torch.ones((), dtype=torch.float64, requires_grad=True)
    rows = torch.from_numpy(rows_of(1, 3, 5))
    losses = {"a": 1.0 + rows[0] @ x, "b": 2.0 + rows[1] @ x, "c": apart * 1.0}
    balancer(losses, [x]).backward()
    assert apart.grad is not None
    assert float(apart.grad) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temprature": 1}, r"temprature is not an option of dwa. Cure: did you mean 'temperature'\?"),
        ({"temperature": 0}, r"balancer_options.temperature: .* greater than 0, but is 0"),
        ({"seed": 0}, "seed is not an option of dwa"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        build_balancer("dwa", {"a": 1.0}, options)


def test_options_of_a_balancer_from_outside() -> None:
    from motet.training import register_balancer  # noqa: PLC0415

    calls: list[float] = []

    @register_balancer("from_outside")
    def make(*, weights: dict[str, float], power: float = 2.0) -> Balancer:
        calls.append(power)
        return build_balancer("equal", weights)

    build_it: Callable[..., Balancer] = build_balancer
    try:
        build_it("from_outside", {"a": 1.0}, {"power": 3})
        assert calls == [3.0]
        with pytest.raises(SchemaError, match=r"did you mean 'power'"):
            build_it("from_outside", {"a": 1.0}, {"powr": 3})
    finally:
        BALANCERS.remove("from_outside")
