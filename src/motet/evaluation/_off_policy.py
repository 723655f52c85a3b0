"""What another policy would have earned, estimated from a log of choices with their propensities.

Legend: N logged choices, A actions, D columns of the context, U users.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from motet.errors import DataError

__all__ = [
    "CrossFittedRewards",
    "PolicyValue",
    "cross_fitted_rewards",
    "off_policy_values",
    "ridge_rewards",
]

Array: TypeAlias = NDArray[np.float64]
RewardModel: TypeAlias = Callable[[Array, NDArray[np.int64], Array], Callable[[Array], Array]]

_FEWEST: Final = 2


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """The estimated mean reward of a policy.

    Attributes:
        value: Reward a choice, in the unit of the rewards.
        interval: Its interval, about the mean over users like these.
        standard_error: Of the value.
        effective_choices: (Σ w)² / Σ w² (Kish 1965): choices under the policy itself that would say as much.
        largest_weight: The largest importance weight, after clipping.
        clipped: Share of the choices whose weight was clipped; above 0 the value is biased, mostly downwards.
        choices: N.
    """

    value: float
    interval: tuple[float, float]
    standard_error: float
    effective_choices: float
    largest_weight: float
    clipped: float
    choices: int


def off_policy_values(
    reward: Array,
    propensity: Array,
    target: Array,
    *,
    predicted: Array | None = None,
    expected: Array | None = None,
    users: NDArray[np.generic] | None = None,
    clip: float | None = None,
    level: float = 0.95,
) -> dict[str, PolicyValue]:
    """Estimate the value of a policy from choices that another one made.

    With w = π(a | x) / p(a | x), capped at ``clip``, r the reward and q̂ a model of the rewards:

        ips    mean of w r                                   (Horvitz & Thompson 1952)
        snips  Σ w r / Σ w                                   (Swaminathan & Joachims 2015)
        dr     mean of E_π q̂(x, ·) + w (r − q̂(x, a))         (Dudík, Langford & Li 2011)

    ``ips`` is unbiased where every choice of the policy could have been logged; ``snips`` trades a small bias for a
    variance that does not depend on the level of the rewards; ``dr`` is unbiased as well, and the better q̂ is the less
    it varies. q̂ must not have seen the row that it predicts: see :func:`cross_fitted_rewards`. The standard error is
    that of a mean over users where there are users, since rewards of one user are alike, and that of a ratio by the
    delta method for ``snips``; the interval is Student's, with fewer degrees of freedom the longer the tails are, since a
    standard error is too small where the rare large weights happen to be missing.

    Args:
        reward: r, shape [N].
        propensity: Probability with which the logged choice was made, in (0, 1], shape [N].
        target: Probability with which the policy makes that choice, in [0, 1], shape [N].
        predicted: q̂ of the logged choice, shape [N]; without it there is no ``dr``.
        expected: q̂ under the policy, Σ_a π(a | x) q̂(x, a), shape [N].
        users: User of each choice, shape [N]; each choice is one of its own when left out.
        clip: Largest weight, above 0; no limit when left out.
        level: Coverage of the intervals, in (0, 1).

    Returns:
        The values by method.

    Raises:
        DataError: If shapes differ, a probability is out of its range, or there are fewer than two users.

    Example:
        >>> reward, chosen = np.tile([1.0, 0.0], 500), np.tile([0.5, 0.5], 500)
        >>> first = np.tile([1.0, 0.0], 500)  # a policy that always chooses the first action
        >>> found = off_policy_values(reward, chosen, first)
        >>> found["ips"].value, found["snips"].value, found["ips"].effective_choices
        (1.0, 1.0, 500.0)
    """
    reward, propensity, target = (np.asarray(one, np.float64) for one in (reward, propensity, target))
    _check(reward, propensity, target, predicted, expected, users)
    if clip is not None and not clip > 0:
        raise DataError(f"clip is {clip}, and a weight is above 0", "leave it out, or give for example 20")
    weight = target / propensity
    clipped = float(np.mean(weight > clip)) if clip is not None else 0.0
    weight = np.minimum(weight, clip) if clip is not None else weight
    total, square = float(weight.sum()), float((weight**2).sum())
    effective = total**2 / square if square else 0.0
    largest = float(weight.max())
    group = np.arange(len(reward)) if users is None else np.unique(users, return_inverse=True)[1]

    def value(mean: float, influence: Array) -> PolicyValue:
        of_user = np.bincount(group, influence)  # [U], of mean 0
        n, variance = len(of_user), float((of_user**2).mean())
        error = float(np.sqrt(variance * n / (n - 1) * n)) / len(reward)
        # Satterthwaite: the variance of a variance is that of a chi-square with so many degrees of freedom
        kurtosis = float((of_user**4).mean()) / variance**2 if variance else 1.0
        freedom = min(n - 1.0, 2 * n / max(kurtosis - 1, 1e-9))
        half = float(stdtrit(freedom, (1 + level) / 2)) * error
        return PolicyValue(mean, (mean - half, mean + half), error, effective, largest, clipped, len(reward))

    earned = weight * reward
    found = {"ips": value(float(earned.mean()), earned - earned.mean())}
    if total > 0:
        ratio = float(earned.sum()) / total
        found["snips"] = value(ratio, weight * (reward - ratio) * len(reward) / total)
    if predicted is not None and expected is not None:
        each = expected + weight * (reward - predicted)
        found["dr"] = value(float(each.mean()), each - each.mean())
    return found


@dataclass(frozen=True, slots=True)
class CrossFittedRewards:
    """Rewards as models predict them that have not seen the row.

    Attributes:
        predicted: q̂ of the logged action, shape [N].
        expected: Σ_a π(a | x) q̂(x, a), shape [N].
    """

    predicted: Array
    expected: Array


def cross_fitted_rewards(
    context: Array,
    action: NDArray[np.integer],
    reward: Array,
    policy: Array,
    *,
    fit: RewardModel | None = None,
    users: NDArray[np.generic] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> CrossFittedRewards:
    """Predict every reward by a model of the other folds (Chernozhukov et al. 2018).

    A model that has seen a row pulls its residual towards zero, and with it the interval of ``dr``.

    Args:
        context: x, shape [N, D]; D may be 0.
        action: The logged actions, from 0 to A − 1, shape [N].
        reward: Shape [N].
        policy: π(a | x), shape [N, A].
        fit: Learns from contexts, actions and rewards, and returns what predicts q̂, shape [N, A], from contexts;
            :func:`ridge_rewards` when left out.
        users: User of each row, shape [N]: all rows of one are in one fold.
        folds: From 2 to N.
        seed: Of the folds.

    Raises:
        DataError: If shapes differ, or there are fewer rows or users than folds.
    """
    context, reward, policy = (np.asarray(one, np.float64) for one in (context, reward, policy))
    n = len(reward)
    if context.ndim != 2 or len(context) != n or action.shape != (n,) or policy.ndim != 2 or len(policy) != n:
        raise DataError(
            f"contexts {context.shape}, actions {action.shape} and policy {policy.shape} do not fit {n} rewards",
            "give one row a reward",
        )
    if n and (int(action.min()) < 0 or int(action.max()) >= policy.shape[1]):
        raise DataError(f"an action is not from 0 to {policy.shape[1] - 1}", "number the actions from 0")
    group = np.arange(n) if users is None else np.unique(users, return_inverse=True)[1]
    units = int(group.max()) + 1 if n else 0
    if not 2 <= folds <= units:
        raise DataError(f"{folds} folds of {units} users or rows", "take from 2 folds to one a user")
    fold = (np.random.default_rng(seed).permutation(units) % folds)[group]
    learn = fit or (lambda x, a, r: ridge_rewards(x, a, r, policy.shape[1]))
    predicted, expected = np.empty(n), np.empty(n)
    for at in range(folds):
        out = fold == at
        q = learn(context[~out], action[~out].astype(np.int64), reward[~out])(context[out])  # [rows, A]
        predicted[out] = q[np.arange(len(q)), action[out]]
        expected[out] = (policy[out] * q).sum(1)
    return CrossFittedRewards(predicted, expected)


def ridge_rewards(
    context: Array, action: NDArray[np.int64], reward: Array, actions: int, *, strength: float = 10.0
) -> Callable[[Array], Array]:
    """A linear model of the reward an action, each drawn towards the mean reward of all.

    q̂(x, a) = r̄ + b_a + x · c_a, where (b_a, c_a) minimises Σ (r − q̂)² + strength · (b_a² + |c_a|²) over the rows of a.

    Args:
        context: Shape [N, D].
        action: Shape [N].
        reward: Shape [N].
        actions: A.
        strength: In rows: an action with as many rows is half its own.

    Returns:
        What predicts the reward of every action, shape [N, A], from contexts.
    """
    mean = float(reward.mean()) if len(reward) else 0.0
    x = np.concatenate([np.ones((len(context), 1)), context], 1)  # [N, 1 + D]
    width = x.shape[1]
    order = np.argsort(action, kind="stable")
    ends = np.searchsorted(action[order], np.arange(actions + 1))
    coefficients = np.zeros((actions, width))
    for a in range(actions):
        rows = order[ends[a] : ends[a + 1]]
        if len(rows):
            own = x[rows]
            left = own.T @ own + strength * np.eye(width)
            coefficients[a] = np.linalg.solve(left, own.T @ (reward[rows] - mean))

    def predict(context: Array) -> Array:
        return mean + coefficients[:, 0] + context @ coefficients[:, 1:].T

    return predict


def _check(
    reward: Array,
    propensity: Array,
    target: Array,
    predicted: Array | None,
    expected: Array | None,
    users: NDArray[np.generic] | None,
) -> None:
    if (predicted is None) != (expected is None):
        raise DataError(
            "predicted and expected rewards belong together", "give both, as cross_fitted_rewards does"
        )
    given = {
        "propensity": propensity,
        "target": target,
        "predicted": predicted,
        "expected": expected,
        "users": users,
    }
    for name, values in given.items():
        if values is not None and (reward.ndim != 1 or values.shape != reward.shape):
            raise DataError(
                f"{name} of shape {values.shape} does not fit rewards of shape {reward.shape}",
                "give one value a choice",
            )
    for name, values, low in (("propensity", propensity, 0.0), ("target", target, -1.0)):
        wrong = ~((values > low) & (values >= 0) & (values <= 1))
        if wrong.any():
            row = int(wrong.argmax())
            where = "above 0 and at most 1" if name == "propensity" else "from 0 to 1"
            raise DataError(
                f"{name} of row {row} is {values[row]:g}, and it must be {where}",
                "give the probability with which the logged item was chosen",
            )
    if not np.isfinite(reward).all():
        raise DataError("a reward is not a number", "leave out choices whose outcome is not known")
    if (len(reward) if users is None else len(np.unique(users))) < _FEWEST:
        raise DataError("there are fewer than two choices or users", "log more of them first")
