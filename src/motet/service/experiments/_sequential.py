"""Intervals and tests that hold however often one looks, and stops whenever one likes.

Legend: f share of the planned information, z estimate / standard error, α = 1 − level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from motet.errors import DataError

__all__ = ["SampleRatio", "planned_users", "sample_ratio", "sequential_p", "sequential_radius"]

Array: TypeAlias = NDArray[np.float64]

# Variance of the mixture at f = 1. At 0 the interval is narrowest there and never shrinks to a point; at 1 it is 4 %
# wider there and goes on shrinking as long as the experiment runs.
_SPREAD: Final = 1.0
_STEPS: Final = 60
_FACTOR: Final = (
    1.5  # of the fixed sample: power of 80 % at the planned number (benchmarks/experiments.py measures it)
)


def _log_mixture(z: Array, f: Array, level: float) -> Array:
    """Logarithm of the mixture likelihood ratio, [·]."""
    centre = _centre(level)
    shrink = 1 + _SPREAD * f
    pull = centre * np.sqrt(f) * z / shrink
    cosh = np.logaddexp(pull, -pull) - math.log(2)
    return cosh + (_SPREAD * f * z**2 - centre**2 * f) / (2 * shrink) - 0.5 * np.log(shrink)


def _centre(level: float) -> float:
    # Of the lines |S| < a + b V whose chance of ever being crossed is at most α (2 exp(−2ab) = α), the one that is
    # lowest at V = 1 has 2b = √(2 log(2/α)); a mixture of the two points ±2b is that line.
    return math.sqrt(2 * math.log(2 / (1 - level)))


def sequential_radius(fraction: Array | float, level: float = 0.95) -> Array:
    """Half-width of an always-valid interval, in standard errors.

    The interval is all values whose mixture likelihood ratio is below 1/α: for a martingale S with variance V, and λ
    drawn from ½N(c, ρ) + ½N(−c, ρ), E exp(λS − λ²V/2) is a supermartingale, so that by Ville's inequality it ever
    reaches 1/α with probability at most α (Robbins 1970; Johari et al. 2022, with this mixture in place of
    N(0, ρ)). With f = V / V_planned and z = S / √V the ratio is, for c² = 2 log(2/α) and ρ = 1,

        cosh(c √f z / (1 + f)) · exp((f z² − c² f) / (2 (1 + f))) / √(1 + f).

    For means with estimated variances this holds asymptotically (Waudby-Smith et al. 2024). The usual
    mixture N(0, ρ) with the best ρ has z = 3.04 where this one has 2.84 and a single look in the end has 1.96; that
    is the difference between a power of 79 % and of 84 % at 1.6 times the sample of a single look. The planned
    number has to be chosen before the first outcome is seen; beyond it the interval stays valid and goes on shrinking.

    Args:
        fraction: f, above 0; users so far by users planned.
        level: Coverage over all looks together, in (0, 1).

    Returns:
        In the shape of ``fraction``.

    Example:
        >>> [round(float(sequential_radius(f)), 2) for f in (0.1, 1.0, 10.0)]
        [4.19, 2.84, 3.48]
    """
    f = np.asarray(fraction, np.float64)
    if not (f > 0).all():
        raise DataError("a share of the planned users is not above 0", "wait for the first user")
    target = -math.log(1 - level)
    shrink, centre = 1 + _SPREAD * f, _centre(level)
    most = target + centre**2 * f / (2 * shrink) + 0.5 * np.log(shrink)
    low = np.zeros_like(f)
    high = np.minimum(
        np.sqrt(2 * most * shrink / (_SPREAD * f)), (most + math.log(2)) * shrink / (centre * np.sqrt(f))
    )
    for _ in range(_STEPS):
        middle = (low + high) / 2
        inside = _log_mixture(middle, f, level) < target
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.asarray(high)


def sequential_p(z: Array | float, fraction: Array | float, level: float = 0.95) -> Array:
    """Always-valid p-value: below 1 − level exactly where the interval leaves zero out.

    Args:
        z: Estimate by its standard error.
        fraction: As in :func:`sequential_radius`.
        level: That of the interval.
    """
    found = _log_mixture(np.asarray(z, np.float64), np.asarray(fraction, np.float64), level)
    return np.asarray(np.exp(-np.maximum(found, 0)))


def planned_users(
    deviation: float, effect: float, *, shares: Sequence[float] = (0.5, 0.5), power: float = 0.8, level: float = 0.95
) -> int:  # fmt: skip
    """Number of users to plan for, in all variants together.

    1.5 times that of a test with a single look, (z_{1−α/2} + z_{power})² · deviation² · (1/s_0 + 1/s_1) / effect²: as
    much more as always-valid intervals need for the same power, if the effect is as assumed. Most experiments with a
    real effect end earlier.

    Args:
        deviation: Standard deviation of the metric over users, above 0; √(p (1 − p)) for a share p.
        effect: The smallest difference that matters, in the unit of the metric, above 0.
        shares: Of the users, of the baseline and the variant, each above 0.
        power: In (0, 1).
        level: Of the interval.

    Example:
        >>> planned_users(0.3, 0.02)  # 10 % convert, and two points more are worth finding
        10596
    """
    if not (deviation > 0 and effect > 0 and len(shares) == 2 and min(shares) > 0):
        raise DataError(
            f"a deviation of {deviation:g}, an effect of {effect:g} and shares {tuple(shares)}",
            "give a deviation and an effect above 0, and two shares above 0",
        )
    z = float(special.ndtri((1 + level) / 2) + special.ndtri(power))
    return math.ceil(_FACTOR * (z * deviation / effect) ** 2 * sum(1 / share for share in shares))


# -- sample ratio ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether variants have as many users as they were to have.

    Attributes:
        counts: Users of each variant.
        expected: Users that each was to have.
        chi_square_p: Of Pearson's test, for a single look.
        sequential_p: Of a test that holds at every look.
        passed: False where the first is below 0.001 and the second below 0.01.
    """

    counts: tuple[int, ...]
    expected: tuple[float, ...]
    chi_square_p: float
    sequential_p: float
    passed: bool


