"""The effect of a variant on a metric: means, shares and ratios over users, with less variance by what was known before.

Legend: U users of a variant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError
from motet.service.experiments._sequential import SampleRatio, sequential_p, sequential_radius

__all__ = ["Decision", "Effect", "GuardrailState", "UserTotals", "decide", "effect_of", "guardrail_state"]

Array: TypeAlias = NDArray[np.float64]

_FEWEST: Final = 50  # users a variant, below which a standard error is a guess
_FEWEST_NONZERO: Final = 5


@dataclass(frozen=True, slots=True)
class UserTotals:
    """A metric of the users of one variant.

    Attributes:
        numerator: Total of each user, shape [U]; 0 or 1 for a share of users.
        denominator: For a ratio, what it is divided by, shape [U]; without it the metric is the mean over users.
        before: The same of the time before the user's first exposure, or anything else that the variant cannot have
            changed, shape [U].
    """

    numerator: Array
    denominator: Array | None = None
    before: Array | None = None

    def __post_init__(self) -> None:
        for name in ("denominator", "before"):
            values = getattr(self, name)
            if values is not None and values.shape != self.numerator.shape:
                raise DataError(
                    f"{name} of shape {values.shape} does not fit numerators of shape {self.numerator.shape}",
                    "give one value a user",
                )

    @property
    def users(self) -> int:
        """U."""
        return len(self.numerator)

    @property
    def value(self) -> float:
        """The metric; NaN where it is not defined."""
        below = float(self.users) if self.denominator is None else float(self.denominator.sum())
        return float(self.numerator.sum()) / below if below else math.nan

    def influence(self) -> Array:
        """What each user adds to the metric's error, of mean 0, shape [U].

        N_i − N̄ for a mean; (N_i − R D_i) / D̄ for a ratio R, by the delta method (Deng, Knoblich & Lu 2018).
        """
        if self.denominator is None:
            return np.asarray(self.numerator - self.numerator.mean())
        return np.asarray((self.numerator - self.value * self.denominator) / self.denominator.mean())


@dataclass(frozen=True, slots=True)
class Effect:
    """What a variant changes in a metric, as of one moment; its intervals hold at all moments together.

    Attributes:
        users: Of the baseline and of the variant.
        baseline: Value of the metric with the baseline.
        variant: Value with the variant.
        difference: Variant less baseline, adjusted where something was known before.
        standard_error: Of the difference.
        interval: Of the difference; None where there are too few users or outcomes.
        relative: Difference by baseline; None where the baseline is not clearly above 0.
        relative_interval: Of it.
        p: Always-valid p-value of no difference; None likewise.
        level: Of the intervals.
        variance_saved: Share of the variance that the adjustment took away, in [0, 1].
    """

    users: tuple[int, int]
    baseline: float
    variant: float
    difference: float
    standard_error: float
    interval: tuple[float, float] | None
    relative: float | None
    relative_interval: tuple[float, float] | None
    p: float | None
    level: float
    variance_saved: float


def effect_of(baseline: UserTotals, variant: UserTotals, fraction: float, level: float = 0.95) -> Effect:
    """Compare a variant with the baseline; users are the unit.

    Where both know what was before, CUPED (Deng et al. 2013, section 3): each value is lowered by θ (X̄ − X̄_all), with
    θ = cov(ψ, X) / var(X) over both variants and ψ the influences, so that a ratio is adjusted like a mean. The
    relative difference has the delta method's error, with the baseline's own in it.

    Args:
        baseline: Users of the baseline.
        variant: Users of the variant.
        fraction: Share of the planned users that are in, above 0; see :func:`sequential_radius`.
        level: Coverage over all looks together.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> before = rng.normal(3, 1, (2, 4000))
        >>> after = before + rng.normal(0, 0.5, (2, 4000)) + np.array([[0.0], [0.1]])
        >>> plain = effect_of(UserTotals(after[0]), UserTotals(after[1]), 1.0)
        >>> better = effect_of(*(UserTotals(a, before=b) for a, b in zip(after, before, strict=True)), 1.0)
        >>> plain.standard_error > 2 * better.standard_error, better.interval[0] > 0
        (True, True)
    """
    arms = (baseline, variant)
    users = (baseline.users, variant.users)
    values = [one.value for one in arms]
    if min(users) < 2 or any(math.isnan(value) for value in values):
        return Effect(users, values[0], values[1], math.nan, math.nan, None, None, None, None, level, 0.0)
    influences = [one.influence() for one in arms]
    plain = sum(float(one @ one) / (len(one) * (len(one) - 1)) for one in influences)
    if baseline.before is not None and variant.before is not None:
        values, influences = _adjusted(values, influences, baseline.before, variant.before)
    variances = [float(one @ one) / (len(one) * (len(one) - 1)) for one in influences]
    difference, error = values[1] - values[0], math.sqrt(sum(variances))
    saved = max(0.0, 1 - sum(variances) / plain) if plain else 0.0
    nonzero = min(int(np.count_nonzero(one.numerator)) for one in arms)
    if min(users) < _FEWEST or nonzero < _FEWEST_NONZERO or not error:
        return Effect(users, values[0], values[1], difference, error, None, None, None, None, level, saved)
    half = float(sequential_radius(fraction, level)) * error
    relative = interval = None
    if values[0] > 3 * math.sqrt(variances[0]):
        relative = difference / values[0]
        spread = math.sqrt(variances[1] + (values[1] / values[0]) ** 2 * variances[0]) / values[0]
        wide = half / error * spread
        interval = (relative - wide, relative + wide)
    return Effect(
        users,
        values[0],
        values[1],
        difference,
        error,
        (difference - half, difference + half),
        relative,
        interval,
        float(sequential_p(difference / error, fraction, level)),
        level,
        saved,
    )


def _adjusted(
    values: list[float], influences: list[Array], *before: Array
) -> tuple[list[float], list[Array]]:
    centred = [one - one.mean() for one in before]
    spread = sum(float(one @ one) for one in centred)
    if not spread:
        return values, influences
    theta = sum(float(x @ psi) for x, psi in zip(centred, influences, strict=True)) / spread
    mean = float(np.concatenate(before).mean())
    return (
        [value - theta * (float(x.mean()) - mean) for value, x in zip(values, before, strict=True)],
        [psi - theta * x for psi, x in zip(influences, centred, strict=True)],
    )


GuardrailState: TypeAlias = Literal["kept", "violated", "open"]


def guardrail_state(effect: Effect, margin: float, higher_is_better: bool = True) -> GuardrailState:
    """Whether a metric that must not get worse has got worse.

    Args:
        effect: On that metric.
        margin: The relative loss that would be accepted, at least 0.
        higher_is_better: Whether a lower value is a loss.

    Returns:
        ``violated`` if the whole interval is a loss beyond the margin, ``kept`` if none of it is, ``open`` otherwise.
    """
    interval = effect.relative_interval
    if interval is None:
        return "open"
    low, high = interval if higher_is_better else (-interval[1], -interval[0])
    if high < -margin:
        return "violated"
    return "kept" if low >= -margin else "open"


@dataclass(frozen=True, slots=True)
class Decision:
    """What an experiment says so far.

    Attributes:
        kind: ``mismatch``: the numbers of users are not as planned, and nothing else may be read. ``harmful``: a
            guardrail is violated, or the metric is worse. ``better``: the metric is better and every guardrail kept.
            ``better_unguarded``: it is better, and a guardrail still open. ``no_difference``: as many users as planned
            and no difference found. ``running``: neither.
        variants: The variants that it is about.
        stop: Whether there is no reason to go on.
    """

    kind: Literal["mismatch", "harmful", "better", "better_unguarded", "no_difference", "running"]
    variants: tuple[str, ...]
    stop: bool


def decide(
    ratio: SampleRatio,
    effects: Sequence[tuple[str, Effect, bool]],
    guardrails: Sequence[tuple[str, GuardrailState]],
    fraction: float,
) -> Decision:
    """Apply the stop rules, at any time and as often as one likes.

    Args:
        ratio: The check of the numbers of users.
        effects: Of each variant its name, its effect on the primary metric, and whether higher is better.
        guardrails: Of each variant and guardrail the variant's name and the state.
        fraction: Share of the planned users that are in.
    """
    if not ratio.passed:
        return Decision("mismatch", (), True)
    names = [name for name, _, _ in effects]
    harmed = {name for name, state in guardrails if state == "violated"}
    gains = {}
    for name, effect, up in effects:
        if effect.interval is not None and not effect.interval[0] <= 0 <= effect.interval[1]:
            gains[name] = (effect.difference > 0) == up
    harmed |= {name for name, gain in gains.items() if not gain}
    better = tuple(name for name in names if gains.get(name) and name not in harmed)
    if better:
        free = all(state == "kept" for name, state in guardrails if name in better)
        return Decision("better" if free else "better_unguarded", better, free)
    if harmed and harmed >= set(names):
        return Decision("harmful", tuple(name for name in names if name in harmed), True)
    if fraction >= 1:
        rest = tuple(name for name in names if name not in harmed)
        return Decision("no_difference", rest, True)
    return Decision("running", tuple(name for name in names if name not in harmed), False)