_SINGLE: Final = 0.001
_EVERY: Final = 0.01
_PRIOR: Final = 100.0  # users' worth of belief in the planned shares


def sample_ratio(counts: Sequence[int], shares: Sequence[float]) -> SampleRatio:
    """Check the numbers of users against the planned shares: a mismatch means that who is counted depends on the variant.

    Two tests must agree before results are held back. Pearson's chi-square is the usual one (Fabijan et al. 2019), but
    looked at again and again it would find a mismatch sooner or later in a sound experiment. The Bayes factor of counts n against
    shares θ with a Dirichlet prior, 100 θ, of Lindon and Malek (2022),

        B = Γ(100) / Γ(100 + Σn) · Π Γ(100 θ_i + n_i) / Γ(100 θ_i) / Π θ_i^{n_i},

    ever reaches 1/p with probability at most p.

    Args:
        counts: Users of each variant, at least 0.
        shares: Planned shares, above 0; they sum to 1.

    Example:
        >>> sample_ratio([5000, 5050], [0.5, 0.5]).passed, sample_ratio([5000, 5500], [0.5, 0.5]).passed
        (True, False)
    """
    n, theta = np.asarray(counts, np.float64), np.asarray(shares, np.float64)
    if n.shape != theta.shape or n.ndim != 1 or len(n) < 2 or (n < 0).any() or (theta <= 0).any() or abs(theta.sum() - 1) > 1e-6:  # fmt: skip
        raise DataError(
            f"counts {tuple(counts)} do not fit shares {tuple(shares)}",
            "give a count and a share above 0 for each variant; shares sum to 1",
        )
    total = float(n.sum())
    expected = total * theta
    if not total:
        return SampleRatio(tuple(int(one) for one in n), tuple(expected.tolist()), 1.0, 1.0, True)
    square = float(((n - expected) ** 2 / expected).sum())
    chi_square_p = float(special.chdtrc(len(n) - 1, square))
    prior = _PRIOR * theta
    factor = special.gammaln(_PRIOR) - special.gammaln(_PRIOR + total)
    factor += (special.gammaln(prior + n) - special.gammaln(prior) - n * np.log(theta)).sum()
    every = float(np.exp(-max(float(factor), 0.0)))
    passed = not (chi_square_p < _SINGLE and every < _EVERY)
    return SampleRatio(tuple(int(one) for one in n), tuple(expected.tolist()), chi_square_p, every, passed)
